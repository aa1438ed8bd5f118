"""A public data set's raw download, checked and written as a Decathlon-style folder.

Readers of raw layouts are in :mod:`common.datasets.public`, one file per data set; adding a file
there adds a data set to ``python -m common.datasets prepare``.
"""

from __future__ import annotations

import os
import pkgutil
import re
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

from tqdm import tqdm

from common.datasets.raw.raw_case import RawCase, write_case
from common.datasets.raw.raw_picture import RawPicture, write_picture
from common.errors import InputError
from common.files import atomic_folder, write_json

__all__ = ["RawCase", "RawPicture", "Reader", "find_reader", "known_datasets", "prepare"]

_PACKAGE = "common.datasets.public"
_SUBSETS = {"training": "Tr", "validation": "Tr", "test": "Ts", "unlabelled": "Tr"}
_NAME = re.compile(r"[^/\\:\x00-\x1f\x7f]+")
_LONGEST_NAME = 200  # bytes; with a suffix and a temporary prefix a file system takes 255


class Reader(ABC):
    """How one public data set is read.

    Attributes:
        description: head of dataset.json: ``name``, ``description``, ``modality``, ``labels`` and more.
    """

    description: Mapping[str, Any]

    @abstractmethod
    def list_cases(self, source: Path, *, partial: bool) -> dict[str, list[str]]:
        """Names of the cases of ``training`` and ``test``, in the order of the data set's own lists.

        A reader may give further lists (``validation``, ``unlabelled``), which become lists of dataset.json.

        Args:
            source: the raw download.
            partial: some cases may be missing from the lists.

        Raises:
            InputError: lists are missing, do not hold what the data set should hold, or name cases
                without files.
        """

    def of_modality(self, modality: str) -> Reader:
        """The reader of one modality's cases alone.

        Raises:
            InputError: the data set has no cases of this modality, or of no other.
        """
        raise InputError(
            f"--modality {modality}: all cases of this data set have the same; leave the option out"
        )

    def domain_of(self, source: Path, case: str) -> str | None:
        """The domain of a case; None where the data set has none."""
        return None

    def patient_of(self, case: str) -> str | None:
        """The patient of a case; None where every case is another patient's."""
        return None

    @abstractmethod
    def read(self, source: Path, case: str) -> RawCase | RawPicture:
        """Read one case and check everything about it.

        Raises:
            InputError: its file is not as this data set's should be.
        """


def known_datasets() -> list[str]:
    """The names that ``prepare`` takes."""
    return sorted(module.name for module in pkgutil.iter_modules(import_module(_PACKAGE).__path__))


def find_reader(name: str) -> Reader:
    """The reader of a data set.

    Raises:
        InputError: there is none with this name.
    """
    if name not in known_datasets():
        raise InputError(f"prepare: no data set '{name}'; expected one of: {', '.join(known_datasets())}")
    return import_module(f"{_PACKAGE}.{name}").READER


def prepare(
    name: str,
    source: str | Path,
    target: str | Path,
    *,
    labelled: int | None = None,
    validation: int = 0,
    partial: bool = False,
    train_domains: str | Sequence[str] | None = None,
    modality: str | None = None,
    one_list: bool = False,
) -> dict[str, int]:
    """Read every case of a raw data set, check it, and write it as a Decathlon-style folder.

    The folder is whole or absent: it is written beside ``target`` and then renamed.  All bad files are
    found in one run, and then nothing is written.

    Args:
        name: one of :func:`known_datasets`.
        source: the raw download, as the data set's reader describes it.
        target: a folder that does not exist yet, or an empty one.
        labelled: number of training cases, counted from the first, that get a label; None: all.  (A
            training can choose with ``num_labelled`` too, so all labels can be kept.)
        validation: number of cases moved from the end of the training list to the validation list; refused
            where the data set has a validation list of its own.
        partial: accept an incomplete data set.
        train_domains: for a data set with domains, those to train on instead of the first; all others
            become the test list.
        modality: for a data set with several, the one whose cases are written.
        one_list: make all cases the training list, sorted by name, as folds over a whole data set need.

    Returns:
        The number of cases in each list.

    Raises:
        InputError: unknown name, bad numbers, a target that is in use, or bad files.
    """
    reader, source, target = find_reader(name), Path(source).absolute(), Path(target).absolute()
    reader = reader if modality is None else reader.of_modality(str(modality))
    if not source.is_dir():
        raise InputError(f"{source}: no such folder; expected the raw download of {name}: correct --source")
    listed = reader.list_cases(source, partial=partial)
    _check_names([case for cases in listed.values() for case in cases], source)
    domains = {case: reader.domain_of(source, case) for cases in listed.values() for case in cases}
    if train_domains is not None:
        listed = _with_domains(listed, domains, train_domains, name)
    lists = _split(_in_one_list(listed) if one_list else listed, validation, labelled)
    with atomic_folder(target) as root:
        for kind in ("images", "labels"):
            for subset in ("Tr", "Ts"):
                (root / f"{kind}{subset}").mkdir()
        entries = _write_cases(reader, source, root, lists, labelled)
        for section, cases in lists.items():
            for entry, case in zip(entries[section], cases, strict=True):
                patient = reader.patient_of(case)
                entry.update({"patient": patient} if patient else {})
                entry.update({"domain": domains[case]} if domains[case] else {})
        order = list(dict.fromkeys(domain for domain in domains.values() if domain))
        numbers = {"numTraining": len(lists["training"]), "numTest": len(lists["test"])}
        head = {**reader.description, **numbers, **({"domains": order} if order else {})}
        write_json(root / "dataset.json", {**head, **entries})
    return {section: len(cases) for section, cases in lists.items()}


