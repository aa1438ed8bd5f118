"""Slots, named items, and braces."""

from __future__ import annotations

import re

import pytest

from common.errors import InputError


def test_required_slots_are_filled_or_the_recipe_is_refused(compose):
    part = {"train": {"epochs": "<required>", "train": {"trainer": {"loss": "<required>", "amp": False}}}}
    with pytest.raises(InputError) as caught:
        compose({}, part=part)
    assert str(caught.value) == "bundles/toy/recipe.json: lacks train#epochs, train#train#trainer#loss"
    made = compose({"train": {"epochs": 3, "train#trainer#loss": "@loss"}}, part=part)
    assert made["train"] == {"epochs": 3, "train": {"trainer": {"loss": "@loss", "amp": False}}}


def test_a_recipe_may_say_that_a_required_slot_stays_empty(compose):
    assert compose({"train": {"names": "<none>"}}, part={"train": {"names": "<required>"}})["train"] == {}


def test_an_optional_slot_keeps_its_place_or_is_removed(compose):
    part = {"train": {"a": 1, "clip": "<optional>", "b": 2}}
    assert list(compose({"train": {"clip": 3}}, part=part)["train"].items()) == [
        ("a", 1),
        ("clip", 3),
        ("b", 2),
    ]
    assert compose({}, part=part)["train"] == {"a": 1, "b": 2}


def test_a_removed_node_may_come_back_in_its_place(compose):
    one, two = {"train": {"a": 1, "b": 2}}, {"train": {"a": "<none>"}}
    assert compose({}, one=one, two=two)["train"] == {"b": 2}
    assert list(compose({"train": {"a": 3}}, one=one, two=two)["train"]) == ["a", "b"]


def test_null_and_empty_values_are_values(compose):
    train = {"a": None, "b": {}, "c": [], "d": "", "e": False}
    assert compose({"train": train})["train"] == train


def test_named_items_become_a_list_at_any_depth(compose):
    node = {"_list_": True, "x": {"_list_": True, "y": 1}, "z": [{"_list_": True, "w": "<optional>"}]}
    assert compose({"train": {"a": node}})["train"]["a"] == [[1], [[]]]


def test_braces(compose):
    made = compose({"train": {"a": ["$import {bundle}"], "b": "=={pin:pytorch-ignite}", "c": "${1: 'x'}"}})
    assert made["train"] == {"a": ["$import toy"], "b": "==0.5.5", "c": "${1: 'x'}"}


@pytest.mark.parametrize(
    ("train", "message"),
    [
        ({"a": {"b": "{pin:tocrh}"}}, "train#a#b: requirements.txt pins no tocrh"),
        ({"a": ["<optional>"]}, "train#a#0: <optional> is an item of a list; name the items"),
        ({"a": {"b#c": 1}}, "train#a#b#c: b#c stands inside a mapping"),
        ({"a": {"+b": []}}, "train#a#+b: +b stands inside a mapping"),
    ],
)
def test_leftover_recipe_language_is_refused(compose, train, message):
    with pytest.raises(InputError, match=f"^bundles/toy/recipe.json: {re.escape(message)}"):
        compose({"train": train})
