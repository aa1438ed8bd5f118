"""Multi-scale deformable attention on 3D maps, and the encoder layer around it.

Every query reads the value maps at a few learned points per head and level instead of at all
tokens, so time and memory grow linearly with the number of tokens.

Axes: B batch, N value tokens, Q queries, C channels, M heads, L levels, P points per level.
Tokens of several maps are concatenated, each map flattened depth-major (W fastest);
``shapes`` lists the maps' (D, H, W).
Locations lie in [0, 1] over each map, voxel centres at (i + 0.5) / n.

Source: Zhu et al., Deformable DETR, ICLR 2021, eq. 2-3; 3D form: cotr/docs/method.md#deformable-attention.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from monai.networks.layers.utils import get_act_layer
from torch import Tensor, nn

from common.blocks.convolution import Layer
from common.kernels.deformable_attention import deformable_attention

__all__ = [
    "AXIS_ORDERS",
    "DeformableAttention3d",
    "DeformableEncoderLayer",
    "flatten_maps",
    "reference_points",
]

# Positions of (D, H, W) in the order of the three coordinates.  The sampler moves its
# first coordinate along W, the second along H, the third along D.  "paper" passes exactly that;
# "published" is what the authors' code of CoTr and TransDoDNet passes (depth, width, height),
# so that a token samples around its own voxel only on a symmetric map.
AXIS_ORDERS = {"paper": (2, 1, 0), "published": (0, 2, 1)}


def _axes(axis_order: str) -> tuple[int, int, int]:
    if axis_order not in AXIS_ORDERS:
        raise ValueError(f"axis_order={axis_order!r}; expected one of {sorted(AXIS_ORDERS)}")
    return AXIS_ORDERS[axis_order]


def flatten_maps(maps: list[Tensor]) -> tuple[Tensor, list[list[int]]]:
    """Maps (B, C, D, H, W) of several levels to tokens (B, N, C) and the maps' [D, H, W]."""
    tokens = torch.cat([m.flatten(2).transpose(1, 2) for m in maps], dim=1)
    shapes = [[m.shape[2], m.shape[3], m.shape[4]] for m in maps]
    return tokens, shapes


def reference_points(shapes: list[list[int]], axes: tuple[int, int, int], device: torch.device) -> Tensor:
    """The voxel centres of all maps as fractions of their own map, (N, 3), in the order ``axes``."""
    points: list[Tensor] = []
    for shape in shapes:
        centres = [(torch.arange(n, dtype=torch.float32, device=device) + 0.5) / n for n in shape]
        d, h, w = torch.meshgrid(centres, indexing="ij")
        grid = [d, h, w]
        points.append(torch.stack([grid[a].flatten() for a in axes], dim=-1))
    return torch.cat(points)


