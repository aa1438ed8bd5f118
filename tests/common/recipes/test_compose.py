"""Which sections make which config, and named nodes."""

from __future__ import annotations

import json
import re

import pytest

from common.errors import InputError
from common.recipes.compose import configs_of


def test_both_goes_into_training_and_inference(compose):
    configs = compose({"train": {"b": 2}, "inference": {"c": 3}}, part={"both": {"a": 1}})
    assert configs == {"train": {"a": 1, "b": 2}, "inference": {"a": 1, "c": 3}}


def test_every_other_section_is_a_config_of_its_name(compose):
    configs = compose({"polyp": {"epochs": 3}}, part={"metadata": {"version": "0.1.0"}})
    assert configs["polyp"] == {"epochs": 3}
    assert configs["metadata"] == {"version": "0.1.0"}
    assert set(configs) == {"train", "inference", "metadata", "polyp"}


def test_layers_are_in_the_order_of_on(compose):
    one, two = {"train": {"a": 1, "b": 1}}, {"train": {"b": 2, "c": 2}}
    assert compose({"train": {"c": 3}}, one=one, two=two)["train"] == {"a": 1, "b": 2, "c": 3}


def test_composing_does_not_depend_on_earlier_configs(compose):
    """Sections are copied: what one config adds to a list does not appear in another."""
    part = {"both": {"imports": ["a"]}}
    first = compose({"train": {"+imports": ["b"]}}, part=part)
    assert first["train"]["imports"] == ["a", "b"]
    assert first["inference"]["imports"] == ["a"]
    assert compose({"train": {"+imports": ["b"]}}, part=part) == first


def test_a_used_node_is_a_copy_with_changes(compose):
    nodes = {"flip": {"_target_": "Flip", "keys": ["image"], "axis": "<required>", "spec": {"p": 0.5}}}
    train = {
        "x": {"_use_": "flip", "axis": 0},
        "y": [{"_use_": "flip", "axis": 1, "spec#p": 1.0, "+keys": ["label"], "also": 2}],
    }
    made = compose({"train": train}, part={"nodes": nodes})["train"]
    assert made["x"] == {"_target_": "Flip", "keys": ["image"], "axis": 0, "spec": {"p": 0.5}}
    assert made["y"] == [
        {"_target_": "Flip", "keys": ["image", "label"], "axis": 1, "spec": {"p": 1.0}, "also": 2}
    ]


def test_a_node_may_use_one_before_it_and_be_a_list(compose):
    nodes = {"one": {"a": 1}, "two": [{"_use_": "one", "b": 2}]}
    assert compose({"nodes": nodes, "train": {"x": {"_use_": "two"}}})["train"]["x"] == [{"a": 1, "b": 2}]


def test_a_part_may_use_a_node_that_the_recipe_gives(compose):
    part = {"inference": {"inferer": {"_use_": "own"}}}
    assert compose({"nodes": {"own": {"a": 1}}}, part=part)["inference"] == {"inferer": {"a": 1}}


@pytest.mark.parametrize(
    ("nodes", "train", "message"),
    [
        ({"flip": {}}, {"x": {"_use_": "flop"}}, "train#x: no node is called flop; there are: flip"),
        ({"two": {"_use_": "one"}, "one": {}}, {}, "nodes#two: no node is called one"),
        ({"all": [1]}, {"x": {"_use_": "all", "b": 2}}, "node all is no mapping; b cannot be laid on it"),
        ({"n": {"a": {}}}, {"x": {"_use_": "n", "a#b": 1}}, "train#x: a#b is not in what"),
    ],
)
def test_nodes_that_cannot_be_used(compose, nodes, train, message):
    with pytest.raises(InputError, match=re.escape(message)):
        compose({"nodes": nodes, "train": train})


def test_two_nodes_with_one_name(compose):
    with pytest.raises(InputError, match=r"recipe\.json: nodes#flip: a layer before has a node of this name"):
        compose({"nodes": {"flip": {}}}, part={"nodes": {"flip": {}}})


def test_a_missing_part(compose, tmp_path):
    compose({}, run={}, volumes={})
    file = tmp_path / "bundles" / "toy" / "recipe.json"
    file.write_text('{"on": ["run", "volume"]}')
    with pytest.raises(InputError) as caught:
        configs_of(file, {}, tmp_path / "parts")
    expected = "bundles/toy/recipe.json: on: no part is called volume; there are: run, volumes"
    assert str(caught.value) == expected


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "recipe.json: is not JSON"),
        ("[]", "expected a mapping of sections, found a list"),
        ('{"train": []}', "train is a list; expected a mapping"),
        ('{"on": {}}', "on is a dict; expected a list of parts"),
        ('{"train": {"a": 1, "a": 2}}', "a stands there twice in one mapping"),
    ],
)
def test_files_that_are_not_recipes(tmp_path, text, message):
    (tmp_path / "toy").mkdir()
    (tmp_path / "toy" / "recipe.json").write_text(text)
    with pytest.raises(InputError, match=re.escape(message)) as caught:
        configs_of(tmp_path / "toy" / "recipe.json", {}, tmp_path)
    assert str(caught.value).startswith("bundles/toy/recipe.json: ")
    assert "\n" not in str(caught.value)


def test_an_unreadable_recipe(tmp_path):
    with pytest.raises(InputError, match=r"bundles/toy/recipe\.json: cannot be read"):
        configs_of(tmp_path / "toy" / "recipe.json", {}, tmp_path)


def test_what_is_composed_is_plain_json(compose):
    made = compose({"train": {"a": {"_list_": True, "x": 1}, "b": "{pin:torch}"}})
    assert json.loads(json.dumps(made)) == made
