"""Reading the labelled cases of a Decathlon-style folder as plain arrays, one at a time.

Axes: C channels, K classes with background first, *S spatial as the reader gives them.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from monai.transforms import LoadImage

from common.errors import InputError

__all__ = ["Case", "load_cases", "number_of_classes"]


@dataclass(frozen=True)
class Case:
    """One labelled image: image (C, *S) float32, label (*S) int64, affine (4, 4) voxel index to RAS+ mm."""

    image: np.ndarray
    label: np.ndarray
    affine: np.ndarray


def _read_dataset(folder: Path) -> dict[str, Any]:
    path = folder / "dataset.json"
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise InputError(
            f"{path}: cannot be read ({error.strerror}); give a Decathlon-style folder"
        ) from error
    except ValueError as error:
        raise InputError(f"{path}: no valid JSON ({error})") from error


def number_of_classes(folder: str | Path) -> int:
    """K: one more than the highest label value that ``dataset.json`` names.

    Raises:
        InputError: the file cannot be read or names none.
    """
    folder = Path(folder)
    labels = _read_dataset(folder).get("labels")
    if not isinstance(labels, Mapping) or not labels:
        raise InputError(
            f"{folder / 'dataset.json'}: no 'labels'; add them or give their number with --classes"
        )
    return max(int(value) for value in labels) + 1


def load_cases(
    folder: str | Path,
    section: str,
    *,
    classes: int,
    limit: int | None = None,
    skip_unlabelled: bool = False,
) -> Iterator[Case]:
    """Read the cases of one list of ``dataset.json``, one at a time.

    Args:
        folder: the data set.
        section: the list, such as ``training``.
        classes: K; labels from K on become background.
        limit: read only so many.
        skip_unlabelled: leave out entries without a ``label``, as semi-supervised data sets have them.

    Raises:
        InputError: the list is missing or empty, or an entry has no image, label, or file.
    """
    root = Path(folder)
    entries = _read_dataset(root).get(section)
    if entries and skip_unlabelled:
        entries = [entry for entry in entries if "label" in entry]
    if not entries:
        raise InputError(f"{root / 'dataset.json'}: no cases in the list '{section}'")
    read = LoadImage(image_only=True, ensure_channel_first=True)
    for number, entry in enumerate(entries[:limit]):
        for key in ("image", "label"):
            if not isinstance(entry, Mapping) or key not in entry:
                raise InputError(f"{root / 'dataset.json'}: {section}[{number}] has no '{key}'")
            if not (root / entry[key]).is_file():
                raise InputError(f"{root / entry[key]}: missing; {section}[{number}].{key} names it")
        image, label = read(root / entry["image"]), read(root / entry["label"])
        if image.shape[1:] != label.shape[1:]:
            raise InputError(
                f"{root / entry['label']}: shape {tuple(label.shape[1:])}, "
                f"its image has {tuple(image.shape[1:])}"
            )
        values = label[0].numpy().astype(np.int64)
        values[values >= classes] = 0
        yield Case(image.numpy().astype(np.float32), values, np.asarray(image.affine, float))
