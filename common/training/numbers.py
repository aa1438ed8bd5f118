"""What a training is made of, in one line: how many cases it sees, and how many choose its weights."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from common.datasets.lists.case_list import has_label
from common.datasets.lists.patients import count_patients

__all__ = ["line_of_numbers"]


def line_of_numbers(training: Sequence[Any], validation: Sequence[Any], which: str) -> str:
    """Such as "training on 80 cases, choosing weights on 10".

    Unlabelled cases, patients of several cases and slices are counted where there are any: "training on 14
    labelled cases (7 patients, 136 slices) and 126 unlabelled (63 patients, 1176 slices)".  Pairs of scans
    are counted as such: "training on 100 pairs of 200 scans, keeping the last weights".

    Args:
        training: entries of dataset.json, or the items that were made of them.
        validation: entries that the weights are chosen on; may be empty.
        which: "best", "last" or "lowest_loss", as :class:`common.training.weights.KeepWeights` takes it.
    """
    labelled = [item for item in training if not _is_unlabelled(item)]
    unlabelled = [item for item in training if _is_unlabelled(item)]
    if labelled and unlabelled:
        trained = f"{_counted(labelled, ' labelled cases')} and {_counted(unlabelled, ' unlabelled')}"
    else:
        trained = _counted(training, " cases")
    if which == "best" and len(validation):
        return f"training on {trained}, choosing weights on {_counted(validation)}"
    kept = "the weights of the lowest loss" if which == "lowest_loss" else "the last weights"
    return f"training on {trained}, keeping {kept}"


def _is_unlabelled(item: Any) -> bool:
    return isinstance(item, Mapping) and "image" in item and not has_label(item)


def _counted(items: Sequence[Any], noun: str = "") -> str:
    """Cases, and in brackets what there is another number of; or pairs and their scans."""
    if len(items) and all(isinstance(item, Mapping) and {"moving", "fixed"} <= item.keys() for item in items):
        scans = {str(item[role]) for item in items for role in ("moving", "fixed")}
        return f"{len(items)} pair{'s' if len(items) > 1 else ''} of {len(scans)} scans"
    first = {_image_of(item, number): item for number, item in enumerate(items)}
    cases, patients = len(first), count_patients(list(first.values()))
    further = [f"{patients} patients"] if patients < cases else []
    further += [f"{len(items)} slices"] if len(items) > cases else []
    return f"{cases}{noun}" + (f" ({', '.join(further)})" if further else "")


def _image_of(item: Any, number: int) -> Any:
    """What tells a case from others: its file, if it names one."""
    return str(item["image"]) if isinstance(item, Mapping) and "image" in item else number
