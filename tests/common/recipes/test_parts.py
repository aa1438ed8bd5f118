"""What bundles share is in parts, once."""

from __future__ import annotations

import json
import re
import shutil
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from common.recipes.checkout import ROOT, bundles_with_recipe
from common.recipes.compose import configs_of
from common.recipes.layers import PARTS, pins_of

PINS = pins_of(ROOT / "requirements.txt")
#: A mapping of three keys, or a list of three items, of this many characters is worth a name.
SIZE, ITEMS = 120, 3


def recipe_of(name: str) -> Path:
    return ROOT / "bundles" / name / "recipe.json"


def large_nodes(node: Any) -> Iterator[str]:
    """The texts of all nodes worth a name in a tree of JSON; a list with names is the list of its items."""
    if isinstance(node, dict) and node.get("_list_") is True:
        node = [item for key, item in node.items() if key != "_list_"]
    inside = list(node.values()) if isinstance(node, dict) else node
    if isinstance(node, dict | list):
        text = json.dumps(node, sort_keys=True)
        if len(node) >= ITEMS and len(text) >= SIZE:
            yield text
        for inner in inside:
            yield from large_nodes(inner)


def kept_twice(files: list[Path]) -> dict[str, list[str]]:
    """Node -> the files that contain it, if there are several."""
    holders = defaultdict(set)
    for file in files:
        for content in json.loads(file.read_text()).values():
            for inner in content.values() if isinstance(content, dict) else ():  # a section is not a node
                for text in large_nodes(inner):
                    holders[text].add(f"{file.parent.name}/{file.name}")
    return {text: sorted(names) for text, names in holders.items() if len(names) > 1}


def test_no_node_of_real_size_is_kept_in_two_files():
    starts = sorted((ROOT / "common" / "new" / "starts").glob("*/*.json"))
    files = [recipe_of(name) for name in bundles_with_recipe()] + sorted(PARTS.glob("*.json"))
    assert len(files) > 12
    assert starts
    files += starts
    assert kept_twice(files) == {}, "move these nodes to a part, or name them in its section nodes"


def test_a_node_that_is_kept_twice_is_found(tmp_path):
    node = {"_target_": "common.Something", "keys": ["image", "label"], "prob": 0.5, "note": "x" * SIZE}
    for name, change in (("one", {}), ("two", {}), ("three", {"prob": 0.25})):
        (tmp_path / name).mkdir()
        augmentation = [node | change, {"_target_": "Flip"}, {"_target_": "Turn"}]
        (tmp_path / name / "recipe.json").write_text(json.dumps({"train": {"augmentation": augmentation}}))
    both = [["one/recipe.json", "two/recipe.json"]]
    files = sorted(tmp_path.glob("*/recipe.json"))
    assert list(kept_twice(files).values()) == both * 2  # the list, and the node within it
    assert kept_twice(files[:1]) == {}


def test_a_list_with_names_is_found_as_the_same_list():
    items = [{"_target_": f"common.transforms.{word}", "keys": ["image"], "note": "x" * 40} for word in "abc"]
    named = {"_list_": True, **{str(number): item for number, item in enumerate(items)}}
    assert list(large_nodes(named)) == list(large_nodes(items))
    assert list(large_nodes(items))


def test_every_part_is_used():
    used = {part for name in bundles_with_recipe() for part in json.loads(recipe_of(name).read_text())["on"]}
    assert used == {path.stem for path in PARTS.glob("*.json")}


@pytest.mark.parametrize("name", bundles_with_recipe())
def test_a_handler_for_all_bundles_is_one_edit_of_one_part(name, tmp_path):
    """In its place among the others, with no other change in any config."""
    parts = Path(shutil.copytree(PARTS, tmp_path / "parts"))
    run = json.loads((parts / "run.json").read_text())
    handlers: dict[str, Any] = {}
    for key, value in run["train"]["train"]["handlers"].items():
        handlers[key] = value
        if key == "history":
            handlers["clock"] = {"_target_": "common.training.clock.Clock", "folder": "@output_dir"}
    run["train"]["train"]["handlers"] = handlers
    (parts / "run.json").write_text(json.dumps(run))

    before = configs_of(recipe_of(name), PINS)
    after = configs_of(recipe_of(name), PINS, parts)
    changed = after["train"]["train"]["handlers"]
    place = next(i for i, handler in enumerate(changed) if "Clock" in handler["_target_"])
    assert changed.pop(place) == handlers["clock"]
    assert changed[place - 1]["_target_"].endswith("History")
    assert after == before


def test_every_part_is_described_with_the_parts_below_it():
    """The table of parts/README.md."""
    rows = re.findall(r"^\| `(\w+)` \| .* \| (.*?) ?\|$", (PARTS / "README.md").read_text(), re.MULTILINE)
    known = {path.stem for path in PARTS.glob("*.json")}
    assert {name for name, _ in rows} == known
    below = {name: re.findall(r"`(\w+)`", lies_on) for name, lies_on in rows}
    for name in bundles_with_recipe():
        on = json.loads(recipe_of(name).read_text())["on"]
        for part in on:
            assert set(below[part]) <= set(on[: on.index(part)]), f"{name}: {part} lies on {below[part]}"
