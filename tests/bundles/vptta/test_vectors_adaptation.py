"""VPTTA's parts compute what the authors' code computes: prompt and memory."""

from __future__ import annotations

import torch

from common.adaptation.prompt import LowFrequencyPrompt
from common.adaptation.prompt_memory import PromptMemory
from common.transforms.fourier import window_side
from tests.vectors import load


def test_prompt():
    vector = load("vptta_prompt")
    computed = {}
    for tag, size, share in (("even", 64, 0.1), ("s5", 128, 0.04), ("s1", 64, 0.01)):
        image = vector.inputs[f"image_{tag}"]
        prompt = LowFrequencyPrompt(window_side(size, share))
        with torch.no_grad():
            prompt.factors.copy_(vector.inputs[f"prompt_{tag}"])
        out = prompt(image)
        weighted = out * torch.linspace(0.5, 1.5, image.size(3))
        (gradient,) = torch.autograd.grad(weighted.square().mean(), prompt.factors)
        computed[f"image_{tag}"], computed[f"grad_{tag}"] = out, gradient
        computed[f"key_{tag}"] = prompt.key(prompt.coefficients(image))
    vector.compare(computed)


def test_memory():
    vector = load("vptta_memory")
    memory, query = PromptMemory(6), vector.inputs["query"]
    sizes = []
    for key, prompt in zip(vector.inputs["keys"], vector.inputs["values"], strict=True):
        memory.push(key, prompt)
        sizes.append(len(memory))
    computed = {"sizes": torch.tensor(sizes)}
    for neighbours in (1, 3, 5):
        computed[f"prompt_k{neighbours}"] = memory.recall(query, neighbours)
        computed[f"mean_similarity_k{neighbours}"] = memory.similarities(query).mean()
    vector.compare(computed)
