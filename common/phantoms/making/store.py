"""Where a phantom lies: a Decathlon-style folder that is made on first use and reused afterwards.

The parameters a folder was made with are in its ``dataset.json`` under the key ``phantom``; they
decide between reuse and rebuild.  A folder is built under a temporary name beside its place and then
renamed, so it is whole or absent, even when several processes (one per GPU) ask for it at once.
"""

from __future__ import annotations

import errno
import glob
import hashlib
import json
import os
import re
import shutil
import socket
import time
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
from tqdm import tqdm

from common.errors import InputError
from common.files import write_json
from common.json_file import read_json
from common.leftovers import process_runs

__all__ = ["SECTIONS", "WriteCase", "case_generator", "ensure_phantom"]

SECTIONS = ("training", "validation", "test")

Entry = dict[str, Any]
"""One element of a list in ``dataset.json``; ``image`` and ``label`` hold paths relative to it.

An image of several channels may be a list of such paths, one for each.  Where there are several annotators,
``annotations`` is a list of further ones; ``gtv`` is a second label map.
"""

WriteCase = Callable[[Path, str, str, np.random.Generator], Entry]
"""``write_case(root, subset, case, rng)`` writes ``images<subset>/<case>...`` and so on; returns its entry.

``subset`` is ``Tr`` or ``Ts``; ``rng`` belongs to this case alone.
"""

_PARTIAL = ".partial"
_FILE_KEYS = ("image", "label", "gtv", "moving", "fixed", "moving_label", "fixed_label", "field", "operator")
# (the last is at the top level where it measured all cases)
_ABANDONED_AFTER_S = 24 * 3600.0  # no build takes a day: what is older was left by a killed process
_HOST = hashlib.sha256(socket.gethostname().encode()).hexdigest()[:8]


def case_generator(seed: int, section: str, index: int) -> np.random.Generator:
    """The random numbers of one case: they depend on nothing but these three values."""
    return np.random.default_rng([seed, SECTIONS.index(section), index])


def ensure_phantom(
    folder: str | Path,
    *,
    description: Mapping[str, Any],
    parameters: Mapping[str, Any],
    counts: Mapping[str, int],
    write_case: WriteCase,
    labelled: int | None = None,
    names: Mapping[str, Sequence[str]] | None = None,
) -> str:
    """Make the data set in ``folder`` unless it is there already, and return the folder.

    Args:
        folder: where it lies (``imagesTr``, ``labelsTr``, ``imagesTs``, ``labelsTs``, ``dataset.json``).
        description: the head of ``dataset.json``: at least ``name``, ``description``, ``modality``,
            ``labels``.
        parameters: everything that decides what the cases hold, as JSON values: the generator's
            ``name`` and ``version``, ``seed``, sizes.  The counts are added here.
        counts: number of cases of each of ``SECTIONS``.
        write_case: writes one case; see ``WriteCase``.
        labelled: number of training cases, counted from the first, that keep their label (also kept in
            the parameters); None: all do.
        names: names of the cases of each list, as many as ``counts`` says; None: the phantom's name,
            the list and a number.

    Raises:
        InputError: a count is no whole number from 0, more cases are to be labelled than there are,
            the folder cannot be written, or it holds something that was not made here.
    """
    for section in SECTIONS:
        count = counts[section]
        if not isinstance(count, int) or isinstance(count, bool) or count < 0:
            raise InputError(f"{section}={count!r}: the number of cases must be a whole number from 0")
    folder = Path(folder).expanduser()
    target = folder.resolve()
    wanted = json.loads(json.dumps({**parameters, "counts": dict(counts)}))
    if labelled is not None:
        wanted["labelled"] = _checked_labelled(labelled, counts["training"])
    if _is_whole(target, wanted):
        return str(folder)
    _refuse_foreign(target, wanted["name"])
    with _partial_folder(target) as partial:
        _build(partial, description, wanted, write_case, names)
        _publish(partial, target, wanted)
    return str(folder)


def _checked_labelled(labelled: int, training: int) -> int:
    if not isinstance(labelled, int) or isinstance(labelled, bool) or not 0 <= labelled <= training:
        raise InputError(f"labelled={labelled!r}: expected a whole number from 0 to training={training}")
    return labelled


def _read_phantom(target: Path) -> dict[str, Any] | None:
    """``dataset.json`` of a folder that was made here, else None."""
    try:
        dataset = read_json(target / "dataset.json")
    except (OSError, ValueError):
        return None
    return dataset if isinstance(dataset, dict) and isinstance(dataset.get("phantom"), dict) else None


def _listed_files(dataset: Mapping[str, Any]) -> set[str]:
    """The relative paths in the three lists, and those of files for all cases, in one spelling."""
    found = [entry.get(key) for entry in [dataset, *_entries(dataset)] for key in _FILE_KEYS]
    files = [file for one in found for file in (one if isinstance(one, list) else [one])]
    return {str(PurePosixPath(file)) for file in files if isinstance(file, str)}


def _entries(dataset: Mapping[str, Any]) -> list[dict[str, Any]]:
    lists = [dataset.get(section) for section in SECTIONS]
    listed = [entry for entries in lists if isinstance(entries, list) for entry in entries]
    return [entry for entry in listed if isinstance(entry, dict)]


def _is_whole(target: Path, wanted: Mapping[str, Any]) -> bool:
    dataset = _read_phantom(target)
    if dataset is None or dataset["phantom"] != wanted:
        return False
    return all((target / file).is_file() for file in _listed_files(dataset) | _annotations(dataset))


