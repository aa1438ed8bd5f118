"""Mean class probabilities of several networks: over weights files, and over networks of different plans.

Axes: B batch, C input channels, K classes, *S the network's grid, *T the scan's.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from monai.config import KeysCollection
from monai.inferers import Inferer
from monai.transforms import MapTransform
from torch import Tensor, nn

from common.checkpoints.store import load_weights
from common.inference.decision import Vote
from common.inference.own_grid import own_grid
from common.tensors.plain import plain

__all__ = ["Setting", "SettingsVoted", "WeightsEnsembleInferer"]


class WeightsEnsembleInferer(Inferer):
    """The mean of what an inferer gives with each of several weights files.

    The whole image passes once for each file, and its weights are read into the network before.  So memory
    holds one network and, beside what the inferer needs, one sum.

    Args:
        inferer: gives probabilities (B, K, *S), the mean of which makes sense; not logits, not labels.
        weights: of one network, trained with one plan (:func:`common.checkpoints.folds.weights_to_average`).
            With a single file nothing is read: the network is used as it is.
        bundle: whose weights they are.
    """

    def __init__(self, inferer: Callable[..., Tensor], weights: Sequence[str | Path], *, bundle: str) -> None:
        super().__init__()
        self.inferer, self.weights, self.bundle = inferer, [Path(file) for file in weights], bundle

    def __call__(self, inputs: Tensor, network: nn.Module, *args: Any, **kwargs: Any) -> Tensor:
        """(B, C, *S) to mean probabilities (B, K, *S)."""
        if len(self.weights) < 2:
            return self.inferer(inputs, network, *args, **kwargs)
        total: Tensor | None = None
        for file in self.weights:
            load_weights(getattr(network, "module", network), file, bundle=self.bundle, tell=False)
            found = self.inferer(inputs, network, *args, **kwargs)
            found = found.to(torch.promote_types(found.dtype, torch.float32))
            total = found if total is None else total.add_(found)
        assert total is not None, "there are at least two files"
        return total.div_(len(self.weights))


class Setting:
    """A network of another plan, which sees the scan prepared in its own way.

    Args:
        name: in the log.
        network: of its own weights.
        weights: files whose probabilities are averaged.
        preprocessing: ``{"image": FILE}`` to ``{"image": (C, *S)}``, with the record of what was done.
        inferer: gives probabilities (1, K, *S).
        bundle: whose weights they are.
        device: to predict on.
        weight: in the mean of all settings; each file counts alike within.
    """

    def __init__(
        self,
        name: str,
        network: nn.Module,
        weights: Sequence[str | Path],
        *,
        preprocessing: Callable[[dict[str, Any]], Mapping[str, Any]],
        inferer: Callable[..., Tensor],
        bundle: str,
        device: torch.device | str = "cpu",
        weight: float = 1.0,
    ) -> None:
        self.name, self.weights, self.weight = name, [Path(file) for file in weights], weight
        self.preprocessing, self.device, self.bundle = preprocessing, torch.device(device), bundle
        self.network = network.to(self.device).eval()
        self.inferer = WeightsEnsembleInferer(inferer, self.weights, bundle=bundle)
        if len(self.weights) == 1:
            load_weights(self.network, self.weights[0], bundle=bundle)

    def vote(self, file: str | Path | Sequence[str]) -> Vote:
        """The probabilities of a scan, with their grid."""
        image = self.preprocessing({"image": file})["image"]
        with torch.no_grad():
            found = self.inferer(plain(image)[None].to(self.device), self.network)
        return Vote(plain(found)[0], own_grid(image), self.weight)


class SettingsVoted(MapTransform):
    """Append what further settings predict of a case to its votes, for ``DecideOnOwnGridd``.

    Args:
        keys: the case's image, whose file the settings read.
        settings: may be none.
        further_key: where the votes go.
    """

    def __init__(
        self, keys: KeysCollection, settings: Sequence[Setting], *, further_key: str = "further"
    ) -> None:
        super().__init__(keys)
        self.settings, self.further_key = list(settings), further_key

    def __call__(self, data: Mapping[Hashable, Any]) -> dict[Hashable, Any]:
        """Let every setting predict."""
        result = dict(data)
        for key in self.key_iterator(result):
            file = result[key].meta["filename_or_obj"]
            votes = [setting.vote(file) for setting in self.settings]
            result[self.further_key] = [*result.get(self.further_key, ()), *votes]
        return result
