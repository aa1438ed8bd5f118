"""Data sets in the Decathlon layout: lists, a check that says what to repair, and the plan for training.

The names load on first use, so that importing the package costs nothing.  As a command:
``python -m common.datasets --help``.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

_HOME = {
    "CaseList": "lists.case_list",
    "read_datalist": "lists.datalist",
    "inference_list": "lists.datalist",
    "labels_of": "lists.datalist",
    "modality_of": "lists.datalist",
    "semi_supervised_datalist": "lists.semi_supervised",
    "domain_datalist": "lists.domains",
    "domains_of": "lists.domains",
    "write_datalist": "lists.folders",
    "CaseFacts": "check.facts",
    "read_facts": "check.facts",
    "Finding": "check.findings",
    "check_cases": "check.check",
    "raise_on_findings": "check.findings",
    "PlanOptions": "plan.options",
    "make_plan": "plan.plan",
    "training_plan": "plan.plan",
    "plan_of_cases": "plan.reused_plan",
    "evaluation_plan": "plan.reused_plan",
    "load_plan": "plan.plan",
    "class_names": "lists.cases",
    "images_to_predict": "lists.cases",
    "labelled_cases": "lists.cases",
}

__all__ = list(_HOME)


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOME[name]}"), name)
