"""The phantom ``brain_pair``: pairs of brain MR scans, one a known deformation of the other.

An entry of ``dataset.json`` has ``moving``, ``fixed``, ``moving_label``, ``fixed_label`` and ``field``.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from common.errors import InputError
from common.phantoms.making.arguments import require_grid, require_seed
from common.phantoms.making.store import Entry, ensure_phantom

__all__ = ["make"]

_VERSION = 1  # raise it with every change to what the cases hold: folders of older versions are rebuilt
_MAX_VOXELS = 256**3
_SCANNER_MIDDLE_MM = ((-20.0, -20.0, -20.0), (20.0, 20.0, 20.0))  # lowest and highest
_FINE = 2  # points per voxel and axis; a voxel's brightness is the mean over them


def make(
    folder: str | Path,
    *,
    training: int = 16,
    validation: int = 4,
    test: int = 8,
    shape: Sequence[int] = (32, 48, 32),
    spacing: Sequence[float] = (5.0, 4.0, 4.5),
    deformation_mm: float = 14.0,
    seed: int = 0,
) -> str:
    """Make the phantom in ``folder`` on first use, and return the folder.

    Images are float32 in 0..1 in steps of 1/255, skull-stripped and T1-weighted; the background is 0.
    Labels are uint8: cortex, white matter, ventricles, thalamus, putamen, caudate.  The fixed brain at p is
    the moving brain at p + u(p); each image has its own noise and bias field.  ``field`` is u at the fixed
    image's voxels, as registrations write it (:mod:`common.registration.field_file`).  u never folds.
    Stored as LAS, in scanner coordinates, both images of a pair on one grid.

    Args:
        folder: a Decathlon-style data set; rebuilt if it was made with other arguments.
        training: number of pairs in this list.
        validation: number of pairs in this list.
        test: number of pairs in this list.
        shape: voxels (X, Y, Z); the brain is about 130 x 160 x 112 mm.
        spacing: mm (X, Y, Z).
        deformation_mm: bound on the displacement along each axis; slopes may limit it further.
        seed: whole number from 0.

    Raises:
        InputError: an argument is out of range, the folder cannot be written or was not made here.
    """
    shape, spacing = require_grid("brain_pair", shape, spacing, least=8)
    require_seed("brain_pair", seed)
    if not 0 <= deformation_mm <= 40:
        raise InputError(f"brain_pair: deformation_mm={deformation_mm}; expected 0 to 40")

    def write_case(root: Path, subset: str, case: str, rng: np.random.Generator) -> Entry:
        return _write_pair(root, subset, case, shape, spacing, float(deformation_mm), rng)

    from common.phantoms.brain_pair.brain import LABELS

    return ensure_phantom(
        folder,
        description={
            "name": "brain_pair",
            "description": "synthetic skull-stripped T1 brain MR in pairs of known deformation; no patients",
            "tensorImageSize": "3D",
            "modality": {"0": "T1-MRI"},
            "labels": {str(value): name for value, name in LABELS.items()},
        },
        parameters={
            "name": "brain_pair",
            "version": _VERSION,
            "seed": seed,
            "shape": list(shape),
            "spacing": [float(s) for s in spacing],
            "deformation_mm": float(deformation_mm),
        },
        counts={"training": training, "validation": validation, "test": test},
        write_case=write_case,
    )


def _write_pair(
    root: Path,
    subset: str,
    case: str,
    shape: tuple[int, ...],
    spacing: tuple[float, ...],
    deformation_mm: float,
    rng: np.random.Generator,
) -> Entry:
    from common.phantoms.brain_pair.brain import LABELS, Brain, Deformation
    from common.phantoms.making.placement import scanner_affine
    from common.phantoms.making.volumes import write_labelled_volume
    from common.registration.field_file import write_field

    brain, deformation = Brain(rng), Deformation(deformation_mm, rng)
    affine = scanner_affine(shape, np.asarray(spacing), rng, middle=_SCANNER_MIDDLE_MM)
    points, centres = _points(shape, spacing, _FINE), _points(shape, spacing, 1)
    places = {
        "moving": (points, centres),
        "fixed": (points + deformation(points), centres + deformation(centres)),
    }
    entry: Entry = {}
    for role, (fine, middle) in places.items():
        tissue = brain.tissue(fine)
        image = _scan(brain.brightness(fine, tissue), tissue > 0, rng)
        label = brain.tissue(middle)
        written = write_labelled_volume(
            root,
            subset,
            f"{case}_{role}",
            image=image,
            label=np.where(label > max(LABELS), 0, label).astype(np.uint8),
            affine=affine,
        )
        entry |= {role: written["image"], f"{role}_label": written["label"]}
    world = deformation(centres) * (-1, 1, 1)
    entry["field"] = f"labels{subset}/{case}_field.nii.gz"
    write_field(root / entry["field"], world, affine)
    return entry


def _points(shape: tuple[int, ...], spacing: tuple[float, ...], fine: int) -> np.ndarray:
    """(X f, Y f, Z f, 3) mm from the middle of the grid, f points per voxel and axis."""
    axes = [
        ((np.arange(n * fine) + 0.5) / fine - n / 2) * step for n, step in zip(shape, spacing, strict=True)
    ]
    return np.stack(np.meshgrid(*axes, indexing="ij"), -1).astype(np.float32)


def _scan(brightness: np.ndarray, inside: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """float32 (X, Y, Z) in 0..1: voxel means, smooth bias field, noise in the brain, 256 grey values."""
    from common.phantoms.brain_pair.brain import Waves
    from common.phantoms.making.ct import block_mean

    image, share = block_mean(brightness.astype(np.float32)), block_mean(inside.astype(np.float32))
    bias = Waves.draw(3, (1.5, 4.0), np.full(3, 0.05), rng)  # in volumes, not in mm
    axes = np.meshgrid(*(np.linspace(0, 1, n) for n in image.shape), indexing="ij")
    image = image * np.exp(bias(np.stack(axes, -1))) + rng.normal(0, 0.025, image.shape)
    return (np.rint(255 * np.clip(np.where(share > 0.5, image, 0), 0, 1)) / 255).astype(np.float32)
