"""The layout of written configs."""

from __future__ import annotations

import json

import pytest

from common.recipes.compact import compact


def test_a_node_that_fits_stays_on_its_line():
    assert compact({"a": {"b": [1, 2], "c": None}}) == '{"a": {"b": [1, 2], "c": null}}\n'
    long = {"keys": ["image"] * 10, "more": {"x": "y" * 60}}
    keys = ", ".join(['"image"'] * 10)
    assert compact(long) == f'{{\n    "keys": [{keys}],\n    "more": {{"x": "{"y" * 60}"}}\n}}\n'


@pytest.mark.parametrize("size", range(60, 120))
def test_only_a_long_text_makes_a_line_longer_than_110_characters(size):
    """The comma after a node counts."""
    value = {
        "nodes": [{"key": "x" * size, "n": 1}, {"k": ["y" * (size // 2), "z" * (size // 2)]}],
        "last": {"key": "x" * size},
        "end": 0,
    }
    text = compact(value)
    assert json.loads(text) == value
    for line in text.splitlines():
        assert len(line) <= 110 or line.strip().startswith('"key": "xxx')
    if size <= 110 - len('        {"key": "", "n": 1},'):
        assert f'        {{"key": "{"x" * size}", "n": 1}},' in text.splitlines()


def test_umlauts_stay_and_empty_nodes_have_no_lines():
    value = {"reference": "Götz, 2021 " + "µ" * 100, "a": {}, "b": []}
    assert "Götz, 2021 µµ" in compact(value)
    assert '"a": {},\n    "b": []\n' in compact(value)
