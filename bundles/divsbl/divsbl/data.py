"""Data sets of measurements: their lists, their operator, and a check that reports all faults at once.

The folder has the usual layout, with two more keys in ``dataset.json``:

    {"operator": "operator.npy", "basis": "dct",
     "training": [{"image": "measured/a.npy", "label": "signals/a.npy"}],
     "validation": [...], "test": ["measured/b.npy"]}

``operator``: Phi (M, N), shared by all cases, unless every case names its own; ``basis``: where the signals
are block-sparse (default: identity); ``image``: measurements (M,) or (M, W); ``label``: signals (N,) or
(N, W).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from ignite.engine import Engine, Events
from torch import Tensor

from common.blocks.sensing import BASES
from common.datasets.lists.case_list import CaseList, places_of
from common.datasets.lists.datalist import DATALIST, read_datalist, read_description
from common.datasets.lists.output_names import with_output_names
from common.errors import InputError
from divsbl.bases import basis_of
from divsbl.files import SUFFIXES, read_signal
from divsbl.recovery import LinearRecovery

__all__ = [
    "SetOperator",
    "SignalChecks",
    "check_folder",
    "measured_datalist",
    "measurements_to_recover",
    "operator_of",
    "own_operators",
]


def measured_datalist(
    dataset_dir: str | Path, *, measurements: int, length: int, fold: int | None = None, folds: int = 5
) -> dict[str, CaseList]:
    """The lists of a data set, every file checked; see :func:`common.datasets.read_datalist`.

    Args:
        dataset_dir: folder with dataset.json.
        measurements: M.
        length: N.
        fold: number of a fold, as there.
        folds: how many there are.

    Raises:
        InputError: the lists, or files in them, cannot be read; every fault is named.
    """
    operator_of(dataset_dir, measurements=measurements, length=length)
    lists = read_datalist(dataset_dir, fold=fold, folds=folds)
    own = own_operators(read_description(dataset_dir))
    checks, problems = SignalChecks(measurements, length, own_operators=own), []
    for section, cases in lists.items():
        problems += checks.of(cases, section, labels_needed=section != "test")
    _raise(problems, Path(dataset_dir) / DATALIST)
    return lists


def check_folder(folder: str | Path) -> tuple[int, list[str]]:
    """Number of cases in a data set, and one line for each fault; sizes are those of its (first) operator.

    For ``python -m common.datasets check``.

    Raises:
        InputError: dataset.json or the operator cannot be read.
    """
    lists = read_datalist(folder, holdout=0)
    description = read_description(folder)
    own, named = own_operators(description), description.get("operator")
    if own:
        named = next(case["operator"] for cases in lists.values() for case in cases if "operator" in case)
    if not isinstance(named, str):
        raise InputError(f'{Path(folder) / DATALIST}: names no operator; expected "operator": "operator.npy"')
    phi = read_signal(Path(folder) / named)
    if phi.ndim != 2 or not 1 < phi.shape[0] <= phi.shape[1]:
        raise InputError(
            f"{Path(folder) / named}: has the shape {phi.shape}; expected a matrix of fewer rows than columns"
        )
    checks, problems = SignalChecks(*phi.shape, own_operators=own), []
    for section, cases in lists.items():
        problems += checks.of(cases, section, labels_needed=section != "test")
    return sum(map(len, lists.values())), problems


def measurements_to_recover(dataset_dir: str | Path, *, measurements: int) -> list[dict]:
    """The measurements to recover from: a data set's test list, a folder of files, or one file.

    Raises:
        InputError: there are none, or some cannot be used, or the results of two would have one name; each of
            those is named.
    """
    folder = Path(dataset_dir).absolute()
    own = False
    if folder.is_file():
        cases = [{"image": str(folder)}]
    elif (folder / DATALIST).is_file():
        lists = read_datalist(folder, holdout=0)
        own = own_operators(read_description(folder))
        cases = (lists["test"] or lists["validation"]).flat_map(
            lambda case: [{key: case[key] for key in ("image", "operator") if key in case}]
        )
    elif folder.is_dir():
        files = sorted(p for p in folder.iterdir() if p.suffix in SUFFIXES and p.stem != "operator")
        cases = [{"image": str(file)} for file in files]
    else:
        raise InputError(f"{folder}: no such file or folder; correct --dataset_dir")
    if not cases:
        raise InputError(
            f"{folder}: nothing to recover; expected files ending in {', '.join(SUFFIXES)}, or a {DATALIST} "
            "with a test list"
        )
    checks = SignalChecks(measurements, None, own_operators=own)
    _raise(checks.of(cases, "test", labels_needed=False), folder)
    return with_output_names(cases)


class SignalChecks:
    """Checks cases and describes each fault in one line.

    Args:
        measurements: M.
        length: N; None skips the labels.
        own_operators: every case must name its own.
    """

    def __init__(self, measurements: int, length: int | None, *, own_operators: bool = False) -> None:
        self.measurements, self.length = measurements, length
        self.own_operators = own_operators

    def of(self, cases: Sequence[dict], section: str, *, labels_needed: bool) -> list[str]:
        """One line per fault: the case's place in dataset.json, key, value found and value expected."""
        lines = []
        for case, place in zip(cases, places_of(cases, section), strict=True):
            shape = self._check(lines, f"{place}.image", case["image"], self.measurements, "measurements")
            if self.own_operators:
                self._check_operator(lines, f"{place}.operator", case)
            label = case.get("label") if self.length is not None else None
            if label:
                truth = self._check(lines, f"{place}.label", label, self.length, "length")
                if shape and truth and shape[1:] != truth[1:]:
                    lines.append(
                        f"{place}: {case['image']} has the shape {shape}, its label {truth}; expected as "
                        "many signals as measured columns"
                    )
            elif labels_needed:
                lines.append(f"{place}.label is not there; expected the true signal of {case['image']}")
        return lines

    def _check_operator(self, lines: list[str], place: str, case: dict) -> None:
        if "operator" not in case:
            lines.append(
                f"{place} is not there, but other cases name their own; expected the file of the matrix that "
                f"measured {case['image']}"
            )
            return
        shape = self._check(lines, place, case["operator"], self.measurements, "measurements")
        if shape and (len(shape) != 2 or self.length not in (None, shape[1])):
            lines.append(
                f"{place} = {case['operator']} has the shape {shape}; expected ({self.measurements}, "
                f"{self.length or 'length'})"
            )

    def _check(
        self, lines: list[str], place: str, path: str, length: int | None, option: str
    ) -> tuple[int, ...]:
        try:
            shape = read_signal(path).shape
        except InputError as error:
            lines.append(f"{place} = {error}")
            return ()
        if shape[0] != length:
            lines.append(
                f"{place} = {path} has {shape[0]} rows; expected {length} (--{option} {shape[0]}, if the "
                "operator has as many)"
            )
            return ()
        return shape


