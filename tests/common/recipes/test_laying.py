"""MONAI's overlay language, as recipes use it."""

from __future__ import annotations

import re
from typing import Any

import pytest
from monai.bundle import ConfigParser

from common.errors import InputError

BASE: dict[str, Any] = {
    "epochs": 1,
    "plan": {"a": 1, "inner": {"b": 2}},
    "train": {"handlers": {"_list_": True, "seed": {"n": 0}, "clip": "<optional>", "end": {"n": 9}}},
    "imports": ["x"],
}


def trained(compose, recipe: dict[str, Any]) -> dict[str, Any]:
    return compose({"train": recipe}, part={"train": BASE})["train"]


def test_a_path_replaces_the_existing_value(compose):
    made = trained(compose, {"epochs": 2, "plan#inner#b": 3})
    assert made["epochs"] == 2
    assert made["plan"] == {"a": 1, "inner": {"b": 3}}


def test_plus_adds_to_a_list_and_to_a_mapping(compose):
    made = trained(compose, {"+imports": ["y"], "+plan": {"c": 3}, "+plan#inner": {"d": 4}})
    assert made["imports"] == ["x", "y"]
    assert made["plan"] == {"a": 1, "inner": {"b": 2, "d": 4}, "c": 3}


def test_items_of_a_list_have_names_and_keep_their_places(compose):
    made = trained(compose, {"train#handlers#seed#n": 5, "train#handlers#clip": {"n": 3}})
    assert made["train"]["handlers"] == [{"n": 5}, {"n": 3}, {"n": 9}]
    assert trained(compose, {})["train"]["handlers"] == [{"n": 0}, {"n": 9}]
    made = trained(compose, {"+train#handlers": {"last": {"n": 10}}, "train#handlers#seed": "<none>"})
    assert made["train"]["handlers"] == [{"n": 9}, {"n": 10}]


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("plna#a", 1, "plna#a is not in what the layers before give; to add it, write +plna with a in it"),
        (
            "plan#c",
            3,
            "plan#c is not in what the layers before give; to add it, write +plan with c in it",
        ),
        ("train#handlers#clipp", {}, "to add it, write +train#handlers with clipp in it"),
        ("epochs#a", 1, "epochs#a is not in what"),
        ("+augmentation", [], "+augmentation is not in what the layers before give"),
        ("epoch", "<none>", "epoch is not in what"),
        ("+imports", {"y": 1}, "cannot add a mapping to a list"),
        ("+train#handlers", [{}], "cannot add a list to a mapping"),
        ("+epochs", [2], "cannot add a list to 1"),
        ("+train#handlers#clip", {"n": 1}, "cannot add a mapping to '<optional>'"),
    ],
)
def test_missing_nodes_cannot_be_changed(compose, key, value, message):
    with pytest.raises(InputError, match=re.escape(message)) as caught:
        trained(compose, {key: value})
    assert str(caught.value).startswith(f"bundles/toy/recipe.json: train: {key}")
    assert "\n" not in str(caught.value)


def test_a_new_key_follows_the_key_before_it(compose):
    made = trained(compose, {"first": 0, "epochs": 2, "second": 1, "plan#a": 1, "third": 2, "fourth": 3})
    assert list(made) == ["first", "epochs", "second", "plan", "third", "fourth", "train", "imports"]
    assert list(trained(compose, {"last": 0})) == ["epochs", "plan", "train", "imports", "last"]


def test_keys_added_to_a_mapping_follow_the_key_before_them(compose):
    made = trained(compose, {"+plan": {"a": 1, "new": 0}})
    assert list(made["plan"]) == ["a", "new", "inner"]


def test_an_overlay_holds_paths_for_monai(compose):
    """They are written unchanged, and MONAI puts them in place."""
    evaluate = {"epochs": 3, "plan#inner#b": 4, "+imports": ["y"], "plan#a": 7}
    configs = compose({"evaluate": evaluate}, part={"train": BASE})
    assert configs["evaluate"] == evaluate
    parser = ConfigParser(configs["train"])
    parser.update({key: value for key, value in evaluate.items() if not key.startswith("+")})
    assert parser["plan"] == {"a": 7, "inner": {"b": 4}}


def test_a_later_layer_changes_an_overlay(compose):
    part = {
        "train": BASE,
        "evaluate": {"plan#inner": {"b": 1, "c": 2}, "+imports": ["y"], "run": {"_list_": True, "go": "now"}},
    }
    own = {"plan#inner#b": 5, "+plan#inner": {"d": 3}, "+imports": ["z"], "run#go": "later"}
    assert compose({"evaluate": own}, part=part)["evaluate"] == {
        "plan#inner": {"b": 5, "c": 2, "d": 3},
        "+imports": ["y", "z"],
        "run": ["later"],
    }


@pytest.mark.parametrize("earlier", ["plan#a", "+plan"])
def test_a_whole_node_in_an_overlay_replaces_what_was_said_of_it(compose, earlier):
    """MONAI would apply both, in file order."""
    part = {"train": BASE, "paper": {earlier: 1 if "#" in earlier else {"y": 1}, "epochs": 3}}
    assert compose({"paper": {"plan": {"z": 0}}}, part=part)["paper"] == {"epochs": 3, "plan": {"z": 0}}


@pytest.mark.parametrize("key", ["plan#c", "plann#a", "+augmentation", "train#handlers#seed#n"])
def test_an_overlay_changes_only_nodes_of_training_or_inference(compose, key):
    """List items have names only in recipes."""
    with pytest.raises(
        InputError, match=rf"paper: {re.escape(key)} is not in train\.json or inference\.json"
    ):
        compose({"paper": {key: []}}, part={"train": BASE})


def test_an_overlay_may_change_nodes_of_inference_alone(compose):
    part = {"train": BASE, "inference": {"inferer": {"overlap": 0.5}}}
    overlay = {"inferer#overlap": 0.25}
    assert compose({"prostate": overlay}, part=part)["prostate"] == overlay


def test_an_overlay_can_only_remove_what_it_contains(compose):
    with pytest.raises(InputError, match="paper: plan#a is not in"):
        compose({"paper": {"plan#a": "<none>"}}, part={"train": BASE})
