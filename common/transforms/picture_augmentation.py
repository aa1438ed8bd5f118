"""Deformation, rotation and scaling of pictures with their masks, in one resampling.

Axes: C channels, (H, W).  Source: trid/docs/method.md#augmentation-of-fundus-pictures.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
import torch
from monai.config import KeysCollection
from monai.data import MetaTensor
from monai.transforms import MapTransform, Randomizable
from scipy.ndimage import fourier_gaussian, gaussian_filter, map_coordinates
from torch import Tensor

from common.transforms.draws import around_one
from common.transforms.label_shares import resample_shares

__all__ = ["Deformation", "RandDeformPictured", "deform_picture"]


@dataclass(frozen=True)
class Deformation:
    """What happens to one sample; a part that is None is left out.

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
        """Whether nothing happens."""
        return self.angle is None and self.scale is None and self.displacement is None


def deform_picture(image: Tensor, deformation: Deformation, *, is_label: bool = False) -> Tensor:
    """Resample (C, H, W) once; what comes from outside is 0.

    Args:
        image: pictures are resampled by cubic splines; a label's pixel gets the class that fills half
            of it.
        deformation: see :class:`Deformation`.
        is_label: (1, H, W) of class numbers.
    """
    places = _places(image.shape[1:], deformation)

    def resampled(channel: np.ndarray, order: int) -> np.ndarray:
        return map_coordinates(channel, places, order=order, mode="constant", cval=0.0)

    if is_label:
        channels = [resample_shares(one, partial(resampled, order=1)) for one in image.numpy()]
    else:
        channels = [resampled(one, order=3) for one in image.float().numpy()]
    return torch.from_numpy(np.stack(channels))


def _places(shape: Sequence[int], deformation: Deformation) -> np.ndarray:
    """(2, H, W): row and column that each pixel is taken from."""
    centre = [(side - 1) / 2 for side in shape]
    y, x = np.meshgrid(*(np.arange(n) - c for n, c in zip(shape, centre, strict=True)), indexing="ij")
    if deformation.displacement is not None:
        y, x = y + deformation.displacement[0], x + deformation.displacement[1]
    if deformation.angle is not None:
        cos, sin = np.cos(deformation.angle), np.sin(deformation.angle)
        y, x = cos * y - sin * x, sin * y + cos * x
    if deformation.scale is not None:
        y, x = y * deformation.scale, x * deformation.scale
    return np.stack([y + centre[0], x + centre[1]])


class RandDeformPictured(MapTransform, Randomizable):
    """Elastic deformation, rotation and scaling, each with a probability of its own.

    The deformation's smoothness is sigma = s * H pixels with s drawn once for both axes; its largest
    displacement along each axis is drawn between sigma / 8 and sigma / 2.  With ``alpha`` it is another:
    noise from [-1, 1], 0 outside, smoothed with a sigma in pixels, times alpha; both are drawn once for both
    axes.

    Args:
        keys: pictures (C, H, W), all of one size.
        label_keys: those among them that hold class numbers.
        prob: of each of the three.
        angle: largest rotation in degrees, to either side.
        scale: smallest and largest scale around 1; half of the time below 1, half above.
        smoothness: range of s.
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
            scale = around_one(self.R.uniform, *self.scale)
        self.drawn = Deformation(angle=angle, scale=scale, displacement=displacement)

    def _displacement(self, shape: Sequence[int]) -> np.ndarray:
        if self.alpha is not None:
            alpha, sigma = self.R.uniform(*self.alpha), self.R.uniform(*self.sigma)
            fields = [
                alpha * gaussian_filter(self._noise(shape), sigma, mode="constant", cval=0.0) for _ in shape
            ]
            return np.stack(fields).astype(np.float32)
        sigma = self.R.uniform(*self.smoothness) * shape[0]
        fields = []
        for _ in shape:
            # Smoothed by a periodic Gaussian: its transform is known, however wide it is.
            field = np.fft.ifft2(fourier_gaussian(np.fft.fft2(self._noise(shape)), sigma)).real
            largest = max(float(np.abs(field).max()), 1e-12)
            fields.append(self.R.uniform(sigma / 8, sigma / 2) * field / largest)
        return np.stack(fields).astype(np.float32)

    def _noise(self, shape: Sequence[int]) -> np.ndarray:
        return self.R.uniform(-1, 1, tuple(shape))

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
