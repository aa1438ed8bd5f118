"""How rough a displacement is: its squared forward differences.

Source: easr_dcn/docs/method.md#losses.
"""

import torch
from torch import Tensor, nn

__all__ = ["SmoothnessLoss"]


class SmoothnessLoss(nn.Module):
    """Mean squared forward difference along each axis, averaged over the axes; 0 for a constant field."""

    def forward(self, displacement: Tensor) -> Tensor:
        """(B, d, *S) voxels to a scalar."""
        field = displacement.to(torch.promote_types(displacement.dtype, torch.float32))
        return torch.stack([field.diff(dim=axis).square().mean() for axis in range(2, field.ndim)]).mean()
