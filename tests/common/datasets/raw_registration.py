"""Made-up downloads of the data sets of pairs: real names and layouts, tiny volumes."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path

import numpy as np

from tests.common.datasets.raw_volumes import organ, save

SHAPE = (16, 16, 16)
CODES = (205, 420, 500, 550, 600, 820, 850)


def scan(number: int, label: np.ndarray) -> np.ndarray:
    """An image of a label map, float32, each number another one."""
    noise = np.random.default_rng(number).random(label.shape)
    return (label + 0.3 * noise + 0.1 * (label > 0)).astype(np.float32)


def numbered(shape: tuple[int, ...], values: Iterable[int]) -> np.ndarray:
    """A block in the middle, cut along the first axis into parts with these values."""
    label = organ(shape).astype(np.int16)
    inside = np.flatnonzero(label.any(axis=(1, 2)))
    for part, value in zip(np.array_split(inside, len(list(values))), values, strict=True):
        label[part] *= value
    return label


def write_oasis(root: Path, count: int = 414) -> Path:
    """neurite's layout: numbers with gaps, a list in an order of its own."""
    names = [f"OASIS_OAS1_{number + number // 10 + 1:04d}_MR1" for number in range(count)]
    for number, name in enumerate(names):
        label = numbered(SHAPE, (1, 2, 35)).astype(np.uint8)
        save(root / name / "aligned_norm.nii.gz", scan(number, label))
        save(root / name / "aligned_seg35.nii.gz", label)
    (root / "subjects.txt").write_text("\n".join(names[::-1]) + "\n")
    return root


def write_acdc_pairs(root: Path, patients: Iterable[int] = range(1, 151)) -> Path:
    """database/{training,testing}; the film's frame 3 is ED, 12 is ES; the heart is off the middle."""
    for number in patients:
        name = f"patient{number:03d}"
        folder = root / "database" / ("training" if number <= 100 else "testing") / name
        affine = np.diag([-1.5, -1.5, 10.0, 1.0])
        for frame, shift in ((3, 0), (12, 1)):
            label = np.zeros((24, 20, 6), np.uint8)
            label[2 + shift : 10, 4:12, 1:5] = 2
            label[4:7, 6:9, 1:5] = 3
            save(folder / f"{name}_frame{frame:02d}.nii.gz", scan(number, label), affine)
            save(folder / f"{name}_frame{frame:02d}_gt.nii.gz", label, affine)
        (folder / "Info.cfg").write_text("ED: 3\nES: 12\nGroup: DCM\nNbFrame: 30\n")
    return root


def write_hippocampus(root: Path, count: int = 260) -> Path:
    """Task04_Hippocampus with hidden files, as in the archive; crops of several sizes and origins."""
    folder, entries = root / "Task04_Hippocampus", []
    for number in range(1, count + 1):
        name, shape = f"hippocampus_{number:03d}.nii.gz", (10 + number % 2, 13, 9 + number % 3)
        affine = np.eye(4)
        affine[:3, 3] = number
        label = numbered(shape, (1, 2)).astype(np.uint8)
        save(folder / "imagesTr" / name, scan(number, label), affine)
        save(folder / "labelsTr" / name, label, affine)
        (folder / "imagesTr" / f"._{name}").write_bytes(b"\0")
        entries.append({"image": f"./imagesTr/{name}", "label": f"./labelsTr/{name}"})
    (folder / "dataset.json").write_text(json.dumps({"training": entries[::-1], "test": []}))
    return root


def write_mmwhs(root: Path, numbers: Iterable[int] = range(1001, 1021)) -> Path:
    """ct_train with HU; the later a scan, the farther it is moved; one has the stray code."""
    for number in numbers:
        label = np.roll(numbered((24, 24, 20), CODES), (number - 1001) % 4, axis=1)
        image = np.where(label > 0, 150 + label / 4, 40).astype(np.int16)
        image[0] = image[-1] = -1000
        if number == 1004:
            label[label == 420] = 421
        affine = np.diag([-6.0, 6.0, 8.0, 1.0])
        affine[:3, 3] = (number, -number, 0)
        save(root / "ct_train" / f"ct_train_{number}_image.nii.gz", image, affine)
        save(root / "ct_train" / f"ct_train_{number}_label.nii.gz", label, affine)
    return root
