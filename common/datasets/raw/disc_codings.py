"""The three codings in which masks of optic disc and cup go round, told apart by their values.

| coding | background | rim | cup | who |
|---|---|---|---|---|
| OPTIC | 255 | between | 0 | RIM-ONE-r3, REFUGE, ORIGA, Drishti-GS as VPTTA, GraTa and TriD hand them out |
| RIGA+ | 0 | 255 | 128 | RIGA+ (Zenodo 6325549) |
| MRNet | 0 | about 127 | 255 | RIGA as MRNet hands it out |

The border of a mask, where there is no disc, tells OPTIC from the others; of the other two, the cup is what
lies inside.  Axes: (H, W); labels are 0 background, 1 rim, 2 cup.

Source: trid/docs/method.md#riga-lists-and-masks.
"""

from __future__ import annotations

import numpy as np

__all__ = ["CODINGS", "coding_of", "decode"]

CODINGS = {
    "OPTIC": "255 background, 128 rim, 0 cup",
    "RIGA+": "0 background, 255 rim, 128 cup",
    "MRNet": "0 background, 127 rim, 255 cup",
}
"""Coding -> its values."""

_GREY = (64, 192)  # around 128; the values are nominal, and a picture editor blurs edges


def coding_of(mask: np.ndarray) -> str | None:
    """The coding of a mask (H, W) of 0 to 255; None where its border is neither 255 nor 0.

    A mask with only one of grey and white inside a black border has a disc without cup: grey is MRNet's,
    white RIGA+'s.  An empty one is taken for RIGA+'s.
    """
    border = np.concatenate([mask[0], mask[-1], mask[:, 0], mask[:, -1]])
    if (border > 250).mean() > 0.5:
        return "OPTIC"
    if (border < 5).mean() <= 0.5:
        return None
    grey, white = (mask >= _GREY[0]) & (mask < _GREY[1]), mask >= _GREY[1]
    if not grey.any():
        return "RIGA+"
    return "MRNet" if not white.any() or _spread(white, grey) < _spread(grey, white) else "RIGA+"


def _spread(part: np.ndarray, other: np.ndarray) -> float:
    """Mean squared distance of a part's pixels from the middle of both, in pixels: smaller inside."""
    middle = np.argwhere(part | other).mean(axis=0)
    return float(((np.argwhere(part) - middle) ** 2).sum(axis=1).mean())


def decode(mask: np.ndarray, coding: str) -> np.ndarray:
    """Class numbers (H, W) uint8 of a mask (H, W) of 0 to 255.

    Args:
        mask: as stored.
        coding: one of :data:`CODINGS`.
    """
    if coding == "OPTIC":
        return np.where(mask >= 255, 0, np.where(mask <= 0, 2, 1)).astype(np.uint8)
    grey, white = (2, 1) if coding == "RIGA+" else (1, 2)
    low, high = _GREY
    return np.where(mask < low, 0, np.where(mask < high, grey, white)).astype(np.uint8)
