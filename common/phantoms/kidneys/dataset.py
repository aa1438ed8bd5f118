"""The phantom ``kidneys``: arterial CT with kidneys, tumors and cysts, each delineated by three annotators.

Laid out like KiTS21: one label map (the majority of the annotators), and beside it every annotator's mask of
every kidney, tumor and cyst, in files named as in the challenge.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from common.phantoms.making.arguments import require_grid, require_seed
from common.phantoms.making.store import Entry, ensure_phantom
from common.phantoms.making.volumes import write_labelled_volume

__all__ = ["make"]

_VERSION = 1  # raise it with every change to what the cases hold: folders of older versions are rebuilt
_LABELS = ("background", "kidney", "tumor", "cyst")


def make(
    folder: str | Path,
    *,
    training: int = 16,
    validation: int = 4,
    test: int = 4,
    shape: Sequence[int] = (72, 56, 40),
    spacing: Sequence[float] = (4.0, 4.0, 5.0),
    seed: int = 0,
) -> str:
    """Make the phantom in ``folder`` on first use, and return the folder.

    Images are int16 HU in -1024..2000, labels uint8: 0 background, 1 kidney, 2 tumor, 3 cyst.  A case has
    one or two tumors and up to two cysts.  Beside images and labels lie
    ``annotations<Tr|Ts>/<case>/segmentations/<region>_instance-<i>_annotation-<a>.nii.gz``.  Stored as LAS,
    in scanner coordinates.  A case depends on ``shape``, ``spacing``, ``seed``, its list and its place
    there, not on the counts.

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
    shape, spacing = require_grid("kidneys", shape, spacing)
    require_seed("kidneys", seed)

    def write_case(root: Path, subset: str, case: str, rng: np.random.Generator) -> Entry:
        from common.phantoms.kidneys.case import make_case

        made = make_case(shape, spacing, rng)
        place = {"image": made.image, "label": made.label, "affine": made.affine}
        entry: Entry = write_labelled_volume(root, subset, case, **place)
        folder = Path(f"annotations{subset}") / case / "segmentations"
        entry["annotations"] = _write_annotations(root, folder, made.annotations, made.affine)
        return entry

    return ensure_phantom(
        folder,
        description={
            "name": "kidneys",
            "description": (
                "synthetic arterial CT, kidneys with tumors and cysts, three annotators; no patient data"
            ),
            "tensorImageSize": "3D",
            "modality": {"0": "CT"},
            "labels": {str(value): name for value, name in enumerate(_LABELS)},
        },
        parameters={"name": "kidneys", "version": _VERSION, "seed": seed, "shape": shape, "spacing": spacing},
        counts={"training": training, "validation": validation, "test": test},
        write_case=write_case,
    )


def _write_annotations(
    root: Path, folder: Path, annotations: dict[str, list[list[np.ndarray]]], affine: np.ndarray
) -> list[str]:
    """One file for each mask; their paths relative to ``root``."""
    import nibabel as nib  # here, so that importing the phantoms stays cheap

    (root / folder).mkdir(parents=True)
    files = []
    for region, instances in annotations.items():
        for i, one in enumerate(instances, start=1):
            for a, mask in enumerate(one, start=1):
                file = folder / f"{region}_instance-{i}_annotation-{a}.nii.gz"
                nifti = nib.Nifti1Image(mask.astype(np.uint8), affine)
                nifti.header.set_xyzt_units("mm")
                nib.save(nifti, root / file)
                files.append(file.as_posix())
    return files
