"""The phantom ``kidney_cta``: CT angiography of one kidney with its artery, vein and tumor."""

from common.phantoms.kidney_cta.dataset import make

__all__ = ["make"]
