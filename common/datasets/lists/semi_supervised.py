"""The lists of a semi-supervised training: which cases have a label, and which labels stay hidden."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from common.datasets.lists.datalist import DATALIST, CaseList, read_datalist
from common.errors import InputError

__all__ = ["hide_labels", "semi_supervised_datalist"]


def semi_supervised_datalist(
    dataset_dir: str | Path,
    *,
    num_labelled: int | None = None,
    num_unlabelled: int | None = None,
    holdout: float = 0.2,
) -> dict[str, CaseList]:
    """The lists of :func:`common.datasets.read_datalist`; unlabelled training cases have no ``label``.

    Where dataset.json has no ``validation`` list, the last ``max(1, round(holdout * n))`` of the n labelled
    training cases become it, so the labels that choose the weights are counted among the n; with
    ``holdout=0`` it stays empty.  The test list is never used for it.

    Args:
        dataset_dir: folder with dataset.json.
        num_labelled: the first so many training cases are the labelled ones, and the labels of the others
            are hidden (their files are not opened); None: all that have a label.
        num_unlabelled: keep the first so many unlabelled cases; None: all; 0 for supervised training.
        holdout: fraction of the labelled cases.

    Raises:
        InputError: as ``read_datalist``; fewer labelled cases than asked for, none at all, or a single
            one of which nothing can be held out.
    """
    path = Path(dataset_dir).absolute() / DATALIST
    lists = read_datalist(dataset_dir, holdout=0)
    training = hide_labels(lists["training"], num_labelled, path)
    labelled = [case for case in training if _has_label(case)]
    if not labelled:
        raise InputError(
            f"{path}: none of the {len(training)} training cases has a label; expected some: "
            f'add "label" to entries, or choose num_labelled above 0'
        )
    if not lists["validation"] and holdout > 0:
        held = max(1, round(holdout * len(labelled)))
        if held >= len(labelled):
            raise InputError(
                f"{path}: training has 1 labelled case, which would be held out for validation; expected at "
                f'least two: add a label, or a "validation" list'
            )
        lists["validation"] = CaseList(labelled[-held:], path.parent)
        training = [case for case in training if case not in lists["validation"]]
    lists["training"] = CaseList(_first_unlabelled(training, num_unlabelled), path.parent)
    return lists


def hide_labels(
    cases: Sequence[Mapping[str, Any]], num_labelled: int | None, source: str | Path = DATALIST
) -> list[dict]:
    """The cases, without the ``label`` of all but the first ``num_labelled`` (None: as they are).

    Raises:
        InputError: one of the first ``num_labelled`` has no label, or there are fewer cases.
    """
    if num_labelled is None:
        return [dict(case) for case in cases]
    lacking = [i for i, case in enumerate(cases[:num_labelled]) if not _has_label(case)]
    if num_labelled > len(cases) or lacking:
        found = f"training[{lacking[0]}] has no label" if lacking else f"training has {len(cases)} cases"
        raise InputError(
            f"{source}: {found}; expected a label in each of the first num_labelled = {num_labelled}: "
            "list the labelled cases first, or lower num_labelled"
        )
    return [
        {key: value for key, value in case.items() if key != "label" or i < num_labelled}
        for i, case in enumerate(cases)
    ]


def _has_label(case: Mapping[str, Any]) -> bool:
    return case.get("label") not in (None, "", [])


def _first_unlabelled(cases: Sequence[dict], number: int | None) -> list[dict]:
    if number is None:
        return list(cases)
    surplus = [case for case in cases if not _has_label(case)][number:]
    return [case for case in cases if case not in surplus]
