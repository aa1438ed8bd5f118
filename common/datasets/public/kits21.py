"""KiTS21: 300 CT of kidneys with tumors and cysts, every structure delineated by several annotators.

Raw layout, as in the public repository after its own download of the images::

    data/case_00000/imaging.nii.gz
    data/case_00000/segmentations/<region>_instance-<i>_annotation-<a>.nii.gz

Regions are kidney, tumor and cyst; files of ureters, arteries and veins are ignored.  The label is the
majority of the annotations, as the challenge scores; their union and intersection are kept beside it as
``label_or`` and ``label_and``.  The 100 test cases were never published: the test list is empty.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from common.datasets.raw.kits21_annotations import REGIONS, aggregate, annotation_files, case_folders
from common.datasets.raw.label_volumes import Grid, check_grid, read_grid, read_image, read_label
from common.datasets.raw.prepare import RawCase, Reader
from common.errors import InputError

__all__ = ["READER"]

_CASES = 300
_IMAGE = "imaging.nii.gz"
_AIR = -200  # HU; every CT of an abdomen has air and fat below it


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
        image = _image(grid)
        masks = {
            region: [[_mask(path, grid) for path in one] for one in instances]
            for region, instances in annotation_files(folder).items()
        }
        labels = {rule: aggregate(masks, rule) for rule in ("MAJ", "OR", "AND")}
        if not (labels["MAJ"] > 0).any():
            raise InputError(
                f"{folder / 'segmentations'}: the majority of the annotations is empty; expected a kidney: "
                f"restore the case from the release"
            )
        return RawCase(
            image=image,
            label=labels["MAJ"],
            affine=grid.affine,
            further_labels={"label_or": labels["OR"], "label_and": labels["AND"]},
        )


READER = _Kits21()


def _image(grid: Grid) -> np.ndarray:
    """HU (X, Y, Z): int16 where the values fit, else float32."""
    image = read_image(grid)
    if not image.min() < _AIR:
        raise InputError(
            f"{grid.path}: its lowest value is {image.min():g}; expected HU, with air far below {_AIR}: "
            f"stored unsigned or rescaled, download it again"
        )
    whole = np.clip(np.rint(image), -32768, 32767).astype(np.int16)
    return whole if (whole == image).all() else image.astype(np.float32)


def _mask(path: Path, grid: Grid) -> np.ndarray:
    check_grid(read_grid(path), grid)
    return read_label(path, highest=1).astype(bool)
