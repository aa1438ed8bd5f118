"""Optic disc and cup: OPTIC-5, OPTIC-DG5 and RIGA+, lists and pictures as distributed.

Layout: :mod:`common.datasets.raw.picture_lists`.  Labels are 0 background, 1 disc rim, 2 cup.  A mask
``a.tif`` stands for the raters' files ``a-1.tif`` to ``a-6.tif``, of which the first is taken.  Masks come in
two codings, which :mod:`common.datasets.raw.disc_codings` tells apart.  A third one, of RIGA as MRNet hands
it out, is refused: the data set ``riga_mrnet`` reads it.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from common.datasets.raw.disc_codings import CODINGS, coding_of, decode
from common.datasets.raw.picture_lists import PictureListReader
from common.errors import InputError

__all__ = ["READER"]

_RATER = "-1.tif"
_FOREIGN_LISTS = "Glaucoma_multirater_*.csv"
_INSTEAD = "prepare that download with  python -m common.datasets prepare riga_mrnet"


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
    published = {
        "RIM_ONE_r3": 159,
        "BinRushed": 195,
        "Magrabia": 95,
        "REFUGE": 400,
        "ORIGA": 650,
        "REFUGE_Valid": 800,
        "Drishti_GS": 101,
        "MESSIDOR_Base1": 173,
        "MESSIDOR_Base2": 148,
        "MESSIDOR_Base3": 133,
    }

    def list_cases(self, source: Path, *, partial: bool) -> dict[str, list[str]]:
        """As every reader of lists; refuses those of MRNet's RIGA."""
        foreign = sorted(source.glob(_FOREIGN_LISTS))
        if foreign:
            raise InputError(
                f"{foreign[0]}: is a list of RIGA as MRNet hands it out; expected lists with the columns "
                f"image,mask: {_INSTEAD}"
            )
        return super().list_cases(source, partial=partial)

    def file_of_mask(self, mask: Path) -> Path:
        """The first rater's file, where a list names ``.tif``."""
        return mask.with_name(mask.stem + _RATER) if mask.suffix.lower() == ".tif" else mask

    def label_of(self, mask: np.ndarray, path: Path) -> np.ndarray:
        """By the mask's own coding; grey is the mean of the colours (they are equal)."""
        grey = mask.mean(axis=2)
        coding = coding_of(grey)
        if coding is None:
            border = np.concatenate([grey[0], grey[-1], grey[:, 0], grey[:, -1]])
            raise InputError(
                f"{path}: its border is mostly {np.median(border):g}; expected background there, 255 or 0: "
                f"is it a mask of disc and cup, cropped around the disc?"
            )
        if coding == "MRNet":
            raise InputError(
                f"{path}: is coded as RIGA of MRNet ({CODINGS[coding]}); expected RIGA+'s coding "
                f"({CODINGS['RIGA+']}) or OPTIC's ({CODINGS['OPTIC']}): {_INSTEAD}"
            )
        label = decode(grey, coding)
        if not label.any():
            raise InputError(f"{path}: has no disc; expected one: is it the right file?")
        return label


READER = _OpticDisc()
