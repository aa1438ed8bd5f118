"""LeFeD's training output.

No ``from __future__ import annotations`` here: TorchScript reads a NamedTuple's annotations as types.
"""

from typing import NamedTuple

from torch import Tensor

__all__ = ["LeFeDOutput"]


class LeFeDOutput(NamedTuple):
    """Both decoders' logits and features, and the side logits; lists are deepest first.

    Attributes:
        logits_a: decoder A, (B, out_channels, X, Y, Z).
        logits_b: decoder B, (B, out_channels, X, Y, Z).
        side_logits: of decoder A's five stages, deepest first, each at full size.
        features_a: decoder A's bottleneck and four up-sampled maps, before the skips are added.
        features_b: decoder B's.
    """

    logits_a: Tensor
    logits_b: Tensor
    side_logits: list[Tensor]
    features_a: list[Tensor]
    features_b: list[Tensor]
