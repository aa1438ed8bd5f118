"""BCV's label numbers: the paper's eleven organs and the two adrenal glands, which only the files have."""

from __future__ import annotations

__all__ = ["PAPER_CLASSES", "label_map"]

PAPER_CLASSES = 12  # background and eleven organs
_ADRENAL_GLANDS = (12, 13)


def label_map(num_classes: int) -> dict[int, int]:
    """With the paper's twelve classes, labels 12 and 13 become background; otherwise nothing changes.

    cotr/docs/method.md#classes.
    """
    return dict.fromkeys(_ADRENAL_GLANDS, 0) if num_classes == PAPER_CLASSES else {}
