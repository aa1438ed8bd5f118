"""Source training of the branches along with the segmentation, for the comparison of objectives.

    loss = that of the segmentation + the sum of the branches' losses, weight 1 each

Source: grata/docs/method.md#losses.
"""

from __future__ import annotations

from typing import Any

import torch
from monai.inferers import Inferer
from torch import Tensor, nn

from common.errors import InputError
from grata.network import GraTaNet
from grata.objectives import branch_loss

__all__ = ["BranchInferer", "JointLoss"]


class BranchInferer(Inferer):
    """Runs the network for the segmentation, and once more for each of its branches.

    Args:
        seed: of noise and orientations.
    """

    def __init__(self, seed: int = 0) -> None:
        super().__init__()
        self.generator = torch.Generator().manual_seed(seed)

    def __call__(
        self, inputs: Tensor, network: nn.Module, *args: Any, **kwargs: Any
    ) -> tuple[Tensor, Tensor]:
        """Images (B, C, H, W) in [0, 1] to logits (B, K, H, W) and the sum of the branches' losses, a scalar.

        Raises:
            InputError: the network is spread over several processes, or has no branches.
        """
        if not isinstance(network, GraTaNet) or not network.branches:
            raise InputError(
                f"branches.json: found a network {type(network).__name__} without branches; expected a "
                "GraTaNet with some: name them with --branches, and train in one process"
            )
        losses = [branch_loss(name, network, inputs, self.generator) for name in network.branches]
        return network(inputs, *args, **kwargs), torch.stack(losses).sum()


class JointLoss(nn.Module):
    """The segmentation's loss plus that of the branches.

    Args:
        segmentation: of logits (B, K, H, W) and labels (B, 1, H, W).
    """

    def __init__(self, segmentation: nn.Module) -> None:
        super().__init__()
        self.segmentation = segmentation

    def forward(self, output: tuple[Tensor, Tensor], label: Tensor) -> Tensor:
        """What :class:`BranchInferer` returns, and labels (B, 1, H, W), to a scalar."""
        logits, branches = output
        return self.segmentation(logits, label) + branches
