"""Convolution blocks: weight-standardised convolution, conv-norm-act, residual blocks.

Axes: B batch, C channels, (D, H, W) depth, height, width.
Norms and activations are named as in MONAI's factories: ``("instance", {"affine": True})``.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from monai.networks.layers.utils import get_act_layer, get_norm_layer
from torch import Tensor, nn

__all__ = [
    "INSTANCE_NORM",
    "LEAKY_RELU",
    "ConvNormAct",
    "ResidualBlock",
    "WeightStandardizedConv3d",
    "conv3d",
]

Layer = str | tuple[str, dict]
Size = int | tuple[int, int, int]

INSTANCE_NORM: Layer = ("instance", {"affine": True})
LEAKY_RELU: Layer = ("leakyrelu", {"negative_slope": 0.01, "inplace": True})


class WeightStandardizedConv3d(nn.Conv3d):
    """3D convolution whose filters are centred and scaled to unit deviation before use.

    w <- (w - mean) / sqrt(var + 1e-12), mean and (unbiased) variance over input channels and
    kernel, one per filter.  Source: Qiao et al. 2019 (weight standardisation); the constant is
    that of the DoDNet code (Zhang et al., DoDNet, CVPR 2021).
    """

    def forward(self, x: Tensor) -> Tensor:
        """(B, C_in, D, H, W) to (B, C_out, D', H', W')."""
        variance, mean = torch.var_mean(self.weight, dim=(1, 2, 3, 4), keepdim=True)
        weight = (self.weight - mean) * torch.rsqrt(variance + 1e-12)
        return F.conv3d(x, weight, self.bias, self.stride, self.padding, self.dilation, self.groups)


def conv3d(
    in_channels: int,
    out_channels: int,
    kernel_size: int = 3,
    *,
    stride: Size = 1,
    bias: bool = False,
    weight_standardization: bool = False,
) -> nn.Conv3d:
    """A 3D convolution, standardised or plain; at stride 1 an odd kernel keeps the size."""
    kind = WeightStandardizedConv3d if weight_standardization else nn.Conv3d
    padding = (kernel_size - 1) // 2  # none for 2, the V-Net's down-sampling
    return kind(in_channels, out_channels, kernel_size, stride=stride, padding=padding, bias=bias)


class ConvNormAct(nn.Sequential):
    """Convolution, norm, activation.

    Args:
        in_channels: C of the input.
        out_channels: C of the output.
        kernel_size: edge length in voxels; an odd one is padded by half of it, 2 not at all.
        stride: one number, or one per axis (D, H, W).
        bias: of the convolution.
        norm: MONAI norm name with its arguments.
        act: MONAI activation with its arguments; None for none.
        weight_standardization: standardise the filters (cotr/docs/method.md#network).
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int = 3,
        *,
        stride: Size = 1,
        bias: bool = False,
        norm: Layer = INSTANCE_NORM,
        act: Layer | None = LEAKY_RELU,
        weight_standardization: bool = False,
    ) -> None:
        super().__init__()
        self.add_module(
            "conv",
            conv3d(
                in_channels,
                out_channels,
                kernel_size,
                stride=stride,
                bias=bias,
                weight_standardization=weight_standardization,
            ),
        )
        self.add_module("norm", get_norm_layer(norm, spatial_dims=3, channels=out_channels))
        if act is not None:
            self.add_module("act", get_act_layer(act))


class ResidualBlock(nn.Module):
    """``convs`` 3x3x3 convolutions with norm and activation, plus a shortcut.

    The last activation follows the sum (``activate="sum"``, He et al. 2016) or on the branch
    before it (``activate="branch"``: nothing follows the sum; CoTr's decoder).  The shortcut is
    the identity, or a 1x1x1 convolution with norm where width or stride change.

    Args:
        in_channels: C of the input.
        out_channels: C of the output.
        convs: number of convolutions on the branch; the first one carries the stride.
        stride: one number, or one per axis (D, H, W).
        activate: "sum" or "branch".
        norm: MONAI norm name with its arguments.
        act: MONAI activation with its arguments.
        weight_standardization: standardise the filters.

    Raises:
        ValueError: ``activate`` is neither of the two.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        *,
        convs: int = 1,
        stride: Size = 1,
        activate: str = "sum",
        norm: Layer = INSTANCE_NORM,
        act: Layer = LEAKY_RELU,
        weight_standardization: bool = False,
    ) -> None:
        super().__init__()
        if activate not in ("sum", "branch"):
            raise ValueError(f'ResidualBlock: activate={activate!r}; expected "sum" or "branch"')
        options = {"norm": norm, "weight_standardization": weight_standardization}
        self.branch = nn.Sequential()
        for i in range(convs):
            last = i == convs - 1
            self.branch.append(
                ConvNormAct(
                    in_channels if i == 0 else out_channels,
                    out_channels,
                    stride=stride if i == 0 else 1,
                    act=None if last and activate == "sum" else act,
                    **options,
                )
            )
        keeps_shape = in_channels == out_channels and stride in (1, (1, 1, 1))
        self.shortcut = (
            nn.Identity()
            if keeps_shape
            else ConvNormAct(in_channels, out_channels, 1, stride=stride, act=None, **options)
        )
        self.act = get_act_layer(act) if activate == "sum" else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        """(B, C_in, D, H, W) to (B, C_out, D', H', W')."""
        return self.act(self.branch(x) + self.shortcut(x))
