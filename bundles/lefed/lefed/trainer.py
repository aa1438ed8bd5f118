"""LeFeD's training: several passes over each batch, each fed the previous one's discrepancy.

Source: lefed/docs/method.md#one-iteration.
"""

from __future__ import annotations

from typing import Any

from torch import Tensor

from common.training.semi_supervised import SemiSupervisedTrainer
from lefed.feedback import feature_discrepancy, feedback_maps
from lefed.output import LeFeDOutput

__all__ = ["LeFeDTrainer"]


class LeFeDTrainer(SemiSupervisedTrainer):
    """``passes`` times per batch: forward, loss, backward, optimiser step.

    The first pass has no feedback; each later one has that of the pass before.  Momentum and running
    statistics carry over from pass to pass; dropout is redrawn.  The iteration's output is the last pass's,
    with ``feature_discrepancy``.

    A single-decoder network (whose training output is a tensor) has no discrepancy: one supervised pass.

    Args:
        passes: N of the paper; 1 for no feedback.
        feedback_scale: lambda of the paper.
        bottleneck_feedback: also feed back at the deepest stage.
        settings: arguments of ``SemiSupervisedTrainer``.

    Raises:
        ValueError: ``passes`` is below 1.
    """

    def __init__(
        self,
        *,
        passes: int = 3,
        feedback_scale: float = 1e-3,
        bottleneck_feedback: bool = True,
        **settings: Any,
    ) -> None:
        if passes < 1:
            raise ValueError(f"LeFeDTrainer: passes={passes}; expected a whole number from 1")
        super().__init__(**settings)
        self.passes, self.feedback_scale = passes, feedback_scale
        self.bottleneck_feedback = bottleneck_feedback

    def _iteration(self, engine: SemiSupervisedTrainer, batchdata: dict[str, Tensor]) -> dict:
        output = self.one_pass(batchdata)
        if isinstance(output["pred"], Tensor):
            return output
        for _ in range(self.passes - 1):
            output = self.one_pass(batchdata, feedback=self._feedback(output["pred"]))
        pred = output["pred"]
        output["feature_discrepancy"] = feature_discrepancy(pred.features_a, pred.features_b)
        return output

    def _feedback(self, pred: LeFeDOutput) -> list[Tensor]:
        return feedback_maps(
            pred.features_a, pred.features_b, scale=self.feedback_scale, deepest=self.bottleneck_feedback
        )

    def labelled_part(self, pred: LeFeDOutput | Tensor, labelled: int) -> LeFeDOutput | Tensor:
        """The output with every tensor cut to the first samples."""
        if isinstance(pred, Tensor):
            return pred[:labelled]
        return LeFeDOutput(
            *(x[:labelled] if isinstance(x, Tensor) else [one[:labelled] for one in x] for x in pred)
        )
