"""Columns for the screen."""

from __future__ import annotations

from common.registry.text_table import aligned


def test_columns_are_aligned_and_nothing_trails():
    assert aligned([("a", "bc", ""), ("def", "g", "h i")]) == "a    bc\ndef  g   h i"
