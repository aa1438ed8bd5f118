"""The random turns and flips: lefed/docs/method.md#recipe."""

from __future__ import annotations

from tests.contract.augmentation import check_turns_and_flips


def test_turns_and_flips():
    check_turns_and_flips("lefed")
