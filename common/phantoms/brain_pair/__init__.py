"""The phantom ``brain_pair``: pairs of brain MR scans, one a known deformation of the other."""

from common.phantoms.brain_pair.dataset import make

__all__ = ["make"]
