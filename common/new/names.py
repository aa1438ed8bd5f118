"""What a bundle may be called."""

from __future__ import annotations

import importlib.util
import keyword
import re
from pathlib import Path

from common.errors import InputError

__all__ = ["SPOKEN_KINDS", "check_name", "class_name"]

#: MONAI Label guesses these two tasks from the end of the folder's name, and takes all else for segmentation.
SPOKEN_KINDS = ("classification", "detection")


def check_name(name: str, kind: str, root: Path) -> None:
    """Refuse a name that a tool would misread or that is taken.

    Args:
        name: name of the new bundle.
        kind: what it will do with an image, one word of metadata.json.
        root: the checkout.

    Raises:
        InputError: the name cannot be used; the message says why.
    """
    if not re.fullmatch(r"[a-z][a-z0-9_]*", name) or keyword.iskeyword(name):
        raise InputError(f"{name}: expected a Python name of small letters, digits and _, such as unet_ct")
    if "_v" in name:
        raise InputError(f"{name}: MONAI takes what follows _v for a version; choose a name without _v")
    ending = next((word for word in SPOKEN_KINDS if name.endswith(word)), None)
    wanted = kind if kind in SPOKEN_KINDS else None
    if ending != wanted:
        raise InputError(
            f"{name}: MONAI Label guesses {' or '.join(SPOKEN_KINDS)} from the end of a name, and only from "
            f"there; this bundle is for {kind}"
        )
    places = (f"bundles/{name}", f"tests/bundles/{name}", f"benchmarks/speed/bundles/{name}.py")
    taken = next((place for place in places if (root / place).exists()), None)
    if taken:
        raise InputError(f"{name}: {taken} is there already; choose another name, or move it away")
    if importlib.util.find_spec(name):
        raise InputError(f"{name}: a Python package of this name is there already; choose another name")


def class_name(name: str) -> str:
    """``mcnet_plus`` to ``McnetPlus``."""
    return "".join(word.capitalize() for word in name.split("_"))
