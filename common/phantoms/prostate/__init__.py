"""The phantom ``prostate``: T2-weighted MR of the prostate, from six sites."""

from common.phantoms.prostate.dataset import make

__all__ = ["make"]
