"""The trainer of semi-supervised methods: labels for the first samples of a batch, consistency for all."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch
from monai.engines import SupervisedTrainer
from torch import Tensor

__all__ = ["SemiSupervisedTrainer", "loss_parts"]


class SemiSupervisedTrainer(SupervisedTrainer):
    """Minimise  supervised_weight * loss_function(labelled part) + w(t) * consistency_loss(all).

    A batch holds ``image`` (B, C, *S) and ``label`` (L, 1, *S) of its first L <= B samples, as
    ``common.training.two_stream`` makes it; with L = B it is supervised training.  MONAI's trainer does
    the rest (mixed precision, events, accumulation), so every handler works with this one.

    A method with several passes per batch overrides ``_iteration`` and calls :meth:`one_pass`; one with
    another form of output overrides :meth:`labelled_part`, one with other losses :meth:`total_loss`.

    Args:
        consistency_loss: of the network's training output for the whole batch.
        consistency_weight: w, of the iteration counted from 1.
        supervised_weight: of ``loss_function``.
        settings: as ``monai.engines.SupervisedTrainer`` takes them; ``loss_function`` is the
            supervised one.
    """

    def __init__(
        self,
        *,
        consistency_loss: Callable[[Any], Tensor],
        consistency_weight: Callable[[int], float],
        supervised_weight: float = 1.0,
        **settings: Any,
    ) -> None:
        super().__init__(**settings)
        self.supervised_loss, self.loss_function = self.loss_function, self.total_loss
        self.consistency_loss, self.consistency_weight = consistency_loss, consistency_weight
        self.supervised_weight = supervised_weight
        self.images_and_labels, self.prepare_batch = self.prepare_batch, self._with_arguments
        self.network_arguments: Mapping[str, Any] = {}

    def _with_arguments(self, *args: Any, **kwargs: Any) -> tuple:
        return *self.images_and_labels(*args, **kwargs), (), self.network_arguments

    def _iteration(self, engine: SupervisedTrainer, batchdata: dict[str, Tensor]) -> dict:
        return self.one_pass(batchdata)

    def one_pass(self, batchdata: dict[str, Tensor], **arguments: Any) -> dict:
        """One forward and backward pass and one step of the optimiser.

        Args:
            batchdata: the batch.
            arguments: of the network, besides the image.

        Returns:
            ``image``, ``label``, ``pred``, ``loss``, and the parts ``supervised_loss`` and
            ``consistency_loss`` (neither weighted) with ``consistency_weight``.
        """
        self.network_arguments = arguments
        return super()._iteration(self, batchdata)

    def labelled_part(self, pred: Any, labelled: int) -> Any:
        """The training output for the first samples of the batch."""
        return pred[:labelled] if isinstance(pred, Tensor) else [one[:labelled] for one in pred]

    def total_loss(self, pred: Any, label: Tensor) -> Tensor:
        """The weighted sum; its parts become part of the iteration's output.

        Args:
            pred: the network's training output, a tensor (B, C, *S) or a list of them.
            label: (L, 1, *S), of the first L samples.
        """
        supervised = self.supervised_loss(self.labelled_part(pred, len(label)), label)
        consistency = self.consistency_loss(pred)
        weight = self.consistency_weight(self.state.iteration)
        self.state.output |= {
            "supervised_loss": supervised.detach(),
            "consistency_loss": consistency.detach(),
            "consistency_weight": weight,
        }
        return self.supervised_weight * supervised + weight * consistency


def loss_parts(output: Mapping[str, Any]) -> dict[str, float]:
    """What TensorBoard shows of an iteration: the loss and its unweighted parts."""
    parts = ("loss", "supervised_loss", "consistency_loss", "consistency_weight")
    return {part: float(torch.as_tensor(output[part]).detach()) for part in parts}
