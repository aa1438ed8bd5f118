"""Resampling and intensity scaling as nnU-Net plans them for a data set.

Volumes are (C, D, H, W) tensors with an affine (MONAI ``MetaTensor``); spacing in mm, in (D, H, W).
Source: cotr/docs/method.md#preprocessing; Isensee et al., nnU-Net, Nature Methods 2021, Supplementary Note 2.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping, Sequence

import torch
from monai.config import KeysCollection
from monai.data import MetaTensor
from monai.transforms import Compose, MapTransform, Spacing, Spacingd
from torch import Tensor

__all__ = [
    "OwnKeysSpacingd",
    "PlannedIntensityd",
    "PlannedSpacingLabeld",
    "is_anisotropic",
    "planned_spacing",
    "resample_per_class",
]

#: Mean and standard deviation of ImageNet's red, green and blue in 0..1.
IMAGENET = ((0.485, 0.229), (0.456, 0.224), (0.406, 0.225))
_SCHEMES = ("ct", "zscore", "minmax", "imagenet", "as_is")
ANISOTROPY = 3.0  # above this ratio of spacings the coarsest axis is resampled by nearest neighbour


def is_anisotropic(spacing: Sequence[float]) -> bool:
    """Whether the largest spacing exceeds the smallest more than threefold."""
    return max(spacing) > ANISOTROPY * min(spacing)


def _steps(
    spacing: Sequence[float], order: int | str, own: Sequence[float] | None = None
) -> list[tuple[list[float], int | str]]:
    """(pixdim, interpolation) to apply in turn; a pixdim of -1 leaves its axis alone.

    ``own`` is the scan's spacing, whose coarsest axis comes first where it is anisotropic.
    """
    thick = own if own is not None and is_anisotropic(own) else spacing
    if not is_anisotropic(thick):
        return [(list(spacing), order)]
    coarse = max(range(len(spacing)), key=lambda axis: thick[axis])
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
    keys: KeysCollection, spacing: Sequence[float], *, by_scan: bool = False
) -> Compose | MapTransform:
    """Resample images to a spacing by cubic splines; invertible.

    Where the spacing is anisotropic, its coarsest axis is resampled by nearest neighbour.

    Args:
        keys: images, (C, D, H, W) each.
        spacing: mm, (D, H, W).
        by_scan: where a scan's own spacing is anisotropic, its coarsest axis is the one, whatever the target.
    """
    return _SpacingByScand(keys, spacing) if by_scan else _spline_steps(keys, _steps(spacing, order=3))


def _spline_steps(keys: KeysCollection, steps: Sequence[tuple[list[float], int | str]]) -> Compose:
    return Compose(
        [
            OwnKeysSpacingd(keys, pixdim=pixdim, mode=mode, padding_mode="nearest" if mode == 3 else "border")
            for pixdim, mode in steps
        ]
    )


class _SpacingByScand(MapTransform):
    """Chooses the steps for each image by its own spacing."""

    def __init__(self, keys: KeysCollection, spacing: Sequence[float]) -> None:
        super().__init__(keys)
        self.spacing = list(spacing)

    def __call__(self, data: Mapping[Hashable, Tensor]) -> dict[Hashable, Tensor]:
        result = dict(data)
        for key in self.key_iterator(result):
            steps = _steps(self.spacing, order=3, own=result[key].pixdim.tolist())
            result = _spline_steps(key, steps)(result)
        return result


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


class PlannedSpacingLabeld(MapTransform):
    """Resample label maps to a spacing, linearly class by class (nearest along a coarse axis).

    Args:
        keys: label maps, (1, D, H, W) each.
        spacing: mm, (D, H, W).
        allow_missing_keys: pass cases without the key.
        by_scan: see :func:`planned_spacing`.
    """

    def __init__(
        self,
        keys: KeysCollection,
        spacing: Sequence[float],
        allow_missing_keys: bool = False,
        *,
        by_scan: bool = False,
    ) -> None:
        super().__init__(keys, allow_missing_keys)
        self.spacing, self.by_scan = list(spacing), by_scan
        self.steps = self._linear_steps()

    def _linear_steps(self, own: Sequence[float] | None = None) -> Compose:
        return Compose(
            [
                Spacing(pixdim=pixdim, mode=mode, padding_mode="border")
                for pixdim, mode in _steps(self.spacing, order="bilinear", own=own)
            ]
        )

    def __call__(self, data: Mapping[Hashable, Tensor]) -> dict[Hashable, Tensor]:
        """Resample every key."""
        result = dict(data)
        for key in self.key_iterator(result):
            label = result[key]
            steps = self._linear_steps(label.pixdim.tolist()) if self.by_scan else self.steps
            resampled = resample_per_class(label, steps)
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
        intensity: one scheme per channel.

    Raises:
        ValueError: an unknown scheme, or another number of schemes than the image has channels.
    """

    def __init__(self, keys: KeysCollection, intensity: Sequence[Mapping]) -> None:
        super().__init__(keys)
        for scheme in intensity:
            if scheme.get("scheme") not in _SCHEMES:
                words = ", ".join(f'"{word}"' for word in _SCHEMES)
                raise ValueError(
                    f"PlannedIntensityd: scheme {scheme.get('scheme')!r}; expected one of {words}"
                )
        self.intensity = list(intensity)

    def __call__(self, data: Mapping[Hashable, Tensor]) -> dict[Hashable, Tensor]:
        """Scale every key; float32."""
        result = dict(data)
        for key in self.key_iterator(result):
            image = result[key]
            if image.shape[0] != len(self.intensity):
                raise ValueError(
                    f"PlannedIntensityd: {key} has {image.shape[0]} channels, "
                    f"the plan has {len(self.intensity)} intensity schemes"
                )
            image = image.to(torch.float32, copy=True)
            _scale_together(image, [scheme["scheme"] == "minmax" for scheme in self.intensity])
            for number, (channel, scheme) in enumerate(zip(image, self.intensity, strict=True)):
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
