"""What reading every case once tells: shapes, spacings, intensities, label values.

The check and the plan work on these facts and never open a file themselves.  Reading a data set is
slow, so the facts of a case are kept in the user's cache until one of its files changes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import reduce
from typing import Any

import numpy as np
from nibabel.affines import voxel_sizes
from tqdm import tqdm

from common.datasets.check.facts_cache import load_cached, save_cached, stamp
from common.datasets.check.grids import GRID_TOLERANCE, grid_distance
from common.datasets.check.voxels import UnreadableError, Voxels, read_voxels
from common.datasets.lists.case_list import places_of
from common.datasets.lists.modalities import modality_of_case
from common.pictures import label_channel

__all__ = ["CaseFacts", "ImageFacts", "LabelFacts", "read_facts"]

SAMPLE_SIZE = 5000  # foreground voxels per case and channel
_OF_THE_ENTRY = ("split", "name", "modality")  # facts that no file tells
_MOST_VALUES = 1000  # an intensity image given as label has millions


@dataclass(frozen=True)
class ImageFacts:
    """One image; of an unreadable one only ``files``, ``error`` and ``bad_file`` are set.

    Attributes:
        files: absolute paths, one per file (several files are several channels).
        error: what is wrong, as a predicate ("is missing"), else None.
        bad_file: the file that ``error`` is about.
        shape: spatial shape, (X, Y, Z) or (X, Y), in the file's axis order.
        channels: number of channels over all files.
        spacing: mm along the three axes of the file; empty for a picture.
        affine: (4, 4), voxel index to RAS+ world in mm; None for a picture.
        kind: NumPy's letter for the stored type: "b", "i", "u" or "f".
        non_finite: voxels that are NaN or infinite, over all channels.
        low: smallest finite intensity of each channel; None where there is none.
        high: largest finite intensity of each channel.
        mode: Pillow's name of a picture's pixels, such as "RGB"; empty for NIfTI.
    """

    files: tuple[str, ...]
    error: str | None = None
    bad_file: str = ""
    shape: tuple[int, ...] = ()
    channels: int = 0
    spacing: tuple[float, ...] = ()
    affine: tuple[tuple[float, ...], ...] | None = None
    kind: str = ""
    non_finite: int = 0
    low: tuple[float | None, ...] = ()
    high: tuple[float | None, ...] = ()
    mode: str = ""


@dataclass(frozen=True)
class LabelFacts:
    """One label map, or the class index of a whole image (``files`` and ``shape`` are then empty).

    Attributes:
        files: absolute paths; several where a case has several label maps.
        error: what is wrong, as a predicate, else None.
        bad_file: the file that ``error`` is about.
        shape: spatial shape in the file's axis order.
        affine: as in :class:`ImageFacts`.
        values: the distinct values, sorted (the first 1000).
        non_integer: fraction of voxels whose value is not an integer (NaN included), 0 to 1.
    """

    files: tuple[str, ...] = ()
    error: str | None = None
    bad_file: str = ""
    shape: tuple[int, ...] = ()
    affine: tuple[tuple[float, ...], ...] | None = None
    values: tuple[float, ...] = ()
    non_integer: float = 0.0


@dataclass(frozen=True)
class CaseFacts:
    """One case.

    Attributes:
        image: facts of the image.
        label: facts of the label; None where the case has none.
        sample: per channel, intensities at evenly strided voxels of the foreground (label not 0),
            at most 5000, in 6 significant digits; empty without a readable label on the same grid.
        sample_labels: the label value at each of these voxels.
        split: the list of the run that the case is in.
        name: the case's place in dataset.json, ``training[12]``; a case held out for validation is still
            in the training list there.
        modality: as its entry says, in capitals; empty where it does not.
    """

    image: ImageFacts
    label: LabelFacts | None
    sample: tuple[tuple[float, ...], ...] = ()
    sample_labels: tuple[float, ...] = ()
    split: str = "training"
    name: str = "training[0]"
    modality: str = ""

    @property
    def sample_mean(self) -> tuple[float, ...]:
        """Mean foreground intensity of each channel; empty without a sample."""
        return tuple(float(np.mean(channel)) for channel in self.sample if channel)


def read_facts(
    cases: Sequence[Mapping[str, Any]] | Mapping[str, Sequence[Mapping[str, Any]]],
    *,
    image_key: str = "image",
    label_key: str = "label",
    cache: bool = True,
) -> list[CaseFacts]:
    """Read every case once.  A bad file is recorded, and raises nothing.

    Args:
        cases: dicts with absolute paths, all in the list ``training``; or the lists by name, as
            :func:`common.datasets.read_datalist` gives them.
        image_key: key of the image file or the list of image files (channels).
        label_key: key of the label file, files, or class index; a case may lack it.
        cache: keep the facts in ``$XDG_CACHE_HOME`` (else ``~/.cache``) ``/method_zoo/facts`` and take
        them from there as long as path, size and date of the files are unchanged.

    Returns:
        The facts in the order of the cases, list after list.
    """
    lists = cases if isinstance(cases, Mapping) else {"training": cases}
    places = [(split, place) for split, listed in lists.items() for place in places_of(listed, split)]
    inputs = [(case.get(image_key), case.get(label_key)) for listed in lists.values() for case in listed]
    facts = [_cached_case(*files) if cache else None for files in inputs]
    unread = [number for number, known in enumerate(facts) if known is None]
    for number in tqdm(unread, desc="checking data", unit="case", disable=not unread):
        facts[number] = _read_case(*inputs[number], cache=cache)
    modalities = [modality_of_case(case) for listed in lists.values() for case in listed]
    return [
        replace(case, split=split, name=place, modality=modality)
        for case, (split, place), modality in zip(facts, places, modalities, strict=True)
    ]


def _cached_case(image: Any, label: Any) -> CaseFacts | None:
    stored = load_cached(_files(image), _files(label))
    if stored is None:
        return None
    return CaseFacts(
        image=ImageFacts(**stored["image"]),
        label=LabelFacts(**stored["label"]) if _files(label) else _label_without_file(label),
        sample=stored["sample"],
        sample_labels=stored["sample_labels"],
    )


def _read_case(image: Any, label: Any, *, cache: bool) -> CaseFacts:
    # Taken before reading, so that a file that changes meanwhile is read again next time.
    before = stamp(_files(image), _files(label))
    image_facts, image_voxels = _image_facts(_files(image))
    label_facts, values = _label_facts(_files(label)) if _files(label) else (_label_without_file(label), None)
    sample, sample_labels = (), ()
    if image_voxels and values is not None and image_facts.shape == label_facts.shape:
        sample, sample_labels = _foreground_sample(image_voxels, values)
    case = CaseFacts(image_facts, label_facts, sample, sample_labels)
    readable = image_facts.error is None and (label_facts is None or label_facts.error is None)
    if cache and readable and before is not None:
        stored = {key: value for key, value in asdict(case).items() if key not in _OF_THE_ENTRY}
        save_cached(_files(image), _files(label), before, stored)
    return case


def _files(value: Any) -> tuple[str, ...]:
    listed = value if isinstance(value, list | tuple) else [value]
    return tuple(file for file in listed if isinstance(file, str) and file)


def _label_without_file(label: Any) -> LabelFacts | None:
    if label is None:
        return None
    classes = label if isinstance(label, list | tuple) else [label]
    return LabelFacts(values=tuple(sorted({float(value) for value in classes if isinstance(value, int)})))


def _image_facts(files: tuple[str, ...]) -> tuple[ImageFacts, list[Voxels]]:
    voxels, error, bad_file = _read_files(files)
    if error:
        return ImageFacts(files, error=error, bad_file=bad_file), []
    ranges = [_finite_range(one, channel) for one in voxels for channel in one.channels]
    first = voxels[0]
    return ImageFacts(
        files=files,
        shape=first.shape,
        channels=len(ranges),
        spacing=() if first.affine is None else tuple(float(mm) for mm in voxel_sizes(first.affine)),
        affine=_rows(first.affine),
        kind=first.channels[0].dtype.kind,
        non_finite=sum(bad for _, _, bad in ranges),
        low=tuple(low for low, _, _ in ranges),
        high=tuple(high for _, high, _ in ranges),
        mode=first.mode,
    ), voxels


def _label_facts(files: tuple[str, ...]) -> tuple[LabelFacts, np.ndarray | None]:
    voxels, error, bad_file = _read_files(files)
    if error:
        return LabelFacts(files, error=error, bad_file=bad_file), None
    colourful = next((file for file, one in zip(files, voxels, strict=True) if _is_colourful(one)), "")
    if colourful:
        return LabelFacts(files, error="is a colour picture", bad_file=colourful), None
    maps = [one.scaled(channel) for one in voxels for channel in _label_channels(one)]
    values = np.unique(np.concatenate([_distinct(one) for one in maps]))
    broken = sum(int(np.count_nonzero(_not_integer(one))) for one in maps)
    return LabelFacts(
        files=files,
        shape=voxels[0].shape,
        affine=_rows(voxels[0].affine),
        values=tuple(float(value) for value in values[np.isfinite(values)][:_MOST_VALUES]),
        non_integer=broken / sum(one.size for one in maps),
    ), reduce(np.maximum, maps)


def _label_channels(one: Voxels) -> tuple[np.ndarray, ...]:
    """A label picture's grey channel, even if it is stored as red, green, blue and alpha."""
    return one.channels[:1] if one.mode else one.channels


