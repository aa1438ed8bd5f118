"""Frames of ACDC's release: ``patient001_frame01`` is the end of diastole, ``_frame02`` systole's."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np

from common.datasets.raw.label_volumes import Grid, check_grid, read_grid, read_label, volume_file
from common.datasets.raw.prepare import Reader
from common.errors import InputError

__all__ = ["FRAMES", "FramesReader", "described", "frame_file", "read_frame"]

FRAMES = {"frame01": "ED", "frame02": "ES"}
"""End of a case's name -> phase in Info.cfg."""
LABELS = ("background", "right ventricle", "myocardium", "left ventricle")


class FramesReader(Reader):
    """Reads two frames of every patient."""

    def patient_of(self, case: str) -> str:
        """``patient001`` of ``patient001_frame02``."""
        return case.partition("_")[0]


def described(name: str, patients: str) -> dict[str, Any]:
    """A reader's description of the frames of some patients."""
    return {
        "name": name,
        "description": (
            "Right ventricle, myocardium and left ventricle in cine MR, end of diastole (frame01) and end of "
            f"systole (frame02) of {patients}."
        ),
        "reference": "Bernard et al., IEEE Trans. Medical Imaging 37, 2018, doi:10.1109/TMI.2018.2837502",
        "tensorImageSize": "3D",
        "modality": {"0": "MR"},
        "labels": {str(value): name for value, name in enumerate(LABELS)},
    }


def frame_file(root: Path, case: str) -> Path:
    """The image of a case, or where it was looked for.

    Args:
        root: the folder with the patients' folders.
        case: such as ``patient001_frame02``.

    Raises:
        InputError: the patient's Info.cfg does not name the frame.
    """
    patient, _, frame = case.partition("_")
    info = root / patient / "Info.cfg"
    if not info.is_file():
        return info
    number = re.search(rf"^\s*{FRAMES[frame]}\s*:\s*(\d+)", info.read_text(encoding="utf-8"), re.MULTILINE)
    if number is None:
        raise InputError(f"{info}: has no line '{FRAMES[frame]}: <number>'; download it again")
    name = f"{patient}_frame{int(number[1]):02d}"
    return volume_file(root / patient / name)


def read_frame(path: Path) -> tuple[Grid, np.ndarray]:
    """The grid of a frame and its label (X, Y, Z) uint8.

    Raises:
        InputError: a file is not as it should be.
    """
    grid = read_grid(path)
    truth = path.with_name(path.name.replace(".nii", "_gt.nii", 1))
    if not truth.is_file():
        raise InputError(
            f"{truth}: is not there; early copies lack the truth of testing: download ACDC again"
        )
    check_grid(read_grid(truth), grid)
    label = read_label(truth, highest=len(LABELS) - 1)
    if not label.any():
        raise InputError(f"{truth}: nothing is labelled; expected a heart: download it again")
    return grid, label
