"""Columns of a challenge: their order, groups, directions, and the rounding of values."""

from __future__ import annotations

import pytest

from tests.common.evaluation.challenge.guessing import COLUMNS


def test_columns_stand_metric_by_metric():
    assert COLUMNS.names == ("share_left", "share_right", "mm_left", "mm_right")
    assert COLUMNS.groups == [(0, 1), (2, 3)]
    assert COLUMNS.higher_is_better == [True, True, False, False]


def test_a_row_goes_by_name_and_is_rounded():
    values = {"right": {"mm": 2.00006, "share": 0.12344}, "left": {"share": 1, "mm": 3, "more": 9}, "up": {}}
    row = COLUMNS.row(values)
    assert list(row.items()) == [
        ("share_left", 1),
        ("share_right", 0.12344),
        ("mm_left", 3),
        ("mm_right", 2.00006),
    ]
    assert list(COLUMNS.row(values, decimals=4).values()) == [1, 0.1234, 3, 2.0001]
    with pytest.raises(KeyError, match="left"):
        COLUMNS.row({"right": values["right"]})
