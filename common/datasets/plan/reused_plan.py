"""When a run makes its plan, and when it takes the one beside the weights.

Weights know the spacing and the intensities that they were trained with.  So whatever goes on with
weights that are there, or scores them, takes their plan, on any data.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from common.datasets.check.check import check_cases
from common.datasets.check.facts import read_facts
from common.datasets.check.findings import raise_on_findings
from common.datasets.check.label_values import as_label_map
from common.datasets.lists.datalist import DATALIST, CaseList
from common.datasets.plan.plan import check_options, load_plan, training_plan
from common.errors import InputError

__all__ = ["evaluation_plan", "plan_of_cases"]


def plan_of_cases(
    cases: Sequence[Mapping[str, Any]],
    *,
    channels: int | None,
    classes: int | None,
    dims: int | None = 3,
    label_map: Mapping[int, int] | None = None,
    spacing: Sequence[float] | None = None,
    intensity: str | None = None,
    axcodes: str = "SPL",
    unlabelled: bool = False,
    num_labelled: int | None = None,
    inference: Mapping[str, Any] | None = None,
    save_as: str | Path,
) -> dict[str, Any]:
    """Plan the training on the cases that a run was given.

    Those of a dataset.json are checked and planned with :func:`common.datasets.training_plan`.  Cases
    that a program gives by itself, as MONAI Label gives the scans that were labelled on it, go on with
    weights that are there: they are checked, and the plan beside the weights is reused as it is.

    Args:
        cases: with absolute paths under ``image`` and ``label``; a list of
            :func:`common.datasets.read_datalist`, or a plain one.
        channels: as in ``training_plan``, and so are all that follow; ``spacing``, ``intensity``,
            ``axcodes``, ``num_labelled`` and ``inference`` have no effect on a plan that is reused.
        classes: likewise.
        dims: likewise.
        label_map: likewise.
        spacing: likewise.
        intensity: likewise.
        axcodes: likewise.
        unlabelled: likewise.
        num_labelled: likewise.
        inference: likewise.
        save_as: ``models/plan.json``, written or reused.

    Raises:
        InputError: the cases cannot be used, or there is no plan to reuse.
    """
    if isinstance(cases, CaseList):
        return training_plan(
            cases.folder,
            channels=channels,
            classes=classes,
            dims=dims,
            label_map=label_map,
            spacing=spacing,
            intensity=intensity,
            axcodes=axcodes,
            unlabelled=unlabelled,
            num_labelled=num_labelled,
            inference=inference,
            save_as=save_as,
        )
    plan = load_plan(save_as, {})
    if not plan:
        raise InputError(
            f"{save_as}: there is no plan to go on from; expected the one beside the weights: train on a "
            "data set with dataset.json (--dataset_dir) before cases are given without one"
        )
    findings = check_cases(
        read_facts(cases),
        channels=channels,
        classes=classes,
        dims=dims,
        label_map=as_label_map(label_map),
        labelled=() if unlabelled else ("training", "validation"),
    )
    errors = [one for one in findings if one.severity == "error"]
    if errors:
        first = errors[0].line("the cases given")
        raise InputError(f"{first}. To repair: {errors[0].repair} ({len(errors)} in all)")
    return plan


def evaluation_plan(
    datalist: Mapping[str, CaseList],
    section: str,
    *,
    channels: int | None,
    classes: int | None,
    dims: int | None = 3,
    label_map: Mapping[int, int] | None = None,
    spacing: Sequence[float] | None = None,
    intensity: str | None = None,
    axcodes: str = "SPL",
    unlabelled: bool = False,
    num_labelled: int | None = None,
    path: str | Path,
) -> dict[str, Any]:
    """The plan to score weights with: the one beside them, whatever data they are scored on.

    Only where there is none, as beside imported weights, it is made from the data set's training list.
    Nothing is written.

    Args:
        datalist: of :func:`common.datasets.read_datalist`.
        section: the list to score; its cases are checked.
        channels: as in :func:`common.datasets.training_plan`, and so are all that follow; ``spacing``,
            ``intensity``, ``axcodes`` and ``num_labelled`` have no effect on a plan that is there.
        classes: likewise.
        dims: likewise.
        label_map: likewise.
        spacing: likewise.
        intensity: likewise.
        axcodes: likewise.
        unlabelled: likewise.
        num_labelled: likewise.
        path: ``models/plan.json``.

    Raises:
        InputError: the cases cannot be used; see :func:`common.datasets.raise_on_findings`.
    """
    folder = datalist["training"].folder
    plan = load_plan(path, {})
    if not plan:
        return training_plan(
            folder,
            channels=channels,
            classes=classes,
            dims=dims,
            label_map=label_map,
            spacing=spacing,
            intensity=intensity,
            axcodes=axcodes,
            unlabelled=unlabelled,
            num_labelled=num_labelled,
        )
    label_map = as_label_map(label_map)
    findings = check_cases(
        read_facts({section: datalist.get(section, [])}),
        channels=channels,
        classes=classes,
        dims=dims,
        label_map=label_map,
        labelled=(section,),
    )
    raise_on_findings(findings, folder / DATALIST, options=check_options(channels, classes, label_map))
    return plan
