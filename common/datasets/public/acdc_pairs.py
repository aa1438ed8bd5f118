"""ACDC as registration papers use it: end of diastole and of systole of all 150 hearts, 100 to train on.

Raw layout, as the challenge distributes it (:mod:`common.datasets.public.acdc`)::

    database/training/patient001/{Info.cfg, patient001_frame01.nii.gz, patient001_frame01_gt.nii.gz, ...}
    database/testing/patient101/{...}

``patient001_frame01`` is the end of diastole (ED), ``patient001_frame02`` that of systole, one after the
other.
Images are written as they are, on their own grid.  Each entry names its ``stage`` and, in ``centre``, the
middle of the box of the heart's labels at ED, x, y, z in RAS+ mm, the same for both frames of a patient.
"""

from __future__ import annotations

from pathlib import Path

import nibabel as nib
import numpy as np

from common.datasets.raw.acdc_frames import FRAMES, FramesReader, described, frame_file, read_frame
from common.datasets.raw.label_volumes import read_image
from common.datasets.raw.prepare import RawCase
from common.datasets.raw.published_lists import cases_present
from common.errors import InputError

__all__ = ["READER"]

_PATIENTS = {"training": range(1, 101), "test": range(101, 151)}
_FOLDERS = {"training": "training", "test": "testing"}


class _AcdcPairs(FramesReader):
    description = described("ACDC (pairs)", "150 patients: 100 of 'training', 50 of 'testing'")

    def list_cases(self, source: Path, *, partial: bool) -> dict[str, list[str]]:
        """200 frames of 100 patients, and 100 of 50."""
        root = _root(source)
        lists = {
            section: [f"patient{number:03d}_{frame}" for number in numbers for frame in FRAMES]
            for section, numbers in _PATIENTS.items()
        }
        return cases_present(lists, lambda case: _file(root, case), partial=partial, source=source)

    def read(self, source: Path, case: str) -> RawCase:
        """One frame with its label."""
        root = _root(source)
        grid, label = read_frame(_file(root, case))
        patient, _, frame = case.partition("_")
        at_rest, heart = read_frame(_file(root, f"{patient}_frame01"))
        box = np.argwhere(heart)
        middle = nib.affines.apply_affine(at_rest.affine, (box.min(axis=0) + box.max(axis=0)) / 2)
        further = {"stage": FRAMES[frame], "centre": [round(float(x), 3) for x in middle]}
        return RawCase(image=read_image(grid), label=label, affine=grid.affine, further=further)


READER = _AcdcPairs()


def _file(root: Path, case: str) -> Path:
    """The image of a case, or where it was looked for."""
    number = int(case.removeprefix("patient").partition("_")[0])
    section = next(section for section, numbers in _PATIENTS.items() if number in numbers)
    return frame_file(root / _FOLDERS[section], case)


def _root(source: Path) -> Path:
    """The folder with ``training`` and ``testing``."""
    for below in (".", "database", "ACDC/database"):
        if any((source / below / "training").glob("patient[0-9]*")):
            return source / below
    raise InputError(
        f"{source}: has no folders training/patient001, ..., nor has its 'database'; expected ACDC's release "
        f"with 'training' and 'testing': correct --source"
    )
