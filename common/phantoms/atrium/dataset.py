"""The phantom ``atrium``: late gadolinium-enhanced MR of the left atrium, with few labelled cases.

The grid is coarse (2 mm; real scans have 0.625 mm) so that a network can train on a CPU.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from common.phantoms.making.labelled_volumes import ensure_labelled_volumes

__all__ = ["make"]

_VERSION = 1  # raise it with every change to what the cases hold: folders of older versions are rebuilt


def make(
    folder: str | Path,
    *,
    training: int = 40,
    labelled: int = 4,
    validation: int = 4,
    test: int = 10,
    shape: Sequence[int] = (64, 48, 32),
    spacing: Sequence[float] = (2.0, 2.0, 2.0),
    seed: int = 0,
) -> str:
    """Make the phantom in ``folder`` on first use, and return the folder.

    Images are int16 in arbitrary units from 0 (a different gain in every scan), labels uint8: 1 is the
    cavity of the left atrium with its appendage and the roots of the pulmonary veins.  Blood as
    bright as the atrium's lies beside it: right atrium, ventricles, aorta, pulmonary artery.  Where
    it continues into the ventricle's (mitral valve) and into the veins beyond their roots, the image
    alone does not show the border.  The wall is in part as bright as blood (scar).  Stored as LAS, in
    scanner coordinates.

    In ``training`` only the first ``labelled`` entries have a ``label``; those of the others are not written.
    A case depends on ``shape``, ``spacing``, ``seed``, its list and its place there, not on the
    counts: with ``labelled`` equal to ``training`` the same images have all their labels.

    Args:
        folder: a Decathlon-style data set; rebuilt if it was made with other arguments.
        training: number of cases in this list.
        labelled: how many of them, from the first, have a label.
        validation: number of cases in this list, all labelled.
        test: number of cases in this list, all labelled.
        shape: voxels (X, Y, Z).
        spacing: mm (X, Y, Z); each case's own differs by a few percent.
        seed: whole number from 0.

    Raises:
        InputError: an argument is out of range, the folder cannot be written or was not made here.
    """
    from common.phantoms.atrium.tissues import LABELS

    return ensure_labelled_volumes(
        folder,
        name="atrium",
        version=_VERSION,
        description="synthetic late gadolinium-enhanced MR of the left atrium; no patient data",
        modality="LGE-MRI",
        labels=LABELS,
        counts={"training": training, "validation": validation, "test": test},
        shape=shape,
        spacing=spacing,
        seed=seed,
        labelled=labelled,
    )
