"""The probability of a boundary beside those of the classes, from windows over whole images.

Axes: B batch, C input channels, K classes, *S two or three spatial ones.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping, Sequence
from copy import deepcopy
from typing import Any

import torch
from monai.config import KeysCollection
from monai.data import MetaTensor
from monai.transforms import MapTransform
from torch import Tensor

from common.errors import InputError
from common.inference.decision import mean_on_own_grid
from common.inference.even_windows import EvenWindowInferer
from common.inference.own_grid import own_grid
from common.tensors.plain import plain

__all__ = ["BoundaryWindowInferer", "OnOwnGridd", "SplitBoundaryd"]


class BoundaryWindowInferer(EvenWindowInferer):
    """Class probabilities, and on request the probability of a boundary as one more channel.

    Args:
        roi_size: the patch in voxels.
        overlap: of neighbouring windows, a share of the patch, at least 0, below 1.
        boundaries: append the probability of a boundary, which the network's ``with_boundary`` gives; if not,
            any network will do.
        settings: further ones of ``EvenWindowInferer``.

    Raises:
        InputError: the boundary was asked for, and the network has no boundary decoder.
    """

    def __init__(
        self, roi_size: Sequence[int], *, overlap: float = 0.5, boundaries: bool = False, **settings: Any
    ) -> None:
        super().__init__(roi_size, step=1 - overlap, **settings)
        self.boundaries = boundaries

    def __call__(self, inputs: Tensor, network: Callable[..., Tensor], *args: Any, **kwargs: Any) -> Tensor:
        """(B, C, *S) of any size to probabilities (B, K or K + 1, *S), float32."""
        if not self.boundaries:
            return super().__call__(inputs, network, *args, **kwargs)
        inner = getattr(network, "module", network)  # within DistributedDataParallel
        if not hasattr(inner, "with_boundary"):
            raise InputError(
                "boundaries: this network has no boundary decoder; leave --boundaries out, or take a BA-Net"
            )
        both = super().__call__(inputs, lambda x: _joint_logits(inner.with_boundary(x)))
        return 2 * both[:, :-1]


def _joint_logits(output: Tensor) -> Tensor:
    """Logits of one distribution, half of which the classes share, half boundary and no boundary.

    Args:
        output: class logits and the probability of a boundary, (B, K + 1, *S).

    Returns:
        (B, K + 2, *S).  Windows and mirrored views average what a softmax makes of it.
    """
    classes, boundary = output[:, :-1].float(), output[:, -1:].float()
    return torch.cat([classes.log_softmax(1), boundary.log(), (1 - boundary).log()], dim=1)


class SplitBoundaryd(MapTransform):
    """Move the probability of a boundary, if there is one behind those of the classes, to ``boundary``.

    Args:
        keys: probabilities (K or K + 1, *S).
        classes: K.
    """

    def __init__(self, keys: KeysCollection, *, classes: int) -> None:
        super().__init__(keys)
        self.classes = classes

    def __call__(self, data: Mapping[Hashable, Any]) -> dict[Hashable, Any]:
        """Classes stay under their key."""
        result = dict(data)
        for key in self.key_iterator(data):
            both = result[key]
            if len(both) > self.classes:
                result[key], result["boundary"] = both[: self.classes], both[self.classes :]
        return result


class OnOwnGridd(MapTransform):
    """Bring probabilities from the network's grid to the scan's own, linearly, with the scan's affine.

    Where the network's grid does not reach they are 0.

    Args:
        keys: probabilities (K, *S), which become (K, *T), float32.
        orig_keys: the image that the network saw, with the record of its preprocessing.
        allow_missing_keys: pass cases without the key.
    """

    def __init__(
        self, keys: KeysCollection, orig_keys: str = "image", *, allow_missing_keys: bool = False
    ) -> None:
        super().__init__(keys, allow_missing_keys)
        self.orig_keys = orig_keys

    def __call__(self, data: Mapping[Hashable, Any]) -> dict[Hashable, Any]:
        """Every key, slab by slab."""
        result = dict(data)
        image: MetaTensor = result[self.orig_keys]
        grid = own_grid(image)
        for key in self.key_iterator(data):
            values = plain(result[key]).detach().float()
            found = values.new_zeros((len(values), *grid.shape))
            for voxels, part in mean_on_own_grid(values, grid, regions=True):
                found[(slice(None), *voxels)] = part
            meta = {**deepcopy(image.meta), "affine": torch.from_numpy(grid.affine)}
            result[key] = MetaTensor(found, meta=meta)
        return result
