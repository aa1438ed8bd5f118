"""The pairs of a data set, and a check of its files that reports all faults at once.

A list of ``dataset.json`` holds pairs, or single scans, on one grid or on different ones:

    {"training": [{"moving": "a.nii.gz", "fixed": "b.nii.gz", "moving_label": ..., "fixed_label": ...}],
     "validation": [...], "test": [...]}

    {"training": [{"image": "a.nii.gz", "label": ...}, {"image": "b.nii.gz"}, ...], "test": ["c.nii.gz"]}

Every two single scans form a training pair; those of validation and test are moved onto the first training
scan, the atlas, or are paired by another rule of :data:`PAIRINGS`.  Without a validation list the last fifth
of the training entries is held out.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from common.datasets.check.check import check_cases
from common.datasets.check.facts import read_facts
from common.datasets.check.voxels import has_suffix
from common.datasets.lists.case_list import CaseList, as_lists, places_of
from common.datasets.lists.datalist import DATALIST, labels_of, read_description
from common.datasets.lists.folds import hold_out_fold
from common.datasets.lists.holdout import hold_out
from common.datasets.lists.output_names import with_output_names
from common.datasets.lists.patients import patients_of
from common.errors import InputError

__all__ = [
    "PAIRINGS",
    "check_folder",
    "entries_of",
    "pair_datalist",
    "pairs_of",
    "pairs_to_register",
    "structures",
]

PAIRINGS = {
    "atlas": "training: every two scans; validation and test: onto the first training scan",
    "neighbours": "training: every two scans; validation and test: each scan onto the next of its list",
    "patients": "every two scans of one patient; in validation and test in both directions",
}
"""How single scans become pairs; listed pairs stay as they are."""

SECTIONS = ("training", "validation", "test")
_BETWEEN = " onto "  # the places of two scans
_ROLES = ("moving", "fixed")
_KEYS = ("image", "label", "moving", "fixed", "moving_label", "fixed_label", "field")
_EXAMPLE = '{"moving": "a.nii.gz", "fixed": "b.nii.gz"} or {"image": "a.nii.gz"}'

Case = dict[str, Any]


def pair_datalist(
    dataset_dir: str | Path,
    *,
    holdout: float = 0.2,
    pairing: str = "atlas",
    fold: int | None = None,
    folds: int = 5,
) -> dict[str, CaseList]:
    """The pairs of a data set under ``training``, ``validation`` and ``test``, every file checked.

    The two scans of a training pair come in the order of the list; ``RandSwapd`` exchanges them.  Where they
    name the ``centre`` (x, y, z in RAS+ mm) of what they show, a training pair has that of its fixed scan.

    Args:
        dataset_dir: folder with dataset.json.
        pairing: one of :data:`PAIRINGS`.
        holdout: share of the training entries to hold out if there is no validation list
            (:func:`common.datasets.lists.holdout.hold_out`).
        fold: number, from 0, of a fold of the entries of training and validation: they become the validation
            list, pairs are made within each of both, and the atlas is the first scan that is trained on.
        folds: how many there are.

    Raises:
        InputError: the lists cannot be read, or files in them; see :func:`check_folder`.
    """
    folder = Path(dataset_dir).absolute()
    _check_pairing(pairing)
    entries = _entries(folder)
    _raise(_problems(entries), folder)
    atlas = _first_scan(entries["training"])
    both, source = (entries["training"], entries["validation"]), folder / DATALIST
    if fold is None:
        counted = "training pairs or scans"
        training, entries["validation"] = hold_out(*both, holdout, source=source, counted=counted)
    else:
        training, entries["validation"] = hold_out_fold(*both, fold, folds, source=source)
        atlas = _first_scan(training)
    lists = {"training": _training_pairs(training, within_patients=pairing == "patients")}
    if not lists["training"]:
        raise InputError(
            f"{folder / DATALIST}: training leaves no pair; expected a pair, or two scans"
            f"{' of one patient' if pairing == 'patients' else ''}, beside what "
            'is held out for validation: add cases or a "validation" list'
        )
    for section in ("validation", "test"):
        lists[section] = _scored_pairs(entries[section], pairing, atlas, folder)
    return as_lists(lists)


def pairs_to_register(
    dataset_dir: str | Path, *, fixed: str | Path | None = None, pairing: str = "atlas"
) -> list[Case]:
    """The pairs to register: a data set's test list (or validation list, without one), or a folder of scans.

    Args:
        dataset_dir: folder with dataset.json or with scans.
        pairing: one of :data:`PAIRINGS`, for a data set's list if ``fixed`` is not given.
        fixed: scan onto which all single scans are moved; by default a data set's first training scan, or a
            folder's first scan by name.

    Raises:
        InputError: there are none, or some cannot be read, or the results of two would have one name.
    """
    folder = Path(dataset_dir).absolute()
    _check_pairing(pairing)
    given = {"image": str(Path(fixed).absolute())} if fixed is not None else None
    if (folder / DATALIST).is_file():
        entries = _entries(folder)
        atlas = given or _first_scan(entries["training"])
        listed = entries["test"] or entries["validation"]
        chosen = listed if given else _scored_pairs(listed, pairing, atlas, folder)
    elif folder.is_dir():
        files = sorted(str(file) for file in folder.iterdir() if has_suffix(file) and file.is_file())
        atlas = given or ({"image": files[0]} if files else None)
        chosen = [{"image": file} for file in files if atlas and file != atlas["image"]]
    else:
        raise InputError(f"{folder}: no such folder; correct --dataset_dir")
    if not chosen:
        raise InputError(
            f"{folder}: nothing to register; expected a {DATALIST} with a test list, or a folder with a "
            "fixed scan (the first by name, or --fixed FILE) and at least one other"
        )
    pairs = [_onto(entry, atlas, folder) for entry in chosen]
    scans = [{"image": pair[role]} for pair in pairs for role in _ROLES]
    _raise(_problems({"test": scans}), folder)
    return with_output_names(pairs, onto="fixed")


def pairs_of(datalist: Mapping[str, Sequence[Case]], name: str) -> list[Case]:
    """One list of a data set, for scoring; labels are scored where pairs have them.

    Raises:
        InputError: there is no such list, or it is empty.
    """
    pairs = list(datalist.get(name, []))
    if not pairs:
        raise InputError(
            f"dataset.json: the list {name!r} is empty or not there; choose another with --evaluation_list "
            f"({', '.join(key for key, value in datalist.items() if value)})"
        )
    return pairs


def check_folder(folder: str | Path) -> tuple[int, list[str]]:
    """Number of entries in a data set, and one line for each fault.

    For ``python -m common.datasets check``.

    Raises:
        InputError: dataset.json cannot be read.
    """
    entries = _entries(Path(folder).absolute())
    return sum(map(len, entries.values())), _problems(entries)


def _entries(folder: Path) -> dict[str, CaseList]:
    """The lists with absolute paths."""
    description, found = read_description(folder), {}
    for section in SECTIONS:
        listed = description.get(section) or []
        listed = [{"image": one} if isinstance(one, str) else one for one in listed]
        for index, entry in enumerate(listed):
            if not isinstance(entry, dict) or not ("image" in entry or {*_ROLES} <= entry.keys()):
                raise InputError(
                    f"{folder / DATALIST}: {section}[{index}] = {entry} is no pair; expected {_EXAMPLE}"
                )
        absolute = [
            {key: str(folder / value) if key in _KEYS else value for key, value in entry.items()}
            for entry in listed
        ]
        found[section] = CaseList(absolute, folder, places_of(absolute, section))
    if not found["training"] and not found["test"]:
        raise InputError(f"{folder / DATALIST}: training has no case; expected a list of {_EXAMPLE}")
    return found


def _check_pairing(pairing: str) -> None:
    if pairing not in PAIRINGS:
        rules = "; ".join(f"{name} ({rule})" for name, rule in PAIRINGS.items())
        raise InputError(f"--pairing {pairing}; expected one of: {rules}")


def _training_pairs(entries: CaseList, *, within_patients: bool) -> CaseList:
    """The listed pairs, then every pair of single scans; such a pair has two places in dataset.json."""
    pairs = entries.flat_map(lambda entry: [entry] if "moving" in entry else [])
    placed = _singles(entries)
    twos = [
        (one, other)
        for one, other in itertools.combinations(placed, 2)
        if one[2] == other[2] or not within_patients
    ]
    return pairs + CaseList(
        [_pair(one, other, centred=True) for (one, *_), (other, *_) in twos],
        entries.folder,
        [f"{one}{_BETWEEN}{other}" for (_, one, _), (_, other, _) in twos],
    )


def _scored_pairs(entries: CaseList, pairing: str, atlas: Case | None, folder: Path) -> CaseList:
    """The listed pairs, then the single scans, paired by the rule."""
    if pairing == "atlas":
        return entries.flat_map(lambda entry: [_onto(entry, atlas, folder)])
    pairs = entries.flat_map(lambda entry: [entry] if "moving" in entry else [])
    placed = _singles(entries)
    if pairing == "neighbours":
        twos = list(itertools.pairwise(placed))
    else:
        twos = [(one, other) for one, other in itertools.permutations(placed, 2) if one[2] == other[2]]
    if len(placed) and not twos:
        raise InputError(
            f"{folder / DATALIST}: {placed[0][1]} has no scan to go with; expected "
            f"{'another one of its patient' if pairing == 'patients' else 'another one in its list'}, or "
            f"pairs, or --pairing atlas"
        )
    return pairs + CaseList(
        [_pair(one, other) for (one, *_), (other, *_) in twos],
        entries.folder,
        [f"{one}{_BETWEEN}{other}" for (_, one, _), (_, other, _) in twos],
    )


def _singles(entries: CaseList) -> list[tuple[Case, str, Any]]:
    """Single scans with their places and patients."""
    triples = zip(entries, entries.places, patients_of(entries), strict=True)
    return [(entry, place, patient) for entry, place, patient in triples if "image" in entry]


def entries_of(place: str) -> list[str]:
    """The places in dataset.json, one or two, of the entries that a pair was made of."""
    return place.split(_BETWEEN)


def _first_scan(entries: Iterable[Case]) -> Case | None:
    return next((entry for entry in entries if "image" in entry), None)


def _onto(entry: Case, atlas: Case | None, folder: Path) -> Case:
    if "moving" in entry:
        return entry
    if atlas is None:
        raise InputError(
            f"{folder}: {Path(entry['image']).name} is a single scan and there is none to move it onto; "
            'expected a single scan in the training list, "moving" and "fixed", or --fixed FILE'
        )
    return _pair(entry, atlas)


def _pair(moving: Case, fixed: Case, *, centred: bool = False) -> Case:
    pair = {"moving": moving["image"], "fixed": fixed["image"]}
    if centred and "centre" in fixed:
        pair["centre"] = fixed["centre"]
    for role, entry in zip(_ROLES, (moving, fixed), strict=True):
        if entry.get("label"):
            pair[f"{role}_label"] = entry["label"]
    return pair


def _problems(entries: dict[str, list[Case]]) -> list[str]:
    """One line for every unusable file; each file is checked once."""
    places: dict[str, tuple[str, str, Case]] = {}
    for section, index, role, scan in _scans(entries):
        places.setdefault(scan["image"], (f"{section}[{index}]", role, scan))
    lines = []
    facts = read_facts([scan for *_, scan in places.values()])
    for (place, role, _), fact in zip(places.values(), facts, strict=True):
        for one in check_cases([fact], channels=1, classes=None, labelled=(), declared={}):
            if one.severity == "error" and one.key != "labels":
                key = role if one.key == "image" else f"{role}_label" if role != "image" else one.key
                lines.append(f"{place}.{key} = {one.file} {one.found}; expected {one.expected}. {one.repair}")
    return lines


def _scans(entries: dict[str, list[Case]]) -> Iterable[tuple[str, int, str, Case]]:
    for section, listed in entries.items():
        for index, entry in enumerate(listed):
            if "image" in entry:
                kept = {key: entry[key] for key in ("image", "label") if key in entry}
                yield section, index, "image", kept
                continue
            for role in _ROLES:
                scan = {"image": entry[role]}
                if f"{role}_label" in entry:
                    scan["label"] = entry[f"{role}_label"]
                yield section, index, role, scan


def _raise(problems: Sequence[str], folder: Path) -> None:
    if problems:
        more = f"  (and {len(problems) - 1} more: {' | '.join(problems[1:6])})" if problems[1:] else ""
        raise InputError(f"{folder / DATALIST}: {problems[0]}{more}. Nothing was written.")


def structures(cases: Sequence[Case]) -> dict[int, str]:
    """Names of the label values above 0 in the cases' data set; none for cases given in another way."""
    if not isinstance(cases, CaseList):
        return {}
    return {value: name for value, name in labels_of(cases.folder).items() if value > 0}
