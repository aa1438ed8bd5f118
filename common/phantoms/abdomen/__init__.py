"""The phantom ``abdomen``: CT scans of the upper abdomen with eleven labelled organs."""

from common.phantoms.abdomen.dataset import make

__all__ = ["make"]
