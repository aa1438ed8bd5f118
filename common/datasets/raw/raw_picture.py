"""One picture of a raw data set, and how it is written: PNG files and its entry in dataset.json."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

__all__ = ["RawPicture", "write_picture"]

_DEPTHS = ("uint8", "uint16")


@dataclass(frozen=True)
class RawPicture:
    """One picture.

    Attributes:
        image: (H, W), or (H, W, C) with several channels; uint8, or uint16 where there are more than 8 bits.
        label: (H, W) of class numbers, uint8 or uint16; None where the data set has none for this picture.
        further_labels: key in dataset.json -> another label (H, W), such as another rater's (``label_2``).
        boxes: (N, 4), each x1, y1, x2, y2 in pixels, x along W, the upper left corner first and the lower
            right one outside of the box; None where the data set has no boxes.
        box_labels: (N,), the class of each box.
        further: other keys of the entry, such as a class.

    Raises:
        ValueError: arrays do not fit each other, or a dtype that PNG files cannot hold.
    """

    image: np.ndarray
    label: np.ndarray | None
    further_labels: Mapping[str, np.ndarray] = field(default_factory=dict)
    boxes: np.ndarray | None = None
    box_labels: np.ndarray | None = None
    further: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.image.ndim not in (2, 3):
            raise ValueError(f"image {self.image.shape}; need (H, W) or (H, W, C)")
        for key, array in {"image": self.image, **self.labels()}.items():
            if str(array.dtype) not in _DEPTHS:
                raise ValueError(f"{key} is {array.dtype}; need one of {', '.join(_DEPTHS)}")
            if key != "image" and array.shape != self.image.shape[:2]:
                raise ValueError(f"{key} {array.shape} on an image {self.image.shape}; need the same H, W")
        _check_boxes(self.boxes, self.box_labels)

    def labels(self) -> dict[str, np.ndarray]:
        """All labels by their keys in dataset.json."""
        return {**({} if self.label is None else {"label": self.label}), **self.further_labels}


def _check_boxes(boxes: np.ndarray | None, labels: np.ndarray | None) -> None:
    if (boxes is None) != (labels is None):
        raise ValueError("boxes and box_labels; need both or neither")
    if boxes is None or labels is None:
        return
    if boxes.ndim != 2 or boxes.shape[1] != 4 or labels.shape != boxes.shape[:1]:
        raise ValueError(f"boxes {boxes.shape}, box_labels {labels.shape}; need (N, 4) and (N,)")
    if not (boxes[:, :2] <= boxes[:, 2:]).all():
        raise ValueError("boxes; need the upper left corner first")


def write_picture(root: Path, subset: str, case: str, raw: RawPicture, *, keep_label: bool) -> dict[str, Any]:
    """Write a picture's files below ``root`` and return its entry.

    One PNG file holds an 8-bit picture of one or three channels, and a 16-bit one of one.  Of other pictures
    every channel is a grey PNG file of its own, and ``image`` is the list of them.

    Args:
        root: the data set's folder.
        subset: "Tr" or "Ts", the end of the folders' names.
        case: its name.
        raw: the picture.
        keep_label: without it neither labels nor boxes are written.
    """
    image = raw.image[..., None] if raw.image.ndim == 2 else raw.image
    channels, name = image.shape[2], f"images{subset}/{case}"
    entry: dict[str, Any] = {}
    if channels == 1 or (channels == 3 and image.dtype == np.uint8):
        entry["image"] = _write(root, f"{name}.png", image)
    else:
        entry["image"] = [
            _write(root, f"{name}_{channel:04d}.png", image[..., channel]) for channel in range(channels)
        ]
    if keep_label:
        for key, label in raw.labels().items():
            entry[key] = _write(root, f"{'labels' if key == 'label' else key}{subset}/{case}.png", label)
        if raw.boxes is not None and raw.box_labels is not None:
            entry |= {"boxes": raw.boxes.tolist(), "box_labels": raw.box_labels.tolist()}
    return entry | dict(raw.further)


def _write(root: Path, name: str, values: np.ndarray) -> str:
    from PIL import Image  # only where something is written

    (root / name).parent.mkdir(exist_ok=True)
    plane = values[..., 0] if values.ndim == 3 and values.shape[2] == 1 else values
    Image.fromarray(np.ascontiguousarray(plane)).save(root / name)
    return name
