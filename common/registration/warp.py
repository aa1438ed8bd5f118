"""Sampling of an image at x + phi(x): zero displacement returns the image bit for bit.

Axes: B batch, C channels, d spatial axes (2 or 3), *S spatial sizes of the image, *T those of the points.
Coordinates and displacements are in voxels, channel i belonging to spatial axis i; voxel centres have whole
numbers.

``torch.nn.functional.grid_sample`` wants coordinates scaled to -1..1, and the way there and back leaves
rounding errors of about 1e-6 voxel: its identity is near, not exact.  Here nothing is scaled.

Source: easr_dcn/docs/method.md#warp.
"""

from __future__ import annotations

import itertools

import torch
import torch.nn.functional as F
from torch import Tensor

__all__ = ["identity_points", "sample_at", "warp"]


def warp(
    image: Tensor,
    displacement: Tensor,
    *,
    mode: str = "linear",
    padding: str = "zeros",
    align_corners: bool = True,
) -> Tensor:
    """The image at x + displacement(x).

    Args:
        image: (B, C, *S).
        displacement: (B, d, *S), voxels.
        mode: "linear", or "nearest" for label maps (of any dtype).
        padding: outside of the image, "zeros", or "border": its border values continue.
        align_corners: False is the published behaviour under current PyTorch: coordinates scaled as if
            corners were aligned and read as if they were not, so that x becomes x n / (n - 1) - 1/2 along
            an axis of n voxels.  There is then no identity.

    Returns:
        (B, C, *S), the image's dtype.

    Raises:
        ValueError: the shapes do not fit, or ``mode`` or ``padding`` is unknown.
    """
    if displacement.shape != (image.shape[0], image.ndim - 2, *image.shape[2:]):
        raise ValueError(
            f"warp: image {list(image.shape)}, displacement {list(displacement.shape)}; expected "
            f"{[image.shape[0], image.ndim - 2, *image.shape[2:]]}"
        )
    points = identity_points(image.shape[2:], like=displacement) + displacement
    if not align_corners:
        sizes = torch.tensor(image.shape[2:], dtype=points.dtype, device=points.device)
        stretch = (sizes / (sizes - 1)).reshape(1, -1, *[1] * (image.ndim - 2))
        points = points * stretch - 0.5
    return sample_at(image, points, mode=mode, padding=padding)


def identity_points(shape: tuple[int, ...] | torch.Size, *, like: Tensor) -> Tensor:
    """Coordinates of every voxel: (1, d, *S) on the device of ``like``, float32 or wider."""
    dtype = torch.promote_types(like.dtype, torch.float32)
    axes = [torch.arange(n, dtype=dtype, device=like.device) for n in shape]
    return torch.stack(torch.meshgrid(axes, indexing="ij"))[None]


def sample_at(image: Tensor, points: Tensor, *, mode: str = "linear", padding: str = "zeros") -> Tensor:
    """The image's values between its voxels, differentiable in both arguments (nearest: in the image).

    Args:
        image: (B, C, *S).
        points: (B, d, *T) voxel coordinates.
        mode: "linear" or "nearest".
        padding: "zeros" or "border".

    Returns:
        (B, C, *T), the image's dtype; NaN where a coordinate is NaN (linear).

    Raises:
        ValueError: ``mode`` or ``padding`` is unknown.
    """
    if padding not in ("zeros", "border") or mode not in ("linear", "nearest"):
        raise ValueError(
            f'sample_at: mode={mode!r}, padding={padding!r}; expected "linear" or "nearest", and "zeros" or '
            '"border"'
        )
    if padding == "border":
        points = torch.stack(
            [x.clamp(0, n - 1) for x, n in zip(points.unbind(1), image.shape[2:], strict=True)], 1
        )
    sample = _linear if mode == "linear" else _nearest
    values = sample(image, [x.flatten(1) for x in points.unbind(1)])
    return values.reshape(*image.shape[:2], *points.shape[2:]).to(image.dtype)


def _linear(image: Tensor, points: list[Tensor]) -> Tensor:
    """(B, C, N) at d coordinates of (B, N): corner values, combined axis by axis from the last."""
    sizes = image.shape[2:]
    # A rim of zeros, in which every coordinate outside of the image ends.
    flat = F.pad(image, [1, 1] * len(sizes)).flatten(2)
    strides = _strides([n + 2 for n in sizes])
    first, parts = torch.zeros_like(points[0], dtype=torch.long), []
    for x, n, stride in zip(points, sizes, strides, strict=True):
        x = x.clamp(-1, n)
        low = x.detach().floor().clamp(max=n - 1)
        parts.append((x - low)[:, None])
        # The clamp of integers is for NaN, whose integer is undefined.
        first = first + (low.long() + 1).clamp(0, n) * stride
    corners = [sum(corner) for corner in itertools.product(*((0, stride) for stride in strides))]
    values = [_gather(flat, first + corner) for corner in corners]
    for part in reversed(parts):
        values = [low + part * (high - low) for low, high in zip(values[::2], values[1::2], strict=True)]
    return values[0]


def _nearest(image: Tensor, points: list[Tensor]) -> Tensor:
    """(B, C, N); halves go to the even voxel, as in ``grid_sample``."""
    sizes = image.shape[2:]
    index = torch.zeros_like(points[0], dtype=torch.long)
    inside = torch.ones_like(points[0], dtype=torch.bool)
    for x, n, stride in zip(points, sizes, _strides(sizes), strict=True):
        x = x.detach().round()
        inside = inside & (x >= 0) & (x <= n - 1)
        index = index + x.clamp(0, n - 1).nan_to_num().long() * stride
    values = _gather(image.flatten(2), index)
    return torch.where(inside[:, None], values, torch.zeros_like(values))


def _gather(flat: Tensor, index: Tensor) -> Tensor:
    return flat.gather(2, index[:, None].expand(-1, flat.shape[1], -1))


def _strides(sizes: list[int] | torch.Size) -> list[int]:
    strides = [1]
    for n in reversed(sizes[1:]):
        strides.insert(0, strides[0] * n)
    return strides
