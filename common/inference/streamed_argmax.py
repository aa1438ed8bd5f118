"""The likeliest class of every voxel from overlapping windows, without a volume of each class.

Windows come in order along one axis.  Where the next ones start further on, the slices before them are
final: their classes are chosen and their sums dropped.  Memory holds the sums of K classes over one patch's
depth along that axis; the axis that saves most is taken.  The sums need not be divided by the weights, which
are the same for all classes of a voxel.

Axes: K classes, *S spatial ones.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from torch import Tensor

from common.inference.decision import likeliest
from common.inference.even_windows import Windows

__all__ = ["streamed_argmax"]


def streamed_argmax(
    image: Tensor,
    network: Callable[..., Tensor],
    roi_size: Sequence[int],
    *,
    step: float = 0.5,
    sw_batch_size: int = 1,
    mirror_axes: Sequence[int] = (),
) -> Tensor:
    """What ``EvenWindowInferer`` and an argmax give, with sums of one slab instead of the volume.

    Args:
        image: (1, C, *S).
        network: (B, C, *patch) to logits (B, K, *patch).
        roi_size: the patch in voxels.
        step: from one window to the next, a share of the patch, in (0, 1].
        sw_batch_size: windows per call of the network.
        mirror_axes: spatial axes of the test-time mirroring.

    Returns:
        (1, 1, *S), uint8 for up to 256 classes.
    """
    shares = [patch / side for patch, side in zip(roi_size, image.shape[2:], strict=True)]
    axis = shares.index(min(shares))
    windows = Windows(
        image, network, roi_size, step=step, batch=sw_batch_size, mirror_axes=mirror_axes, order=axis
    )
    slab: Tensor | None = None
    decided: Tensor | None = None
    begin = 0  # the volume's slice that is the slab's first
    for corner, weighted in windows:
        if slab is None:
            sides = list(windows.sides)
            sides[axis] = roi_size[axis]
            slab = weighted.new_zeros((len(weighted), *sides))
            decided = likeliest(weighted.new_zeros((len(weighted), 1))).new_empty(windows.sides)
        if corner[axis] > begin:
            _finish(slab, decided, axis, begin, corner[axis])
            begin = corner[axis]
        at = [slice(low, low + side) for low, side in zip(corner, roi_size, strict=True)]
        at[axis] = slice(None)
        slab[(slice(None), *at)] += weighted
        del weighted  # before the next windows are predicted
    _finish(slab, decided, axis, begin, windows.sides[axis])
    return decided[windows.inside][None, None]


def _finish(slab: Tensor, decided: Tensor, axis: int, begin: int, end: int) -> None:
    """Choose the classes of the slices ``begin`` to ``end``, and move the slab on to ``end``."""
    count, depth = end - begin, slab.shape[axis + 1]
    final = min(count, depth)
    decided.narrow(axis, begin, final).copy_(likeliest(slab.narrow(axis + 1, 0, final)))
    kept = depth - final
    for sums in slab:  # one class at a time: source and target overlap
        if kept:
            sums.narrow(axis, 0, kept).copy_(sums.narrow(axis, final, kept).clone())
        sums.narrow(axis, kept, final).zero_()
