"""The phantom ``head_neck``: pairs of CT with 54 classes of organs at risk and tumors, as in SegRap2023.

Voxels are three times as long as wide, as in the challenge, but coarser (about 1.6 x 1.6 x 4.8 mm): the scan
reaches from the ventricles to below the thyroid on half a million voxels.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from common.phantoms.making.arguments import require_grid, require_seed
from common.phantoms.making.store import Entry, ensure_phantom
from common.phantoms.making.volumes import write_volume

__all__ = ["make"]

_VERSION = 1  # raise it with every change to what the cases hold: folders of older versions are rebuilt
_NAME = "head_neck"


def make(
    folder: str | Path,
    *,
    training: int = 16,
    validation: int = 4,
    test: int = 4,
    shape: Sequence[int] = (104, 120, 44),
    spacing: Sequence[float] = (1.6, 1.6, 4.8),
    seed: int = 0,
) -> str:
    """Make the phantom in ``folder`` on first use, and return the folder.

    ``image`` is a list of two files on one grid, CT without and with contrast agent, int16 HU in -1024..2000.
    ``label`` is uint8 0..54, the exclusive classes of SegRap2023 (:mod:`common.datasets.raw.segrap_classes`),
    every one in every case; "left" is the patient's left, at smaller x in RAS+, and both sides look alike.
    ``gtv`` is uint8: 1 the primary tumor, 2 lymph nodes with tumor, both as bright as muscle without contrast
    agent and brighter with it; they lie outside of the classes.  Stored as LAS, in scanner coordinates.  A
    case depends on ``shape``, ``spacing``, ``seed``, its list and its place there, not on the counts.

    Args:
        folder: a Decathlon-style data set; rebuilt if it was made with other arguments.
        training: number of cases in this list.
        validation: number of cases in this list.
        test: number of cases in this list.
        shape: voxels (X, Y, Z).
        spacing: mm (X, Y, Z); each case's own differs by a few percent.  Where voxels are much larger, small
            classes vanish.
        seed: whole number from 0.

    Raises:
        InputError: an argument is out of range, the folder cannot be written or was not made here.
    """
    shape, spacing = require_grid(_NAME, shape, spacing)
    require_seed(_NAME, seed)

    def write_case(root: Path, subset: str, case: str, rng: np.random.Generator) -> Entry:
        from common.phantoms.head_neck.case import make_case

        made = make_case(shape, spacing, rng)
        scans = {"native": made.native, "contrast": made.contrast}
        files = {f"images{subset}/{case}_{kind}.nii.gz": scan for kind, scan in scans.items()}
        label, gtv = f"labels{subset}/{case}.nii.gz", f"labels{subset}/{case}_gtv.nii.gz"
        for file, array in (*files.items(), (label, made.label), (gtv, made.gtv)):
            write_volume(root / file, array, made.affine)
        return {"image": list(files), "label": label, "gtv": gtv}

    from common.datasets.raw.segrap_classes import GTVS, ORGANS, class_names

    return ensure_phantom(
        folder,
        description={
            "name": _NAME,
            "description": (
                "synthetic CT of head and neck without and with contrast agent, organs at risk and gross "
                "tumor volumes; no patient data"
            ),
            "tensorImageSize": "3D",
            "modality": {"0": "CT", "1": "CT"},
            "labels": {str(value): name for value, name in enumerate(class_names(ORGANS))},
            "gtv_labels": {str(value): name for value, name in enumerate(class_names(GTVS))},
        },
        parameters={"name": _NAME, "version": _VERSION, "seed": seed, "shape": shape, "spacing": spacing},
        counts={"training": training, "validation": validation, "test": test},
        write_case=write_case,
    )
