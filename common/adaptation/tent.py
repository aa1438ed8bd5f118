"""TENT: entropy minimisation over the weights and biases of batch norm, the baseline that drifts.

Source: Wang et al., Tent: Fully Test-Time Adaptation by Entropy Minimization, ICLR 2021.
"""

from __future__ import annotations

import torch
from torch import Tensor

from common.adaptation.affine_stream import AffineStream
from common.losses.entropy.sigmoid_entropy import sigmoid_entropy

__all__ = ["Tent"]


class Tent(AffineStream):
    """For each image, steps of Adam that lower its prediction's entropy, then the prediction.

    Statistics are the image's own.  The original predicts from the pass before the step; here, as for every
    method in this folder, the prediction comes after it.

    Args:
        lr: learning rate; with 0 only the statistics adapt: batch norm on each image's own.
        betas: Adam's decay rates.
        steps: number of steps per image.
        one_sided: see :func:`common.losses.entropy.sigmoid_entropy.sigmoid_entropy`.

    Raises:
        ValueError: ``steps`` is below 1.
    """

    def __init__(
        self,
        *,
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        steps: int = 1,
        one_sided: bool = False,
    ) -> None:
        if steps < 1:
            raise ValueError(f"Tent: steps={steps}; expected a whole number from 1")
        super().__init__(lr=lr, betas=betas)
        self.steps, self.one_sided = steps, one_sided

    def adapt(self, image: Tensor) -> None:
        """Take the steps."""
        for _ in range(self.steps):
            loss = sigmoid_entropy(self.network(image), one_sided=self.one_sided)
            self.step(list(torch.autograd.grad(loss, self.parameters, allow_unused=True)), self.lr)
