"""What the challenge's scores promise (kits21/docs/method.md#how-to-know-it-works)."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch

import common  # noqa: F401 (makes bundles importable)
from common.datasets.raw.kits21_annotations import aggregate, paint
from common.evaluation.metrics.surface_elements import surface_dice
from kits21.metrics import COLUMNS, dice, score_case
from kits21.regions import LABELS, REGIONS, label_of_regions, region_masks
from tests.bundles.kits21.kidneys import SHAPE, SPACING, annotations, ball

REFERENCE = aggregate(annotations())
PREDICTION = np.roll(aggregate(annotations(7), "OR"), 1, axis=2)


def test_columns_are_the_challenges():
    assert COLUMNS == ("Dice_kidney", "Dice_masses", "Dice_tumor", "SD_kidney", "SD_masses", "SD_tumor")


def test_a_wrong_subtype_costs_only_the_tumor():
    swapped = PREDICTION.copy()
    swapped[PREDICTION == 2], swapped[PREDICTION == 3] = 3, 2
    before, after = (score_case(p, REFERENCE, SPACING) for p in (PREDICTION, swapped))
    for column in COLUMNS:
        if "tumor" in column:
            assert after[column] < 0.5 * before[column]
        else:
            assert after[column] == before[column]


def test_symmetric_and_one_for_equal_masks():
    there = score_case(PREDICTION, REFERENCE, SPACING)
    back = score_case(REFERENCE, PREDICTION, SPACING)
    assert list(there.values()) == pytest.approx(list(back.values()), abs=1e-12)
    assert all(0 < value < 1 for value in there.values())
    assert set(score_case(REFERENCE, REFERENCE, SPACING).values()) == {1.0}


def test_surface_dice_grows_with_the_tolerance():
    masks = REFERENCE > 0, PREDICTION > 0
    values = [surface_dice(*masks, tolerance=t, spacing=SPACING) for t in (0, 0.5, 0.9, 1.2, 2, 3, 9)]
    assert values == sorted(values)
    assert values[0] < 0.5 < values[-1] == 1


def test_a_shift_within_the_tolerance_costs_nothing():
    slab = np.zeros(SHAPE, bool)
    slab[:, 10:20] = True
    assert surface_dice(slab, np.roll(slab, 1, axis=1), tolerance=0.9, spacing=SPACING) == 1
    assert surface_dice(slab, np.roll(slab, 2, axis=1), tolerance=0.9, spacing=SPACING) < 0.5


def test_missing_region():
    kidney = (REFERENCE > 0).astype(np.uint8)
    in_neither = score_case(kidney, kidney, SPACING)
    assert set(in_neither.values()) == {1.0}
    in_one = score_case(kidney, REFERENCE, SPACING)
    assert in_one["Dice_kidney"] == in_one["SD_kidney"] == 1
    assert [in_one[c] for c in COLUMNS if "kidney" not in c] == [0, 0, 0, 0]
    nothing = np.zeros(SHAPE, np.uint8)
    assert set(score_case(nothing, nothing, SPACING).values()) == {1.0}


def test_dice_by_hand():
    assert dice(np.array([1, 1, 0, 0], bool), np.array([1, 0, 1, 1], bool)) == 2 / 5


def test_intersection_within_majority_within_union():
    masks = annotations(3)
    nested = [region_masks(aggregate(masks, rule)) for rule in ("AND", "MAJ", "OR")]
    for smaller, larger in itertools.pairwise(nested):
        assert not (smaller & ~larger).any()
        assert smaller.sum() < larger.sum()
    single = {region: [one[:1] for one in instances] for region, instances in masks.items()}
    maps = [aggregate(single, rule) for rule in ("AND", "MAJ", "OR")]
    assert (maps[0] == maps[1]).all()
    assert (maps[1] == maps[2]).all()


def test_a_tie_is_not_a_majority():
    masks = [ball((10, 20, 20), (r, r, r)) for r in (4, 6)]
    assert (aggregate({"kidney": [masks]}) == masks[0]).all()


def test_tumor_over_cyst_over_kidney():
    everywhere = {region: [np.ones((1, 1, 1), bool)] for region in ("tumor", "kidney", "cyst")}
    assert paint(everywhere).item() == 2
    assert paint({region: everywhere[region] for region in ("cyst", "kidney")}).item() == 3


def test_what_cannot_be_aggregated():
    mask = np.ones((1, 1, 1), bool)
    with pytest.raises(ValueError, match="need one of MAJ, OR, AND"):
        aggregate({"kidney": [[mask]]}, "maj")
    with pytest.raises(ValueError, match="no annotations"):
        aggregate({"kidney": [[]]})
    with pytest.raises(ValueError, match="need instances of kidney, tumor, cyst"):
        aggregate({"ureter": [[mask]]})


def test_regions_round_trip():
    label = torch.from_numpy(REFERENCE)[None, None]
    regions = torch.from_numpy(region_masks(REFERENCE))[None]
    assert torch.equal(label_of_regions(regions), label)
    assert torch.equal(label_of_regions(regions[0]), label[0])
    assert regions.sum(dim=(0, 2, 3, 4)).tolist() == [
        int(np.isin(REFERENCE, region.labels).sum()) for region in REGIONS
    ]
    assert set(LABELS) == set(np.unique(REFERENCE).tolist())
