"""The phantom ``polyp``: colonoscopy-like frames with polyps, in four domains."""

from common.phantoms.polyp.dataset import make

__all__ = ["make"]
