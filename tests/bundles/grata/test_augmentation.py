"""Order, rates and ranges of the random transforms: grata/docs/method.md#recipe."""

from __future__ import annotations

from tests.contract.augmentation import check_pictures


def test_pictures():
    check_pictures("grata")
