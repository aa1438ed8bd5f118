"""KiTS21: 300 CT of kidneys with tumors and cysts, every structure delineated by several annotators.

Raw layout, as in the public repository after its own download of the images::

    data/case_00000/imaging.nii.gz
    data/case_00000/segmentations/<region>_instance-<i>_annotation-<a>.nii.gz
    data/case_00000/aggregated_{MAJ,OR,AND}_seg.nii.gz

Regions are kidney, tumor and cyst; files of ureters, arteries and veins are ignored.  The label is the
majority of the annotations, on which the organisers train; their union and intersection are kept beside it
as ``label_or`` and ``label_and``.  All three are made from the annotations and compared with the release's
aggregated files, where these are there: the data set was corrected twice, and a mixture of versions would
pass unnoticed.  A case with aggregated files alone is taken as they are.

The 100 test cases were never published: the test list is empty.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from common.datasets.raw.kits21_annotations import (
    REGIONS,
    RULES,
    aggregate,
    aggregated_file,
    annotation_files,
    case_folders,
)
from common.datasets.raw.label_volumes import Grid, check_grid, read_grid, read_hounsfield, read_label
from common.datasets.raw.prepare import RawCase, Reader
from common.errors import InputError

__all__ = ["READER"]

_CASES = 300
_IMAGE = "imaging.nii.gz"


class _Kits21(Reader):
    """Reads the instances' files and aggregates them."""

    description = {
        "name": "KiTS21",
        "description": (
            "Kidneys, renal tumors and cysts in contrast-enhanced CT. label: majority of the annotations of "
            "each instance; label_or, label_and: their union and intersection."
        ),
        "reference": "Heller et al., The KiTS21 Challenge, arXiv 2307.01984",
        "tensorImageSize": "3D",
        "modality": {"0": "CT"},
        "labels": {"0": "background", **{str(value): name for name, value in REGIONS.items()}},
    }

    def list_cases(self, source: Path, *, partial: bool) -> dict[str, list[str]]:
        """The 300 training cases by number."""
        folders = case_folders(source)
        expected = [f"case_{number:05d}" for number in range(_CASES)]
        foreign = sorted(set(folders) - set(expected))
        if foreign:
            raise InputError(
                f"{folders[foreign[0]]}: {len(foreign)} cases are beyond {expected[-1]}; expected KiTS21's "
                f"{_CASES}: is it a release of another year?"
            )
        if len(folders) < _CASES and not partial:
            raise InputError(
                f"{source}: has {len(folders)} cases; expected {_CASES}: complete the download, or prepare "
                f"fewer with  --partial true"
            )
        lacking = [folder for folder in folders.values() if not (folder / _IMAGE).is_file()]
        if lacking:
            raise InputError(
                f"{lacking[0] / _IMAGE}: not there, {len(lacking)} of {len(folders)} cases have no image; "
                f"the repository holds annotations alone: run its download of the images"
            )
        return {"training": list(folders), "test": []}

    def read(self, source: Path, case: str) -> RawCase:
        """One scan with the labels of its annotators."""
        folder = case_folders(source)[case]
        grid = read_grid(folder / _IMAGE)
        image, labels = read_hounsfield(grid), _labels(folder, grid)
        if not (labels["MAJ"] > 0).any():
            raise InputError(
                f"{folder / 'segmentations'}: the majority of the annotations is empty; expected a kidney: "
                f"restore the case from the release"
            )
        return RawCase(
            image=image,
            label=labels["MAJ"],
            affine=grid.affine,
            further_labels={f"label_{rule.lower()}": labels[rule] for rule in RULES[1:] if rule in labels},
        )


READER = _Kits21()


def _labels(folder: Path, grid: Grid) -> dict[str, np.ndarray]:
    """Rule -> label map, from the annotations if there are any."""
    files = {rule: aggregated_file(folder, rule) for rule in RULES}
    stored = {
        rule: _on_grid(path, grid, highest=max(REGIONS.values()))
        for rule, path in files.items()
        if path.is_file()
    }
    if not (folder / "segmentations").is_dir() and "MAJ" in stored:
        return stored
    masks = {
        region: [[_on_grid(path, grid, highest=1).astype(bool) for path in one] for one in instances]
        for region, instances in annotation_files(folder).items()
    }
    made = {rule: aggregate(masks, rule) for rule in RULES}
    for rule, label in stored.items():
        apart = int((label != made[rule]).sum())
        if apart:
            raise InputError(
                f"{files[rule]}: differs from its annotations, in segmentations/, in {apart} voxels; "
                f"expected none: take the case from one version of the release, or remove what is out of date"
            )
    return made


def _on_grid(path: Path, grid: Grid, *, highest: int) -> np.ndarray:
    check_grid(read_grid(path), grid)
    return read_label(path, highest=highest)
