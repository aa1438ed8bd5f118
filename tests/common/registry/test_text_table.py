"""Columns for the screen."""

from __future__ import annotations

from common.registry.text_table import aligned


def test_columns_are_aligned_and_nothing_trails():
    assert aligned([("a", "bc", ""), ("def", "g", "h i")]) == "a    bc\ndef  g   h i"


def test_cells_are_cut_and_shown_without_escapes():
    assert aligned([("a\tb", 1), ("x" * 1000, None)]).splitlines()[0].split() == [r"a\tb", "1"]
    assert len(aligned([("x" * 1000,)])) == 403
