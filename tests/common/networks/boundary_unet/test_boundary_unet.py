"""BA-Net's network: sizes by plan, and what the gate does."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from common.networks.boundary_unet.network import BoundaryUNet
from common.networks.plain_unet.network import PlainUNet

TOP = {"kernels": [[1, 3, 3]] + [3] * 5}


def count(module: nn.Module) -> int:
    return sum(p.numel() for p in module.parameters())


def thin(**options) -> BoundaryUNet:
    torch.manual_seed(0)
    return BoundaryUNet(1, 3, widths=(4, 6, 8), **options)


@pytest.mark.parametrize(
    ("classes", "plan", "expected"),
    [
        (5, {}, 48_366_848),
        (5, {"strides": [2, 2, 2, 2, [2, 2, 1]]}, 47_547_648),
        (16, {"strides": [[1, 2, 2], 2, 2, 2, 2]} | TOP, 48_340_256),
        (16, {"strides": [2, 2, 2, 2, [1, 2, 2]]}, 47_556_448),
        (16, {"strides": [[1, 2, 2], 2, 2, 2, [1, 2, 2]]} | TOP, 47_521_056),
        (16, {}, 48_375_648),
    ],
)
def test_parameters_by_plan(classes, plan, expected):
    with torch.device("meta"):
        assert count(BoundaryUNet(1, classes, **plan)) == expected


def without_boundaries(network: BoundaryUNet) -> PlainUNet:
    """The plain U-Net with the weights of its encoder and segmentation decoder."""
    plain = PlainUNet(1, 3, widths=(4, 6, 8))
    state = {f"encoder.{key}": value for key, value in network.encoder.state_dict().items()}
    levels = list(network.levels)
    for number, level in enumerate(levels):
        state |= {
            f"decoder.levels.{number}.{key}": value for key, value in level.segmentation.state_dict().items()
        }
        state[f"heads.{len(levels) - 1 - number}.weight"] = level.head.weight
    plain.load_state_dict(state)
    return plain


def say(network: BoundaryUNet, boundary: bool) -> None:
    """Make every boundary head answer yes, or no, wherever its features are positive."""
    for level in network.levels:
        level.boundary.blocks[1].norm.weight.data.zero_()
        level.boundary.blocks[1].norm.bias.data.fill_(1.0)
        level.boundary_head.weight.data[0] = -100.0 if boundary else 100.0
        level.boundary_head.weight.data[1] = 100.0 if boundary else -100.0


def test_without_boundaries_it_is_a_plain_unet():
    network, x = thin(), torch.rand(1, 1, 16, 16, 16)
    say(network, boundary=False)
    for ours, plain in zip(network(x)["classes"], without_boundaries(network)(x), strict=True):
        torch.testing.assert_close(ours, plain)


def test_without_the_gate_too():
    network, x = thin(gate=False), torch.rand(1, 1, 16, 16, 16)
    torch.testing.assert_close(network(x)["classes"][0], without_boundaries(network)(x)[0])


def test_boundaries_double_what_is_upsampled():
    """And not the skips."""
    network, x = thin(), torch.rand(1, 1, 16, 16, 16)
    say(network, boundary=True)
    plain = without_boundaries(network)
    for level in plain.decoder.levels:
        level.up.weight.data *= 2
    torch.testing.assert_close(network(x)["classes"][0], plain(x)[0])


def test_the_segmentation_teaches_the_boundary_decoder():
    """The coarsest boundary head too, through its gate, though no loss has a weight there."""
    network = thin()
    network(torch.rand(1, 1, 16, 16, 16))["classes"][0].square().mean().backward()
    for level in network.levels:
        assert level.boundary_head.weight.grad.abs().sum() > 0
        assert level.boundary.up.weight.grad.abs().sum() > 0
    assert network.levels[0].head.weight.grad is None
    network = thin(gate=False)
    network(torch.rand(1, 1, 16, 16, 16))["classes"][0].square().mean().backward()
    assert all(level.boundary_head.weight.grad is None for level in network.levels)


def test_outputs():
    network, x = thin(), torch.rand(1, 1, 16, 16, 16)
    trained = network(x)
    assert {key: [tuple(one.shape[1:]) for one in maps] for key, maps in trained.items()} == {
        "classes": [(3, 16, 16, 16), (3, 8, 8, 8)],
        "boundary": [(2, 16, 16, 16), (2, 8, 8, 8)],
    }
    network.eval()
    with torch.no_grad():
        torch.testing.assert_close(network(x), trained["classes"][0])
        both = network.with_boundary(x)
        torch.testing.assert_close(both[:, :3], network(x))
        torch.testing.assert_close(both[:, 3:], trained["boundary"][0].softmax(1)[:, 1:])
        scripted = torch.jit.script(network)
        torch.testing.assert_close(scripted(x), network(x))
        torch.testing.assert_close(scripted.with_boundary(x), both)