def _is_colourful(one: Voxels) -> bool:
    return bool(one.mode) and label_channel(np.stack(one.channels, axis=-1)[None]) is None


def _read_files(files: tuple[str, ...]) -> tuple[list[Voxels], str | None, str]:
    voxels: list[Voxels] = []
    if not files:
        return [], "is not given", ""
    for file in files:
        try:
            voxels.append(read_voxels(file))
        except UnreadableError as error:
            return [], str(error), file
        if voxels[-1].shape != voxels[0].shape:
            return [], f"has shape {voxels[-1].shape}, but {files[0]} has {voxels[0].shape}", file
        if not _on_one_grid(voxels[-1], voxels[0]):
            return [], f"has another affine than {files[0]}, so its voxels lie elsewhere", file
    return voxels, None, ""


def _on_one_grid(found: Voxels, first: Voxels) -> bool:
    """Whether voxels of equal index are at one place; pictures have no places."""
    if found.affine is None or first.affine is None or not np.isfinite(first.affine).all():
        return True
    if not all(voxel_sizes(first.affine)):
        return True  # complained of by a rule
    return grid_distance(first.shape, first.affine, found.affine) <= GRID_TOLERANCE


def _rows(affine: np.ndarray | None) -> tuple[tuple[float, ...], ...] | None:
    return None if affine is None else tuple(tuple(float(value) for value in row) for row in affine)


