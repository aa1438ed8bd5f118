"""The plan of a training: voxel spacing, intensity scaling and labels, taken from the training cases.

It is what nnU-Net calls the fingerprint, and is saved beside the weights, since inference needs the
same numbers.
"""

from __future__ import annotations

import json
import logging
import shlex
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from common.datasets.check.check import check_cases
from common.datasets.check.facts import CaseFacts, read_facts
from common.datasets.check.findings import raise_on_findings
from common.datasets.check.label_values import as_label_map, mapped_labels
from common.datasets.lists.datalist import DATALIST, labels_of, modality_of, read_datalist, read_description
from common.datasets.lists.semi_supervised import semi_supervised_datalist
from common.datasets.plan.target_spacing import target_spacing
from common.errors import InputError
from common.files import write_json

__all__ = ["check_options", "load_plan", "make_plan", "training_plan"]

_log = logging.getLogger(__name__)

SCHEMES = ("zscore", "minmax", "imagenet", "as_is")
_CLIP_PERCENTILES = (0.5, 99.5)  # nnU-Net's CT scheme


def make_plan(
    facts: Sequence[CaseFacts],
    labels: Mapping[int, str],
    modality: Sequence[str],
    *,
    axcodes: str = "SPL",
    spacing: Sequence[float] | None = None,
    intensity: str | None = None,
    label_map: Mapping[int, int] | None = None,
    dataset: str = "",
    channels: int | None = None,
) -> dict[str, Any]:
    """The plan as a dict that JSON can hold.

    Args:
        facts: of the training cases, all readable.
        labels: names by value, after the map.
        modality: of each channel; "ct" in any case gives the CT scheme, all else z-scores per image.
        axcodes: the orientation that training works in, one letter per array axis (towards S, P, L).
        spacing: mm along the axes of ``axcodes``, instead of the cases' own.
        intensity: for every channel, instead of what the modality asks for: "zscore" of each channel;
            "minmax" of all together to 0..1; "imagenet" for 8-bit RGB, its channels' public mean and sd;
            "as_is", the files are scaled already.
        label_map: label values ``{from: to}``; what becomes 0 is no foreground.
        dataset: its name.
        channels: that the network takes; none: those of the first case.  (Pictures of other channels
            than the network's are converted when they are read.)

    Returns:
        ``dataset``, ``cases``, ``axcodes``, ``spacing`` (mm, see :func:`target_spacing`; absent
        for pictures), ``intensity`` (per channel ``{"scheme": "ct", "clip": [0.5 and 99.5 percentile],
        "mean", "sd"}`` of the pooled foreground samples, or ``{"scheme": word}`` with one of the words
        of ``intensity``) and ``labels``.

    Raises:
        InputError: ``spacing`` is no three lengths above 0, ``intensity`` is another word, or CT has no
            labelled voxel.
    """
    plan: dict[str, Any] = {"dataset": dataset, "cases": len(facts), "axcodes": axcodes}
    volumes = [one.image for one in facts if one.image.affine and len(one.image.shape) == 3]
    if spacing is not None:
        plan["spacing"] = _checked_spacing(spacing)
    elif volumes:
        plan["spacing"] = target_spacing(volumes, axcodes)
    if channels is None:
        channels = facts[0].image.channels if facts else 0
    plan["intensity"] = [
        {"scheme": scheme} if scheme != "ct" else _ct_scheme(facts, channel, as_label_map(label_map))
        for channel, scheme in enumerate(_schemes(channels, modality, intensity))
    ]
    plan["labels"] = {str(value): name for value, name in sorted(labels.items())}
    return plan


def training_plan(
    dataset_dir: str | Path,
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
    save_as: str | Path | None = None,
) -> dict[str, Any]:
    """Check a data set and plan the training on it.

    All lists are read (cached) and checked; the plan is made of the training list alone, less what
    is held out for validation.  Warnings go to the log.

    Args:
        dataset_dir: folder with dataset.json.
        channels: image channels that the network takes.
        classes: classes that the network tells apart, background included.
        dims: spatial axes, 2 or 3.
        label_map: label values ``{from: to}``.
        spacing: as in :func:`make_plan`.
        intensity: as in :func:`make_plan`.
        axcodes: as in :func:`make_plan`.
        unlabelled: training cases may lack a label.
        num_labelled: with ``unlabelled``, as in :func:`common.datasets.semi_supervised_datalist`; hidden
            labels are not opened.
        inference: further values of the training that inference needs, such as its patch; they
            become part of the plan.
        save_as: JSON file to write, whole or not at all.

    Raises:
        InputError: the data set cannot be used; see :func:`common.datasets.raise_on_findings`.
    """
    folder = Path(dataset_dir).absolute()
    label_map = as_label_map(label_map)
    read = partial(semi_supervised_datalist, num_labelled=num_labelled) if unlabelled else read_datalist
    training = [case["image"] for case in read(folder)["training"]]
    # Nothing held out here: findings then name each case by its place in dataset.json.
    lists = read(folder, holdout=0)
    facts = read_facts(lists)
    planned = [one for one, case in zip(facts, lists["training"], strict=False) if case["image"] in training]
    declared, modality = labels_of(folder), modality_of(folder)
    findings = check_cases(
        facts,
        channels=channels,
        classes=classes,
        dims=dims,
        label_map=label_map,
        declared=declared,
        modality=modality,
        labelled=("validation",) if unlabelled else ("training", "validation"),
    )
    raise_on_findings(findings, folder / DATALIST, options=check_options(channels, classes, label_map))
    for one in findings:
        _log.warning("%s. %s", one.line(folder / DATALIST), one.repair)
    plan = make_plan(
        planned,
        mapped_labels(declared, label_map) or _numbered_labels(classes),
        modality,
        axcodes=axcodes,
        spacing=spacing,
        intensity=intensity,
        label_map=label_map,
        dataset=str(read_description(folder).get("name") or folder.name),
        channels=channels,
    )
    plan |= {"channels": channels, "classes": classes, **(inference or {})}
    if save_as is not None:
        write_json(save_as, plan)
    return plan


def load_plan(path: str | Path, default: dict[str, Any]) -> dict[str, Any]:
    """The plan saved at ``path``, or ``default`` where there is no such file.

    Raises:
        InputError: the file is there but is no plan.
    """
    path = Path(path)
    if not path.is_file():
        return default
    try:
        plan = json.loads(path.read_text(encoding="utf-8"))
        if not {"intensity", "labels"} <= plan.keys():
            raise ValueError("no intensity or no labels")
    except (OSError, ValueError, AttributeError) as error:
        raise InputError(
            f"{path}: is no plan ({error}); expected the JSON that training writes: train again, or remove it"
        ) from error
    return plan


def _checked_spacing(spacing: Sequence[float]) -> list[float]:
    try:
        lengths = [float(mm) for mm in spacing]
    except (TypeError, ValueError):
        lengths = []
    if len(lengths) != 3 or not all(0 < mm < float("inf") for mm in lengths):
        raise InputError(
            f"spacing = {spacing}; expected three lengths above 0 in mm, such as [3, 0.76, 0.76]"
        )
    return [round(mm, 4) for mm in lengths]


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


def check_options(channels: int | None, classes: int | None, label_map: Mapping[int, int]) -> str:
    """The options with which ``python -m common.datasets check`` shows what a run complains of."""
    given = {"in_channels": channels, "num_classes": classes, "label_map": label_map or None}
    return " ".join(
        f"--{name} {shlex.quote(str(value))}" for name, value in given.items() if value is not None
    )
