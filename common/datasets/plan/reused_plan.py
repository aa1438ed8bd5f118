"""When a run makes its plan, and when it reuses the one beside the weights.

Weights belong to the spacing and the intensities that they were trained with.  So whatever continues
from existing weights, or scores them, uses their plan, on any data.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from common.datasets.check.facts import read_facts
from common.datasets.check.findings import raise_on_findings
from common.datasets.check.planned_units import warn_of_other_units
from common.datasets.lists.case_list import CaseList
from common.datasets.lists.datalist import DATALIST
from common.datasets.plan.modalities import refuse_other_modalities
from common.datasets.plan.options import PlanOptions
from common.datasets.plan.plan import load_plan, training_plan
from common.errors import InputError

__all__ = ["evaluation_plan", "plan_of_cases"]

_log = logging.getLogger(__name__)


def plan_of_cases(
    cases: Sequence[Mapping[str, Any]],
    options: PlanOptions,
    *,
    inference: Mapping[str, Any] | None = None,
    save_as: str | Path,
) -> dict[str, Any]:
    """Plan a training on the cases given to a run.

    Cases of a dataset.json are checked and planned with :func:`common.datasets.training_plan`.  Cases that
    a program passes in, as MONAI Label does with the scans labelled in it, continue from existing weights:
    they are checked, and the plan beside the weights is reused unchanged.

    Args:
        cases: with absolute paths under ``image`` and ``label``; a list of
            :func:`common.datasets.read_datalist`, or a plain one.
        options: options of the plan; for a reused plan, what the cases are checked against.
        inference: as in ``training_plan``; no effect on a reused plan.
        save_as: ``models/plan.json``, written or reused.

    Raises:
        InputError: the cases cannot be used, or there is no plan to reuse, or not that of the weights; or a
            case is of a modality that the plan does not have.
    """
    if isinstance(cases, CaseList):
        return training_plan(cases, options, inference=inference, save_as=save_as)
    plan = load_plan(save_as, {})
    if not plan:
        raise InputError(
            f"{save_as}: there is no plan to go on from; expected the one beside the weights: train on a "
            "data set with dataset.json (--dataset_dir) before cases are given without one"
        )
    findings = options.findings(read_facts(cases), labelled=[] if options.unlabelled else ["training"])
    errors = [one for one in findings if one.severity == "error"]
    if errors:
        first = errors[0].line("the cases given")
        raise InputError(f"{first}. To repair: {errors[0].repair} ({len(errors)} in all)")
    refuse_other_modalities(cases, plan, "the cases given", "training")
    return plan


def evaluation_plan(
    datalist: Mapping[str, CaseList], section: str, options: PlanOptions, *, path: str | Path
) -> dict[str, Any]:
    """The plan to score weights with: the one beside them, whatever data they are scored on.

    Only if there is none, as beside imported weights, is it made from the run's training list, which the log
    says.  Nothing is written.

    Args:
        datalist: the lists of the run, as :func:`common.datasets.read_datalist` gives them.
        section: the list to score; its cases are checked.
        options: options of the plan; for an existing plan, what the cases are checked against.
        path: ``models/plan.json``.

    Raises:
        InputError: the cases cannot be used; see :func:`common.datasets.raise_on_findings`.  Or the plan is
            not that of the weights, or lacks the modality of a case.
    """
    training = datalist["training"]
    plan = load_plan(path, {})
    if not plan:
        _log.warning(
            "%s: there is no plan beside the weights; they are scored with one made of this training list, "
            "which may differ from the one they were trained with (published weights: --plan published)",
            path,
        )
        return training_plan(training, options)
    facts = read_facts({section: datalist.get(section, [])})
    findings = options.findings(facts, labelled=[section])
    raise_on_findings(findings, training.folder / DATALIST, options=options.as_command_line())
    warn_of_other_units(facts, plan, training.folder / DATALIST)
    refuse_other_modalities(datalist.get(section, []), plan, training.folder / DATALIST, section)
    return plan
