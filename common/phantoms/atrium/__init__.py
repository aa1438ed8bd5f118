"""The phantom ``atrium``: late gadolinium-enhanced MR of the left atrium, few cases of it labelled."""

from common.phantoms.atrium.dataset import make

__all__ = ["make"]
