"""The phantom ``fundus``: colour photographs around the optic disc, with disc and cup, in five domains."""

from common.phantoms.fundus.dataset import make

__all__ = ["make"]
