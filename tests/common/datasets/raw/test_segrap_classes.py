"""SegRap2023's label algebra: the challenge's table, exactly, and its two directions."""

from __future__ import annotations

import numpy as np
import pytest

from common.datasets.raw.segrap_classes import (
    GTVS,
    ORGANS,
    channel_pairs,
    class_names,
    class_pairs,
    compose,
    expand,
    membership,
)
from tests.vectors import load


def test_masks_of_the_challenge():
    vector = load("segrap2023_labels")
    fine = vector.inputs["fine"].numpy()
    masks = expand(fine)
    assert np.array_equal(np.packbits(masks.reshape(45, -1), axis=1), vector.outputs["channels"].numpy())
    assert masks.reshape(45, -1).sum(axis=1).tolist() == vector.outputs["count"].tolist()
    assert set(np.unique(fine)) == set(range(55)), "every class is in it"
    again, conflicts = compose(masks)
    assert np.array_equal(again, fine)
    assert conflicts == []


@pytest.mark.parametrize("structures", [ORGANS, GTVS], ids=["organs", "gtvs"])
@pytest.mark.parametrize("seed", range(5))
def test_compose_undoes_expand(structures, seed):
    rng = np.random.default_rng(seed)
    highest = membership(structures).shape[1] - 1
    fine = rng.integers(0, highest + 1, rng.integers(1, 12, 3)).astype(np.uint8)
    again, conflicts = compose(iter(expand(fine, structures)), structures)
    assert again.dtype == np.uint8
    assert np.array_equal(again, fine)
    assert conflicts == []


def test_number_of_classes_by_organ():
    counts = dict(zip(ORGANS, membership().sum(axis=1).tolist(), strict=True))
    assert len(counts) == 45
    assert counts.pop("Brain") == 9
    assert counts.pop("MiddleEar_L") == counts.pop("MiddleEar_R") == 6
    assert counts.pop("Larynx") == 4
    unions = ("TemporalLobe", "Hippocampus", "Eye", "TympanicCavity", "VestibulSemi", "ETbone")
    for name in [f"{union}_{side}" for union in unions for side in "LR"] + ["PharynxConst"]:
        assert counts.pop(name) == 2
    assert set(counts.values()) == {1}
    assert membership()[:, 1:].any(axis=0).all()
    assert not membership()[:, 0].any()


def test_pairs_leave_out_what_has_no_partner():
    lefts = [*range(4, 33, 2), *range(36, 45, 2)]
    assert class_pairs() == tuple((left, left + 1) for left in lefts)
    names = list(ORGANS)
    assert [names[i].removesuffix("_L") for i, _ in channel_pairs()] == [
        names[i].removesuffix("_R") for _, i in channel_pairs()
    ]
    assert len(channel_pairs()) == 16
    assert class_pairs(GTVS) == ()


def test_sides_swapped_before_or_after_expanding():
    fine = np.random.default_rng(0).integers(0, 55, (6, 5, 4)).astype(np.uint8)
    classes, channels = np.arange(55), np.arange(45)
    for order, pairs in ((classes, class_pairs()), (channels, channel_pairs())):
        for left, right in pairs:
            order[[left, right]] = right, left
    assert np.array_equal(expand(classes[fine[::-1]]), expand(fine)[channels, ::-1])


def test_names_are_of_their_own():
    names = class_names()
    assert len(set(names)) == 55
    assert [names[value] for value in (0, 1, 2, 6, 8, 12, 20, 22, 51)] == [
        "background",
        "Brain",
        "BrainStem",
        "TemporalLobe_L+Hippocampus_L",
        "Hippocampus_L",
        "Lens_L",
        "MiddleEar_L+TympanicCavity_L",
        "TympanicCavity_L",
        "Larynx+PharynxConst",
    ]
    assert class_names(GTVS) == ["background", "GTVp", "GTVnd"]


def test_conflicts_are_counted_and_become_background():
    fine = np.zeros((4, 5), np.uint8)
    fine[0], fine[1], fine[2] = 2, 40, 54
    masks = dict(zip(ORGANS, expand(fine), strict=True))
    masks["Trachea"][1, :3] = True  # within the parotid
    masks["Brain"][0, :2] = False  # around the brain stem
    again, conflicts = compose(masks.values())
    assert [str(one) for one in conflicts] == [
        "Parotid_L and Trachea in 3 voxels",
        "BrainStem alone in 2 voxels",
    ]
    assert again[0].tolist() == [0, 0, 2, 2, 2]
    assert again[1].tolist() == [0, 0, 0, 40, 40]
    assert (again[2:] == fine[2:]).all()


def test_other_maps_and_channels_are_refused():
    with pytest.raises(ValueError, match="0 to 55; expected whole numbers from 0 to 54"):
        expand(np.array([0, 55]))
    with pytest.raises(ValueError, match="a map of float64"):
        expand(np.array([0.0, 1.0]))
    masks = expand(np.zeros((2, 2), int))
    for number in (0, 44):
        with pytest.raises(ValueError, match=f"{number} channels; expected 45"):
            compose(masks[:number])
    with pytest.raises(ValueError, match="46 channels; expected 45"):
        compose([*masks, masks[0]])
    with pytest.raises(ValueError, match=r"channel 44 is \(2,\); expected \(2, 2\)"):
        compose([*masks[:44], masks[0, 0]])
