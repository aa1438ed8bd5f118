"""Volumes as 2D slices: one training item per slice, and scaling slice by slice.

Volumes are (C, X, Y, Z), slices (C, X, Y) lie across the last axis.  Source: mcnet_plus/docs/method.md#acdc;
trid/docs/method.md#prostate; trid/docs/method.md#prostate-mr.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from monai.config import KeysCollection
from monai.data import MetaTensor
from monai.transforms import MapTransform
from nibabel.orientations import io_orientation
from torch import Tensor

from common.datasets.check.facts import read_facts
from common.datasets.check.label_values import as_label_map
from common.datasets.lists.case_list import flat_map
from common.errors import InputError
from common.nifti import open_nifti, reading_nifti
from common.tensors.plain import plain

__all__ = [
    "ClipSlicesd",
    "KeepLabelledSlicesd",
    "ScaleSlicesd",
    "TakeSliced",
    "labelled_slices_of",
    "slices_of",
]


def slices_of(cases: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """One item for every slice of every case, with the slice's number under ``slice``.

    Slices are counted along the axis that is the last one once a volume is turned to (R, A, S).
    """
    return _items(cases, lambda case, axis, length: range(length))


def labelled_slices_of(
    cases: Sequence[Mapping[str, Any]], label_map: Mapping[int, int] | None = None
) -> list[dict[str, Any]]:
    """As :func:`slices_of`, but only slices in which something is labelled.

    Args:
        cases: with ``image`` and ``label``, absolute paths.
        label_map: label values ``{from: to}``; what becomes 0 is not labelled.

    Raises:
        InputError: no slice of any case is labelled.
    """
    nothing = [0, *(value for value, to in as_label_map(label_map).items() if to == 0)]
    items = _items(cases, lambda case, axis, length: _labelled(case.get("label"), nothing))
    if not items:
        raise InputError(f"none of the {len(cases)} cases has a labelled slice; expected labels above 0")
    return items


def _labelled(file: Any, nothing: Sequence[int]) -> list[int] | None:
    """Numbers of the slices with any other value than these; None if the label cannot be read."""
    if not isinstance(file, str):
        return None
    try:
        label = open_nifti(file)
        with reading_nifti(file):
            voxels = ~np.isin(np.asanyarray(label.dataobj), nothing)
    except InputError:
        return None
    orientation = io_orientation(label.affine)
    axis = list(orientation[:, 0]).index(2)
    found = voxels.any(axis=tuple(other for other in range(voxels.ndim) if other != axis))
    return np.flatnonzero(found if orientation[axis, 1] > 0 else found[::-1]).tolist()


def _items(
    cases: Sequence[Mapping[str, Any]],
    numbers: Callable[[Mapping[str, Any], int, int], Sequence[int] | None],
) -> list[dict[str, Any]]:
    """A case that cannot be cut stays as one item: the check of the data says what is wrong with it."""
    images = iter(read_facts([{"image": case["image"]} for case in cases]))

    def items_of(case: Mapping[str, Any]) -> list[dict[str, Any]]:
        image, found = next(images).image, None
        if image.error is None and image.affine is not None:  # else a picture, or unreadable
            axis = list(io_orientation(image.affine)[:, 0]).index(2)
            found = numbers(case, axis, image.shape[axis])
        return [{**case, "slice": number} for number in ([0] if found is None else found)]

    return flat_map(cases, items_of)


class TakeSliced(MapTransform):
    """Volumes (C, X, Y, Z) become their slice (C, X, Y) whose number stands under ``slice``."""

    def __call__(self, data: Mapping[Hashable, Any]) -> dict[Hashable, Any]:
        """Cut every key; ``slice`` goes."""
        result = dict(data)
        number = result.pop("slice")
        for key in self.key_iterator(result):
            volume = result[key]
            result[key] = _like(plain(volume)[..., number].clone(), volume)
        return result


class KeepLabelledSlicesd(MapTransform):
    """Volumes (C, X, Y, Z) keep their slices in which something is labelled; all where nothing is.

    The grid's origin is not moved: the result is for scores, not for positions in the patient.

    Args:
        keys: volumes of one size, the label among them.
        label_key: (1, X, Y, Z), whole numbers.
    """

    def __init__(self, keys: KeysCollection, label_key: str = "label") -> None:
        super().__init__(keys)
        self.label_key = label_key

    def __call__(self, data: Mapping[Hashable, Any]) -> dict[Hashable, Any]:
        """Cut every key."""
        result = dict(data)
        kept = torch.nonzero(plain(result[self.label_key]).flatten(0, 2).any(dim=0)).flatten()
        if len(kept):
            for key in self.key_iterator(result):
                volume = result[key]
                result[key] = _like(plain(volume)[..., kept], volume)
        return result


class ClipSlicesd(MapTransform):
    """Clip the voxels above 0 of every slice of every channel to percentiles of these voxels.

    All others stay as they are, the background's zeros among them.

    Args:
        keys: slices (C, X, Y) or volumes (C, X, Y, Z).
        lower: percentile, 0..100.
        upper: percentile, 0..100.
    """

    def __init__(self, keys: KeysCollection, lower: float = 0.2, upper: float = 99.8) -> None:
        super().__init__(keys)
        self.percentiles = (lower, upper)

    def __call__(self, data: Mapping[Hashable, Tensor]) -> dict[Hashable, Tensor]:
        """Clip every key; float32."""
        result = dict(data)
        for key in self.key_iterator(result):
            result[key] = _by_slice(result[key], self._clipped)
        return result

    def _clipped(self, one: Tensor) -> Tensor:
        positive = one[one > 0]
        if not len(positive):
            return one
        low, high = np.percentile(positive.cpu().numpy(), self.percentiles)
        return torch.where(one > 0, one.clamp(float(low), float(high)), one)


class ScaleSlicesd(MapTransform):
    """Every slice of every channel to mean 0 and standard deviation 1 (of all voxels: divided by n).

    Args:
        keys: slices (C, X, Y) or volumes (C, X, Y, Z).
    """

    def __init__(self, keys: KeysCollection) -> None:
        super().__init__(keys)

    def __call__(self, data: Mapping[Hashable, Tensor]) -> dict[Hashable, Tensor]:
        """Scale every key; float32."""
        result = dict(data)
        for key in self.key_iterator(result):
            result[key] = _by_slice(result[key], _scaled)
        return result


def _scaled(one: Tensor) -> Tensor:
    return (one - one.mean()) / one.std(correction=0).clamp_min(1e-8)


def _by_slice(image: Tensor, change: Callable[[Tensor], Tensor]) -> Tensor:
    """A change of each (X, Y) of (C, X, Y) or (C, X, Y, Z)."""
    values = plain(image).to(torch.float32)
    slices = values[..., None] if values.ndim == 3 else values
    changed = [torch.stack([change(one) for one in channel.unbind(-1)], dim=-1) for channel in slices]
    return _like(torch.stack(changed).reshape(values.shape), image)


def _like(values: Tensor, given: Tensor) -> Tensor:
    """The values with the metadata and the history of what was given."""
    return MetaTensor(values).copy_meta_from(given) if isinstance(given, MetaTensor) else values
