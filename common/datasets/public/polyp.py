"""Polyps in colonoscopy: BKAI-IGH-NEOPolyp, CVC-ClinicDB, ETIS-LaribPolypDB, Kvasir-SEG.

Layout: :mod:`common.datasets.raw.picture_lists`, with the lists ``BKAI_train.csv``, ``BKAI_test.csv`` and so
on; longer and shorter names (``BKAI-IGH-NEOPolyp``, ``ETIS``, ``Kvasir``) are known by how they begin.
Labels are 0 background, 1 polyp: pixels of the mask that are 128 or more in any colour channel (JPEG leaves
other values near 0 and 255).
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from common.datasets.raw.picture_lists import PictureListReader

__all__ = ["READER"]

_THRESHOLD = 128
_BEGINNINGS = {
    "bkai": "BKAI",
    "cvc-clinic": "CVC-ClinicDB",
    "etis": "ETIS-LaribPolypDB",
    "kvasir": "Kvasir-SEG",
}


class _Polyps(PictureListReader):
    """Decodes the masks."""

    description = {
        "name": "Polyp-4",
        "description": "Colonoscopy frames with polyps, by domain",
        "reference": "as distributed with VPTTA; the data sets have papers of their own",
        "tensorImageSize": "2D",
        "modality": {"0": "red", "1": "green", "2": "blue"},
        "labels": {"0": "background", "1": "polyp"},
    }
    published = {"BKAI": 1000, "CVC-ClinicDB": 612, "ETIS-LaribPolypDB": 196, "Kvasir-SEG": 1000}

    def domain_of_list(self, name: str) -> str:
        """One of the four by how the name begins; else the name itself."""
        return next((d for begins, d in _BEGINNINGS.items() if name.lower().startswith(begins)), name)

    def label_of(self, mask: np.ndarray, path: Path) -> np.ndarray:
        """Threshold; a frame without a polyp is valid."""
        return (mask.max(axis=2) >= _THRESHOLD).astype(np.uint8)


READER = _Polyps()
