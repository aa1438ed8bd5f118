"""Resampling and intensity scaling as nnU-Net plans them for a data set.

Volumes are (C, D, H, W) tensors with an affine (MONAI ``MetaTensor``); spacing in mm, in (D, H, W).  A plan
for several modalities has a spacing and an intensity for each; a case then says its own under ``modality``.
Source: cotr/docs/method.md#preprocessing; Isensee et al., nnU-Net, Nature Methods 2021, Supplementary Note 2.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping, Sequence
from itertools import chain
from typing import Any, TypeVar

import torch
from monai.config import KeysCollection
from monai.data import MetaTensor
from monai.transforms import Compose, InvertibleTransform, MapTransform, Spacing, Spacingd, Transform
from torch import Tensor

from common.datasets.lists.modalities import modality_of_case
from common.datasets.plan.modalities import is_by_modality, of_modality

__all__ = [
    "OwnKeysSpacingd",
    "PlannedIntensityd",
    "PlannedSpacingLabeld",
    "is_anisotropic",
    "label_steps",
    "planned_spacing",
    "resample_per_class",
]

Planned = TypeVar("Planned")

#: Mean and standard deviation of ImageNet's red, green and blue in 0..1.
IMAGENET = ((0.485, 0.229), (0.456, 0.224), (0.406, 0.225))
_SCHEMES = ("ct", "zscore", "minmax", "imagenet", "as_is")
ANISOTROPY = 3.0  # above this ratio of spacings the coarsest axis is resampled by nearest neighbour


def is_anisotropic(spacing: Sequence[float]) -> bool:
    """Whether the largest spacing exceeds the smallest more than threefold."""
    return max(spacing) > ANISOTROPY * min(spacing)


def _coarse_axis(spacing: Sequence[float], original: Sequence[float] | None = None) -> int | None:
    """The axis to take the nearest slice along: that of the first anisotropic one of the two spacings."""
    for one in (spacing,) if original is None else (original, spacing):
        if is_anisotropic(one):
            return max(range(len(one)), key=lambda axis: one[axis])
    return None


def _steps(
    spacing: Sequence[float], order: int | str, coarse: int | None
) -> list[tuple[list[float], int | str]]:
    """(pixdim, interpolation) to apply in turn; a pixdim of -1 leaves its axis alone."""
    if coarse is None:
        return [(list(spacing), order)]
    fine = [-1.0 if axis == coarse else s for axis, s in enumerate(spacing)]
    across = [s if axis == coarse else -1.0 for axis, s in enumerate(spacing)]
    return [(fine, order), (across, "nearest")]


class OwnKeysSpacingd(Spacingd):
    """MONAI's ``Spacingd``, shown nothing of the sample but its keys.

    For the key ``image``, MONAI 1.6.1's takes every value whose key begins with ``image_`` for a
    dict of metadata, and fails on the ``image_path`` that MONAI Label adds.
    """

    def __call__(self, data: Mapping[Hashable, Tensor], lazy: bool | None = None) -> dict[Hashable, Tensor]:
        """Resample every key."""
        own = {key: data[key] for key in self.key_iterator(data)}
        return {**data, **super().__call__(own, lazy)}


def planned_spacing(
    keys: KeysCollection,
    spacing: Sequence[float] | Mapping[str, Sequence[float]],
    *,
    by_original: bool = False,
) -> Transform:
    """Resample images to a spacing by cubic splines; invertible unless ``by_original``.

    Where the spacing is anisotropic, its coarsest axis is resampled by nearest neighbour.

    Args:
        keys: images, (C, D, H, W) each.
        spacing: mm, (D, H, W); or these for each modality by name.
        by_original: take the nearest slice along the coarsest axis of an image that is itself anisotropic,
            whatever the spacing is, as nnU-Net does.
    """
    if is_by_modality(spacing):
        return _ByModality(
            {name: planned_spacing(keys, mm, by_original=by_original) for name, mm in spacing.items()}
        )
    if by_original:
        return _SpacingByOriginald(keys, spacing)
    return _image_steps(keys, spacing, _coarse_axis(spacing))


def _image_steps(keys: KeysCollection, spacing: Sequence[float], coarse: int | None) -> Compose:
    return Compose(
        [
            OwnKeysSpacingd(keys, pixdim=pixdim, mode=mode, padding_mode="nearest" if mode == 3 else "border")
            for pixdim, mode in _steps(spacing, 3, coarse)
        ]
    )


class _SpacingByOriginald(MapTransform):
    """Resample each image by the rule of its own spacing."""

    def __init__(self, keys: KeysCollection, spacing: Sequence[float]) -> None:
        super().__init__(keys)
        self.spacing = list(spacing)

    def __call__(self, data: Mapping[Hashable, Any]) -> dict[Hashable, Any]:
        result = dict(data)
        for key in self.key_iterator(result):
            coarse = _coarse_axis(self.spacing, result[key].pixdim.tolist())
            result[key] = _image_steps(key, self.spacing, coarse)({key: result[key]})[key]
        return result


class _ByModality(InvertibleTransform):
    """The transform of a case's modality."""

    def __init__(self, transforms: Mapping[str, Transform]) -> None:
        self.transforms = dict(transforms)

    def __call__(self, data: Mapping[Hashable, Any]) -> Any:
        return _of_case(self.transforms, data)(data)

    def inverse(self, data: Mapping[Hashable, Any]) -> Any:
        return _of_case(self.transforms, data).inverse(data)


