"""The phantom ``abdomen_amos``: CT and MR scans of abdomen and pelvis with fifteen labelled organs."""

from common.phantoms.abdomen_amos.dataset import make

__all__ = ["make"]
