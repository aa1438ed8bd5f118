"""Mirroring left and right where some classes exist on either side: the left one becomes the right one.

A flip along the left-right axis turns the picture of a left kidney into that of a right one, so its label has
to change too: values of a label map are exchanged, or channels that stand for one class each.

Axes: C channels, *S spatial ones.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from typing import Any

import torch
from monai.config import KeysCollection
from monai.transforms import MapTransform, RandomizableTransform
from torch import Tensor

from common.tensors.plain import plain

__all__ = ["Pairs", "RandPairedFlipd", "swap_channels", "swap_values"]

Pairs = Sequence[tuple[int, int]]


def swap_values(label: Tensor, pairs: Pairs) -> Tensor:
    """A label map of whole numbers, of any shape, with the two values of each pair exchanged."""
    swapped = label.clone()
    for left, right in pairs:
        swapped[label == left] = right
        swapped[label == right] = left
    return swapped


def swap_channels(masks: Tensor, pairs: Pairs) -> Tensor:
    """(C, *S) with the two channels of each pair exchanged."""
    order = list(range(len(masks)))
    for left, right in pairs:
        order[left], order[right] = right, left
    return masks[order]


class RandPairedFlipd(RandomizableTransform, MapTransform):
    """Flip along the left-right axis, and exchange paired classes.

    Args:
        keys: arrays (C, *S) to flip, all at once or none.
        label_keys: those of them that are label maps.
        pairs: values of a left and a right class, (left, right).
        axis: the left-right one, 0 for the first of S.
        prob: of a flip.
        channel_keys: those of them whose channels stand for one class each, channel c for class c.
        channel_pairs: pairs of channels where they are numbered otherwise.

    Raises:
        ValueError: a value stands in two pairs.
    """

    def __init__(
        self,
        keys: KeysCollection,
        label_keys: Sequence[str],
        pairs: Pairs,
        *,
        axis: int = 0,
        prob: float = 0.5,
        channel_keys: Sequence[str] = (),
        channel_pairs: Pairs | None = None,
    ) -> None:
        MapTransform.__init__(self, keys)
        RandomizableTransform.__init__(self, prob)
        self.label_keys, self.channel_keys = tuple(label_keys), tuple(channel_keys)
        self.pairs = [(int(left), int(right)) for left, right in pairs]
        self.channel_pairs = self.pairs if channel_pairs is None else list(channel_pairs)
        self.axis = axis
        for some in (self.pairs, self.channel_pairs):
            values = [value for pair in some for value in pair]
            if len(set(values)) != len(values):
                raise ValueError(f"pairs: {some}; expected each value in one pair")

    def __call__(self, data: Mapping[Hashable, Any]) -> dict[Hashable, Any]:
        """Flip every key, or none."""
        result = dict(data)
        self.randomize(None)
        if not self._do_transform:
            return result
        for key in self.key_iterator(result):
            flipped = torch.flip(plain(result[key]), [self.axis + 1])
            if key in self.label_keys:
                flipped = swap_values(flipped, self.pairs)
            elif key in self.channel_keys:
                flipped = swap_channels(flipped, self.channel_pairs)
            result[key] = flipped
        return result