def _check_names(cases: Sequence[str], source: Path) -> None:
    """Check that every case is a plain and unique name: lists give it, and files in ``target`` get it."""
    for case in cases:
        if case in (".", "..") or not _NAME.fullmatch(case) or len(os.fsencode(case)) > _LONGEST_NAME:
            raise InputError(
                f"{source}: a list names the case {case[:80]!r}; expected a file's name, without a folder"
            )
    if len(set(cases)) < len(cases):
        twice = next(case for case in cases if cases.count(case) > 1)
        raise InputError(f"{source}: the lists name {twice} twice; expected every case once")


def _with_domains(
    lists: Mapping[str, Sequence[str]],
    domains: Mapping[str, str | None],
    chosen: str | Sequence[str],
    name: str,
) -> dict[str, list[str]]:
    """The lists with other domains to train on."""
    wanted = [chosen] if isinstance(chosen, str) else list(chosen)
    known = list(dict.fromkeys(domain for domain in domains.values() if domain))
    strangers = [domain for domain in wanted if domain not in known]
    if strangers or not wanted:
        raise InputError(
            f"--train_domains {chosen}; expected one or several of the domains of {name}: "
            f"{', '.join(known) or 'it has none'}"
        )
    cases = [*lists["training"], *lists["test"]]
    others = {section: list(names) for section, names in lists.items() if section not in ("training", "test")}
    return {
        "training": [case for case in cases if domains[case] in wanted],
        "test": [case for case in cases if domains[case] not in wanted],
    } | others


def _in_one_list(lists: Mapping[str, Sequence[str]]) -> dict[str, list[str]]:
    """All cases in the training list, sorted as strings; those that are unlabelled by design stay apart."""
    kept = {section: list(cases) for section, cases in lists.items() if section == "unlabelled"}
    cases = [case for section, names in lists.items() if section not in kept for case in names]
    return {"training": sorted(cases), "test": [], **kept}


def _split(lists: Mapping[str, Sequence[str]], validation: int, labelled: int | None) -> dict[str, list[str]]:
    training = list(lists["training"])
    if not _whole(validation) or not 0 <= validation < len(training):
        raise InputError(f"--validation {validation}; expected a whole number from 0 to {len(training) - 1}")
    kept = len(training) - validation
    if labelled is not None and not (_whole(labelled) and 0 <= labelled <= kept):
        raise InputError(
            f"--labelled {labelled}; expected a whole number from 0 to {kept}, the training cases"
        )
    if validation and "validation" in lists:
        raise InputError(
            f"--validation {validation}: this data set has a validation list of its own; leave the option out"
        )
    held_out = {"validation": training[kept:]} if validation else {}
    others = {section: list(cases) for section, cases in lists.items() if section not in ("training", "test")}
    return {"training": training[:kept], **held_out, "test": list(lists["test"]), **others}


def _whole(number: Any) -> bool:
    return isinstance(number, int) and not isinstance(number, bool)


def _write_cases(
    reader: Reader, source: Path, root: Path, lists: Mapping[str, Sequence[str]], labelled: int | None
) -> dict[str, list[dict[str, Any]]]:
    """Write every case; returns the lists of dataset.json."""
    entries: dict[str, list[dict[str, Any]]] = {section: [] for section in lists}
    problems: list[InputError] = []
    for section, index, case in _with_progress(lists):
        try:
            raw = reader.read(source, case)
        except InputError as error:
            problems.append(error)
            continue
        if problems:  # nothing will be kept: read on, to name all bad files
            continue
        keep_label = section != "training" or labelled is None or index < labelled
        entries[section].append(_write_case(root, _SUBSETS[section], case, raw, keep_label))
    if problems:
        raise InputError(_told(problems))
    return entries


def _with_progress(lists: Mapping[str, Sequence[str]]) -> Iterator[tuple[str, int, str]]:
    cases = [(section, index, case) for section, names in lists.items() for index, case in enumerate(names)]
    yield from tqdm(cases, desc="preparing", unit="case")


def _write_case(
    root: Path, subset: str, case: str, raw: RawCase | RawPicture, keep_label: bool
) -> dict[str, Any]:
    if isinstance(raw, RawPicture):
        return write_picture(root, subset, case, raw, keep_label=keep_label)
    return write_case(root, subset, case, raw, keep_label=keep_label)


def _told(problems: Sequence[InputError]) -> str:
    if len(problems) == 1:
        return str(problems[0])
    others = " | ".join(str(problem) for problem in problems[1:])
    return f"{problems[0]} | {len(problems) - 1} more: {others}"
