"""VPTTA at test time: one prompt per image, and a network that never changes.

Source: Chen et al., Each Test Image Deserves A Specific Prompt, CVPR 2024 (vptta/docs/method.md#test-time).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from common.adaptation.aligning_norm import AligningNorm, WarmUp, alignment_loss, convert_to_aligning
from common.adaptation.prompt import LowFrequencyPrompt
from common.adaptation.prompt_memory import PromptMemory
from common.adaptation.stream import StreamInferer
from common.adaptation.working_copy import sharing_copy
from common.tensors.fourier import window_side

__all__ = ["PromptInferer"]


class PromptInferer(StreamInferer):
    """One Adam step on the prompt, to reduce the distance of the feature statistics; then the prediction.

    The prompt starts from the memory's most similar images, or from ones; Adam's moments carry over from
    image to image although the prompt does not.

    Args:
        image_size: H of the published, square images; with ``prompt_alpha`` it sets the window's side.
        prompt_alpha: share of the image size.
        channels: of the image.
        lr: of Adam: 0.05 for fundus images, 0.01 for polyps.
        betas: of Adam.
        tau: how slowly the source's statistics take over (:class:`common.adaptation.aligning_norm.WarmUp`).
        memory_size: S; 0 for no memory.
        neighbours: K.
        temperature: of the softmax over the neighbours' similarities.
        within: name of the submodule whose batch norms adapt; by default the whole network.
        channel_roll: as published, see :class:`common.adaptation.prompt.LowFrequencyPrompt`.

    Attributes:
        prompt: of the last image, once there has been one.
        loss: of the last image, before the step.

    Raises:
        ValueError: more neighbours than the memory holds, or none; or another argument out of range.
    """

    def __init__(
        self,
        *,
        image_size: int = 512,
        prompt_alpha: float = 0.01,
        channels: int = 3,
        lr: float = 0.05,
        betas: tuple[float, float] = (0.9, 0.99),
        tau: float = 5.0,
        memory_size: int = 40,
        neighbours: int = 16,
        temperature: float = 0.2,
        within: str = "",
        channel_roll: bool = True,
    ) -> None:
        super().__init__()
        if memory_size and not 1 <= neighbours <= memory_size:
            raise ValueError(
                f"PromptInferer: neighbours={neighbours}, memory_size={memory_size}; expected 1..memory_size"
            )
        self.side = window_side(image_size, prompt_alpha)
        self.channels, self.channel_roll = channels, channel_roll
        self.warm_up = WarmUp(tau)
        self.memory = PromptMemory(memory_size, temperature=temperature) if memory_size else None
        self.lr, self.betas = lr, tuple(betas)
        self.neighbours, self.within = neighbours, within
        self.network: nn.Module | None = None
        self.prompt: LowFrequencyPrompt | None = None
        self.layers: list[AligningNorm] = []
        self.loss = float("nan")

    def build(self, network: nn.Module, image: Tensor) -> None:
        """A copy of the network with aligning norms, and a prompt on the image's device."""
        self.network = sharing_copy(network)
        self.layers = convert_to_aligning(self.network, self.warm_up, within=self.within)
        prompt = LowFrequencyPrompt(self.side, channels=self.channels, channel_roll=self.channel_roll)
        self.prompt = prompt.to(image.device)

    def begin(self) -> None:
        """Start with an empty memory and a fresh optimiser."""
        if self.memory is not None:
            self.memory.clear()
        self.optimizer = torch.optim.Adam(self.prompt.parameters(), lr=self.lr, betas=self.betas)

    def adapt_and_predict(self, image: Tensor) -> Tensor:
        """(1, C, H, W) to logits (1, K, H, W)."""
        self.warm_up.images = self.images
        coefficients = self.prompt.coefficients(image)
        key = self.prompt.key(coefficients)
        self._start_from(self._first_guess(key))
        self._step(image, coefficients)
        with torch.no_grad():
            logits = self.network(self.prompt(image, coefficients))
        if self.memory is not None:
            self.memory.push(key, self.prompt.factors)
        return logits

    def _first_guess(self, key: Tensor) -> Tensor:
        if self.memory is None or len(self.memory) < self.neighbours:
            return torch.ones_like(self.prompt.factors)
        return self.memory.recall(key, self.neighbours)

    def _start_from(self, factors: Tensor) -> None:
        with torch.no_grad():
            self.prompt.factors.copy_(factors)

    def _step(self, image: Tensor, coefficients: Tensor) -> None:
        self.network(self.prompt(image, coefficients))
        loss = alignment_loss(self.layers)
        (self.prompt.factors.grad,) = torch.autograd.grad(loss, [self.prompt.factors])
        self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=True)
        self.loss = loss.item()

    def own_state(self) -> dict[str, Any]:
        """The optimiser's moments, and the memory.  (The prompt itself is reset for each image.)"""
        memory = {} if self.memory is None else self.memory.state_dict()
        return {"optimizer": self.optimizer.state_dict(), "memory": memory}

    def restore_own(self, state: Mapping[str, Any]) -> None:
        """Restore both."""
        self.optimizer.load_state_dict(state["optimizer"])
        if self.memory is not None:
            self.memory.load_state_dict(state["memory"])
