"""All files of a new bundle, as text."""

from __future__ import annotations

import re
import tempfile
from pathlib import Path
from typing import Any

from common.new.borrowed import borrowed_modules
from common.new.like import Like
from common.new.names import class_name
from common.new.recipe import Start, start_of
from common.recipes.compact import compact
from common.recipes.compose import configs_of
from common.recipes.layers import pins_of

__all__ = ["files_of"]

_TEMPLATES = Path(__file__).resolve().parent / "templates"
#: Template -> where it goes.
_PAGES = {
    "README.md": "bundles/{name}/docs/README.md",
    "method.md": "bundles/{name}/docs/method.md",
    "data_license.txt": "bundles/{name}/docs/data_license.txt",
    "__init__.py": "bundles/{name}/{name}/__init__.py",
    "checkpoint.py": "bundles/{name}/{name}/checkpoint.py",
    "test_checkpoint.py": "tests/bundles/{name}/test_checkpoint.py",
    "recipe_table.json": "tests/bundles/{name}/recipe.json",
    "benchmark.py": "benchmarks/speed/bundles/{name}.py",
}
#: The same for the network and its test, by the name of the network's template.
_OF_NETWORK = {
    "network_{network}.py": "bundles/{name}/{name}/network.py",
    "test_network_{network}.py": "tests/bundles/{name}/test_network.py",
}


def files_of(name: str, like: Like) -> dict[Path, str]:
    """Path in the checkout -> text.

    Args:
        name: name of the new bundle.
        like: the bundle that it is modelled on.

    Raises:
        InputError: there is no start for such a bundle, or its recipe does not compose.
    """
    start = start_of(name, like)
    recipe = compact(start.recipe)
    configs = _configs(name, recipe, like.root)
    package = Path("bundles") / name / name
    files = {
        Path("bundles", name, "recipe.json"): recipe,
        Path("bundles", name, "LICENSE"): (like.folder / "LICENSE").read_text(encoding="utf-8"),
        Path("tests", "bundles", name, "quick.json"): compact(_quick(like, start, configs)),
    }
    if start.borrows:
        modules = borrowed_modules(like.folder / like.name, recipe, name)
        files |= {package / file: text for file, text in modules.items()}
    words = _words(name, like, configs)
    places = _PAGES | {template.format(network=start.network): to for template, to in _OF_NETWORK.items()}
    places |= {f"{module}.py": f"{package}/{module}.py" for module in start.modules}
    for template, place in places.items():
        text = (_TEMPLATES / f"{template}.template").read_text(encoding="utf-8")
        files[Path(place.format(name=name))] = _filled(text, words)
    return files


def _configs(name: str, recipe: str, root: Path) -> dict[str, Any]:
    """What the recipe gives, before anything is written into the checkout."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / name / "recipe.json"
        file.parent.mkdir()
        file.write_text(recipe, encoding="utf-8")
        return configs_of(file, pins_of(root / "requirements.txt"))


def _quick(like: Like, start: Start, configs: dict[str, Any]) -> dict[str, Any]:
    """The other bundle's sizes, for the keys that the new configs have too."""
    found: dict[str, Any] = {"data": like.quick["data"]}
    both = configs["train"] | configs["inference"]
    for part in ("train", "inference", "paper", "another_size", "plain_inference"):
        given = like.quick.get(part, {})
        found[part] = {key: value for key, value in given.items() if key.split("#")[0] in both}
    for key in ("case_keys", "another_network"):
        found[key] = like.quick.get(key)
    return {key: value for key, value in (found | start.quick).items() if value}


def _words(name: str, like: Like, configs: dict[str, Any]) -> dict[str, str]:
    """The values for the names in double braces in the templates."""
    data = configs["metadata"]["network_data_format"]
    inputs, outputs = data["inputs"]["image"], data["outputs"]["pred"]
    test_imports = [
        f"from {name}.network import {class_name(name)}",
        "from common.bundles import parse_config",
    ]
    return {
        "name": name,
        "class": class_name(name),
        "like": like.name,
        "dims": str(like.dims),
        "sides": ", ".join(str(n) if isinstance(n, int) else "side" for n in inputs["spatial_shape"]),
        "sizes": ", ".join(["16", "32", "48"][: like.dims]),
        "axes": "(B, C, H, W)" if like.dims == 2 else "(B, C, X, Y, Z)",
        "in_channels": str(inputs["num_channels"]),
        "out_channels": str(outputs["num_channels"]),
        "norm": "batch" if "batch_norm" in like.parts else "instance",
        "phantom": like.phantom(),
        "commands": _commands(name, like),
        "test_imports": "\n".join(sorted(test_imports, key=lambda line: line.split()[1])),
    }


def _commands(name: str, like: Like) -> str:
    """The first block of commands on the other's card."""
    card = (like.folder / "docs" / "README.md").read_text(encoding="utf-8")
    block = card.partition("## Four commands\n")[2].partition("    # 1.")
    lines = (block[1] + block[2]).splitlines()
    prose = (i for i, line in enumerate(lines) if line and not line.startswith("    "))
    return re.sub(rf"\b{like.name}\b", name, "\n".join(lines[: next(prose, None)]).rstrip())


def _filled(text: str, words: dict[str, str]) -> str:
    for word, meaning in words.items():
        text = text.replace(f"{{{{{word}}}}}", meaning)
    return text
