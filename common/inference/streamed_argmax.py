"""The likeliest class of every voxel from overlapping windows, without a volume of each class.

Windows come in order along one axis.  Where the next ones start further on, the slices before them are
final: their classes are chosen and their sums dropped.  Memory holds the sums of K classes over one patch's
depth along that axis; the axis that saves most is taken.  The sums need not be divided by the weights, which
are the same for all classes of a voxel.

Axes: K classes, *S spatial ones.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import torch
from monai.data import MetaTensor
from torch import Tensor

from common.inference.decision import likeliest
from common.inference.even_windows import EvenWindowInferer, Windows
from common.inference.paired_views import of_both_views
from common.tensors.plain import plain
from common.transforms.paired_flip import Pairs

__all__ = ["LikeliestWindowInferer", "argmax_of_windows", "streamed_argmax"]


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
    return argmax_of_windows(windows, windows.sides, roi_size, axis)[windows.inside][None, None]


def argmax_of_windows(
    windows: Iterable[tuple[Sequence[int], Tensor]], sides: Sequence[int], roi_size: Sequence[int], axis: int
) -> Tensor:
    """The same of any windows, whose scores need not be probabilities.

    Args:
        windows: each one's first voxel and its weighted scores (K, *patch), sorted by ``axis``.
        sides: of the volume, which the windows cover.
        roi_size: the patch in voxels.
        axis: along which slices become final.

    Returns:
        (*S), uint8 for up to 256 classes.
    """
    slab: Tensor | None = None
    decided: Tensor | None = None
    begin = 0  # the volume's slice that is the slab's first
    for corner, weighted in windows:
        if slab is None:
            shape = list(sides)
            shape[axis] = roi_size[axis]
            slab = weighted.new_zeros((len(weighted), *shape))
            decided = likeliest(weighted.new_zeros((len(weighted), 1))).new_empty(tuple(sides))
        if corner[axis] > begin:
            _finish(slab, decided, axis, begin, corner[axis])
            begin = corner[axis]
        at = [slice(low, low + side) for low, side in zip(corner, roi_size, strict=True)]
        at[axis] = slice(None)
        slab[(slice(None), *at)] += weighted
        del weighted  # before the next windows are predicted
    _finish(slab, decided, axis, begin, sides[axis])
    return decided


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


class LikeliestWindowInferer(EvenWindowInferer):
    """Class probabilities by nnU-Net's windows, or the classes that they make likeliest in little memory.

    Args:
        roi_size: the patch in voxels.
        classes: give the likeliest class of each voxel.
        pairs: look at each window's mirror image too, with these channels exchanged, (left, right); None: at
            the window alone.
        left_right: the axis that is mirrored for it, 0 for the first of S.
        settings: of :class:`common.inference.even_windows.EvenWindowInferer`.

    Raises:
        InputError: ``step`` is not in (0, 1].
    """

    def __init__(
        self,
        roi_size: Sequence[int],
        *,
        classes: bool = False,
        pairs: Pairs | None = None,
        left_right: int = 2,
        **settings: Any,
    ) -> None:
        super().__init__(roi_size, **settings)
        self.classes, self.pairs, self.left_right = classes, pairs, left_right

    def __call__(self, inputs: Tensor, network: Callable[..., Tensor], *args: Any, **kwargs: Any) -> Tensor:
        """(B, C, *S) of any size to (B, K, *S), float32, or (B, 1, *S), uint8 for up to 256 classes."""
        if self.pairs is not None:
            network = of_both_views(network, self.pairs, axis=self.left_right)
        if not self.classes:
            return super().__call__(inputs, network, *args, **kwargs)

        def predict(x: Tensor) -> Tensor:
            return network(x, *args, **kwargs)

        found = [
            streamed_argmax(
                image[None],
                predict,
                self.roi_size,
                step=self.step,
                sw_batch_size=self.sw_batch_size,
                mirror_axes=self.mirror_axes,
            )
            for image in plain(inputs)
        ]
        whole = torch.cat(found)
        return MetaTensor(whole).copy_meta_from(inputs) if isinstance(inputs, MetaTensor) else whole
