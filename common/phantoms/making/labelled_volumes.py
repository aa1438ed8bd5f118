"""Phantoms whose cases are one volume and its label."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np

from common.phantoms.making.arguments import require_grid, require_seed
from common.phantoms.making.store import Entry, ensure_phantom
from common.phantoms.making.volumes import write_labelled_volume

__all__ = ["ensure_labelled_volumes"]


def ensure_labelled_volumes(
    folder: str | Path,
    *,
    name: str,
    version: int,
    description: str,
    modality: str,
    labels: Sequence[str],
    counts: Mapping[str, int],
    shape: Sequence[int],
    spacing: Sequence[float],
    seed: int,
    **more: Any,
) -> str:
    """Make a phantom on first use, and return its folder.

    Args:
        folder: a Decathlon-style data set; rebuilt if it was made with other arguments.
        name: of the phantom; ``common.phantoms.<name>.case.make_case(shape, spacing, rng)`` makes an image, a
            label and an affine.  It is imported when there is something to make.
        version: of the cases.
        description: in a sentence, for ``dataset.json``.
        modality: of the image's channel.
        labels: names by value.
        counts: list -> number of cases.
        shape: voxels (X, Y, Z).
        spacing: mm (X, Y, Z).
        seed: whole number from 0.
        more: further arguments of :func:`common.phantoms.making.store.ensure_phantom`.

    Raises:
        InputError: an argument is out of range, the folder cannot be written or was not made here.
    """
    shape, spacing = require_grid(name, shape, spacing)
    require_seed(name, seed)

    def write_case(root: Path, subset: str, case: str, rng: np.random.Generator) -> Entry:
        make_case = import_module(f"common.phantoms.{name}.case").make_case
        image, label, affine = make_case(shape, spacing, rng)
        return write_labelled_volume(root, subset, case, image=image, label=label, affine=affine)

    return ensure_phantom(
        folder,
        description={
            "name": name,
            "description": description,
            "tensorImageSize": "3D",
            "modality": {"0": modality},
            "labels": {str(value): label for value, label in enumerate(labels)},
        },
        parameters={"name": name, "version": version, "seed": seed, "shape": shape, "spacing": spacing},
        counts=counts,
        write_case=write_case,
        **more,
    )
