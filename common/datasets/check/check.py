"""The check of a data set: every known cause of a failed run, found in all cases at once.

Findings are made from facts (:mod:`common.datasets.check.facts`); no file is opened here.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence

from common.datasets.check.facts import CaseFacts
from common.datasets.check.findings import Finding
from common.datasets.check.image_rules import image_findings
from common.datasets.check.label_rules import label_findings
from common.datasets.check.label_values import (
    as_label_map,
    mapped,
    mapped_labels,
    repair_for_values,
    shown_values,
)
from common.datasets.check.rules import Rules

__all__ = ["check_cases"]


def check_cases(
    facts: Sequence[CaseFacts],
    *,
    channels: int | None,
    classes: int | None,
    dims: int | None = 3,
    label_map: Mapping[int, int] | None = None,
    declared: Mapping[int, str] | None = None,
    modality: Sequence[str] = (),
    labelled: Sequence[str] = ("training", "validation"),
) -> list[Finding]:
    """Check every case; an empty list means that there is nothing to repair.

    Args:
        facts: the facts of all cases of the data set.
        channels: image channels that the network takes; None for any.
        classes: label values must be 0 .. classes - 1; None allows those that ``declared`` names.
        dims: spatial axes, 2 or 3; None for any.
        label_map: label values ``{from: to}``, applied before checking.
        declared: the labels of dataset.json by value.
        modality: the modality of each channel, of cases that do not name their own; "CT" is expected to be
            in HU.
        labelled: the lists whose cases need a label.

    Returns:
        Findings about the data set first, then case by case, then files that are in two lists.

    Raises:
        InputError: ``label_map`` is not a mapping of integers.
    """
    label_map = as_label_map(label_map)
    values = {value for one in facts if one.label for value in one.label.values}
    rules = Rules(
        channels=channels,
        classes=classes,
        dims=dims,
        label_map=label_map,
        declared=declared or {},
        modality=modality,
        labelled=labelled,
        everywhere=frozenset(value for value in mapped(values, label_map) if value == int(value)),
    )
    findings = [
        *_twin_names(rules),
        *_declared_labels(rules),
        *_unused_values(facts, rules),
        *_nothing_labelled(facts, rules),
        *_unnamed_modalities(facts),
    ]
    for one in facts:
        findings += [*image_findings(one, rules), *label_findings(one, rules)]
    return [*findings, *_repeated_files(facts)]


def _twin_names(rules: Rules) -> Iterator[Finding]:
    """Tables, curves and legends tell classes apart by their names."""
    by_name: dict[str, list[float]] = {}
    for value, name in mapped_labels(rules.declared, rules.label_map).items():
        by_name.setdefault(" ".join(name.split()), []).append(value)
    for name, values in by_name.items():
        if len(values) > 1:
            yield Finding(
                case="",
                file="",
                key="labels",
                found=f"has the name {name!r} for the values {shown_values(values)}",
                expected="a name of its own for each class",
                repair="rename them in dataset.json, or make them one class with  --label_map",
            )


def _declared_labels(rules: Rules) -> Iterator[Finding]:
    values = mapped(rules.declared, rules.label_map)
    found = f"has values {shown_values(values)}"
    if values and rules.classes is not None and len(values) < rules.classes:
        yield Finding(
            case="",
            file="",
            key="labels",
            found=found,
            expected=f"{rules.classes} classes",
            repair=f"--num_classes {len(values)}  if there are no others, else name them in dataset.json",
            severity="warning",
        )
    elif rules.classes is None and values != set(range(len(values))):
        yield Finding(
            case="",
            file="",
            key="labels",
            found=found,
            expected=f"0..{len(values) - 1} without gaps",
            repair=repair_for_values(values, values, None, rules.label_map),
        )


def _unused_values(facts: Sequence[CaseFacts], rules: Rules) -> Iterator[Finding]:
    readable = [one for one in facts if one.label and one.label.files and not one.label.error]
    named = mapped(rules.declared, rules.label_map) or rules.allowed
    unused = (rules.allowed & named) - rules.everywhere
    strangers = rules.everywhere - rules.allowed  # reported as errors; the unused values are their other side
    if readable and unused and not strangers:
        yield Finding(
            case="",
            file="",
            key="labels",
            found=f"has values {shown_values(unused)} that occur in no label file",
            expected="every class in some case",
            repair="compare dataset.json with the files; a class without examples is not learned",
            severity="warning",
        )


def _nothing_labelled(facts: Sequence[CaseFacts], rules: Rules) -> Iterator[Finding]:
    training = [one for one in facts if one.split == "training"]
    demanded = rules.labelled and "training" not in rules.labelled  # labels are needed, but not in every case
    if demanded and training and not any(one.label for one in training):
        yield Finding(
            case="",
            file="",
            key="training",
            found=f"has {len(training)} cases without a label",
            expected="a label in some of them",
            repair='add "label" to entries: a semi-supervised training needs a few labelled cases',
        )


def _unnamed_modalities(facts: Sequence[CaseFacts]) -> Iterator[Finding]:
    """Where one case names its modality, all must: they are planned and scaled by it."""
    named = sorted({one.modality for one in facts if one.modality})
    for one in facts:
        if named and not one.modality:
            yield Finding(
                case=one.name,
                file="",
                key="modality",
                found="is not given",
                expected=f"the name of one, as the entries of other cases have ({', '.join(named)})",
                repair=f'add "modality": "{named[0]}" to the entry, or whichever it is',
            )


def _repeated_files(facts: Sequence[CaseFacts]) -> Iterator[Finding]:
    seen: dict[str, CaseFacts] = {}
    for one in facts:
        for file in one.image.files:
            first = seen.setdefault(os.path.realpath(file), one)
            if first is one:
                continue
            leak = "training" in (first.split, one.split) and first.split != one.split
            yield Finding(
                case=one.name,
                file=file,
                key="image",
                found=f"is also {first.name}",
                expected="a file in one list only",
                repair=f"remove {first.name} or {one.name}: results on a known case are too good",
                severity="error" if leak else "warning",
            )
