"""Data sets in the Decathlon layout: their lists, a check that repairs, and the plan that training needs.

The names load on first use, so that importing the package costs nothing.  As a command:
``python -m common.datasets --help``.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

_HOME = {
    "read_datalist": "datalist",
    "inference_list": "datalist",
    "labels_of": "datalist",
    "modality_of": "datalist",
    "semi_supervised_datalist": "semi_supervised",
    "domain_datalist": "domains",
    "domains_of": "domains",
    "write_datalist": "folders",
    "CaseFacts": "facts",
    "read_facts": "facts",
    "Finding": "findings",
    "check_cases": "check",
    "raise_on_findings": "findings",
    "make_plan": "plan",
    "training_plan": "plan",
    "plan_of_cases": "reused_plan",
    "evaluation_plan": "reused_plan",
    "load_plan": "plan",
    "class_names": "cases",
    "images_to_predict": "cases",
    "labelled_cases": "cases",
}

__all__ = list(_HOME)


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOME[name]}"), name)