def _annotations(dataset: Mapping[str, Any]) -> set[str]:
    """The relative paths of single annotators' files."""
    return {str(PurePosixPath(file)) for entry in _entries(dataset) for file in entry.get("annotations", [])}


def _refuse_foreign(target: Path, name: str) -> None:
    """Stop before a rebuild would delete anything that this module has not written."""
    while True:
        before = _identity(target)
        problem = _what_is_foreign(target, name)
        if problem is None:
            return
        if _identity(target) == before:  # else another process has put its phantom there meanwhile
            raise InputError(f"{target}: {problem}")


def _identity(target: Path) -> tuple[int, int] | None:
    try:
        state = target.stat()
    except OSError:
        return None
    return state.st_ino, state.st_mtime_ns


def _what_is_foreign(target: Path, name: str) -> str | None:
    if target.is_file():
        return f"a file lies where the phantom {name!r} should go; choose another folder"
    present = {
        Path(folder, file).relative_to(target).as_posix()
        for folder, _, files in os.walk(target)
        for file in files
    }
    if not present:
        return None
    dataset = _read_phantom(target)
    if dataset is None:
        return (
            "not a phantom made here (no 'phantom' in dataset.json), so it is not replaced; "
            "choose another folder"
        )
    if dataset["phantom"].get("name") != name:
        return f"holds the phantom {dataset['phantom'].get('name')!r}, not {name!r}; choose another folder"
    others = present - _listed_files(dataset) - _annotations(dataset) - {"dataset.json"}
    foreign = sorted(file for file in others if not Path(file).name.startswith("."))  # .DS_Store, caches
    if foreign:
        return (
            f"must be rebuilt (other parameters, or files are missing) but holds {foreign[0]}, "
            "which is no part of the phantom; move it away or choose another folder"
        )
    return None


@contextmanager
def _partial_folder(target: Path) -> Iterator[Path]:
    """A new folder beside ``target``; whatever is left of it is removed when the block ends."""
    partial = _beside(target)
    try:
        partial.mkdir(parents=True)
    except OSError as error:
        raise _cannot_write(target, error) from error
    _remove_abandoned(target)
    try:
        yield partial
    except OSError as error:
        raise _cannot_write(target, error) from error
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def _cannot_write(target: Path, error: OSError) -> InputError:
    return InputError(
        f"{target}: cannot make the phantom there ({error.strerror or error}); "
        "choose another folder or free this one"
    )


def _beside(target: Path) -> Path:
    """A new place that says which process of which machine made it: a folder may be shared by several."""
    return target.with_name(f".{target.name}.{os.getpid()}_{_HOST}_{uuid.uuid4().hex[:12]}{_PARTIAL}")


def _remove_abandoned(target: Path) -> None:
    """Remove what dead processes of this machine have left, and whatever is older than a day."""
    pattern = re.compile(rf"\.{re.escape(target.name)}\.(\d+)_{_HOST}_\w+{re.escape(_PARTIAL)}")
    for folder in target.parent.glob(f".{glob.escape(target.name)}.*{_PARTIAL}"):
        try:
            age_s = time.time() - folder.stat().st_mtime
        except FileNotFoundError:
            continue  # its own process has just finished with it
        match = pattern.fullmatch(folder.name)
        if age_s > _ABANDONED_AFTER_S or (match is not None and not process_runs(int(match[1]))):
            shutil.rmtree(folder, ignore_errors=True)


def _build(
    root: Path,
    description: Mapping[str, Any],
    wanted: Mapping[str, Any],
    write_case: WriteCase,
    names: Mapping[str, Sequence[str]] | None,
) -> None:
    for kind in ("images", "labels"):
        for subset in ("Tr", "Ts"):
            (root / f"{kind}{subset}").mkdir()
    counts, name = wanted["counts"], wanted["name"]
    lists: dict[str, list[Entry]] = {section: [] for section in SECTIONS}
    with tqdm(total=sum(counts.values()), desc=f"making phantom '{name}'", unit="case") as bar:
        for section in SECTIONS:
            subset = "Ts" if section == "test" else "Tr"
            for index in range(counts[section]):
                case = names[section][index] if names else f"{name}_{section}_{index:03d}"
                rng = case_generator(wanted["seed"], section, index)
                entry = write_case(root, subset, case, rng)
                if section == "training" and index >= wanted.get("labelled", counts[section]):
                    (root / entry.pop("label")).unlink()
                lists[section].append(entry)
                bar.update()
    numbers = {"numTraining": counts["training"], "numTest": counts["test"]}
    write_json(root / "dataset.json", {**description, "phantom": wanted, **numbers, **lists})


def _publish(partial: Path, target: Path, wanted: Mapping[str, Any]) -> None:
    """Move ``partial`` to ``target``, in place of a phantom with other parameters."""
    while not _is_whole(target, wanted):  # whole: another process was faster, and its cases equal ours
        try:
            os.rename(partial, target)  # succeeds where nothing or an empty folder lies
            return
        except OSError as error:
            if error.errno not in (errno.ENOTEMPTY, errno.EEXIST):
                raise
            _refuse_foreign(target, wanted["name"])
            _remove_phantom(target)


def _remove_phantom(target: Path) -> None:
    """Remove ``target`` in one step, so that nobody sees it half deleted."""
    old = _beside(target)
    try:
        os.rename(target, old)
    except FileNotFoundError:
        return  # another process has just done so
    shutil.rmtree(old, ignore_errors=True)
