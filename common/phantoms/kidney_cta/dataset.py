"""The phantom ``kidney_cta``: CT angiography of one kidney with its artery, vein and tumor, as in KiPA22.

Real scans have about 0.6 mm and 200 x 150 x 150 voxels.  The phantom shows as much of the body on fewer: at
1.4 mm a renal artery is four voxels wide where it begins and two where it ends, as thin as a vessel can be
and still be seen.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from common.phantoms.making.arguments import require_grid, require_seed
from common.phantoms.making.store import Entry, ensure_phantom
from common.phantoms.making.volumes import write_labelled_volume

__all__ = ["LABELS", "make"]

LABELS = ("background", "renal vein", "kidney", "renal artery", "tumor")
"""Names by label value: KiPA22's order."""

_VERSION = 1  # raise it with every change to what the cases hold: folders of older versions are rebuilt


def make(
    folder: str | Path,
    *,
    training: int = 16,
    validation: int = 4,
    test: int = 4,
    shape: Sequence[int] = (72, 72, 96),
    spacing: Sequence[float] = (1.4, 1.4, 1.4),
    seed: int = 0,
) -> str:
    """Make the phantom in ``folder`` on first use, and return the folder.

    Images are int16 HU in -1024..2000, labels uint8: 1 renal vein, 2 kidney, 3 renal artery, 4 tumor.  The
    scan is a box around the left or the right kidney.  Aorta, vena cava, other vessels and bowel are
    background, as bright as what is labelled; artery and vein branch at the kidney, one in four has a second
    artery, and a tumor of 5 to 60 mL looks much like the kidney that it grows from.  Stored as LAS, in
    scanner coordinates.  A case depends on ``shape``, ``spacing``, ``seed``, its list and its place there,
    not on the counts.

    Args:
        folder: a Decathlon-style data set; rebuilt if it was made with other arguments.
        training: number of cases in this list.
        validation: number of cases in this list.
        test: number of cases in this list.
        shape: voxels (X, Y, Z).
        spacing: mm (X, Y, Z); each case's own differs by a few percent.
        seed: whole number from 0.

    Raises:
        InputError: an argument is out of range, the folder cannot be written or was not made here.
    """
    shape, spacing = require_grid("kidney_cta", shape, spacing)
    require_seed("kidney_cta", seed)

    def write_case(root: Path, subset: str, case: str, rng: np.random.Generator) -> Entry:
        from common.phantoms.kidney_cta.case import make_case

        image, label, affine = make_case(shape, spacing, rng)
        return write_labelled_volume(root, subset, case, image=image, label=label, affine=affine)

    return ensure_phantom(
        folder,
        description={
            "name": "kidney_cta",
            "description": "synthetic CT angiography of a kidney with vessels and tumor; no patient data",
            "tensorImageSize": "3D",
            "modality": {"0": "CT"},
            "labels": {str(value): name for value, name in enumerate(LABELS)},
        },
        parameters={
            "name": "kidney_cta",
            "version": _VERSION,
            "seed": seed,
            "shape": shape,
            "spacing": spacing,
        },
        counts={"training": training, "validation": validation, "test": test},
        write_case=write_case,
    )
