"""Deformation, rotation and scaling of pictures with their masks, in one resampling.

Axes: C channels, (H, W).  Source: trid/docs/method.md#augmentation-of-fundus-pictures.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from monai.config import KeysCollection
from monai.data import MetaTensor
from monai.transforms import MapTransform, Randomizable
from torch import Tensor
from torch.nn import functional

__all__ = ["Deformation", "RandDeformPictured", "deform_picture"]


@dataclass(frozen=True)
class Deformation:
    """What one sample gets; a part that is None does not happen.

    Attributes:
        angle: rotation about the centre, radians.
        scale: factor on the distance from the centre at which a pixel looks: above 1 the picture shrinks.
        displacement: (2, H, W) float32, rows and columns, in pixels.
    """

    angle: float | None = None
    scale: float | None = None
    displacement: np.ndarray | None = None

    @property
    def is_identity(self) -> bool:
        """Nothing happens."""
        return self.angle is None and self.scale is None and self.displacement is None


def deform_picture(image: Tensor, deformation: Deformation, *, is_label: bool = False) -> Tensor:
    """Resample (C, H, W) once; what comes from outside is 0.

    Args:
        image: pictures are resampled by cubic splines, labels linearly class by class, so that a
            pixel gets the class with the largest share.
        deformation: see :class:`Deformation`.
        is_label: (1, H, W) of class numbers.
    """
    grid = _sampling_grid(image.shape[1:], deformation)[None]
    if not is_label:
        return _sample(image.float(), grid, "bicubic")
    values = torch.unique(image)
    shares = torch.cat([_sample((image == value).float(), grid, "bilinear") for value in values])
    inside = shares.sum(dim=0, keepdim=True) >= 0.5
    return torch.where(inside, values[shares.argmax(dim=0, keepdim=True)], torch.zeros_like(values[0]))


def _sample(image: Tensor, grid: Tensor, mode: str) -> Tensor:
    return functional.grid_sample(image[None], grid, mode=mode, padding_mode="zeros", align_corners=False)[0]


def _sampling_grid(shape: Sequence[int], deformation: Deformation) -> Tensor:
    """(H, W, 2), x and y in -1..1 as ``grid_sample`` takes them."""
    height, width = shape
    y, x = np.meshgrid(
        np.arange(height) - (height - 1) / 2, np.arange(width) - (width - 1) / 2, indexing="ij"
    )
    if deformation.displacement is not None:
        y, x = y + deformation.displacement[0], x + deformation.displacement[1]
    if deformation.angle is not None:
        cos, sin = np.cos(deformation.angle), np.sin(deformation.angle)
        y, x = cos * y - sin * x, sin * y + cos * x
    if deformation.scale is not None:
        y, x = y * deformation.scale, x * deformation.scale
    return torch.from_numpy(np.stack([2 * x / width, 2 * y / height], axis=-1)).float()


class RandDeformPictured(MapTransform, Randomizable):
    """Elastic deformation, rotation and scaling, each with a probability of its own.

    The deformation's smoothness is sigma = s * H pixels with s drawn once for both axes; its largest
    displacement along each axis is drawn between sigma / 8 and sigma / 2.  With ``alpha`` it is another:
    noise from [-1, 1], smoothed with a sigma in pixels, times alpha; both are drawn once for both axes.

    Args:
        keys: pictures (C, H, W), all of one size.
        label_keys: those among them that hold class numbers.
        prob: of each of the three.
        angle: largest rotation in degrees, to either side.
        scale: smallest and largest scale around 1; half of the time below 1, half above.
        smoothness: range of s; a sigma below a pixel deforms nothing.
        alpha: range of alpha; None: the deformation by ``smoothness``.
        sigma: range in pixels, with ``alpha``.
        allow_missing_keys: pass cases without a key.
    """

    def __init__(
        self,
        keys: KeysCollection,
        *,
        label_keys: Sequence[str] = ("label",),
        prob: float = 0.1,
        angle: float = 15.0,
        scale: Sequence[float] = (0.75, 1.25),
        smoothness: Sequence[float] = (0.0, 0.25),
        alpha: Sequence[float] | None = None,
        sigma: Sequence[float] = (9.0, 13.0),
        allow_missing_keys: bool = False,
    ) -> None:
        super().__init__(keys, allow_missing_keys)
        self.label_keys, self.prob = tuple(label_keys), prob
        self.angle, self.scale, self.smoothness = float(np.deg2rad(angle)), tuple(scale), tuple(smoothness)
        self.alpha, self.sigma = None if alpha is None else tuple(alpha), tuple(sigma)
        self.drawn = Deformation()

    def randomize(self, shape: Sequence[int]) -> None:
        """Draw for a picture of (H, W) pixels."""
        displacement = self._displacement(shape) if self.R.random() < self.prob else None
        angle = self.R.uniform(-self.angle, self.angle) if self.R.random() < self.prob else None
        scale = None
        if self.R.random() < self.prob:
            low, high = self.scale
            scale = self.R.uniform(low, 1) if self.R.random() < 0.5 else self.R.uniform(1, high)
        self.drawn = Deformation(angle=angle, scale=scale, displacement=displacement)

    def _displacement(self, shape: Sequence[int]) -> np.ndarray | None:
        if self.alpha is not None:
            alpha, sigma = self.R.uniform(*self.alpha), self.R.uniform(*self.sigma)
            return np.stack([alpha * self._smooth_noise(shape, sigma) for _ in shape]).astype(np.float32)
        sigma = self.R.uniform(*self.smoothness) * shape[0]
        if sigma < 1:
            return None
        fields = []
        for _ in shape:
            field = self._smooth_noise(shape, sigma)
            largest = max(float(np.abs(field).max()), 1e-12)
            fields.append(self.R.uniform(sigma / 8, sigma / 2) * field / largest)
        return np.stack(fields).astype(np.float32)

    def _smooth_noise(self, shape: Sequence[int], sigma: float) -> np.ndarray:
        """(H, W): noise from [-1, 1], smoothed."""
        # Smoothed by a periodic Gaussian: its transform is known, however wide it is.
        rows, columns = (np.fft.fftfreq(n) for n in shape)
        window = np.exp(-2 * (np.pi * sigma) ** 2 * (rows[:, None] ** 2 + columns**2))
        return np.fft.ifft2(np.fft.fft2(self.R.uniform(-1, 1, tuple(shape))) * window).real

    def __call__(self, data: Mapping[Hashable, Tensor]) -> dict[Hashable, Tensor]:
        """Draw once, apply to every key."""
        result = dict(data)
        keys = list(self.key_iterator(result))
        if not keys:
            return result
        self.randomize(result[keys[0]].shape[1:])
        if self.drawn.is_identity:
            return result
        for key in keys:
            image = result[key]
            plain = image.as_tensor() if isinstance(image, MetaTensor) else image
            deformed = deform_picture(plain, self.drawn, is_label=key in self.label_keys)
            result[key] = MetaTensor(deformed, meta=image.meta) if isinstance(image, MetaTensor) else deformed
        return result
