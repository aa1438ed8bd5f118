"""The plan of a training: voxel spacing, intensity scaling and labels, taken from the training cases.

It is what nnU-Net calls the fingerprint, and is saved beside the weights, since inference needs the
same numbers.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from common.checkpoints.staging import WEIGHTS, find_plan, is_taken, settle, staged
from common.checkpoints.stamp import read_stamp
from common.datasets.check.facts import CaseFacts, read_facts
from common.datasets.check.findings import raise_on_findings
from common.datasets.check.label_values import mapped_labels
from common.datasets.lists.case_list import CaseList
from common.datasets.lists.datalist import DATALIST, labels_of, modality_of, read_description
from common.datasets.plan.options import PlanOptions
from common.datasets.plan.plan_file import check_plan, read_plan
from common.datasets.plan.spacing import spacing_of
from common.errors import InputError
from common.files import write_json
from common.processes import rank
from common.schema import without_mark

__all__ = ["load_plan", "make_plan", "training_plan"]

_log = logging.getLogger(__name__)

SCHEMES = ("zscore", "minmax", "imagenet", "as_is")
_CLIP_PERCENTILES = (0.5, 99.5)  # nnU-Net's CT scheme


def make_plan(
    facts: Sequence[CaseFacts],
    labels: Mapping[int, str],
    modality: Sequence[str],
    options: PlanOptions,
    *,
    dataset: str = "",
) -> dict[str, Any]:
    """The plan as a dict that JSON can hold.

    Args:
        facts: of the training cases, all readable.
        labels: names by value, after the map.
        modality: of each channel, for cases that do not name their own; "ct" in any case gives the CT scheme,
            all else z-scores per image.
        options: of the plan; without ``channels`` those of the first case are taken.
        dataset: its name.

    Returns:
        ``dataset``, ``cases``, ``axcodes``, ``spacing`` (mm, see :func:`target_spacing`; absent
        for pictures), ``intensity`` (per channel ``{"scheme": "ct", "clip": [0.5 and 99.5 percentile],
        "mean", "sd"}`` of the pooled foreground samples, or ``{"scheme": word}`` with one of the words
        of ``PlanOptions.intensity``) and ``labels``.  Cases of one modality that name it add ``modality``; of
        several, ``spacing`` and ``intensity`` are mappings from each to what its own cases give.

    Raises:
        InputError: ``spacing`` is no three lengths above 0, ``intensity`` is another word, or CT has no
            labelled voxel.
    """
    plan: dict[str, Any] = {"dataset": dataset, "cases": len(facts), "axcodes": options.axcodes}
    groups = {name: [one for one in facts if one.modality == name] for name in _names(facts)}
    channels = options.channels
    if channels is None:
        channels = facts[0].image.channels if facts else 0
    scaling = {
        name: _scaling(group, [name] * channels if name else modality, channels, options)
        for name, group in groups.items()
    }
    for key in ("spacing", "intensity"):
        of_each = {name: planned[key] for name, planned in scaling.items() if key in planned}
        if of_each:
            plan[key] = of_each if len(groups) > 1 else of_each[next(iter(groups))]
    if len(groups) == 1 and next(iter(groups)):
        plan["modality"] = next(iter(groups))
    plan["labels"] = {str(value): name for value, name in sorted(labels.items())}
    return plan


def _names(facts: Sequence[CaseFacts]) -> list[str]:
    """The modalities that the cases name, in order; one empty name where none does."""
    return sorted({one.modality for one in facts}) or [""]


def _scaling(
    facts: Sequence[CaseFacts], modality: Sequence[str], channels: int, options: PlanOptions
) -> dict[str, Any]:
    """``spacing``, unless of pictures, and ``intensity`` of the cases of one modality."""
    spacing = spacing_of(facts, options)
    schemes = _schemes(channels, modality, options.intensity)
    return ({} if spacing is None else {"spacing": spacing}) | {
        "intensity": [
            {"scheme": scheme} if scheme != "ct" else _ct_scheme(facts, channel, options.label_map)
            for channel, scheme in enumerate(schemes)
        ]
    }


def training_plan(
    cases: CaseList,
    options: PlanOptions,
    *,
    inference: Mapping[str, Any] | None = None,
    save_as: str | Path | None = None,
) -> dict[str, Any]:
    """Check the lists of a run and plan the training.

    The plan is made of the cases given and, if the options name more lists than ``training``, of theirs.
    All lists of the run are read (cached) and checked together.  Warnings go to the log.

    Args:
        cases: that are trained on, each perhaps in several entries (its slices), of which the first counts.
        options: of the plan.
        inference: further values of the training that inference needs, such as its patch; they
            become part of the plan.
        save_as: JSON file to write, whole or not at all; of several processes the first writes it.  Beside
            an earlier run's weights it is staged, and takes its place with the first weights made with it
            (``common/checkpoints/staging.py``).

    Raises:
        InputError: the data cannot be used; see :func:`common.datasets.raise_on_findings`.
    """
    path = cases.folder / DATALIST
    facts = read_facts({**cases.lists, "training": cases.once()})
    declared, modality = labels_of(cases.folder), modality_of(cases.folder)
    labelled = ["validation"] if options.unlabelled else ["validation", *options.lists]
    findings = options.findings(facts, labelled=labelled, declared=declared, modality=modality)
    raise_on_findings(findings, path, options=options.as_command_line())
    for one in findings:
        _log.warning("%s. %s", one.line(path), one.repair)
    plan = make_plan(
        [one for one in facts if one.split in options.lists],
        mapped_labels(declared, options.label_map) or _numbered_labels(options.classes),
        modality,
        options,
        dataset=str(read_description(cases.folder).get("name") or without_mark(cases.folder.name)),
    )
    plan |= {"channels": options.channels, "classes": options.classes, **(inference or {})}
    check_plan(plan, path)
    if save_as is not None and rank() == 0:
        _write_plan(Path(save_as), plan)
    return plan


def _write_plan(path: Path, plan: dict[str, Any]) -> None:
    settle(path.with_name(WEIGHTS))
    write_json(staged(path) if is_taken(path.parent) else path, plan)


class _PlanOfFile(dict):
    """A plan that names its file where a config asks for what it does not hold."""

    def __init__(self, plan: Mapping[str, Any], file: Path) -> None:
        super().__init__(plan)
        self.file = file

    def __missing__(self, key: str) -> Any:
        raise InputError(
            f"{self.file}: has no {key!r}, which this bundle writes into its plans: are the weights beside "
            "it another bundle's, or an earlier version's? Give this bundle's with --ckpt_dir, or train again"
        )


def load_plan(
    path: str | Path,
    default: dict[str, Any],
    *,
    weights: str | Path | None = None,
    published: bool = False,
) -> dict[str, Any]:
    """The plan that weights were trained with; see :func:`common.checkpoints.staging.find_plan`.

    Args:
        path: ``models/plan.json``; a plan beside the weights comes first.
        default: what is returned where there are no weights, or none with a plan and ``published`` is set.
        weights: ``model.pt`` beside ``path`` unless given.
        published: take ``default`` for weights that come with no plan, as published ones do.

    Raises:
        InputError: the plan is not that of the weights, or no plan; or there are weights without a plan and
            ``default``, which has values, was not asked for.  Later too: where a key is asked for that the
            file lacks.
    """
    weights = Path(path).with_name(WEIGHTS) if weights is None else Path(weights)
    file = find_plan(weights, path)
    if published and default and (file is None or read_stamp(weights) is None):
        _log.warning("%s: used with the published settings, not with a plan of its own", weights)
        return default
    if file is not None:
        return _PlanOfFile(read_plan(file), file)
    if default and weights.is_file() and not published:
        raise InputError(
            f"{weights}: comes with no plan (no plan.json beside it), so nothing says which spacing, "
            "intensities and classes it was trained with. If these are the published weights, repeat with "
            "--plan published; if not, put the plan.json there that was written with them"
        )
    return default


def _schemes(channels: int, modality: Sequence[str], intensity: str | None) -> list[str]:
    """The word of each channel."""
    if intensity is not None:
        if intensity not in SCHEMES:
            words = ", ".join(f'"{word}"' for word in SCHEMES)
            raise InputError(f"intensity = {intensity!r}; expected one of {words}, or nothing")
        if intensity == "imagenet" and channels != 3:
            raise InputError(f'intensity = "imagenet" with {channels} channels; expected red, green and blue')
        return [intensity] * channels
    named = [*modality, *[""] * channels][:channels]
    return ["ct" if name.lower() == "ct" else "zscore" for name in named]


def _ct_scheme(facts: Sequence[CaseFacts], channel: int, label_map: Mapping[int, int]) -> dict[str, Any]:
    pooled = np.array(
        [
            value
            for one in facts
            if one.sample
            for value, label in zip(one.sample[channel], one.sample_labels, strict=True)
            if label_map.get(label, label)
        ]
    )
    if not pooled.size:
        raise InputError(
            "training: no labelled voxel in any case; the CT scheme needs the foreground's intensities: "
            'add labels, or set "modality" in dataset.json to another name than CT for z-scores'
        )
    low, high = np.percentile(pooled, _CLIP_PERCENTILES)
    return {
        "scheme": "ct",
        "clip": [round(float(low), 2), round(float(high), 2)],
        "mean": round(float(pooled.mean()), 2),
        "sd": round(float(pooled.std()), 2),
    }


def _numbered_labels(classes: int | None) -> dict[int, str]:
    return {value: f"class {value}" if value else "background" for value in range(classes or 0)}
