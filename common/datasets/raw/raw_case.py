"""One scan of a raw data set, and how it is written: NIfTI files and its entry in dataset.json."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

__all__ = ["RawCase", "write_case"]

_FOLDERS = {"image": "images", "label": "labels"}  # further labels: the key itself
_STORED = ("uint8", "int8", "uint16", "int16", "uint32", "int32", "uint64", "int64", "float32", "float64")


@dataclass(frozen=True)
class RawCase:
    """One scan.

    Attributes:
        image: (X, Y, Z), or (X, Y, Z, C) with several channels (sequences); integers or floats, written
            with the dtype that they have.
        label: (X, Y, Z) of whole numbers; None where the data set has none for this case.
        affine: (4, 4), voxel index to RAS+ mm.
        further_labels: key in dataset.json -> another label (X, Y, Z), such as another rater's (``label_2``).
        boxes: (N, 6), each x1, y1, z1, x2, y2, z2 with the lower corner first, RAS+ mm, so that they hold on
            any grid; None where the data set has no boxes.
        box_labels: (N,), the class of each box.
        further: other keys of the entry, such as a class or a stage.

    Raises:
        ValueError: arrays do not fit each other, or a dtype that NIfTI files cannot hold.
    """

    image: np.ndarray
    label: np.ndarray | None
    affine: np.ndarray
    further_labels: Mapping[str, np.ndarray] = field(default_factory=dict)
    boxes: np.ndarray | None = None
    box_labels: np.ndarray | None = None
    further: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.image.ndim not in (3, 4):
            raise ValueError(f"image {self.image.shape}; need (X, Y, Z) or (X, Y, Z, C)")
        for key, array in self.arrays().items():
            if str(array.dtype) not in _STORED:
                raise ValueError(f"{key} is {array.dtype}; need one of {', '.join(_STORED)}")
            if array.shape[:3] != self.image.shape[:3] or (key != "image" and array.ndim != 3):
                raise ValueError(f"{key} {array.shape} on an image {self.image.shape}; need the same X, Y, Z")
        _check_boxes(self.boxes, self.box_labels)

    def arrays(self) -> dict[str, np.ndarray]:
        """Everything that becomes a file, by its key in dataset.json."""
        label = {} if self.label is None else {"label": self.label}
        return {"image": self.image, **label, **self.further_labels}


def _check_boxes(boxes: np.ndarray | None, labels: np.ndarray | None) -> None:
    if (boxes is None) != (labels is None):
        raise ValueError("boxes and box_labels; need both or neither")
    if boxes is None or labels is None:
        return
    if boxes.ndim != 2 or boxes.shape[1] != 6 or labels.shape != boxes.shape[:1]:
        raise ValueError(f"boxes {boxes.shape}, box_labels {labels.shape}; need (N, 6) and (N,)")
    if not (boxes[:, :3] <= boxes[:, 3:]).all():
        raise ValueError("boxes; need the lower corner first")


def write_case(root: Path, subset: str, case: str, raw: RawCase, *, keep_label: bool) -> dict[str, Any]:
    """Write a scan's files below ``root`` and return its entry.

    Args:
        root: the data set's folder.
        subset: "Tr" or "Ts", the end of the folders' names.
        case: its name.
        raw: the scan.
        keep_label: without it neither labels nor boxes are written.
    """
    import nibabel as nib  # only where something is written

    entry: dict[str, Any] = {}
    for key, array in raw.arrays().items():
        if key == "image" or keep_label:
            nifti = nib.Nifti1Image(array, raw.affine, dtype=array.dtype)
            nifti.header.set_xyzt_units("mm")
            entry[key] = f"{_FOLDERS.get(key, key)}{subset}/{case}.nii.gz"
            (root / entry[key]).parent.mkdir(exist_ok=True)
            nib.save(nifti, root / entry[key])
    if raw.boxes is not None and raw.box_labels is not None and keep_label:
        entry |= {"boxes": raw.boxes.tolist(), "box_labels": raw.box_labels.tolist()}
    return entry | dict(raw.further)