class DeformableAttention3d(nn.Module):
    """Attention to P points of every level, at learned offsets from a reference point.

    out(q) = W_o concat_m sum_lp A_mlp V_l^m(r_q + D_mlp / size_l), A = softmax over the L * P pairs
    of W_att q, D = W_off q in voxels of the level, V = W_v x, trilinear with zeros outside.

    Args:
        channels: C, a multiple of ``heads``.
        heads: M.
        levels: L.
        points: P.
        axis_order: "paper", or "published" for the authors' order (see ``AXIS_ORDERS``).
        offset_units: what divides the offsets of each level, instead of the level's own size
            (transdodnet's published code: 64, 32, 16).
        grid_axes: order of the components of the initial offset directions
            (cos t, sin t cos t, sin t sin t), t = 2 pi m / M; transdodnet has (1, 0, 2).

    Raises:
        ValueError: ``heads`` does not divide ``channels``, ``axis_order`` is unknown, or the number of
            ``offset_units`` is not ``levels``.
    """

    def __init__(
        self,
        channels: int,
        *,
        heads: int,
        levels: int,
        points: int,
        axis_order: str = "paper",
        offset_units: Sequence[float] | None = None,
        grid_axes: tuple[int, int, int] = (0, 1, 2),
    ) -> None:
        super().__init__()
        if channels % heads:
            raise ValueError(f"DeformableAttention3d: channels={channels} is no multiple of heads={heads}")
        if offset_units is not None and len(offset_units) != levels:
            raise ValueError(
                f"DeformableAttention3d: {len(offset_units)} offset_units for levels={levels}; give one each"
            )
        self.heads, self.levels, self.points = heads, levels, points
        self.axes = _axes(axis_order)
        self.offset_units = None if offset_units is None else [float(u) for u in offset_units]
        self.grid_axes = grid_axes
        self.sampling_offsets = nn.Linear(channels, heads * levels * points * 3)
        self.attention_weights = nn.Linear(channels, heads * levels * points)
        self.value_proj = nn.Linear(channels, channels)
        self.output_proj = nn.Linear(channels, channels)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Uniform attention on a grid of directions, one per head; Xavier for value and output."""
        nn.init.zeros_(self.sampling_offsets.weight)
        with torch.no_grad():
            self.sampling_offsets.bias.copy_(self._offset_grid().flatten())
        nn.init.zeros_(self.attention_weights.weight)
        nn.init.zeros_(self.attention_weights.bias)
        for projection in (self.value_proj, self.output_proj):
            nn.init.xavier_uniform_(projection.weight)
            nn.init.zeros_(projection.bias)

    def _offset_grid(self) -> Tensor:
        """Initial offsets in voxels, (M, L, P, 3): point k lies k + 1 steps along its head's direction."""
        angle = torch.arange(self.heads, dtype=torch.float32) * (2 * math.pi / self.heads)
        direction = torch.stack([angle.cos(), angle.sin() * angle.cos(), angle.sin() * angle.sin()], dim=-1)
        direction = direction[:, list(self.grid_axes)] / direction.abs().amax(dim=-1, keepdim=True)
        steps = torch.arange(1, self.points + 1, dtype=torch.float32)
        return (direction[:, None, None, :] * steps[:, None]).expand(-1, self.levels, -1, -1)

    def forward(self, query: Tensor, reference: Tensor, value: Tensor, shapes: list[list[int]]) -> Tensor:
        """Attend.

        Args:
            query: (B, Q, C).
            reference: (B or 1, Q, L or 1, 3), fractions of each level, in this module's axis order.
            value: (B, N, C), the tokens of all levels.
            shapes: L times [D, H, W].

        Returns:
            (B, Q, C).
        """
        batch, queries, channels = query.shape
        head = [self.heads, self.levels, self.points]
        offsets = self.sampling_offsets(query).reshape([batch, queries] + head + [3])
        weights = self.attention_weights(query).reshape(batch, queries, self.heads, -1).softmax(dim=-1)
        locations = reference[:, :, None, :, None, :] + offsets / self._offset_units(shapes, offsets)
        output = deformable_attention(
            self.value_proj(value).reshape(batch, value.shape[1], self.heads, channels // self.heads),
            shapes,
            locations,
            weights.reshape([batch, queries] + head),
        )
        return self.output_proj(output)

    def _offset_units(self, shapes: list[list[int]], like: Tensor) -> Tensor:
        """The divisors of the offsets, (L, 1, 3)."""
        units = self.offset_units
        if units is None:
            sizes = [[float(shape[a]) for a in self.axes] for shape in shapes]
        else:
            sizes = [[unit, unit, unit] for unit in units]
        return torch.tensor(sizes, dtype=like.dtype, device=like.device)[:, None, :]


class DeformableEncoderLayer(nn.Module):
    """Deformable self-attention and a feed-forward block, each with a residual and a LayerNorm after it.

    x <- LN(a x + drop(Attn(x + pos, x)));  x <- LN(a x + drop(W2 drop(act(W1 x)))).

    Args:
        attention: the self-attention.
        channels: C.
        feedforward: width of the hidden layer.
        dropout: probability on both branches and on the hidden layer.
        act: MONAI activation of the hidden layer.
        residual_scale: a; 1 is the plain post-norm layer (cotr), above 1 DeepNorm (transdodnet).
    """

    def __init__(
        self,
        attention: DeformableAttention3d,
        channels: int,
        *,
        feedforward: int,
        dropout: float = 0.1,
        act: Layer = "gelu",
        residual_scale: float = 1.0,
    ) -> None:
        super().__init__()
        self.attention = attention
        self.norm1 = nn.LayerNorm(channels)
        self.feedforward = nn.Sequential(
            nn.Linear(channels, feedforward),
            get_act_layer(act),
            nn.Dropout(dropout),
            nn.Linear(feedforward, channels),
        )
        self.norm2 = nn.LayerNorm(channels)
        self.dropout = nn.Dropout(dropout)
        self.residual_scale = residual_scale

    def forward(self, x: Tensor, position: Tensor, reference: Tensor, shapes: list[list[int]]) -> Tensor:
        """Tokens (B, N, C) with their position code (1 or B, N, C) to tokens (B, N, C)."""
        attended = self.attention(x + position, reference, x, shapes)
        x = self.norm1(self.residual_scale * x + self.dropout(attended))
        return self.norm2(self.residual_scale * x + self.dropout(self.feedforward(x)))
