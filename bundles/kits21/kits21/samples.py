"""Plausible annotations of a case, and how far its annotators disagree.

A sample takes one annotation of every instance.  Samples come in groups; no two of a group share an
annotation, so that they are independent raters.

Source: Heller et al., arXiv 2307.01984; kits21/docs/method.md#sampled-plausible-annotations and
kits21/docs/method.md#tolerance.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from common.datasets.raw.kits21_annotations import Annotations, Item, paint
from common.evaluation.metrics.surface_elements import surface_distances
from kits21.metrics import COLUMNS, score_case
from kits21.regions import REGIONS, region_masks

__all__ = [
    "GROUPS",
    "Sample",
    "inter_rater_scores",
    "plan_samples",
    "rater_pairs",
    "sample_labels",
    "tolerance_of",
    "tolerances",
]

GROUPS = 5
_DRAWN = ("kidney", "tumor", "cyst")  # the order in which random numbers are drawn


@dataclass(frozen=True)
class Sample:
    """One plausible annotation of a case.

    Attributes:
        group: 0..4.
        number: of the sample within its group.
        choice: region -> index, from 0, of the annotation taken for each instance.
    """

    group: int
    number: int
    choice: Mapping[str, tuple[int, ...]]

    def take(self, annotations: Annotations[Item]) -> dict[str, list[Item]]:
        """The sample's annotation of every instance, masks or files, by region."""
        return {
            region: [one[i] for one, i in zip(instances, self.choice[region], strict=True)]
            for region, instances in annotations.items()
        }


def plan_samples(case: int, counts: Mapping[str, Sequence[int]], *, groups: int = GROUPS) -> list[Sample]:
    """The samples of a case; always the same ones.

    Args:
        case: its number, the seed.
        counts: region -> number of annotations of each of its instances.
        groups: how many groups.

    Raises:
        ValueError: there is no instance, or one has no annotations.
    """
    counts = {region: list(counts.get(region, ())) for region in _DRAWN}
    numbers = [n for region in counts.values() for n in region]
    if not numbers or min(numbers) < 1:
        raise ValueError(f"samples: annotations {counts}; need at least one instance, each with one or more")
    random = np.random.RandomState(case)
    samples = []
    for group in range(groups):
        offsets = {region: [int(random.randint(0, n)) for n in counts[region]] for region in _DRAWN}
        for number in range(min(numbers)):
            choice = {
                region: tuple((o + number) % n for o, n in zip(offsets[region], counts[region], strict=True))
                for region in _DRAWN
            }
            samples.append(Sample(group, number, choice))
    return samples


def sample_labels(case: int, annotations: Annotations[np.ndarray]) -> Iterator[tuple[Sample, np.ndarray]]:
    """Every sample, with its label map (*S) uint8.

    Args:
        case: its number.
        annotations: masks (*S) by region, instance and annotation.
    """
    counts = {region: [len(one) for one in instances] for region, instances in annotations.items()}
    for sample in plan_samples(case, counts):
        yield sample, paint(sample.take(annotations))


def rater_pairs(samples: Sequence[Sample]) -> list[tuple[int, int]]:
    """Pairs of indices of samples that may stand for two raters: those of one group."""
    pairs = itertools.combinations(range(len(samples)), 2)
    return [(a, b) for a, b in pairs if samples[a].group == samples[b].group]


def inter_rater_scores(
    labels: Sequence[np.ndarray], pairs: Sequence[tuple[int, int]], spacing: Sequence[float]
) -> dict[str, float]:
    """The challenge's six numbers, averaged over pairs of raters; NaN without pairs."""
    scores = [score_case(labels[a], labels[b], spacing) for a, b in pairs]
    return {c: float(np.mean([s[c] for s in scores])) if scores else math.nan for c in COLUMNS}


def tolerance_of(
    labels: Sequence[np.ndarray], pairs: Sequence[tuple[int, int]], spacing: Sequence[float]
) -> dict[str, float]:
    """How far a case's raters disagree: region -> mm, the mean over pairs.

    For a pair it is the mean of the two directed 95th percentiles of surface distance, unweighted.  If one
    rater has no such region, the case has no value (NaN), rather than the mean over the other pairs.

    Args:
        labels: label maps (*S).
        pairs: which of them to compare.
        spacing: mm.
    """
    found: dict[str, list[float]] = {region.name: [] for region in REGIONS}
    for a, b in pairs:
        for region, first, second in zip(
            REGIONS, region_masks(labels[a]), region_masks(labels[b]), strict=True
        ):
            ways = surface_distances(first, second, spacing)
            percentiles = [np.percentile(d, 95) if d.size else math.nan for d in ways]
            found[region.name].append(float(np.mean(percentiles)))
    return {name: float(np.mean(values)) if values else math.nan for name, values in found.items()}


def tolerances(cases: Sequence[Mapping[str, float]]) -> dict[str, float]:
    """The mean of :func:`tolerance_of` over the cases that have a value."""
    values = {r.name: [c[r.name] for c in cases if not math.isnan(c[r.name])] for r in REGIONS}
    return {name: float(np.mean(found)) if found else math.nan for name, found in values.items()}
