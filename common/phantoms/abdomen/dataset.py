"""The phantom ``abdomen``: CT scans of the upper abdomen with eleven labelled organs.

The grid is coarse (about 4.5 x 4.5 x 6 mm) so that a network can train on whole scans on a CPU.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from common.phantoms.making.labelled_volumes import ensure_labelled_volumes

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
    from common.phantoms.abdomen.tissues import ORGANS

    return ensure_labelled_volumes(
        folder,
        name="abdomen",
        version=_VERSION,
        description="synthetic CT of the upper abdomen, eleven organs; no patient data",
        modality="CT",
        labels=ORGANS,
        counts={"training": training, "validation": validation, "test": test},
        shape=shape,
        spacing=spacing,
        seed=seed,
    )
