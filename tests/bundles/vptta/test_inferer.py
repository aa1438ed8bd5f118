"""VPTTA's inferer: where a prompt starts, and what it does (vptta/docs/method.md#how-to-know-it-works)."""

from __future__ import annotations

import pytest
import torch
from torch import nn

import common  # noqa: F401 (makes bundles importable)
from tests.common.adaptation.small import SmallNetwork, stream
from vptta.inferer import PromptInferer

SMALL = {"image_size": 24, "prompt_alpha": 0.15}  # 3 x 3 frequencies


def source_network(images):
    """Its running statistics are those of the images."""
    network = SmallNetwork()
    norms = [m for m in network.modules() if isinstance(m, nn.BatchNorm2d)]
    for norm in norms:
        norm.reset_running_stats()
        norm.momentum = None  # a plain average
    with torch.no_grad():
        for image in images.split(1):
            network.train()(image)
    return network.eval()


class Recorded(PromptInferer):
    """Records each prompt's start."""

    def _start_from(self, factors):
        super()._start_from(factors)
        self.starts = [*getattr(self, "starts", []), factors.clone()]


def test_number_of_learnt_parameters():
    """75 at the published size of fundus images, 27 at that of polyps; nothing else asks for a gradient."""
    for size, numbers in ((512, 75), (352, 27)):
        inferer = PromptInferer(image_size=size)
        inferer(stream(1), SmallNetwork())
        assert sum(p.numel() for g in inferer.optimizer.param_groups for p in g["params"]) == numbers
        assert not any(p.requires_grad for p in inferer.network.parameters())


def test_a_step_lowers_the_loss_on_most_shifted_images():
    """Channels times 0.6 plus 0.2, against the statistics of the unshifted images."""
    images = stream(12, seed=3)
    network = source_network(images)
    settings = {"memory_size": 0, "tau": 0.0, "lr": 0.01, **SMALL}
    lowered = 0
    for image in (images * 0.6 + 0.2).split(1):
        inferer = PromptInferer(**settings)
        inferer(image, network)
        before = inferer.loss
        with torch.no_grad():
            inferer.network(inferer.prompt(image))
        after = torch.stack([layer.loss for layer in inferer.layers]).mean().item()
        lowered += after < before
    assert lowered > 8, f"{lowered} of 12"


def test_prompts_start_from_ones_until_the_memory_has_neighbours():
    inferer = Recorded(memory_size=4, neighbours=2, **SMALL)
    network = SmallNetwork()
    for image in stream(4).split(1):
        inferer(image, network)
    ones = torch.ones(1, 3, 3, 3)
    assert [torch.equal(start, ones) for start in inferer.starts] == [True, True, False, False]
    assert len(inferer.memory) == 4


def test_identical_image_with_one_neighbour_starts_from_its_own_prompt():
    inferer, network, images = Recorded(memory_size=4, neighbours=1, **SMALL), SmallNetwork(), stream(2)
    inferer(images[:1], network)
    learnt = inferer.prompt.factors.detach().clone()
    inferer(images[1:], network)
    inferer(images[:1], network)
    assert torch.equal(inferer.starts[2], learnt)


def test_without_memory_each_prompt_starts_from_ones():
    inferer = Recorded(memory_size=0, **SMALL)
    for image in stream(3).split(1):
        inferer(image, SmallNetwork())
    assert all(torch.equal(start, torch.ones(1, 3, 3, 3)) for start in inferer.starts)


def test_adam_moments_carry_over_the_stream():
    inferer = PromptInferer(memory_size=0, **SMALL)
    network = SmallNetwork()
    for image in stream(3).split(1):
        inferer(image, network)
    (state,) = inferer.optimizer.state.values()
    assert state["step"].item() == 3


def test_counter_rises_once_per_image():
    inferer, network = PromptInferer(memory_size=0, **SMALL), SmallNetwork()
    shares = []
    for image in stream(3).split(1):
        inferer(image, network)
        shares.append(inferer.warm_up.share)
    assert shares == pytest.approx([0.833, 0.780, 0.743], abs=5e-4)


def test_one_part_of_the_network_adapts():
    inferer = PromptInferer(within="encoder", **SMALL)
    inferer(stream(1), SmallNetwork())
    assert len(inferer.layers) == 1
    assert isinstance(inferer.network.decoder[1], nn.BatchNorm2d)


def test_bad_settings():
    with pytest.raises(ValueError, match="neighbours=16, memory_size=4"):
        PromptInferer(memory_size=4)
