"""A first-in-first-out memory of prompts, queried by the similarity of their images.

Axes: M entries, K neighbours, (1, C, s, s) a key or a prompt.
Source: Chen et al., VPTTA, CVPR 2024, section 3.3 (vptta/docs/method.md#test-time).
"""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from common.errors import InputError

__all__ = ["PromptMemory"]


class PromptMemory:
    """Keys and prompts of the most recent images.

    Args:
        size: S of the paper.  As in the published code the oldest entry is dropped only when there are
            more than S, so that S + 1 are kept.
        temperature: of the softmax over the similarities of the neighbours.

    Raises:
        ValueError: ``size`` is below 1 or the temperature not above 0.
    """

    def __init__(self, size: int = 40, *, temperature: float = 0.2) -> None:
        if size < 1 or temperature <= 0:
            raise ValueError(f"PromptMemory: size={size}, temperature={temperature}; expected >= 1 and > 0")
        self.size, self.temperature = size, temperature
        self.keys: list[Tensor] = []
        self.prompts: list[Tensor] = []

    def __len__(self) -> int:
        return len(self.keys)

    def push(self, key: Tensor, prompt: Tensor) -> None:
        """Store copies of a key and a prompt, after dropping the oldest entry if the memory is over-full.

        A key that is stored already, number by number, gets the new prompt at its old place.
        """
        if len(self) > self.size:
            del self.keys[0], self.prompts[0]
        here = key.detach()
        for place, stored in enumerate(self.keys):
            if torch.equal(stored.to(here.device), here):
                self.prompts[place] = prompt.detach().clone()
                return
        self.keys.append(here.clone())
        self.prompts.append(prompt.detach().clone())

    def similarities(self, key: Tensor) -> Tensor:
        """Cosine of the angle between a key and every stored one, (M,), oldest first."""
        stored = torch.stack(self.keys).flatten(1).to(key.device)
        return F.cosine_similarity(stored, key.detach().flatten().unsqueeze(0), dim=1)

    def recall(self, key: Tensor, neighbours: int) -> Tensor:
        """The K most similar images' prompts, their mean weighted by softmax(similarity / temperature).

        Args:
            key: (1, C, s, s), like the stored ones.
            neighbours: K.

        Raises:
            ValueError: there are fewer than K entries.
        """
        if not 1 <= neighbours <= len(self):
            raise ValueError(f"PromptMemory: {neighbours} neighbours of {len(self)} entries")
        nearest, places = self.similarities(key).topk(neighbours)
        weights = (nearest / self.temperature).softmax(0)
        prompts = torch.stack([self.prompts[i] for i in places.tolist()]).to(key.device)
        return torch.einsum("k,k...->...", weights, prompts)

    def clear(self) -> None:
        """Forget everything."""
        self.keys.clear()
        self.prompts.clear()

    def state_dict(self) -> dict[str, Any]:
        """Keys and prompts, oldest first, as tensors of their own."""
        return {name: [t.clone() for t in getattr(self, name)] for name in ("keys", "prompts")}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restore what :meth:`state_dict` returned.

        Raises:
            InputError: the state holds more entries than this memory, or unequal numbers of keys and prompts.
        """
        keys, prompts = state["keys"], state["prompts"]
        if len(keys) != len(prompts) or len(keys) > self.size + 1:
            raise InputError(
                f"memory: the state has {len(keys)} keys and {len(prompts)} prompts; expected equal "
                f"numbers, up to {self.size + 1}"
            )
        self.keys, self.prompts = ([t.clone() for t in tensors] for tensors in (keys, prompts))
