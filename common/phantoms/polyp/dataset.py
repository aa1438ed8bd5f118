"""The phantom ``polyp``: colonoscopy-like frames with polyps, in four domains."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from common.phantoms.making.arguments import require_seed, require_side
from common.phantoms.making.domains import ensure_domains

__all__ = ["DOMAINS", "LABELS", "make"]

DOMAINS = ("A", "B", "C", "D")
LABELS = ("background", "polyp")

_VERSION = 1  # raise it with every change to what the cases hold: folders of older versions are rebuilt
_SIDES = (32, 4096)


def make(
    folder: str | Path,
    *,
    source: str | Sequence[str] = "A",
    training: int = 32,
    validation: int = 8,
    test: int = 8,
    size: int = 128,
    seed: int = 0,
) -> str:
    """Make the phantom in ``folder`` on first use, and return the folder.

    Frames are 8-bit RGB PNG with the endoscope's own aspect ratio and black corners; labels are PNG of the
    classes 0 background, 1 polyp.  Mucosa with folds, vessels, the dark lumen, specular highlights and
    bubbles around one polyp, sometimes two.  The four domains A to D differ in tone, light, sharpness,
    frame shape, highlights, and the size of the polyps.

    ``training`` and ``validation`` are cases of the source domains, ``test`` is the stream of the others
    in the order A to D; each entry of dataset.json names its ``domain``.

    Args:
        folder: a Decathlon-style data set; rebuilt if it was made with other arguments.
        source: one domain, or several.
        training: cases of every source domain.
        validation: cases of every source domain.
        test: cases of every other domain.
        size: height of a frame in pixels; its width follows from the domain's aspect ratio.
        seed: whole number from 0.

    Raises:
        InputError: an argument is out of range, the folder cannot be written or was not made here.
    """
    require_side("polyp", size, _SIDES, "pixels")
    require_seed("polyp", seed)

    def make_case(domain: str, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        from common.phantoms.polyp.case import make_case

        return make_case(domain, size, rng)

    return ensure_domains(
        folder,
        description={
            "name": "polyp",
            "description": "synthetic colonoscopy frames with polyps; no patient data",
            "tensorImageSize": "2D",
            "modality": {"0": "red", "1": "green", "2": "blue"},
            "labels": {str(value): name for value, name in enumerate(LABELS)},
        },
        parameters={"name": "polyp", "version": _VERSION, "seed": seed, "size": size},
        domains=DOMAINS,
        source=source,
        counts={"training": training, "validation": validation, "test": test},
        make_case=make_case,
    )
