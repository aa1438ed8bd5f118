"""The authors' state dict -> ours: banet_kidney/docs/method.md#checkpoint-layout."""

from __future__ import annotations

from common.networks.boundary_unet.checkpoint import from_authors

__all__ = ["AFTER_IMPORT", "from_authors"]

AFTER_IMPORT = (
    "The strides are those of the weights' own plan: where it has five poolings of 2 along each axis, give "
    '--network_def#strides "[2,2,2,2,2]" to inference.json and evaluate.json.'
)
