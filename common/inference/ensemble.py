"""Mean class probabilities over several weights files of one network and one plan.

Networks of different plans are averaged where classes are chosen, on the scan's own grid: each gives a
:class:`common.inference.votes.Vote`.

Axes: B batch, C input channels, K classes, *S the network's grid.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from functools import reduce
from pathlib import Path
from typing import Any

import torch
from monai.inferers import Inferer
from torch import Tensor, nn
from torch.nn.functional import logsigmoid

from common.checkpoints.store import load_weights

__all__ = ["MeanNetwork", "WeightsEnsembleInferer"]


class WeightsEnsembleInferer(Inferer):
    """The mean of what an inferer gives with each of several weights files.

    The whole image passes once for each file, and its weights are read into the network before.  So memory
    holds one network and, beside what the inferer needs, one sum.

    Args:
        inferer: gives probabilities (B, K, *S), the mean of which makes sense; not logits.
        weights: of one network, trained with one plan (:func:`common.checkpoints.folds.weights_to_average`).
            With a single file nothing is read: the network is used as it is.
        bundle: whose weights they are.
        at_once: keep a network for each file in memory, and call the inferer once with their
            :class:`MeanNetwork`.  For inferers that choose classes themselves
            (:func:`common.inference.streamed_argmax.streamed_argmax`) and use the network as one function.
        sigmoid: channels are regions, for ``at_once``.
    """

    def __init__(
        self,
        inferer: Callable[..., Tensor],
        weights: Sequence[str | Path],
        *,
        bundle: str,
        at_once: bool = False,
        sigmoid: bool = False,
    ) -> None:
        super().__init__()
        self.inferer, self.weights, self.bundle = inferer, [Path(file) for file in weights], bundle
        self.at_once, self.sigmoid = at_once, sigmoid
        self.mean: MeanNetwork | None = None

    def __call__(self, inputs: Tensor, network: nn.Module, *args: Any, **kwargs: Any) -> Tensor:
        """(B, C, *S) to mean probabilities (B, K, *S).

        Raises:
            ValueError: the inferer gives labels.
        """
        if len(self.weights) < 2:
            return self.inferer(inputs, network, *args, **kwargs)
        if self.at_once:
            if self.mean is None:
                self.mean = MeanNetwork(network, self.weights, bundle=self.bundle, sigmoid=self.sigmoid)
            return self.inferer(inputs, self.mean, *args, **kwargs)
        total: Tensor | None = None
        for file in self.weights:
            load_weights(getattr(network, "module", network), file, bundle=self.bundle, tell=False)
            found = self.inferer(inputs, network, *args, **kwargs)
            if not found.is_floating_point():
                raise ValueError(f"the inferer gives {found.dtype}, no probabilities to average; use at_once")
            found = found.to(torch.promote_types(found.dtype, torch.float32))
            total = found if total is None else total.add_(found)
        assert total is not None, "there are at least two files"
        return total.div_(len(self.weights))


class MeanNetwork(nn.Module):
    """Several networks as one, in eval mode: the softmax of its logits is the mean of theirs.

    Args:
        network: is copied for each file; stays as it is.
        weights: the files.
        bundle: whose weights they are.
        sigmoid: channels are regions, whose sigmoids are averaged.
    """

    def __init__(
        self, network: nn.Module, weights: Sequence[str | Path], *, bundle: str, sigmoid: bool = False
    ) -> None:
        super().__init__()
        inner = getattr(network, "module", network)  # within DistributedDataParallel
        self.networks = nn.ModuleList(copy.deepcopy(inner) for _ in weights)
        for one, file in zip(self.networks, weights, strict=True):
            load_weights(one, file, bundle=bundle, tell=False)
        self.sigmoid = sigmoid
        self.eval()

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, *S) to logits (B, K, *S), float32 or wider, up to a constant of all classes."""
        logits = [one(x) for one in self.networks]
        logits = [one.to(torch.promote_types(one.dtype, torch.float32)) for one in logits]
        if self.sigmoid:
            inside, outside = ([logsigmoid(sign * one) for one in logits] for sign in (1, -1))
            return reduce(torch.logaddexp, inside) - reduce(torch.logaddexp, outside)
        return reduce(torch.logaddexp, [one.log_softmax(dim=1) for one in logits])
