"""Streams that learn the weight and bias of every batch norm, on each image's own statistics."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from common.adaptation.affine_norm import affine_parameters, convert_to_own_statistics
from common.adaptation.stream import StreamInferer
from common.adaptation.working_copy import sharing_copy

__all__ = ["AffineStream"]


class AffineStream(StreamInferer):
    """Adam on the batch norms' weights and biases; these and Adam's moments carry over from image to image.

    A subclass implements ``adapt``.

    Args:
        lr: learning rate.
        betas: Adam's decay rates.

    Attributes:
        network: the working copy, once there is one.
        parameters: the weights and biases that are learnt.
    """

    def __init__(self, *, lr: float, betas: tuple[float, float] = (0.9, 0.999)) -> None:
        super().__init__()
        self.lr, self.betas = lr, tuple(betas)
        self.network: nn.Module | None = None
        self.parameters: list[nn.Parameter] = []

    @abstractmethod
    def adapt(self, image: Tensor) -> None:
        """Update ``parameters`` from an image (1, C, H, W)."""

    def build(self, network: nn.Module, image: Tensor) -> None:
        """A copy whose norms use each image's own statistics."""
        self.network = sharing_copy(network)
        self.parameters = affine_parameters(convert_to_own_statistics(self.network))
        # The network's own, in the same order: a reset goes back to these.
        self._source = affine_parameters([m for m in network.modules() if isinstance(m, _BatchNorm)])

    def begin(self) -> None:
        """The source's weights and biases, and an optimiser without moments."""
        with torch.no_grad():
            for parameter, source in zip(self.parameters, self._source, strict=True):
                parameter.copy_(source)
        self.optimizer = torch.optim.Adam(self.parameters, lr=self.lr, betas=self.betas)

    def adapt_and_predict(self, image: Tensor) -> Tensor:
        """Adapt, then predict in one forward pass."""
        self.adapt(image)
        with torch.no_grad():
            return self.network(image)

    def step(self, gradients: list[Tensor | None], lr: float) -> None:
        """One step of Adam; parameters without a gradient do not change."""
        for group in self.optimizer.param_groups:
            group["lr"] = lr
        for parameter, gradient in zip(self.parameters, gradients, strict=True):
            parameter.grad = gradient
        self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=True)

    def own_state(self) -> dict[str, Any]:
        """Weights, biases and the optimiser's state."""
        return {
            "parameters": [parameter.detach() for parameter in self.parameters],
            "optimizer": self.optimizer.state_dict(),
        }

    def restore_own(self, state: Mapping[str, Any]) -> None:
        """Weights, biases and the optimiser's state."""
        with torch.no_grad():
            for parameter, saved in zip(self.parameters, state["parameters"], strict=True):
                parameter.copy_(saved)
        self.optimizer.load_state_dict(state["optimizer"])
