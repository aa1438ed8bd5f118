"""The phantom ``fundus``: colour photographs around the optic disc, with disc and cup, in five domains."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from common.phantoms.making.arguments import require_seed, require_side
from common.phantoms.making.domains import ensure_domains

__all__ = ["DOMAINS", "LABELS", "make"]

DOMAINS = ("A", "B", "C", "D", "E")
LABELS = ("background", "disc rim", "cup")

_VERSION = 1  # raise it with every change to what the cases hold: folders of older versions are rebuilt
_SIDES = (32, 4096)


def make(
    folder: str | Path,
    *,
    source: str | Sequence[str] = "A",
    training: int = 24,
    validation: int = 6,
    test: int = 8,
    size: int = 160,
    seed: int = 0,
) -> str:
    """Make the phantom in ``folder`` on first use, and return the folder.

    Pictures are 8-bit RGB PNG, square and cropped around the disc as in the public benchmarks; labels
    are PNG of the classes 0 background, 1 disc rim, 2 cup.  Each shows a left or right eye, with vessels,
    macula, peripapillary atrophy and exudates.  The five domains A to E have the same anatomy and
    differ in tone, contrast, brightness, blur, vignetting, noise and the picture's size.

    ``training`` and ``validation`` are cases of the source domains, ``test`` is the stream of the others
    in the order A to E; each entry of dataset.json names its ``domain``.

    Args:
        folder: a Decathlon-style data set; rebuilt if it was made with other arguments.
        source: one domain, or several (leave-one-out: all but one).
        training: cases of every source domain.
        validation: cases of every source domain.
        test: cases of every other domain.
        size: pixels of a side in domain A; the other cameras' are 0.9 to 1.3 times that.
        seed: whole number from 0.

    Raises:
        InputError: an argument is out of range, the folder cannot be written or was not made here.
    """
    require_side("fundus", size, _SIDES, "pixels")
    require_seed("fundus", seed)

    def make_case(domain: str, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        from common.phantoms.fundus.case import make_case

        return make_case(domain, size, rng)

    return ensure_domains(
        folder,
        description={
            "name": "fundus",
            "description": "synthetic colour fundus photographs around the optic disc; no patient data",
            "tensorImageSize": "2D",
            "modality": {"0": "red", "1": "green", "2": "blue"},
            "labels": {str(value): name for value, name in enumerate(LABELS)},
        },
        parameters={"name": "fundus", "version": _VERSION, "seed": seed, "size": size},
        domains=DOMAINS,
        source=source,
        counts={"training": training, "validation": validation, "test": test},
        make_case=make_case,
    )
