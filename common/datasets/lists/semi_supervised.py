"""The lists of a semi-supervised training: which cases have a label, and which labels stay hidden."""

from __future__ import annotations

import itertools
from pathlib import Path

from common.datasets.lists.case_list import CaseList, as_lists, has_label
from common.datasets.lists.datalist import DATALIST, read_datalist
from common.datasets.lists.holdout import hold_out
from common.errors import InputError

__all__ = ["semi_supervised_datalist"]


def semi_supervised_datalist(
    dataset_dir: str | Path,
    *,
    num_labelled: int | None = None,
    num_unlabelled: int | None = None,
    holdout: float = 0.2,
) -> dict[str, CaseList]:
    """The lists of :func:`common.datasets.read_datalist`; unlabelled training cases have no ``label``.

    Validation cases are held out from the labelled ones: labels used to choose the weights count among those
    that the method may see.

    Args:
        dataset_dir: folder with dataset.json.
        num_labelled: number of labelled training cases, counted from the first; the labels of the others are
            hidden (their files are not opened).  None: all that have a label.
        num_unlabelled: number of unlabelled cases to keep, counted from the first; None: all; 0 for
            supervised training.
        holdout: fraction of the labelled cases to hold out.

    Raises:
        InputError: as ``read_datalist``; also fewer labelled cases than asked for, none at all, or a single
            one, which cannot be held out.
    """
    path = Path(dataset_dir).absolute() / DATALIST
    lists = read_datalist(dataset_dir, holdout=0)
    training = _with_labels_hidden(lists["training"], num_labelled, path)
    labelled = training.flat_map(lambda case: [case] if has_label(case) else [])
    if not labelled:
        raise InputError(
            f"{path}: none of the {len(training)} training cases has a label; expected some: "
            f'add "label" to entries, or choose num_labelled above 0'
        )
    _, validation = hold_out(labelled, lists["validation"], holdout, source=path, counted="labelled cases")
    training = _first_unlabelled(training.without(validation), num_unlabelled)
    return as_lists({"training": training, "validation": validation, "test": lists["test"]})


def _with_labels_hidden(cases: CaseList, num_labelled: int | None, source: Path) -> CaseList:
    """The cases, without the ``label`` of all but the first ``num_labelled`` (None: as they are)."""
    if num_labelled is None:
        return cases
    number = max(0, num_labelled)
    named, others = cases[:number], cases[number:]
    lacking = [place for case, place in zip(named, named.places, strict=True) if not has_label(case)]
    if number > len(cases) or lacking:
        found = f"{lacking[0]} has no label" if lacking else f"training has {len(cases)} cases"
        raise InputError(
            f"{source}: {found}; expected a label in each of the first num_labelled = {num_labelled}: "
            "list the labelled cases first, or lower num_labelled"
        )
    return named + others.flat_map(lambda case: [{k: v for k, v in case.items() if k != "label"}])


def _first_unlabelled(cases: CaseList, number: int | None) -> CaseList:
    if number is None:
        return cases
    counter = itertools.count()
    return cases.flat_map(lambda case: [case] if has_label(case) or next(counter) < number else [])
