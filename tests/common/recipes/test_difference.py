"""Where two configs first differ."""

from __future__ import annotations

import pytest

from common.recipes.difference import first_difference


@pytest.mark.parametrize(
    ("found", "expected", "said"),
    [
        ({"a": [1, {"b": 2}]}, {"a": [1, {"b": 2}]}, None),
        ({"a": [1, {"b": 2}]}, {"a": [1, {"b": 3}]}, "a#1#b is 2, expected 3"),
        ({"a": 1}, {"a": 1, "b": {"c": 1}}, 'b is missing, expected {"c": 1}'),
        ({"a": 1, "b": "ü"}, {"a": 1}, 'b is "ü", expected no such key'),
        ({"a": [1, 2]}, {"a": [1]}, "a is [1, 2], expected [1]"),
        ({"a": 1}, {"a": 1.0}, "a is 1, expected 1.0"),
        ({"a": False}, {"a": 0}, "a is false, expected 0"),
        ({"x": {"a": 1, "b": 2}}, {"x": {"b": 2, "a": 1}}, "x#a stands in another place among the keys"),
        ([], {}, "all of it is [], expected {}"),
        ({"a": "y" * 200}, {"a": None}, 'a is "' + "y" * 76 + "..., expected null"),
    ],
)
def test_first_difference(found, expected, said):
    assert first_difference(found, expected) == said