def _raise(problems: list[str], source: Path) -> None:
    if problems:
        more = f"  (and {len(problems) - 1} more: {' | '.join(problems[1:6])})" if problems[1:] else ""
        raise InputError(f"{source}: {problems[0]}{more}")


def own_operators(description: Mapping[str, Any]) -> bool:
    """Whether any case in a dataset.json names an operator of its own; then all must."""
    listed = [description.get(section) or [] for section in ("training", "validation", "test")]
    return any(isinstance(case, dict) and "operator" in case for cases in listed for case in cases)


def operator_of(
    dataset_dir: str | Path, *, measurements: int, length: int, required: bool = True
) -> tuple[Tensor, str] | None:
    """A data set's Phi (M, N), float64, and the name of its basis; None for what it does not give.

    Phi is zero where every case has its own: then there is none for all.

    Raises:
        InputError: dataset.json names no operator (and it is ``required``), or it has another shape.
    """
    folder = Path(dataset_dir)
    if not (folder / DATALIST).is_file() and not required:
        return None
    description = read_description(folder)
    named, basis = description.get("operator"), description.get("basis", "identity")
    own = own_operators(description)
    if not own and not isinstance(named, str):
        if not required:
            return None
        raise InputError(
            f'{folder / DATALIST}: operator = {named!r}; expected "operator": "operator.npy", the file of '
            f"the ({measurements}, {length}) matrix that measured all cases, or one in every case"
        )
    if basis not in BASES:
        raise InputError(f"{folder / DATALIST}: basis = {basis!r}; expected one of {', '.join(BASES)}")
    if own:
        return torch.zeros(measurements, length, dtype=torch.float64), basis
    return read_operator(folder / named, measurements=measurements, length=length), basis


def read_operator(path: str | Path, *, measurements: int, length: int) -> Tensor:
    """Phi (M, N) float64 of a file.

    Raises:
        InputError: it cannot be read, or has another shape.
    """
    phi = read_signal(path)
    if phi.shape != (measurements, length):
        rows, columns = (*phi.shape, 1)[:2]
        raise InputError(
            f"{path}: the operator has the shape {phi.shape}; expected ({measurements}, {length}): give "
            f"--measurements {rows} --length {columns}"
        )
    return torch.from_numpy(np.ascontiguousarray(phi))


class SetOperator:
    """When an engine starts, make sure that the network has the operator that measured the data.

    Args:
        network: receives it.
        dataset_dir: the data set.
        operator: file of an operator that overrides the data set's and the network's.  Cases that name their
            own are recovered with that.
        basis: name or file of a basis (:func:`divsbl.bases.basis_of`) that overrides all others.
        keep: refuse a data set whose operator differs from the network's; otherwise take the data set's.

    Raises:
        InputError: the data set's operator is not the one that was loaded, or there is none (raised when the
            engine starts).
    """

    def __init__(
        self,
        network: LinearRecovery,
        dataset_dir: str | Path,
        *,
        operator: str | Path | None = None,
        basis: str | None = None,
        keep: bool = False,
    ) -> None:
        self.network, self.dataset_dir = network, dataset_dir
        self.operator, self.basis, self.keep = operator, basis, keep

    def attach(self, engine: Engine) -> None:
        """Run before the first case."""
        engine.add_event_handler(Events.STARTED, self)

    def __call__(self, _: Engine) -> None:
        """Set the operator, or compare it."""
        if not isinstance(self.network, LinearRecovery):
            return  # another network has no operator to set
        sizes = {"measurements": self.network.measurements, "length": self.network.length}
        if self.basis is not None:
            self.network.psi.copy_(basis_of(self.basis, self.network.length))
        if self.operator is not None:
            self.network.phi.copy_(read_operator(self.operator, **sizes))
            return
        given = operator_of(self.dataset_dir, **sizes, required=not self.keep)
        if given is None:
            if not bool(self.network.phi.any()):
                raise InputError(
                    f"{self.dataset_dir}: names no operator, and model.pt holds none, since every case that "
                    "it was made with had its own; give --operator FILE (and --basis NAME)"
                )
            return
        phi, basis = given
        if not self.keep:
            self.network.phi.copy_(phi)
            if self.basis is None:
                self.network.psi.copy_(basis_of(basis, self.network.length))
        elif bool(phi.any()) and not torch.equal(self.network.phi.cpu(), phi):
            raise InputError(
                f"{self.dataset_dir}: its operator is not the one that model.pt was made with; train on this "
                "data set first, or use its operator with --operator FILE (and --basis NAME)"
            )