def _of_case(planned: Mapping[str, Planned], data: Mapping[Hashable, Any]) -> Planned:
    image = next((value for value in data.values() if isinstance(value, MetaTensor)), None)
    file = "the image" if image is None else image.meta.get("filename_or_obj", "the image")
    return of_modality(planned, modality_of_case(data), str(file))


def resample_per_class(label: Tensor, resample: Callable[[Tensor], Tensor]) -> Tensor:
    """Resample a label map class by class: each voxel gets the class with the largest share.

    One class at a time, so that it takes the memory of two volumes.

    Args:
        label: (1, D, H, W) with whole numbers.
        resample: takes a mask (1, D, H, W) of 0 and 1 and returns its resampled fractions.

    Returns:
        (1, D', H', W'), of the type of ``label``.
    """
    best: Tensor | None = None
    winner: Tensor | None = None
    for value in torch.unique(label):
        share = resample((label == value).to(torch.float32))
        if winner is None or best is None:
            winner, best = torch.full_like(share, float(value)), share.clone()
        else:
            # A tie goes to the higher class, as in nnU-Net; where no class has a share, the lowest wins.
            larger = (share >= best) & (share > 0)
            winner[larger], best[larger] = float(value), share[larger]
    assert winner is not None, "a label map has at least one value"
    return winner.to(label.dtype)


def label_steps(spacing: Sequence[float], original: Sequence[float] | None = None) -> Compose:
    """How the share of a class is resampled to a spacing in mm, (D, H, W); see :func:`planned_spacing`."""
    return Compose(
        [
            Spacing(pixdim=pixdim, mode=mode, padding_mode="border")
            for pixdim, mode in _steps(spacing, "bilinear", _coarse_axis(spacing, original))
        ]
    )


class PlannedSpacingLabeld(MapTransform):
    """Resample label maps to a spacing, linearly class by class (nearest along a coarse axis).

    Args:
        keys: label maps, (1, D, H, W) each.
        spacing: mm, (D, H, W); or these for each modality by name.
        allow_missing_keys: pass cases without the key.
        by_original: as in :func:`planned_spacing`.
    """

    def __init__(
        self,
        keys: KeysCollection,
        spacing: Sequence[float] | Mapping[str, Sequence[float]],
        allow_missing_keys: bool = False,
        *,
        by_original: bool = False,
    ) -> None:
        super().__init__(keys, allow_missing_keys)
        self.spacing, self.by_original = spacing, by_original

    def __call__(self, data: Mapping[Hashable, Tensor]) -> dict[Hashable, Tensor]:
        """Resample every key."""
        result = dict(data)
        spacing = _of_case(self.spacing, data) if is_by_modality(self.spacing) else self.spacing
        for key in self.key_iterator(result):
            label = result[key]
            original = label.pixdim.tolist() if self.by_original else None
            resampled = resample_per_class(label, label_steps(spacing, original))
            if isinstance(resampled, MetaTensor) and isinstance(label, MetaTensor):
                resampled.meta = {**label.meta, "affine": resampled.affine}
            result[key] = resampled
        return result