def _finite_range(voxels: Voxels, stored: np.ndarray) -> tuple[float | None, float | None, int]:
    bad = 0
    if stored.dtype.kind == "f":
        finite = np.isfinite(stored)
        bad = stored.size - int(np.count_nonzero(finite))
        stored = stored[finite] if bad else stored
    if not stored.size:
        return None, None, bad
    ends = voxels.scaled(np.array([stored.min(), stored.max()]).astype(np.float64))
    return float(ends.min()), float(ends.max()), bad


def _distinct(values: np.ndarray) -> np.ndarray:
    # Label maps are constant along most of a row: sorting only where the value changes is 50 times faster.
    return np.unique(np.concatenate([values[:1], values[1:][values[1:] != values[:-1]]]))


def _not_integer(values: np.ndarray) -> np.ndarray:
    if values.dtype.kind != "f":
        return np.zeros(1, dtype=bool)
    single = values.astype(np.float32)  # what MONAI loads: 2.00000000001 is 2 there
    return ~(single == np.rint(single)) | np.isinf(single)


def _foreground_sample(
    voxels: list[Voxels], labels: np.ndarray
) -> tuple[tuple[tuple[float, ...], ...], tuple[float, ...]]:
    foreground = np.flatnonzero(labels)
    at = foreground[:: max(1, -(-foreground.size // SAMPLE_SIZE))]
    drawn = np.array([one.scaled(channel[at]) for one in voxels for channel in one.channels], np.float64)
    usable = np.isfinite(drawn).all(axis=0) & np.isfinite(labels[at].astype(np.float64))
    sample = tuple(tuple(float(f"{value:.6g}") for value in channel[usable]) for channel in drawn)
    return sample, tuple(float(value) for value in labels[at][usable])
