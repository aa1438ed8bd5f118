"""The phantom ``signals``: signals or pictures, each with a few linear measurements of it."""

from common.phantoms.signals.dataset import make

__all__ = ["make"]
