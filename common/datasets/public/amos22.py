"""AMOS22: fifteen abdominal organs in CT and MR, 240 labelled scans to train on and 120 kept apart.

Raw layout, as distributed; ``--source`` is the folder with ``imagesTr``, or the one above::

    amos22/imagesTr/amos_0001.nii.gz        200 CT and 40 MR, labels in labelsTr
    amos22/imagesVa/amos_0008.nii.gz        100 CT and 20 MR, labels in labelsVa

The validation part is the test list.  The challenge's first release has no ``labelsVa``: its scans are then
listed without a label.  The 240 scans of ``imagesTs`` have none and are left alone.

The number in the name is the only sign of the modality: CT below 500, MR from there.  Every case names its
``modality``.  ``--modality CT`` or ``MR`` takes one alone, so that the download needs no other.

CT is in HU, MR has no unit; both are written as they are, on their own grid.  Not every organ is in every
scan.  Not confirmed, and refused where it is otherwise: that image and label have the same affine.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from common.datasets.raw.label_volumes import (
    check_grid,
    read_grid,
    read_hounsfield,
    read_image,
    read_label,
    volume_file,
    volumes_in,
)
from common.datasets.raw.prepare import RawCase, Reader
from common.errors import InputError

__all__ = ["READER"]

_PARTS = {"training": "Tr", "test": "Va"}
_COUNTS = {"CT": {"training": 200, "test": 100}, "MR": {"training": 40, "test": 20}}
_NAME = re.compile(r"amos_\d{4}")
_FIRST_MR, _LAST = 500, 600
_ORGANS = (
    *("spleen", "right kidney", "left kidney", "gallbladder", "oesophagus", "liver", "stomach", "aorta"),
    *("postcava", "pancreas", "right adrenal gland", "left adrenal gland", "duodenum", "bladder"),
    "prostate or uterus",
)


class _Amos22(Reader):
    """Reads the scans of some modalities."""

    def __init__(self, modalities: Sequence[str] = tuple(_COUNTS)) -> None:
        self.modalities = tuple(modalities)
        self.description = {
            "name": "AMOS22",
            "description": (
                f"Fifteen organs in abdominal {' and '.join(self.modalities)}; the test list is the "
                f"challenge's validation part."
            ),
            "reference": "Ji et al., AMOS, NeurIPS 2022 datasets and benchmarks, arXiv 2206.08023",
            "licence": "CC BY 4.0",
            "tensorImageSize": "3D",
            "modality": {"0": " or ".join(self.modalities)},
            "labels": {str(value): name for value, name in enumerate(("background", *_ORGANS))},
        }

    def of_modality(self, modality: str) -> _Amos22:
        """CT or MR alone."""
        if modality.upper() not in _COUNTS:
            raise InputError(f"--modality {modality}; expected one of amos22's: {', '.join(_COUNTS)}")
        return _Amos22([modality.upper()])

    def list_cases(self, source: Path, *, partial: bool) -> dict[str, list[str]]:
        """The labelled training part and the validation part, by number."""
        root = _root(source)
        lists: dict[str, list[str]] = {}
        for section, part in _PARTS.items():
            images, labels = root / f"images{part}", root / f"labels{part}"
            lists[section] = [case for case in _cases(images) if _modality(case) in self.modalities]
            for modality in self.modalities:
                number = sum(_modality(case) == modality for case in lists[section])
                _check_number(images, modality, number, _COUNTS[modality][section], partial=partial)
            if section == "training" or labels.is_dir():
                _check_labels(labels, lists[section])
        if not lists["training"]:
            raise InputError(
                f"{root / 'imagesTr'}: has no {' or '.join(self.modalities)}; expected scans to train on: "
                f"complete the download"
            )
        return lists

    def read(self, source: Path, case: str) -> RawCase:
        """One scan with its organs."""
        root, modality = _root(source), _modality(case)
        part = next(part for part in _PARTS.values() if volume_file(root / f"images{part}" / case).is_file())
        grid = read_grid(volume_file(root / f"images{part}" / case))
        truth = volume_file(root / f"labels{part}" / case)
        label = None
        if truth.is_file():
            check_grid(read_grid(truth), grid)
            label = read_label(truth, highest=len(_ORGANS))
            if not label.any():
                raise InputError(f"{truth}: has no organ; expected some: download it again")
        image = read_hounsfield(grid) if modality == "CT" else read_image(grid)
        return RawCase(image=image, label=label, affine=grid.affine, further={"modality": modality})


READER = _Amos22()


def _modality(case: str) -> str:
    return "CT" if int(case[-4:]) < _FIRST_MR else "MR"


def _cases(folder: Path) -> list[str]:
    """The scans in a folder, by number; none where there is no folder."""
    cases = volumes_in(folder) if folder.is_dir() else []
    foreign = [case for case in cases if not _NAME.fullmatch(case) or not 0 < int(case[-4:]) <= _LAST]
    if foreign:
        raise InputError(
            f"{folder}: holds {foreign[0]}, which is none of AMOS22's scans, amos_0001 to amos_0{_LAST}: is "
            f"it another data set?"
        )
    return cases


def _check_number(folder: Path, modality: str, number: int, expected: int, *, partial: bool) -> None:
    if number > expected or (number < expected and not partial):
        raise InputError(
            f"{folder}: has {number} {modality} scans; expected {expected}: complete the download, or "
            f"prepare what is there with  --partial true"
        )


def _check_labels(folder: Path, cases: Sequence[str]) -> None:
    lacking = [path for case in cases if not (path := volume_file(folder / case)).is_file()]
    if lacking:
        raise InputError(
            f"{lacking[0]}: not there, {len(lacking)} of {len(cases)} scans have no label: complete the "
            f"download"
        )


def _root(source: Path) -> Path:
    """The folder with ``imagesTr``."""
    for root in (source, source / "amos22", source / "amos22" / "amos22"):
        if (root / "imagesTr").is_dir():
            return root
    raise InputError(
        f"{source}: has no folder imagesTr, nor has its 'amos22'; expected AMOS22's release: correct --source"
    )
