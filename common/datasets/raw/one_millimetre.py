"""CT brought to 1 mm voxels, and cut around an organ, as MC-Net prepares Pancreas-CT.

Axes: (X, Y, Z), index to place by an affine (4, 4), RAS+ mm.  Source: mcnet_plus/docs/method.md#pancreas-ct.
"""

from __future__ import annotations

from collections.abc import Sequence

import nibabel as nib
import numpy as np
from scipy import ndimage

__all__ = ["box_in_plane", "scaled_window", "to_one_millimetre", "turned"]


def turned(array: np.ndarray, affine: np.ndarray, axcodes: str = "LPS") -> tuple[np.ndarray, np.ndarray]:
    """A volume with its axes turned and flipped to an orientation, no value changed, and its affine."""
    image = nib.Nifti1Image(array, affine, dtype=array.dtype)
    wanted = nib.orientations.axcodes2ornt(tuple(axcodes))
    turn = nib.orientations.ornt_transform(nib.io_orientation(affine), wanted)
    image = image.as_reoriented(turn)
    return np.asanyarray(image.dataobj), image.affine


def to_one_millimetre(
    image: np.ndarray, label: np.ndarray, affine: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Image and label on voxels of 1 mm, from the same origin, int(size x spacing) along each axis.

    The image is interpolated by cubic B-splines with mirrored borders, the label by nearest neighbour; both
    are 0 half a voxel and more beyond the last one.

    Args:
        image: (X, Y, Z).
        label: (X, Y, Z).
        affine: of both.

    Returns:
        Image (float32), label (its own dtype) and their affine.
    """
    spacing = np.round(nib.affines.voxel_sizes(affine), 6)  # headers keep it in float32
    sides = [max(1, int(n * s)) for n, s in zip(image.shape, spacing, strict=True)]
    places = [np.arange(side) / s for side, s in zip(sides, spacing, strict=True)]
    inside = [place < n - 0.5 for place, n in zip(places, image.shape, strict=True)]
    fine = ndimage.affine_transform(
        image.astype(np.float64), 1 / spacing, output_shape=sides, output=np.float32, order=3, mode="mirror"
    )
    nearest = [
        np.minimum(np.floor(p + 0.5).astype(int), n - 1) for p, n in zip(places, image.shape, strict=True)
    ]
    within = np.ix_(*inside)
    fine_label = label[np.ix_(*nearest)]
    return _only(fine, within), _only(fine_label, within), affine @ np.diag([*(1 / spacing), 1.0])


def _only(array: np.ndarray, within: Sequence[np.ndarray]) -> np.ndarray:
    """The array with zeros elsewhere."""
    kept = np.zeros_like(array)
    kept[within] = array[within]
    return kept


def box_in_plane(label: np.ndarray, *, smallest: int = 96, margin: int = 25) -> tuple[slice, slice, slice]:
    """What is kept of (X, Y, Z): in x and y the label's box, widened to ``smallest`` and by ``margin``.

    All of z is kept.  The upper end is one voxel nearer to the label than the lower, as published.
    """
    sides = []
    for axis, side in enumerate(label.shape[:2]):
        places = np.flatnonzero(label.any(axis=tuple(other for other in range(3) if other != axis)))
        low, high = int(places[0]), int(places[-1])
        pad = max(smallest - (high - low), 0) // 2 + margin
        sides.append(slice(max(low - pad, 0), min(high + pad, side)))
    return sides[0], sides[1], slice(0, label.shape[2])


def scaled_window(image: np.ndarray, low: float, high: float) -> np.ndarray:
    """HU clipped to [low, high], then mean 0 and standard deviation 1; float32."""
    clipped = (np.clip(image.astype(np.float64), low, high) - low) / (high - low)
    return ((clipped - clipped.mean()) / max(clipped.std(), 1e-8)).astype(np.float32)
