"""The phantom ``abdomen``: CT scans of the upper abdomen with eleven labelled organs.

The grid is coarse (about 4.5 x 4.5 x 6 mm) so that a network can train on whole scans on a CPU.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from common.phantoms.making.arguments import require_grid, require_seed
from common.phantoms.making.store import Entry, ensure_phantom
from common.phantoms.making.volumes import write_labelled_volume

__all__ = ["make"]

_VERSION = 2  # raise it with every change to what the cases hold: folders of older versions are rebuilt


def make(
    folder: str | Path,
    *,
    training: int = 16,
    validation: int = 4,
    test: int = 4,
    shape: Sequence[int] = (80, 80, 36),
    spacing: Sequence[float] = (4.5, 4.5, 6.0),
    seed: int = 0,
) -> str:
    """Make the phantom in ``folder`` on first use, and return the folder.

    Images are int16 HU in -1024..2000, labels uint8 0..11: 1 spleen, 2 right kidney, 3 left kidney,
    4 gallbladder (absent in a few cases), 5 oesophagus, 6 liver, 7 stomach, 8 aorta, 9 inferior vena
    cava, 10 portal and splenic vein, 11 pancreas.  Stored as LAS, in scanner coordinates.  A case
    depends on ``shape``, ``spacing``, ``seed``, its list and its place there, not on the counts.

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
    shape, spacing = require_grid("abdomen", shape, spacing)
    require_seed("abdomen", seed)

    def write_case(root: Path, subset: str, case: str, rng: np.random.Generator) -> Entry:
        from common.phantoms.abdomen.case import make_case

        image, label, affine = make_case(shape, spacing, rng)
        return write_labelled_volume(root, subset, case, image=image, label=label, affine=affine)

    from common.phantoms.abdomen.tissues import ORGANS

    return ensure_phantom(
        folder,
        description={
            "name": "abdomen",
            "description": "synthetic CT of the upper abdomen, eleven organs; no patient data",
            "tensorImageSize": "3D",
            "modality": {"0": "CT"},
            "labels": {str(value): name for value, name in enumerate(ORGANS)},
        },
        parameters={"name": "abdomen", "version": _VERSION, "seed": seed, "shape": shape, "spacing": spacing},
        counts={"training": training, "validation": validation, "test": test},
        write_case=write_case,
    )
