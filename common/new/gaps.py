"""What is left to fill in a bundle: every line that says so."""

from __future__ import annotations

import re
from pathlib import Path

from common.errors import InputError
from common.recipes.checkout import ROOT, bundles_with_recipe

__all__ = ["gaps"]

#: Up to the bracket or the quotation mark that it stands in.
_GAP = re.compile(r'\(to fill: (.*?)\)|to fill: ([^"]*)')
_TEXT = {".json", ".md", ".py", ".txt"}


def gaps(name: str, root: Path = ROOT) -> list[str]:
    """``bundles/unet/docs/README.md:3: who it is for``, for each gap of a bundle.

    Configs are not read: their gaps are the recipe's.

    Raises:
        InputError: there is no such bundle.
    """
    known = bundles_with_recipe(root)
    if name not in known:
        raise InputError(f"{name}: no such bundle; there are: {', '.join(known)}")
    files = [root / "benchmarks" / "speed" / "bundles" / f"{name}.py"]
    for folder in ("recipe.json", "docs", name):
        files += _below(root / "bundles" / name / folder)
    files += _below(root / "tests" / "bundles" / name)
    return [
        f"{file.relative_to(root)}:{number}: {gap}"
        for file in files
        if file.is_file() and file.suffix in _TEXT
        for number, line in enumerate(file.read_text(encoding="utf-8").splitlines(), 1)
        for gap in map("".join, _GAP.findall(line))
    ]


def _below(path: Path) -> list[Path]:
    return sorted(path.rglob("*")) if path.is_dir() else [path]
