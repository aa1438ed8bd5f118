"""VPTTA's parts compute what the authors' code computes: prompt, memory, and a whole stream."""

from __future__ import annotations

import pytest
import torch

import common  # noqa: F401 (makes bundles importable)
from common.adaptation.aligning_norm import alignment_loss
from common.adaptation.prompt import LowFrequencyPrompt
from common.adaptation.prompt_memory import PromptMemory
from common.networks.resnet_unet.network import ResNetUNet
from common.tensors.fourier import window_side
from tests.vectors import load
from vptta.checkpoint import from_authors
from vptta.inferer import PromptInferer


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


def published_network(vector):
    network = ResNetUNet().eval()
    network.load_state_dict(from_authors(vector.state), strict=False)
    return network


class Stored(PromptInferer):
    """Starts each image from the authors' prompt, and can use their gradient instead of its own."""

    starts: dict[int, torch.Tensor]
    gradients: dict[int, torch.Tensor] | None = None

    def _first_guess(self, key):
        self.computed_start = super()._first_guess(key)
        return self.starts[self.images - 1]

    def _step(self, image, coefficients):
        self.network(self.prompt(image, coefficients))
        self.layer_losses = [layer.loss.item() for layer in self.layers]
        loss = alignment_loss(self.layers)
        (self.gradient,) = torch.autograd.grad(loss, [self.prompt.factors])
        self.loss = loss.item()
        self.prompt.factors.grad = self.gradients[self.images - 1].clone()
        self.optimizer.step()


SETTINGS = {"image_size": 128, "prompt_alpha": 0.04, "memory_size": 4, "neighbours": 2}


def outputs_of(vector, key):
    return {i: vector.outputs[f"{key}_{i}"] for i in range(4)}


def largest_difference(ours, theirs):
    return (ours - theirs).abs().max().item()


def test_stream_image_by_image():
    """Each image from the stored start (vptta/docs/method.md#tolerances)."""
    vector = load("vptta_stream")
    network, inferer = published_network(vector), Stored(**SETTINGS)
    inferer.starts, inferer.gradients = outputs_of(vector, "init"), outputs_of(vector, "grad")
    for i, image in enumerate(vector.inputs["images"].split(1)):
        logits = inferer(image, network)
        expected = vector.outputs
        assert inferer.loss == pytest.approx(expected["losses"][i].item(), rel=1e-6)
        if i == 0:
            losses = torch.tensor(inferer.layer_losses, dtype=torch.float64)
            torch.testing.assert_close(losses, expected["layer_losses_0"], rtol=1e-5, atol=0)
        torch.testing.assert_close(inferer.computed_start, expected[f"init_{i}"], rtol=1e-5, atol=1e-5)
        stored = expected[f"grad_{i}"]
        assert largest_difference(inferer.gradient, stored) < 5e-3 * stored.abs().max()
        assert largest_difference(inferer.prompt.factors, expected[f"prompt_{i}"]) < 1e-6
        theirs = expected[f"logits_{i}"]
        # vptta/docs/method.md#tolerances: in float32 both computations are within 9e-6 of double precision.
        assert largest_difference(logits[..., ::2, ::2], theirs) < 2e-5 * theirs.abs().max()


def test_stream_chained():
    """All four images in a row: rounding passes through kinks and Adam's signs
    (vptta/docs/method.md#tolerances).
    """
    vector = load("vptta_stream")
    network, inferer = published_network(vector), PromptInferer(**SETTINGS)
    for i, image in enumerate(vector.inputs["images"].split(1)):
        logits = inferer(image, network)
        assert inferer.loss == pytest.approx(vector.outputs["losses"][i].item(), rel=1e-5)
        assert largest_difference(inferer.prompt.factors, vector.outputs[f"prompt_{i}"]) < 5e-3
        theirs = vector.outputs[f"logits_{i}"]
        assert largest_difference(logits[..., ::2, ::2], theirs) < 1e-2 * theirs.abs().max()
