"""Convolution of a doubled volume without making it: equal values and gradients, less memory."""

from __future__ import annotations

import pytest
import torch

from benchmarks.speed.memory import peak_bytes
from common.kernels import upsampled_convolution as module
from common.kernels.upsampled_convolution import nearest_upsampled_conv3d, nearest_upsampled_conv3d_reference


def drawn(batch, channels_in, channels_out, size, *, bias=True):
    generator = torch.Generator().manual_seed(0)
    shapes = [(batch, channels_in, *size), (channels_out, channels_in, 3, 3, 3), (channels_out,)]
    tensors = [torch.randn(s, generator=generator, dtype=torch.float64).requires_grad_() for s in shapes]
    return tensors if bias else [*tensors[:2], None]


@pytest.mark.parametrize("size", [(1, 1, 1), (2, 3, 5), (7, 1, 4)], ids=str)
@pytest.mark.parametrize("bias", [True, False])
def test_equals_the_definition(size, bias):
    tensors = drawn(2, 3, 4, size, bias=bias)
    ours = module._summed(*tensors, fewest_voxels=0)
    direct = nearest_upsampled_conv3d_reference(*tensors)
    torch.testing.assert_close(ours, direct, rtol=1e-12, atol=1e-12)
    cotangent = torch.randn_like(direct)
    wanted = [t for t in tensors if t is not None]
    gradients = [torch.autograd.grad(out, wanted, cotangent) for out in (ours, direct)]
    torch.testing.assert_close(*gradients, rtol=1e-11, atol=1e-11)


@pytest.mark.parametrize("size", [(3, 2, 2), (8, 8, 5)], ids=str)
def test_scripted(size):
    tensors = drawn(1, 2, 3, size)
    scripted = torch.jit.script(nearest_upsampled_conv3d)
    torch.testing.assert_close(scripted(*tensors), nearest_upsampled_conv3d_reference(*tensors))


def test_the_doubled_input_is_never_stored():
    x, weight, bias = (t.detach().float() for t in drawn(1, 8, 2, (24, 24, 24)))
    large = 8 * x.numel() * 4
    assert peak_bytes(lambda: nearest_upsampled_conv3d(x, weight, bias)) < large
    assert peak_bytes(lambda: nearest_upsampled_conv3d_reference(x, weight, bias)) > large


def test_few_voxels_use_the_direct_form(monkeypatch):
    monkeypatch.setattr(module, "_summed_taps", None)
    assert nearest_upsampled_conv3d(*drawn(1, 2, 3, (5, 5, 10))).shape == (1, 3, 10, 10, 20)
    with pytest.raises(TypeError):
        nearest_upsampled_conv3d(*drawn(1, 2, 3, (8, 8, 5)))


def test_environment_selects_the_reference(monkeypatch):
    monkeypatch.setenv("COMMON_KERNELS", "eager")
    monkeypatch.setattr(module, "_summed", None)
    assert nearest_upsampled_conv3d(*drawn(1, 2, 3, (2, 2, 2))).shape == (1, 3, 4, 4, 4)
