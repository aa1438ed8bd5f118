"""The baseline: it descends, and it drifts."""

from __future__ import annotations

import pytest
import torch

from common.adaptation.affine_norm import convert_to_own_statistics
from common.adaptation.tent import Tent
from common.losses.entropy.sigmoid_entropy import sigmoid_entropy
from tests.common.adaptation.small import SmallNetwork, stream


def test_entropy_falls_with_the_steps():
    network, image = SmallNetwork().eval(), stream(1)
    entropies = [sigmoid_entropy(Tent(lr=1e-2, steps=n)(image, network)).item() for n in (1, 5, 20)]
    assert entropies == sorted(entropies, reverse=True)
    assert entropies[0] - entropies[-1] > 0.01


def test_without_a_step_it_equals_batch_norm_on_the_image():
    network, image = SmallNetwork().eval(), stream(1)
    logits = Tent(lr=0.0)(image, network)
    convert_to_own_statistics(network)
    torch.testing.assert_close(logits, network(image))


def test_first_step_is_as_long_as_the_learning_rate():
    tent, network = Tent(lr=1e-3), SmallNetwork().eval()
    tent(stream(1), network)
    ours = torch.cat([p.detach() for p in tent.parameters])
    norms = (network.encoder[1], network.decoder[1])
    theirs = torch.cat([p.detach() for norm in norms for p in (norm.weight, norm.bias)])
    assert (ours - theirs).abs().max().item() == pytest.approx(1e-3, rel=1e-2)


def test_bad_settings():
    with pytest.raises(ValueError, match="steps=0"):
        Tent(steps=0)
