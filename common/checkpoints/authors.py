"""Keys of authors' state dicts -> ours, by rules."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from torch import Tensor

from common.errors import InputError

__all__ = ["rename_keys"]


def rename_keys(state: Mapping[str, Tensor], rules: Sequence[tuple[str, str]]) -> dict[str, Tensor]:
    """Apply every rule (pattern, replacement) of ``re.sub`` in turn to every key.

    Raises:
        InputError: two keys become one.
    """
    renamed: dict[str, Tensor] = {}
    for old, value in state.items():
        new = old
        for pattern, replacement in rules:
            new = re.sub(pattern, replacement, new)
        if new in renamed:
            raise InputError(f"checkpoint: {old} and another key both become {new}; is it the authors' file?")
        renamed[new] = value
    return renamed
