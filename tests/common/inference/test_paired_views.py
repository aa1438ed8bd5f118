"""Mean of a view and its mirror image, paired channels exchanged."""

from __future__ import annotations

import torch

from common.inference.paired_views import of_both_views
from common.inference.streamed_argmax import LikeliestWindowInferer
from common.transforms.paired_flip import swap_channels

PAIRS = [(1, 3)]


def network(x):
    """Logits (B, 4, *S) that differ between left and right, and between channels."""
    across = torch.linspace(-1, 1, x.shape[-1]).expand_as(x)
    return torch.cat([x, x * across, across - x, x.roll(1, -1)], dim=1)


def exchanged(whole):
    """What is said of an image, as it has to be of its mirror image."""
    return torch.stack([swap_channels(one, PAIRS) for one in whole.flip(-1)])


def image():
    return torch.randn(2, 1, 5, 6, 12, generator=torch.Generator().manual_seed(0))


def test_is_the_mean_of_the_probabilities_of_both():
    found = of_both_views(network, PAIRS, axis=2)(image())
    mirrored = exchanged(network(image().flip(-1)).softmax(dim=1))
    torch.testing.assert_close(found.softmax(dim=1), (network(image()).softmax(dim=1) + mirrored) / 2)
    unpaired = of_both_views(network, [], axis=2)(image()).softmax(dim=1)
    mirrored = network(image().flip(-1)).softmax(dim=1).flip(-1)
    torch.testing.assert_close(unpaired, (network(image()).softmax(dim=1) + mirrored) / 2)


def test_a_mirrored_scan_gets_the_mirrored_classes():
    """One window, so that the windows themselves lie alike on both."""
    inferer, alone = LikeliestWindowInferer([8, 8, 12], pairs=PAIRS), LikeliestWindowInferer([8, 8, 12])
    found = inferer(image(), network)
    torch.testing.assert_close(inferer(image().flip(-1), network), exchanged(found))
    assert not torch.allclose(alone(image().flip(-1), network), exchanged(alone(image(), network)), atol=0.01)
    labels = LikeliestWindowInferer([8, 8, 12], pairs=PAIRS, classes=True)(image(), network)
    assert torch.equal(labels[:, 0].long(), found.argmax(dim=1))
