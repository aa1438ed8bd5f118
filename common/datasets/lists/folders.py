"""Write dataset.json from folders of images and labels.

It knows the folders ``imagesTr``, ``labelsTr``, ``imagesTs``, ``labelsTs`` (Decathlon and nnU-Net)
and ``images``, ``labels``.  An image and its label have the same name up to the file type; a label may end
in ``_seg``, ``_mask``, ``_label`` or ``_gt``; nnU-Net's images end in ``_0000``, one file per channel.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from common.datasets.check.facts import CaseFacts, read_facts
from common.datasets.check.voxels import has_suffix, stem_of
from common.datasets.lists.datalist import DATALIST
from common.errors import InputError
from common.files import write_json
from common.schema import without_mark

__all__ = ["Listing", "write_datalist"]

_LAYOUTS = (("imagesTr", "labelsTr"), ("images", "labels"))
_CHANNEL = re.compile(r"_(\d{4})$")
_LABEL_ENDING = re.compile(r"[_-](seg|segmentation|mask|labels?|gt)$", re.IGNORECASE)
_CT_LOW = -200  # HU; fat and lung lie below, and nothing but CT stores such integers as a rule


@dataclass(frozen=True)
class Listing:
    """What :func:`write_datalist` wrote.

    Attributes:
        path: the dataset.json.
        training: number of training cases.
        test: number of test cases.
        unpaired: files of the training folders without a partner; they are not listed.
        unreadable: listed files that cannot be read.
    """

    path: Path
    training: int
    test: int
    unpaired: tuple[str, ...]
    unreadable: tuple[str, ...]


def write_datalist(
    dataset_dir: str | Path, *, modality: str | Sequence[str] | None = None, overwrite: bool = False
) -> Listing:
    """Pair images and labels by name, read every case once, and write dataset.json.

    The labels are the values found, named ``class 1`` and so on, to be renamed by hand.

    Args:
        dataset_dir: the folder that holds the folders of images and labels.
        modality: modality of the channels, one name or a list; by default "CT" where integer data go
            below -200, else "unknown".
        overwrite: replace an existing dataset.json.

    Raises:
        InputError: there are no such folders, no matching names, or already a dataset.json.
    """
    folder = Path(dataset_dir).absolute()
    path = folder / DATALIST
    if path.exists() and not overwrite:
        raise InputError(f"{path}: is there already; expected none: use it, or replace it with --overwrite")
    images, labels = _layout(folder)
    label_stems = {_label_stem(file): file for file in _images_in(folder / labels)}
    grouped, in_channels = _by_case(_images_in(folder / images), label_stems)
    training = [
        {"image": files, "label": label_stems[stem]} for stem, files in grouped.items() if stem in label_stems
    ]
    if not training:
        raise InputError(
            f"{folder}: no image of {images} ({len(grouped)} cases) has a label of the same name in {labels} "
            f"({len(label_stems)} files); expected {images}/a.nii.gz with {labels}/a.nii.gz: rename the files"
        )
    test = _test_cases(folder, in_channels)
    facts = read_facts({"training": _absolute(folder, training), "test": _absolute(folder, test)})
    write_json(path, _description(folder, training, test, facts, modality))
    lonely = [file for stem, files in grouped.items() if stem not in label_stems for file in _listed(files)]
    lonely += [file for stem, file in label_stems.items() if stem not in grouped]
    unreadable = [one.bad_file for case in facts for one in (case.image, case.label) if one and one.error]
    return Listing(path, len(training), len(test), tuple(lonely), tuple(unreadable))


def _layout(folder: Path) -> tuple[str, str]:
    for images, labels in _LAYOUTS:
        if (folder / images).is_dir() and (folder / labels).is_dir():
            return images, labels
    expected = " or ".join(f"{images} and {labels}" for images, labels in _LAYOUTS)
    found = sorted(one.name for one in folder.iterdir())[:8] if folder.is_dir() else "no such folder"
    raise InputError(
        f"{folder}: has no folders of images and labels (found: {found}); expected {expected}: rename yours"
    )


def _images_in(folder: Path) -> list[str]:
    """Images directly in a folder, relative to its parent, by name."""
    if not folder.is_dir():
        return []
    return sorted(f"{folder.name}/{one.name}" for one in folder.iterdir() if has_suffix(one))


def _label_stem(file: str) -> str:
    return _LABEL_ENDING.sub("", stem_of(file))


def _by_case(
    files: list[str], label_stems: dict[str, str], in_channels: bool | None = None
) -> tuple[dict[str, Any], bool]:
    """Files by case, and whether the names end in a channel number: a number that is part of the label's
    name too belongs to the case.
    """
    stems = [stem_of(file) for file in files]
    if in_channels is None:
        in_channels = all(_CHANNEL.search(stem) and stem not in label_stems for stem in stems)
    if not in_channels:
        return dict(zip(stems, files, strict=True)), False
    grouped: dict[str, Any] = {}
    for stem, file in zip(stems, files, strict=True):
        grouped.setdefault(_CHANNEL.sub("", stem), []).append(file)
    return {stem: group[0] if len(group) == 1 else group for stem, group in grouped.items()}, True


def _test_cases(folder: Path, in_channels: bool) -> list[dict[str, Any]]:
    labels = {_label_stem(file): file for file in _images_in(folder / "labelsTs")}
    grouped, _ = _by_case(_images_in(folder / "imagesTs"), labels, in_channels)
    return [
        {"image": files, "label": labels[stem]} if stem in labels else {"image": files}
        for stem, files in grouped.items()
    ]


def _absolute(folder: Path, cases: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [
        {key: [str(folder / file) for file in _listed(files)] for key, files in case.items()}
        for case in cases
    ]


def _listed(files: str | list[str]) -> list[str]:
    return [files] if isinstance(files, str) else files


def _description(
    folder: Path,
    training: list[dict[str, Any]],
    test: list[dict[str, Any]],
    facts: list[CaseFacts],
    modality: str | Sequence[str] | None,
) -> dict[str, Any]:
    values = {value for one in facts if one.label for value in one.label.values if value == int(value)}
    channels = max((one.image.channels for one in facts), default=1)
    if modality is None:
        names = [_guessed_modality(facts, channel) for channel in range(channels)]
    else:
        names = [modality] * channels if isinstance(modality, str) else [str(name) for name in modality]
    is_volume = any(len(one.image.shape) == 3 for one in facts)
    return {
        "name": without_mark(folder.name),
        "tensorImageSize": "3D" if is_volume else "2D",
        "modality": {str(channel): name for channel, name in enumerate(names)},
        "labels": {
            str(int(value)): f"class {int(value)}" if value else "background"
            for value in sorted(values | {0})
        },
        "numTraining": len(training),
        "numTest": len(test),
        "training": training,
        "test": test,
    }


def _guessed_modality(facts: list[CaseFacts], channel: int) -> str:
    lows = [
        one.image.low[channel]
        for one in facts
        if one.image.kind in ("i", "u")
        and channel < len(one.image.low)
        and one.image.low[channel] is not None
    ]
    return "CT" if lows and min(lows) < _CT_LOW else "unknown"
