"""Nearest up-sampling with the convolution behind it, at the widths of the V-Net's four up-samplings."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

import torch
from torch import Tensor

from benchmarks.measure import Case
from common.kernels.upsampled_convolution import nearest_upsampled_conv3d, nearest_upsampled_conv3d_reference


def cases(*, quick: bool, device: str) -> Iterator[Case]:
    """Forward and backward of four patches of 48 x 48 x 32, from the coarsest level to the finest."""
    torch.manual_seed(0)
    levels = (
        ((64, 32, 4), (32, 16, 8)) if quick else ((256, 128, 3), (128, 64, 6), (64, 32, 12), (32, 16, 24))
    )
    for channels_in, channels_out, side in levels:
        size = (side, side, max(2 * side // 3, 1))
        x = torch.randn(4, channels_in, *size, device=device, requires_grad=True)
        weight = torch.randn(channels_out, channels_in, 3, 3, 3, device=device, requires_grad=True)
        bias = torch.randn(channels_out, device=device, requires_grad=True)
        yield Case(
            what=f"{channels_in} to {channels_out} channels, forward + backward",
            size="x".join(map(str, size)),
            tokens=size[0] * size[1] * size[2],
            ours=partial(_step, nearest_upsampled_conv3d, x, weight, bias),
            direct=partial(_step, nearest_upsampled_conv3d_reference, x, weight, bias),
        )


def _step(convolve, x: Tensor, weight: Tensor, bias: Tensor) -> None:
    out = convolve(x, weight, bias)
    torch.autograd.grad(out, (x, weight, bias), out.detach())
