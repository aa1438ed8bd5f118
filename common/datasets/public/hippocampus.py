"""Hippocampus: task 4 of the Medical Segmentation Decathlon, for registration.

Raw layout, as the Decathlon distributes it::

    Task04_Hippocampus/dataset.json                          names the training cases
    Task04_Hippocampus/imagesTr/hippocampus_001.nii.gz       about 35 x 50 x 35, 1 mm
    Task04_Hippocampus/labelsTr/hippocampus_001.nii.gz       1 anterior, 2 posterior

The images without labels (``imagesTs``) are left out; the last fifth of the labelled ones, sorted by name, is
the test list.  The crops are laid on each other by their middles, without any affine step: voxel n // 2 of
each axis is written at 0, 0, 0 mm; voxels and spacing are as they were.
"""

from __future__ import annotations

import json
from pathlib import Path, PurePosixPath

from common.datasets.raw.label_volumes import check_grid, read_grid, read_image, read_label, volume_file
from common.datasets.raw.prepare import RawCase, Reader
from common.datasets.raw.published_lists import cases_present
from common.errors import InputError

__all__ = ["READER"]

_FOLDER = "Task04_Hippocampus"
_LABELS = ("background", "anterior hippocampus", "posterior hippocampus")


class _Hippocampus(Reader):
    """Reads labelled crops."""

    description = {
        "name": "MSD Task04 Hippocampus",
        "description": (
            "Anterior and posterior hippocampus in crops of T1 MR, laid on each other by their middles; the "
            "last fifth by name is the test list."
        ),
        "reference": "Antonelli et al., Nature Communications 13, 2022, doi:10.1038/s41467-022-30695-9",
        "licence": "CC BY-SA 4.0",
        "tensorImageSize": "3D",
        "modality": {"0": "MR"},
        "labels": {str(value): name for value, name in enumerate(_LABELS)},
    }

    def list_cases(self, source: Path, *, partial: bool) -> dict[str, list[str]]:
        """The training cases that the release's own list names, sorted: four fifths and the last fifth."""
        root = _root(source)
        cases = sorted(_listed(root / "dataset.json"))
        kept = len(cases) - len(cases) // 5
        lists = {"training": cases[:kept], "test": cases[kept:]}
        return cases_present(
            lists, lambda case: volume_file(root / "imagesTr" / case), partial=partial, source=source
        )

    def read(self, source: Path, case: str) -> RawCase:
        """One crop with its label."""
        root = _root(source)
        grid = read_grid(volume_file(root / "imagesTr" / case))
        truth = volume_file(root / "labelsTr" / case)
        check_grid(read_grid(truth), grid)
        affine = grid.affine.copy()
        affine[:3, 3] = -affine[:3, :3] @ [n // 2 for n in grid.shape]
        return RawCase(
            image=read_image(grid), label=read_label(truth, highest=len(_LABELS) - 1), affine=affine
        )


READER = _Hippocampus()


def _root(source: Path) -> Path:
    """The task's folder."""
    for root in (source, source / _FOLDER):
        if (root / "imagesTr").is_dir() and (root / "dataset.json").is_file():
            return root
    raise InputError(
        f"{source}: has no imagesTr and dataset.json, nor has its '{_FOLDER}'; expected task 4 of the "
        f"Decathlon: correct --source"
    )


def _listed(path: Path) -> list[str]:
    """Names of the training cases in the release's dataset.json."""
    try:
        entries = json.loads(path.read_text(encoding="utf-8"))["training"]
        names = [PurePosixPath(entry["image"]).name for entry in entries]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InputError(
            f"{path}: its list 'training' cannot be read ({error!r}); download it again"
        ) from error
    cases = [name.removesuffix(".gz").removesuffix(".nii") for name in names if name[:1] not in "._"]
    if len(cases) < 5:
        raise InputError(f"{path}: names {len(cases)} training cases; expected all of the release")
    return cases
