"""Res2Net-50 v1b 26w 4s: a residual network whose blocks work at four scales inside.

Names and order of the parts are those of the public ImageNet weights, so that a file of them loads unchanged.

Axes: B batch, C channels, (H, W) height and width, each a multiple of 32.

Source: Gao et al., Res2Net, IEEE TPAMI 2021; sizes as in vptta/docs/method.md#segmentation-net-2.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

__all__ = ["Res2Net"]

_SCALES, _BASE_WIDTH, _EXPANSION = 4, 26, 4
_PLANES, _BLOCKS = (64, 128, 256, 512), (3, 4, 6, 3)
#: Channels of the maps at strides 4, 8, 16, 32.
WIDTHS = tuple(planes * _EXPANSION for planes in _PLANES)


class Res2NetBlock(nn.Module):
    """1x1 convolution, three 3x3 convolutions on three of four equal parts, 1x1 convolution, shortcut.

    To each part but the first the result of the part before it is added, unless the block is the first of a
    layer; there the last part is averaged over 3x3 pixels instead of passing unchanged.

    Args:
        in_channels: C of the input.
        planes: a quarter of the output's C.
        stride: stride of the block.
        first: whether the block is the first of its layer; the shortcut then averages and projects.
    """

    def __init__(self, in_channels: int, planes: int, *, stride: int = 1, first: bool = False) -> None:
        super().__init__()
        self.width = planes * _BASE_WIDTH // 64
        self.first = first
        wide = self.width * _SCALES
        self.conv1 = nn.Conv2d(in_channels, wide, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(wide)
        parts = range(_SCALES - 1)
        self.convs = nn.ModuleList(
            nn.Conv2d(self.width, self.width, 3, stride=stride, padding=1, bias=False) for _ in parts
        )
        self.bns = nn.ModuleList(nn.BatchNorm2d(self.width) for _ in parts)
        self.conv3 = nn.Conv2d(wide, planes * _EXPANSION, 1, bias=False)
        self.bn3 = nn.BatchNorm2d(planes * _EXPANSION)
        self.pool = nn.AvgPool2d(3, stride=stride, padding=1) if first else nn.Identity()
        self.downsample = (
            nn.Sequential(
                nn.AvgPool2d(stride, stride=stride, ceil_mode=True, count_include_pad=False),
                nn.Conv2d(in_channels, planes * _EXPANSION, 1, bias=False),
                nn.BatchNorm2d(planes * _EXPANSION),
            )
            if first
            else nn.Identity()
        )

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) to (B, 4 planes, H/stride, W/stride)."""
        parts = functional.relu(self.bn1(self.conv1(x))).split(self.width, dim=1)
        done: list[Tensor] = []
        for i, (conv, norm) in enumerate(zip(self.convs, self.bns)):  # noqa: B905 (TorchScript knows no strict)
            part = parts[i] if self.first or i == 0 else done[i - 1] + parts[i]
            done.append(functional.relu(norm(conv(part))))
        done.append(self.pool(parts[len(parts) - 1]))
        out = self.bn3(self.conv3(torch.cat(done, dim=1)))
        return functional.relu(out + self.downsample(x))


def _layer(in_channels: int, planes: int, blocks: int, stride: int) -> nn.Sequential:
    layer = nn.Sequential(Res2NetBlock(in_channels, planes, stride=stride, first=True))
    for _ in range(1, blocks):
        layer.append(Res2NetBlock(planes * _EXPANSION, planes))
    return layer


class Res2Net(nn.Module):
    """The encoder without its classifier: 23,669,352 parameters, 87 batch norms with three inputs.

    Args:
        in_channels: image channels.
    """

    def __init__(self, in_channels: int = 3) -> None:
        super().__init__()
        self.conv1 = nn.Sequential(
            nn.Conv2d(in_channels, 32, 3, stride=2, padding=1, bias=False),
            nn.BatchNorm2d(32),
            nn.ReLU(),
            nn.Conv2d(32, 32, 3, padding=1, bias=False),
            nn.BatchNorm2d(32),
            nn.ReLU(),
            nn.Conv2d(32, 64, 3, padding=1, bias=False),
        )
        self.bn1 = nn.BatchNorm2d(64)
        self.maxpool = nn.MaxPool2d(3, stride=2, padding=1)
        self.layer1 = _layer(64, _PLANES[0], _BLOCKS[0], 1)
        self.layer2 = _layer(WIDTHS[0], _PLANES[1], _BLOCKS[1], 2)
        self.layer3 = _layer(WIDTHS[1], _PLANES[2], _BLOCKS[2], 2)
        self.layer4 = _layer(WIDTHS[2], _PLANES[3], _BLOCKS[3], 2)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")

    def forward(self, x: Tensor) -> list[Tensor]:
        """(B, in_channels, H, W) to maps with 256, 512, 1024, 2048 channels at strides 4, 8, 16, 32."""
        x = self.maxpool(functional.relu(self.bn1(self.conv1(x))))
        stage1 = self.layer1(x)
        stage2 = self.layer2(stage1)
        stage3 = self.layer3(stage2)
        return [stage1, stage2, stage3, self.layer4(stage3)]
