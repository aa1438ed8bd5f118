"""What a bundle's network takes and gives, as its metadata.json says."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import common
from common.errors import InputError

__all__ = ["BundleNeeds", "needs_of"]


@dataclass(frozen=True)
class BundleNeeds:
    """Image channels, classes (background included) and spatial axes; None where nothing is said."""

    channels: int | None = None
    classes: int | None = None
    dims: int | None = None


def needs_of(bundle: str, *, root: Path | None = None) -> BundleNeeds:
    """Read them for a bundle of the checkout, or for the unpacked bundle that ``common`` lies in.

    Args:
        bundle: its name.
        root: the folder that holds ``common``; found by itself.

    Raises:
        InputError: no such bundle (the valid names are listed), or its metadata lack the formats.
    """
    places = _metadata_files(root or Path(common.__file__).resolve().parents[1])
    if bundle not in places:
        raise InputError(f"--bundle {bundle}: unknown; expected one of: {', '.join(places) or '(none here)'}")
    path = places[bundle]
    try:
        formats = json.loads(path.read_text(encoding="utf-8"))["network_data_format"]
        image = formats["inputs"]["image"]
        classes = formats["outputs"]["pred"].get("channel_def")
        return BundleNeeds(
            image["num_channels"], len(classes) if classes else None, len(image["spatial_shape"])
        )
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InputError(
            f"{path}: cannot be read as metadata ({type(error).__name__}: {error}); expected "
            f"network_data_format with inputs.image and outputs.pred: use --num_classes and --in_channels"
        ) from error


def _metadata_files(root: Path) -> dict[str, Path]:
    files = {
        path.parents[1].name: path for path in sorted((root / "bundles").glob("*/configs/metadata.json"))
    }
    own = root / "configs" / "metadata.json"
    if own.is_file():
        packages = sorted(path.parent.name for path in root.glob("*/__init__.py"))
        files |= {name: own for name in packages if name != "common"}
    return files
