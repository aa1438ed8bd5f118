"""A reference that was read once, and scores every team's prediction and its own annotators.

Axes: (Z, Y, X), spacing in mm in this order.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path

import numpy as np

from common.datasets.raw.label_volumes import read_grid
from kits21.metrics import COLUMNS, score_case
from kits21.references import Reference, read_label_map
from kits21.regions import REGIONS
from kits21.samples import inter_rater_scores, rater_pairs, sample_labels, tolerance_of

__all__ = ["DISTANCE", "MAJORITY", "ScoredCase"]

#: Region -> column of the annotators' distance.
DISTANCE = {region.name: f"mm_{region.column}" for region in REGIONS}
#: Column -> column of the same number against the majority, where a row has both.
MAJORITY = {column: f"majority_{column}" for column in COLUMNS}


class ScoredCase:
    """One case, with its majority; its plausible annotations are made when they are first needed."""

    def __init__(self, reference: Reference) -> None:
        self.reference, self.majority = reference, reference.label()

    @cached_property
    def plausible(self) -> tuple[list[np.ndarray], list[tuple[int, int]]]:
        """All samples' label maps, and which of them may be compared as two raters."""
        found = list(sample_labels(self.reference.number, self.reference.annotations()))
        return [label for _, label in found], rater_pairs([sample for sample, _ in found])

    def against_majority(self, file: Path | None) -> Mapping[str, float]:
        """The six numbers of a prediction; None: an empty one."""
        prediction, spacing = self._read(file)
        return score_case(prediction, self.majority, spacing)

    def against_samples(self, file: Path | None) -> Mapping[str, float]:
        """The six numbers, each the mean over all samples, and those against the majority (``MAJORITY``)."""
        prediction, spacing = self._read(file)
        plain = score_case(prediction, self.majority, spacing)
        scores = [score_case(prediction, label, spacing) for label in self.plausible[0]]
        means = {column: float(np.mean([one[column] for one in scores])) for column in COLUMNS}
        return means | {MAJORITY[column]: value for column, value in plain.items()}

    def between_raters(self) -> Mapping[str, float]:
        """The six numbers of the annotators against one another, and their distance (``DISTANCE``)."""
        seen = (*self.plausible, self.reference.spacing)
        distance = {DISTANCE[region]: mm for region, mm in tolerance_of(*seen).items()}
        return inter_rater_scores(*seen) | distance

    def _read(self, file: Path | None) -> tuple[np.ndarray, Sequence[float]]:
        """A prediction and its own spacing, which the challenge's program uses."""
        if file is None:
            return np.zeros_like(self.majority), self.reference.spacing
        return read_label_map(file), read_grid(file).spacing[::-1]
