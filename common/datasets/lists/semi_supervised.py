"""The lists of a semi-supervised training: which cases have a label, and which labels stay hidden."""

from __future__ import annotations

import logging
from pathlib import Path

from common.datasets.lists.case_list import CaseList, as_lists, has_label
from common.datasets.lists.datalist import DATALIST, read_datalist
from common.datasets.lists.holdout import held_of, hold_out
from common.datasets.lists.patients import count_patients, length_of_patients
from common.errors import InputError

__all__ = ["semi_supervised_datalist"]

logger = logging.getLogger(__name__)


def semi_supervised_datalist(
    dataset_dir: str | Path,
    *,
    num_labelled: int | None = None,
    num_unlabelled: int | None = None,
    holdout: float = 0.2,
    choose_on: str = "validation",
    fold: int | None = None,
    folds: int = 5,
) -> dict[str, CaseList]:
    """The lists of :func:`common.datasets.read_datalist`; unlabelled training cases have no ``label``.

    ``num_labelled`` is the number that is trained on.  Where dataset.json has no ``validation`` list, its
    place is taken by the last cases of what is left over: of the training cases with a label behind the first
    ``num_labelled``.  They are then no longer unlabelled training cases.  Without ``num_labelled`` nothing is
    left over, and the last of the labelled cases are held out.

    Where entries name a ``patient``, both numbers count patients, and no patient is split.

    Args:
        dataset_dir: folder with dataset.json.
        num_labelled: number of labelled training patients, counted from the first; the labels of the others
            are hidden (their files are not opened).  None: all that have a label.
        num_unlabelled: number of unlabelled patients to keep, counted from the first; None: all; 0 for
            supervised training.
        holdout: number of cases of the validation list, where dataset.json has none; below 1 it is a share of
            the labelled cases; 0 holds nothing out.
        choose_on: the list of dataset.json to choose the weights on.  "test" is how many papers do it; it
            flatters the scores on that list, and a line says so.
        fold: number, from 0, of a fold of the training and validation lists: its labelled cases become the
            validation list, nothing of it is trained on, and the numbers above count what is left.
        folds: how many there are.

    Raises:
        InputError: as ``read_datalist``; also a fold without a labelled case, fewer labelled cases than asked
            for, none at all, or too few left over to hold out.
    """
    path = Path(dataset_dir).absolute() / DATALIST
    lists = read_datalist(dataset_dir, holdout=0, fold=fold, folds=folds)
    if fold is not None:
        lists["validation"] = _labelled_of(lists["validation"], fold, path)
    given = _chosen(lists, choose_on, path)
    training = _with_labels_hidden(lists["training"], num_labelled, path)
    labelled = _only(training, labelled=True)
    if not labelled:
        raise InputError(
            f"{path}: none of the {len(training)} training cases has a label; expected some: "
            f'add "label" to entries, or choose num_labelled above 0'
        )
    if given or holdout <= 0:
        validation = given
    elif num_labelled is None:
        _, validation = hold_out(labelled, given, holdout, source=path, counted="labelled cases")
    else:
        left_over = _only(lists["training"], labelled=True).without(labelled)
        validation = _last(left_over, held_of(holdout, len(labelled)), path)
    training = _first_unlabelled(training.without(validation), num_unlabelled)
    return as_lists({"training": training, "validation": validation, "test": lists["test"]})


def _chosen(lists: dict[str, CaseList], name: str, source: Path) -> CaseList:
    """The list to choose the weights on; may be empty if it is the validation list."""
    if name == "validation":
        return lists["validation"]
    if name != "test" or not lists["test"]:
        found = "the test list is empty" if name == "test" else f"choose_on = {name!r}"
        raise InputError(f'{source}: {found}; expected choose_on "validation", or "test" with a test list')
    logger.warning(
        "choosing weights on the test list (choose_on = test): scores on this list are too good to be "
        "compared with those of weights chosen elsewhere"
    )
    return lists["test"]


def _labelled_of(cases: CaseList, fold: int, source: Path) -> CaseList:
    labelled = _only(cases, labelled=True)
    if not labelled:
        raise InputError(
            f"{source}: none of the {len(cases)} cases of fold {fold} has a label; expected some to validate "
            "on: choose another fold, or fewer of them (--folds)"
        )
    return labelled


def _only(cases: CaseList, *, labelled: bool) -> CaseList:
    return cases.flat_map(lambda case: [case] if has_label(case) is labelled else [])


def _with_labels_hidden(cases: CaseList, num_labelled: int | None, source: Path) -> CaseList:
    """The cases, without the ``label`` of all but the first ``num_labelled`` patients (None: as they are)."""
    if num_labelled is None:
        return cases
    number = length_of_patients(cases, num_labelled)
    named, others = cases[:number], cases[number:]
    lacking = [place for case, place in zip(named, named.places, strict=True) if not has_label(case)]
    if num_labelled > count_patients(cases) or lacking:
        of_patients = f" of {count_patients(cases)} patients" if count_patients(cases) < len(cases) else ""
        found = f"{lacking[0]} has no label" if lacking else f"training has {len(cases)} cases{of_patients}"
        raise InputError(
            f"{source}: {found}; expected a label in each of the first num_labelled = {num_labelled}: "
            "list the labelled cases first, or lower num_labelled"
        )
    return named + others.flat_map(lambda case: [{k: v for k, v in case.items() if k != "label"}])


def _last(left_over: CaseList, number: int, source: Path) -> CaseList:
    """The last ``number`` cases; a few more where that would split a patient.

    Raises:
        InputError: there are not as many.
    """
    if len(left_over) < number:
        raise InputError(
            f"{source}: {len(left_over)} labelled cases are left over to choose the weights on; expected "
            f'{number}: lower num_labelled, list cases under "validation", or change holdout (--holdout 0 '
            f"holds nothing out and keeps the last weights)"
        )
    if len(left_over) == number:
        return left_over
    return hold_out(left_over, left_over[:0], number, source=source)[1]


def _first_unlabelled(cases: CaseList, number: int | None) -> CaseList:
    if number is None:
        return cases
    unlabelled = _only(cases, labelled=False)
    return cases.without(unlabelled[length_of_patients(unlabelled, number) :])
