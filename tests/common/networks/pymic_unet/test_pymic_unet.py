"""PyMIC's U-Net: sizes, scales, and each of its switches."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from common.networks.pymic_unet.checkpoint import from_authors
from common.networks.pymic_unet.network import PyMICUNet


def count(module: nn.Module) -> int:
    return sum(p.numel() for p in module.parameters())


def test_parameters():
    """SegRap2023: 54 structures and the background; two tumour volumes with heads at every scale."""
    assert count(PyMICUNet()) == 1_328_055
    assert count(PyMICUNet(2, 3, deep_supervision=True)) == 1_327_852


@pytest.mark.parametrize("dims", [2, 3])
@pytest.mark.parametrize("training", [True, False])
def test_scales_and_scripting(dims, training):
    torch.manual_seed(0)
    network = PyMICUNet(1, 3, dims=dims, widths=(2, 3, 4, 5), dropout=0.0, deep_supervision=True)
    x = torch.rand(2, 1, *[16] * dims)
    network.train(training)
    logits = network(x)
    if training:
        assert [tuple(one.shape[1:]) for one in logits] == [(3, *[16 // 2**n] * dims) for n in range(4)]
    else:
        assert logits.shape == (2, 3, *[16] * dims)
    torch.testing.assert_close(torch.jit.script(network)(x), logits)


def test_dropout_of_each_stage():
    rates = [module.p for module in PyMICUNet().modules() if isinstance(module, nn.Dropout)]
    assert rates == [0.0, 0.0, 0.1, 0.2, 0.1, 0.0, 0.0], "down, then up from the coarsest"
    assert {m.p for m in PyMICUNet(dropout=0.3).modules() if isinstance(m, nn.Dropout)} == {0.3}
    with pytest.raises(ValueError, match="expected one number, or 4"):
        PyMICUNet(dropout=[0.1])


def test_upsampling_aligns_corners():
    """What goes up is the coarse map, whose corners stay where they are."""
    network = PyMICUNet(1, 1, dims=2, widths=(1, 1), dropout=0.0)
    seen = []
    network.decoder[0].register_forward_hook(lambda module, given, out: seen.append(given[0]))
    network.narrowing[0].register_forward_hook(lambda module, given, out: seen.append(out))
    network(torch.rand(1, 1, 8, 8))
    coarse, joined = seen
    for row, column in ((0, 0), (0, -1), (-1, 0), (-1, -1)):
        assert joined[0, 1, row, column].item() == pytest.approx(coarse[0, 0, row, column].item())


def test_sizes_that_do_not_fit_are_refused():
    with pytest.raises(ValueError, match="sides must be multiples of 8"):
        PyMICUNet()(torch.rand(1, 2, 16, 16, 12))


def test_heads_of_coarser_scales():
    found = from_authors({f"module.decoder.out_conv{n}.bias": torch.zeros(1) for n in ("", 1, 2, 3)})
    assert sorted(found) == [f"heads.{n}.bias" for n in range(4)]
