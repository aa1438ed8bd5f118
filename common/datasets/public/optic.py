"""Optic disc and cup: OPTIC-5, OPTIC-DG5 and RIGA+, lists and pictures as distributed.

Layout: :mod:`common.datasets.raw.picture_lists`.  Labels are 0 background, 1 disc rim, 2 cup.  Masks
come in two codings; a mask's coding shows at its border, where there is no disc:

    border 255: 255 background, between rim, 0 cup   (RIM-ONE-r3, REFUGE, ORIGA, Drishti-GS)
    border 0:   0 background, 255 rim, 128 cup       (RIGA+)
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from common.datasets.raw.picture_lists import PictureListReader
from common.errors import InputError

__all__ = ["READER"]

_CUP_RANGE = (64, 192)  # around 128, in the coding of RIGA+


class _OpticDisc(PictureListReader):
    """Decodes the masks."""

    description = {
        "name": "OPTIC",
        "description": "Fundus photographs cropped around the optic disc, with disc and cup, by domain",
        "reference": "as distributed with VPTTA, GraTa, TriD (OPTIC); Hu et al., DoCR, MICCAI 2022 (RIGA+)",
        "tensorImageSize": "2D",
        "modality": {"0": "red", "1": "green", "2": "blue"},
        "labels": {"0": "background", "1": "disc rim", "2": "cup"},
    }
    order = (
        *("RIM_ONE_r3", "BinRushed", "Magrabia", "REFUGE", "ORIGA", "REFUGE_Valid", "Drishti_GS"),
        *("MESSIDOR_Base1", "MESSIDOR_Base2", "MESSIDOR_Base3"),
    )

    def label_of(self, mask: np.ndarray, path: Path) -> np.ndarray:
        """By the border's value; grey is the mean of the colours (they are equal)."""
        grey = mask.mean(axis=2)
        border = np.concatenate([grey[0], grey[-1], grey[:, 0], grey[:, -1]])
        white, black = float((border > 250).mean()), float((border < 5).mean())
        if white > 0.5:
            label = np.where(grey >= 255, 0, np.where(grey <= 0, 2, 1))
        elif black > 0.5:
            low, high = _CUP_RANGE
            label = np.where(grey < low, 0, np.where(grey < high, 2, 1))
        else:
            raise InputError(
                f"{path}: its border is mostly {np.median(border):g}; expected background there, 255 or 0: "
                f"is it a mask of disc and cup, cropped around the disc?"
            )
        if not (label > 0).any():
            raise InputError(f"{path}: has no disc; expected one: is it the right file?")
        return label.astype(np.uint8)


READER = _OpticDisc()