class PlannedIntensityd(MapTransform):
    """Scale intensities by the plan's scheme for every channel.

    ``{"scheme": "ct", "clip": [lo, hi], "mean": m, "sd": s}``: clip (HU), subtract m, divide by s, all
    from the training foreground.  ``{"scheme": "zscore"}``: subtract the channel's own mean, divide
    by its own standard deviation.  ``{"scheme": "minmax"}``: all such channels of the image together to
    0..1.  ``{"scheme": "imagenet"}``: 8-bit red, green and blue, minus the public mean of that channel, then
    divided by its standard deviation.  ``{"scheme": "as_is"}``: the files are scaled already.

    Args:
        keys: images, (C, *spatial) each.
        intensity: one scheme per channel; or these for each modality by name.

    Raises:
        ValueError: an unknown scheme, or another number of schemes than the image has channels.
    """

    def __init__(
        self, keys: KeysCollection, intensity: Sequence[Mapping] | Mapping[str, Sequence[Mapping]]
    ) -> None:
        super().__init__(keys)
        of_each = intensity.values() if is_by_modality(intensity) else [intensity]
        for scheme in chain.from_iterable(of_each):
            if scheme.get("scheme") not in _SCHEMES:
                words = ", ".join(f'"{word}"' for word in _SCHEMES)
                raise ValueError(
                    f"PlannedIntensityd: scheme {scheme.get('scheme')!r}; expected one of {words}"
                )
        self.intensity = intensity

    def __call__(self, data: Mapping[Hashable, Tensor]) -> dict[Hashable, Tensor]:
        """Scale every key; float32."""
        result = dict(data)
        schemes = _of_case(self.intensity, data) if is_by_modality(self.intensity) else self.intensity
        for key in self.key_iterator(result):
            image = result[key]
            if image.shape[0] != len(schemes):
                raise ValueError(
                    f"PlannedIntensityd: {key} has {image.shape[0]} channels, "
                    f"the plan has {len(schemes)} intensity schemes"
                )
            image = image.to(torch.float32, copy=True)
            _scale_together(image, [scheme["scheme"] == "minmax" for scheme in schemes])
            for number, (channel, scheme) in enumerate(zip(image, schemes, strict=True)):
                _scale(channel, scheme, number)
            result[key] = image
        return result


def _scale_together(image: Tensor, chosen: Sequence[bool]) -> None:
    """The chosen channels to 0..1, with one minimum and one maximum."""
    numbers = [number for number, yes in enumerate(chosen) if yes]
    if not numbers:
        return
    low = min(image[number].min() for number in numbers)
    extent = (max(image[number].max() for number in numbers) - low).clamp_min(1e-8)
    for number in numbers:
        image[number].sub_(low).div_(extent)


def _scale(channel: Tensor, scheme: Mapping, number: int) -> None:
    if scheme["scheme"] == "ct":
        channel.clamp_(*scheme["clip"]).sub_(scheme["mean"]).div_(scheme["sd"])
    elif scheme["scheme"] == "zscore":
        mean, sd = channel.mean(), channel.std()
        channel.sub_(mean).div_(sd.clamp_min(1e-8))
    elif scheme["scheme"] == "imagenet":
        mean, sd = IMAGENET[number % len(IMAGENET)]
        channel.div_(255).sub_(mean).div_(sd)
