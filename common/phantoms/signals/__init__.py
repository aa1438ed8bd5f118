"""The phantom ``signals``: signals or pictures, each with a few linear measurements."""

from common.phantoms.signals.dataset import make

__all__ = ["make"]
