"""Plausible annotations: reproducible draws per case, independent raters within a group, known distances."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest

import common  # noqa: F401 (makes bundles importable)
from kits21.metrics import COLUMNS
from kits21.samples import (
    inter_rater_scores,
    plan_samples,
    rater_pairs,
    sample_labels,
    tolerance_of,
    tolerances,
)
from tests.bundles.kits21.kidneys import SPACING, annotations, ball

COUNTS = {"kidney": [3, 3], "cyst": [3], "tumor": [3, 4]}


def test_a_case_always_has_the_same_samples():
    first, again, other = (plan_samples(case, COUNTS) for case in (12, 12, 13))
    assert first == again
    assert [s.choice for s in first] != [s.choice for s in other]


def test_case_number_seeds_draws_for_kidneys_then_tumors_then_cysts():
    random = np.random.RandomState(12)
    for sample in plan_samples(12, COUNTS):
        if sample.number == 0:
            drawn = {r: tuple(random.randint(0, n) for n in COUNTS[r]) for r in ("kidney", "tumor", "cyst")}
            assert sample.choice == drawn


def test_no_annotation_is_used_twice_in_a_group():
    samples = plan_samples(5, COUNTS)
    assert [(s.group, s.number) for s in samples] == list(itertools.product(range(5), range(3)))
    for _, group in itertools.groupby(samples, lambda s: s.group):
        group = list(group)
        for region, counts in COUNTS.items():
            for instance, count in enumerate(counts):
                taken = [s.choice[region][instance] for s in group]
                assert len(set(taken)) == len(taken)
                assert set(taken) <= set(range(count))


def test_fewest_annotations_set_the_number_of_samples():
    assert len(plan_samples(0, {"kidney": [3], "cyst": [2]})) == 5 * 2
    with pytest.raises(ValueError, match="at least one instance"):
        plan_samples(0, {"kidney": []})
    with pytest.raises(ValueError, match="each with one or more"):
        plan_samples(0, {"kidney": [3, 0]})


def test_labels_of_the_samples():
    masks = annotations(1)
    found = list(sample_labels(4, masks))
    assert len(found) == 15
    for sample, label in found:
        tumor = masks["tumor"][0][sample.choice["tumor"][0]]
        assert ((label == 2) == tumor).all()
    assert len({label.tobytes() for _, label in found}) > 3


def test_pairs_stay_in_their_group():
    samples = plan_samples(5, COUNTS)
    pairs = rater_pairs(samples)
    assert len(pairs) == 5 * 3
    assert all(samples[a].group == samples[b].group and a < b for a, b in pairs)


def test_inter_rater_scores():
    labels = [label for _, label in sample_labels(4, annotations(1))][:3]
    scores = inter_rater_scores(labels, [(0, 1), (0, 2), (1, 2)], SPACING)
    assert tuple(scores) == COLUMNS
    assert all(0.1 < value < 1 for value in scores.values())
    assert all(math.isnan(value) for value in inter_rater_scores(labels, [], SPACING).values())


def test_tolerance_is_the_distance_of_shifted_masks():
    label = 2 * ball((10, 20, 20), (5, 8, 8)).astype(np.uint8)
    slab = np.zeros_like(label)
    slab[6:12] = 2  # spans the volume: every element of its faces moves by one slice
    shifted = np.roll(slab, 1, axis=0)
    flat = tolerance_of([slab, shifted], [(0, 1)], SPACING)
    assert flat == pytest.approx(dict.fromkeys(flat, 2.0))
    assert tolerance_of([label, label], [(0, 1)], SPACING)["tumor"] == 0


def test_tolerance_without_the_region():
    with_tumor = 2 * ball((10, 20, 20), (5, 8, 8)).astype(np.uint8)
    without = (with_tumor > 0).astype(np.uint8)
    case = tolerance_of([with_tumor, without, with_tumor], [(0, 1), (0, 2)], SPACING)
    assert math.isnan(case["tumor"])  # one pair without a value leaves the whole case without one
    assert case["kidney_and_mass"] == 0
    other = {"kidney_and_mass": 2.0, "mass": 1.0, "tumor": 3.0}
    assert tolerances([case, other]) == {"kidney_and_mass": 1.0, "mass": 1.0, "tumor": 3.0}
    assert math.isnan(tolerances([case])["tumor"])
