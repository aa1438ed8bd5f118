"""What a bundle's network takes and gives, as its metadata.json says."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from common.bundles import bundle_folder
from common.errors import InputError
from common.json_file import read_json

__all__ = ["BundleNeeds", "needs_of"]


@dataclass(frozen=True)
class BundleNeeds:
    """What the data must have; None where nothing is required.

    Attributes:
        channels: image channels.
        classes: background included.
        dims: spatial axes.
        unlabelled: training cases may lack a label (semi-supervised bundles).
        own_check: dotted name of the bundle's own check of a folder, where its files are not images.
    """

    channels: int | None = None
    classes: int | None = None
    dims: int | None = None
    unlabelled: bool = False
    own_check: str | None = None


def needs_of(bundle: str, *, root: Path | None = None) -> BundleNeeds:
    """The needs of a bundle of the checkout, or of the unpacked bundle that ``common`` lies in.

    Args:
        bundle: its name.
        root: the folder that holds ``common``; the one this file is in by default.

    Raises:
        InputError: no such bundle (the valid names are listed), or its metadata lack the formats.
    """
    path = bundle_folder(bundle, root=root) / "configs" / "metadata.json"
    try:
        metadata = read_json(path)
        formats = metadata["network_data_format"]
        image = formats["inputs"]["image"]
        classes = formats["outputs"]["pred"].get("channel_def")
        return BundleNeeds(
            image["num_channels"],
            len(classes) if classes else None,
            len(image["spatial_shape"]),
            metadata.get("paradigm") == "semi-supervised",
            metadata.get("data_check"),
        )
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise InputError(
            f"{path}: cannot be read as metadata ({type(error).__name__}: {error}); expected "
            f"network_data_format with inputs.image and outputs.pred: use --num_classes and --in_channels"
        ) from error
