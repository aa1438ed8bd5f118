"""The phantom ``head_neck``: pairs of CT, 54 classes of organs at risk, and tumors."""

from common.phantoms.head_neck.dataset import make

__all__ = ["make"]
