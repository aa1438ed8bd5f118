"""GraTa's network: sizes, branches, export (grata/docs/method.md#network)."""

from __future__ import annotations

import pytest
import torch
from torch import nn

import common  # noqa: F401 (makes bundles importable)
from common.networks.resnet_unet.network import ResNetUNet
from grata.network import BRANCHES, ORIENTATIONS, GraTaNet


def count(module: nn.Module) -> int:
    return sum(p.numel() for p in module.parameters())


@pytest.fixture(scope="module")
def full():
    torch.manual_seed(0)
    return GraTaNet(branches=tuple(BRANCHES)).eval()


def test_exact_parameter_count(full):
    assert count(full) == 23_267_842 - 513_000
    assert {name: count(branch) for name, branch in full.branches.items()} == {
        "reconstruction": 175_619,
        "rotation": 148_166,
        "denoising": 175_619,
        "super_resolution": 213_868,
    }
    norms = [m for m in full.modules() if isinstance(m, nn.BatchNorm2d)]
    assert len(norms) == 53
    assert sum(count(m) for m in norms) == 22_016


def test_only_the_segmentation_path_gets_gradients(full):
    """41 of the 53 norms, 19,136 numbers."""
    full.zero_grad()
    full(torch.rand(1, 3, 64, 64)).square().mean().backward()
    norms = [m for m in full.modules() if isinstance(m, nn.BatchNorm2d) and m.weight.grad is not None]
    assert len(norms) == 41
    assert sum(count(m) for m in norms) == 19_136
    full.zero_grad()


def test_sizes_of_the_branches(full):
    with torch.no_grad():
        auxiliary = full.auxiliary(full.encode(torch.rand(2, 3, 32, 64))[-1])
    assert {name: tuple(output.shape) for name, output in auxiliary.items()} == {
        "reconstruction": (2, 3, 32, 64),
        "rotation": (2, len(ORIENTATIONS)),
        "denoising": (2, 3, 32, 64),
        "super_resolution": (2, 3, 64, 128),
    }


def test_without_branches_it_is_the_shared_network():
    plain = GraTaNet()
    assert plain.state_dict().keys() == ResNetUNet().state_dict().keys()
    assert plain.auxiliary(torch.zeros(1, 512, 1, 1)) == {}


def test_scripted(full):
    x = torch.rand(1, 3, 32, 64)
    with torch.no_grad():
        torch.testing.assert_close(torch.jit.script(full)(x), full(x))


def test_unknown_branch():
    with pytest.raises(ValueError, match=r"'jigsaw'.*reconstruction"):
        GraTaNet(branches=["jigsaw"])
