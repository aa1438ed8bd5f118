"""What a plan is made for: the network's needs, and what the user sets instead of what the data suggest."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from common.datasets.check.check import check_cases
from common.datasets.check.facts import CaseFacts
from common.datasets.check.findings import Finding
from common.datasets.check.label_values import as_label_map

__all__ = ["PlanOptions"]


@dataclass(frozen=True, kw_only=True)
class PlanOptions:
    """The options of a plan.  The first four and ``unlabelled`` are what the data are checked against.

    Attributes:
        channels: image channels that the network takes; None for any.  (Pictures with other channels are
            converted when they are read.)
        classes: number of classes that the network predicts, background included; None for those that
            dataset.json names.
        dims: spatial axes, 2 or 3; None for any.
        label_map: label values ``{from: to}``; what becomes 0 is not foreground.
        spacing: mm along the axes of ``axcodes``, instead of the cases' own (see ``target_spacing``); where
            cases name their modality, it may be given for each: ``{"CT": [...], "MR": [...]}``.
        low_resolution: the patch, in voxels, of a network of low resolution: where ``spacing`` is not given,
            it is coarsened until the median volume holds four such patches (``low_resolution``).
        intensity: scaling of every channel, instead of what the modality calls for: "zscore" of each
            channel; "minmax" of all together to 0..1; "imagenet" for 8-bit RGB, by its channels' public
            mean and sd; "as_is" if the files are scaled already.
        axcodes: the orientation that training works in, one letter per array axis (towards S, P, L).
        unlabelled: training cases may lack a label.
        lists: the lists whose cases are planned from.  Published protocols often plan from all labelled
            cases, those to be tested on included: ("training", "test").

    Raises:
        InputError: ``label_map`` is not a mapping of integers.
    """

    channels: int | None
    classes: int | None
    dims: int | None = 3
    label_map: Mapping[int, int] | None = None
    spacing: Sequence[float] | Mapping[str, Sequence[float]] | None = None
    low_resolution: Sequence[int] | None = None
    intensity: str | None = None
    axcodes: str = "SPL"
    unlabelled: bool = False
    lists: Sequence[str] = ("training",)

    def __post_init__(self) -> None:
        object.__setattr__(self, "label_map", as_label_map(self.label_map))

    def findings(
        self,
        facts: Sequence[CaseFacts],
        *,
        labelled: Sequence[str],
        declared: Mapping[int, str] | None = None,
        modality: Sequence[str] = (),
    ) -> list[Finding]:
        """The findings of :func:`common.datasets.check_cases`; arguments as there."""
        return check_cases(
            facts,
            channels=self.channels,
            classes=self.classes,
            dims=self.dims,
            label_map=self.label_map,
            declared=declared,
            modality=modality,
            labelled=labelled,
        )

    def as_command_line(self) -> str:
        """The options that make ``python -m common.datasets check`` report what a run complains about."""
        given = {
            "in_channels": self.channels,
            "num_classes": self.classes,
            "label_map": self.label_map or None,
        }
        return " ".join(
            f"--{name} {shlex.quote(str(value))}" for name, value in given.items() if value is not None
        )
