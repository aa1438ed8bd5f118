"""``tests/bundles/NAME/recipe.json``: the published recipe, as the method page has it, beside the configs.

A section is called by the configs that it is about, one laid on the other: ``train + paper``.  It holds

- ``recipe``: path in the resolved config (``resolved.py``) or computed row (``computed_rows.py``) -> value;
- ``differs``: the same where the bundle does something else yet, with ``recipe``, ``here`` and ``why``;
- ``exempt``: path -> why the recipe says nothing of it;
- ``wrong``: path -> a value that went unnoticed once, and must not again.

``not_recipes`` names overlays that are none, with a reason.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import pytest

from tests.contract.bundle import ROOT, Bundle
from tests.contract.computed_rows import compute
from tests.contract.resolved import NotPlainError, Resolved, leaves, name_of, read

__all__ = ["STANDARD", "Section", "named", "overlays", "required", "sections", "table_of"]

#: Configs that are no overlays of a recipe.
STANDARD = {"train", "inference", "evaluate", "metadata", "multi_gpu_train"}
#: Top-level keys about which no recipe says anything, and why.
COMMON = {
    "imports": "of Python",
    "bundle_root": "a place",
    "dataset_dir": "the phantom; a run of the recipe is told where its data are",
    "output_dir": "a place",
    "ckpt_dir": "a place",
    "ckpt_path": "a place",
    "state_path": "a place",
    "device": "the machine's",
    "num_workers": "the machine's",
    "cache_rate": "the machine's",
    "sw_batch_size": "the machine's; windows are independent of each other",
    "resume": "how a run is started",
    "training_run": "which files are a run's, and what is compared when it is resumed",
    "size_of_weights": "read from the weights",
    "output_ext": "of files",
    "output_postfix": "of files",
    "run": "what is done, and in which order",
    "fold": "which one a run holds out",
    "folds": "how many there are; a recipe with folds has a row about it",
    "ensemble": "which weights files are averaged; how a run is started",
    "weights": "files, which follow ensemble",
    "further_probabilities": "a place",
    "save_probabilities": "of files",
    "network": "network_def on its device",
}
#: Top-level keys of train.json and inference.json whose content the tests of readers, transforms and metrics
#: hold; a table may have rows about them, and must about what an overlay writes there.
ELSEWHERE = {
    *("datalist", "plan", "plan_options", "names", "image_transforms", "label_reading", "label_transforms"),
    *("items_of", "item_transforms", "scored_transforms", "preprocessing", "postprocessing", "dataset"),
    *("dataloader", "validate", "further_metrics", "evaluator", "handlers", "stream", "start"),
}
#: Switches and words in ``train`` that are the same whatever the recipe.
MACHINERY = {"_disabled_", "decollate", "print_lr", "epoch_level", "iteration_log", "num_workers"}
PLACEHOLDER = "to fill:"


@dataclass(frozen=True)
class Section:
    """What the table says of some configs."""

    name: str
    recipe: dict[str, Any] = field(default_factory=dict)
    differs: dict[str, dict[str, Any]] = field(default_factory=dict)
    exempt: dict[str, str] = field(default_factory=dict)
    wrong: dict[str, Any] = field(default_factory=dict)

    @property
    def configs(self) -> list[str]:
        return self.name.split(" + ")

    @property
    def is_begun(self) -> bool:
        """Whether it is more than what ``python -m common.new`` wrote."""
        return not any(path.startswith(PLACEHOLDER) for path in self.recipe)

    @property
    def rows(self) -> dict[str, Any]:
        """What the configs must hold."""
        return self.recipe | {path: row["here"] for path, row in self.differs.items()}

    def covers(self, path: str) -> bool:
        return any(path == row or path.startswith(f"{row}#") for row in self.rows)

    def exempts(self, path: str) -> bool:
        return any(path == row or path.startswith(f"{row}#") for row in [*self.exempt, *COMMON])

    def differences(self, config: Resolved) -> Iterator[str]:
        """Each row that the config contradicts, plain ones first."""
        for path, expected in sorted(self.rows.items(), key=lambda row: _is_computed(row[0])):
            try:
                found = compute(config, path) if _is_computed(path) else config.at(path)
            except Exception as error:  # a config that cannot be read is another one
                found = repr(error)
            if not same(found, expected):
                yield f"{path}: the config has {found!r}, the table {expected!r}"


def _is_computed(path: str) -> bool:
    return "@" in path


def table_of(bundle: Bundle) -> dict[str, Any]:
    return json.loads((ROOT / "tests" / "bundles" / bundle.name / "recipe.json").read_text())


def sections(bundle: Bundle) -> list[Section]:
    return [Section(name, **rows) for name, rows in table_of(bundle).items() if name != "not_recipes"]


def overlays(bundle: Bundle) -> set[str]:
    """Configs that a table must speak of."""
    return bundle.configs - STANDARD - set(table_of(bundle).get("not_recipes", {}))


def same(found: Any, expected: Any) -> bool:
    """Equal, numbers within rounding; no number is a switch."""
    if isinstance(expected, dict):
        return (
            isinstance(found, dict)
            and found.keys() == expected.keys()
            and all(same(found[key], value) for key, value in expected.items())
        )
    if isinstance(expected, list):
        return (
            isinstance(found, list)
            and len(found) == len(expected)
            and all(same(one, other) for one, other in zip(found, expected, strict=True))
        )
    if isinstance(expected, bool) or not isinstance(expected, int | float):
        return type(found) is type(expected) and found == expected
    if isinstance(found, bool) or not isinstance(found, int | float):
        return False
    return found == pytest.approx(expected, rel=1e-6, abs=1e-15)


def required(bundle: Bundle, section: Section, others: list[Section]) -> list[str]:
    """Paths of all that a section must cover or exempt.

    That is what its overlay writes, and of the config below what it keeps, unless another section is about
    that: what stands in nodes of the recipe's own, and each number and switch of the training itself.
    """
    folder = bundle.root / "configs"
    *below, last = section.configs
    raw = read(folder, section.configs)
    merged = Resolved(raw)
    paths = list(_written(json.loads((folder / f"{last}.json").read_text()), merged)) if below else []
    if " + ".join(below) not in {other.name for other in others}:
        paths += [path for path in _kept(merged) if path not in paths]
    if section.configs[0] == "train":
        return paths
    here, there = dict(leaves(raw)), dict(leaves(read(folder, ["train", *section.configs[1:]])))
    return [path for path in paths if path not in there or here.get(path) != there[path]]


def _written(overlay: Mapping[str, Any], merged: Resolved) -> Iterator[str]:
    for key, value in overlay.items():
        path = key.lstrip("+").replace("::", "#")
        if key.startswith("+") and isinstance(value, list):  # appended
            first = len(merged.node(path)) - len(value)
            value = {str(first + i): item for i, item in enumerate(value)}
        yield from (named(place, merged) for place, _ in leaves(value, path))


def _kept(merged: Resolved) -> Iterator[str]:
    for key, node in merged.raw.items():
        if key == "train":
            yield from _numbers_of_training(merged)
        elif key not in ELSEWHERE:
            yield from (named(path, merged) for path, _ in leaves(node, key))


def _numbers_of_training(merged: Resolved) -> Iterator[str]:
    """The order of the random transforms, and the numbers and switches of sampler, loader and trainer."""
    for part in ("random_transforms", "sampler", "dataloader", "trainer", "handlers"):
        for path, value in leaves(merged.raw["train"].get(part, ""), f"train#{part}"):
            is_said = (part == "random_transforms" and value) or _is_number(merged, value)
            if is_said and path.rpartition("#")[2] not in MACHINERY:
                yield named(path, merged)


def _is_number(merged: Resolved, value: Any) -> bool:
    try:
        found = merged.value(value)
    except NotPlainError:
        return False
    return isinstance(found, bool | int | float | list) and str(value).lstrip("@") not in {"seed", *COMMON}


def named(path: str, merged: Resolved) -> str:
    """The path, with handlers by their names: their numbers change with every one that is added."""
    steps = path.split("#")
    for i, step in enumerate(steps):
        if i and steps[i - 1] == "handlers" and step.isdigit():
            handlers = merged.node("#".join(steps[:i]))
            names = [name_of(handler) for handler in handlers]
            if names[int(step)] and names.count(names[int(step)]) == 1:
                steps[i] = names[int(step)]
    return "#".join(steps)
