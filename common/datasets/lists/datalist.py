"""The lists of a data set: ``dataset.json`` in the style of the Medical Segmentation Decathlon.

A data set is a folder with ``dataset.json``: ``training``, ``validation`` and ``test`` lists of
``{"image": path or list of paths, "label": path, ...}``, paths relative to the folder.  Cases of one
patient may say so under ``patient`` (:mod:`common.datasets.lists.patients`), and each case what it was taken
with under ``modality`` (:mod:`common.datasets.lists.modalities`).
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

from common.datasets.check.voxels import IMAGE_SUFFIXES, has_suffix
from common.datasets.lists.case_list import CaseList, as_lists, places_of
from common.datasets.lists.folds import hold_out_fold
from common.datasets.lists.holdout import hold_out
from common.datasets.lists.modalities import only_modality
from common.datasets.lists.patients import check_patients
from common.errors import InputError
from common.json_file import parse_json
from common.schema import Schema

__all__ = [
    "DATALIST",
    "inference_list",
    "labels_of",
    "modality_of",
    "read_datalist",
    "read_description",
]

DATALIST = "dataset.json"
_SCHEMA = Schema(Path(__file__).with_name("dataset_schema.json"))


def read_datalist(
    dataset_dir: str | Path,
    *,
    holdout: float = 0.2,
    fold: int | None = None,
    folds: int = 5,
    modality: str | None = None,
) -> dict[str, CaseList]:
    """The cases of a data set, as lists under ``training``, ``validation`` and ``test``.

    Paths become absolute; other keys of an entry are kept, as MONAI's ``load_decathlon_datalist``
    reads them.  The order is that of dataset.json.

    Where dataset.json has no ``validation`` list, the last ``holdout`` of its training cases take its place
    (:func:`common.datasets.lists.holdout.hold_out`); with ``holdout=0`` it stays empty.  The test list is
    never used for this.  With a ``fold``, from 0 to ``folds`` - 1, the cases of that fold are the validation
    list, all others of both lists are trained on, and nothing else is held out
    (:func:`common.datasets.lists.folds.hold_out_fold`).  Cases with the same ``patient`` are never split.

    With ``modality`` the lists hold the cases of that modality alone, and cases are held out among them;
    where no case names its own, they hold all.

    Raises:
        InputError: no folder, no dataset.json, broken JSON, no training case, an entry without an
            image, a patient in two lists, a single training case, which cannot be held out, a fold that does
            not exist, fewer cases than folds, or no case of that modality.
    """
    path, description = _located_description(dataset_dir)
    lists = {key: _entries(path, description, key) for key in ("training", "validation", "test")}
    lists = only_modality(lists, modality, path)
    training = lists["training"]
    if not training:
        raise InputError(
            f"{path}: training has no case; expected a list of "
            f'{{"image": ..., "label": ...}}; make it with  python -m common.datasets list {path.parent}'
        )
    check_patients(lists, path)
    if fold is None:
        divided = hold_out(training, lists["validation"], holdout, source=path)
    else:
        divided = hold_out_fold(training, lists["validation"], fold, folds, source=path)
    lists["training"], lists["validation"] = divided
    return as_lists(lists)


def inference_list(dataset_dir: str | Path) -> list[dict]:
    """The cases to predict, each a dict with at least ``image`` (an absolute path or a list of them).

    ``dataset_dir`` is a data set (its ``test`` list; without one its validation list, which may be
    held out as in :func:`read_datalist`), a folder of images without dataset.json (all images
    directly in it, by name), or one image file.

    Raises:
        InputError: there is nothing to predict, or dataset.json is broken.
    """
    folder = Path(dataset_dir).absolute()
    if folder.is_file() and has_suffix(folder):
        return [{"image": str(folder)}]
    if folder.is_dir() and not (folder / DATALIST).is_file():
        images = sorted(str(file) for file in folder.iterdir() if has_suffix(file) and file.is_file())
        if not images:
            raise InputError(
                f"{folder}: no {DATALIST} and no image found; expected files ending in "
                f"{', '.join(IMAGE_SUFFIXES)} directly in the folder, or a dataset.json with a test list"
            )
        return [{"image": image} for image in images]
    path, description = _located_description(folder)
    for key in ("test", "validation"):
        if cases := _entries(path, description, key):
            return cases
    if len(_entries(path, description, "training")) > 1:
        return read_datalist(folder)["validation"]
    raise InputError(
        f'{path}: no "test" and no "validation" list; expected {{"test": [{{"image": ...}}]}}: '
        f"add it, or give a folder of images instead"
    )


def labels_of(dataset_dir: str | Path) -> dict[int, str]:
    """Label value to name, sorted by value; empty where dataset.json names no labels.

    Both ``{"0": "background"}`` (Decathlon, nnU-Net v1) and ``{"background": 0}`` (nnU-Net v2) are
    understood.

    Raises:
        InputError: no readable dataset.json, or labels of another form (regions of several values).
    """
    path, description = _located_description(dataset_dir)
    labels = description.get("labels") or {}
    try:
        pairs = [_value_and_name(*item) for item in labels.items()]
    except (AttributeError, TypeError, ValueError) as error:
        raise InputError(
            f'{path}: labels = {labels}; expected {{"0": "background", "1": "name", ...}} with one integer '
            f"for each name: correct it by hand"
        ) from error
    return dict(sorted(pairs))


def modality_of(dataset_dir: str | Path) -> list[str]:
    """The modality of every channel (``["CT"]``); empty where dataset.json does not say.

    Both ``modality`` (Decathlon) and ``channel_names`` (nnU-Net v2) are understood, as a dict by
    channel index, a list, or one name.

    Raises:
        InputError: no readable dataset.json.
    """
    _, description = _located_description(dataset_dir)
    found = description.get("modality") or description.get("channel_names") or []
    if isinstance(found, dict):
        found = [found[key] for key in sorted(found, key=lambda key: (len(str(key)), str(key)))]
    return [str(name) for name in ([found] if isinstance(found, str) else found)]


def read_description(dataset_dir: str | Path) -> dict[str, Any]:
    """The whole of dataset.json as it stands, checked against ``dataset_schema.json``; not to be changed.

    Raises:
        InputError: no folder, no dataset.json, broken JSON, or a value that is not allowed.
    """
    return _located_description(dataset_dir)[1]


def _value_and_name(key: str, value: Any) -> tuple[int, str]:
    if isinstance(value, str):
        return int(key), value
    if not isinstance(value, int) or isinstance(value, bool):
        raise TypeError(f"{value!r} is not one label value")
    return value, key


def _located_description(dataset_dir: str | Path) -> tuple[Path, dict[str, Any]]:
    folder = Path(dataset_dir).absolute()
    path = folder / DATALIST
    if not folder.is_dir():
        raise InputError(
            f"{folder}: no such folder; expected a data set with {DATALIST}: correct --dataset_dir"
        )
    if not path.is_file():
        raise InputError(
            f"{path}: not there; expected the list of cases: make it from folders of images and labels "
            f"with  python -m common.datasets list {folder}"
        )
    anew = f"make the file anew with  python -m common.datasets list {folder} --overwrite"
    try:
        return path, _parsed(path.read_bytes(), path, f"correct it by hand, or {anew}")
    except InputError:
        raise
    except (ValueError, OSError) as error:
        raise InputError(
            f"{path}: cannot be read ({error}); expected JSON: correct that place, or {anew}"
        ) from error


@lru_cache(maxsize=8)  # a run asks for the lists, the labels, the modality and more
def _parsed(content: bytes, path: Path, repair: str) -> dict[str, Any]:
    description = parse_json(content)
    _SCHEMA.check(description, path, repair)
    return description


def _entries(path: Path, description: dict[str, Any], key: str) -> CaseList:
    listed = description.get(key) or []
    plain = key == "test" and all(isinstance(entry, str) for entry in listed)
    if not plain:
        _demand_images(path, key, listed)
    if not listed:
        return CaseList([], path.parent, [])
    # MONAI takes seconds to import; the callers that only ask for labels need not wait.
    from monai.data.decathlon_datalist import load_decathlon_datalist

    entries = load_decathlon_datalist(path, data_list_key=key, base_dir=path.parent)
    for entry, given in zip(entries, listed, strict=True):
        entry.update({} if plain else _names_of_folders(path.parent, given))
    return CaseList(entries, path.parent, places_of(entries, key))


def _names_of_folders(folder: Path, entry: dict[str, Any]) -> dict[str, Any]:
    """Undo MONAI's reading of other values as paths: ``"site": "A"`` beside a folder ``A``."""
    return {
        key: value
        for key, value in entry.items()
        if key not in ("image", "label")
        and any(isinstance(name, str) and (folder / name).is_dir() for name in _as_list(value))
    }


def _as_list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def _demand_images(path: Path, key: str, listed: Sequence[Any]) -> None:
    for index, entry in enumerate(listed):
        image = entry.get("image") if isinstance(entry, dict) else None
        files = image if isinstance(image, list) else [image]
        if not files or not all(isinstance(file, str) and file for file in files):
            raise InputError(
                f"{path}: {key}[{index}] = {json.dumps(entry)} names no image; expected "
                f'{{"image": "imagesTr/a.nii.gz", "label": "labelsTr/a.nii.gz"}}: add the "image" key'
            )
