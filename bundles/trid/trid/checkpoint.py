"""The authors' state dict -> ours: the shared ResNet U-Net (trid/docs/method.md#checkpoint-layout)."""

from __future__ import annotations

from common.networks.resnet_unet.checkpoint import FC_LEFT_OUT as AFTER_IMPORT
from common.networks.resnet_unet.checkpoint import from_authors_resnet_unet as from_authors

__all__ = ["AFTER_IMPORT", "from_authors"]
