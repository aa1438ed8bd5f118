"""The phantom ``atrium``: late gadolinium-enhanced MR of the left atrium, with few labelled cases."""

from common.phantoms.atrium.dataset import make

__all__ = ["make"]
