"""The preset partition of a signal into blocks, equal or unequal, as a rectangular table."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

__all__ = ["block_table", "equal_starts"]


def equal_starts(length: int, block_size: int) -> list[int]:
    """Starts of contiguous blocks of ``block_size``; the last is shorter if it does not divide ``length``.

    Raises:
        ValueError: the block size is not a whole number from 1 to ``length``.
    """
    if not isinstance(block_size, int) or isinstance(block_size, bool) or not 1 <= block_size <= length:
        raise ValueError(f"block_size={block_size!r}; expected a whole number from 1 to the length {length}")
    return list(range(0, length, block_size))


def block_table(length: int, starts: Sequence[int]) -> tuple[Tensor, Tensor]:
    """Index of the signal's element at each place of each block.

    Args:
        length: N of the signal.
        starts: first element of each block, rising from 0.

    Returns:
        index (G, L) int64 and valid (G, L) bool, L the longest block; padding has index 0.

    Raises:
        ValueError: the starts do not rise from 0 and stay below ``length``.
    """
    starts = list(starts)
    ends = [*starts[1:], length]
    if not starts or starts[0] != 0 or any(end <= start for start, end in zip(starts, ends, strict=True)):
        raise ValueError(
            f"block_starts={starts}; expected whole numbers that rise from 0, below the length {length}"
        )
    sizes = torch.tensor(ends) - torch.tensor(starts)
    place = torch.arange(int(sizes.max()))
    valid = place[None, :] < sizes[:, None]
    index = torch.where(valid, torch.tensor(starts)[:, None] + place[None, :], 0)
    return index, valid
