"""The phantom ``prostate``: T2-weighted MR of the prostate, from six sites.

The grid is coarse (2 mm in plane; real scans have 0.3 to 0.6 mm) so that a network can train on a CPU.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from common.phantoms.making.arguments import require_seed, require_side
from common.phantoms.making.domains import ensure_domains

__all__ = ["DOMAINS", "LABELS", "make"]

DOMAINS = ("A", "B", "C", "D", "E", "F")
LABELS = ("background", "prostate")

_VERSION = 1  # raise it with every change to what the cases hold: folders of older versions are rebuilt
_SIDES = (32, 512)


def make(
    folder: str | Path,
    *,
    source: str | Sequence[str] = ("A", "B", "C", "D", "E"),
    training: int = 4,
    validation: int = 1,
    test: int = 6,
    size: int = 64,
    seed: int = 0,
) -> str:
    """Make the phantom in ``folder`` on first use, and return the folder.

    Volumes are int16 NIfTI in arbitrary units from 0, axial slices along Z, stored as LAS; labels uint8:
    1 is the prostate, which ends inside the volume at both ends.  Bladder, rectum, seminal vesicles,
    muscles and bones lie around it.  The six sites A to F differ in coil (C and F: inside the rectum, which
    widens it, presses on the prostate and makes what is near it bright), contrast, noise, sharpness,
    bias field, gain, resolution and slice thickness.

    ``training`` and ``validation`` are cases of the source sites, ``test`` those of the others in the order
    A to F; each entry of dataset.json names its site as ``domain``.

    Args:
        folder: a Decathlon-style data set; rebuilt if it was made with other arguments.
        source: one site, or several (leave-one-out: all but one).
        training: cases of every source site.
        validation: cases of every source site.
        test: cases of every other site.
        size: voxels along X and Y in site A, 128 mm; the other sites have 0.9 to 1.25 times that.
        seed: whole number from 0.

    Raises:
        InputError: an argument is out of range, the folder cannot be written or was not made here.
    """
    require_side("prostate", size, _SIDES, "voxels")
    require_seed("prostate", seed)

    def make_case(domain: str, rng: np.random.Generator) -> tuple[np.ndarray, ...]:
        from common.phantoms.prostate.case import make_case

        return make_case(domain, size, rng)

    return ensure_domains(
        folder,
        description={
            "name": "prostate",
            "description": "synthetic T2-weighted MR of the prostate; no patient data",
            "tensorImageSize": "3D",
            "modality": {"0": "T2"},
            "labels": {str(value): name for value, name in enumerate(LABELS)},
        },
        parameters={"name": "prostate", "version": _VERSION, "seed": seed, "size": size},
        domains=DOMAINS,
        source=source,
        counts={"training": training, "validation": validation, "test": test},
        make_case=make_case,
    )
