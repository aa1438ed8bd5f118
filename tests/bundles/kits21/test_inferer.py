"""Coarse to fine: the crops, each stage's input, and what postprocessing keeps."""

from __future__ import annotations

import logging

import numpy as np
import pytest
import torch
from monai.data import MetaTensor
from torch import nn

import common  # noqa: F401 (makes bundles importable)
from kits21.components import clean_regions, without_small_pieces
from kits21.inferer import CoarseToFineInferer, TwoStageTrainingInferer
from kits21.postprocessing import RegionsToLabeld

SHAPE = (24, 48, 48)
SPACING = (2.0, 1.0, 1.0)
KIDNEYS = ((slice(8, 16), slice(16, 30), slice(4, 14)), (slice(8, 16), slice(16, 30), slice(34, 44)))


def image() -> torch.Tensor:
    """Two bright kidneys, a brighter lesion in the first, and a bright speck."""
    x = torch.zeros(1, 1, *SHAPE)
    for kidney in KIDNEYS:
        x[0, 0][kidney] = 1
    x[0, 0, 10:12, 20:24, 6:10] = 2
    x[0, 0, 2, 2, 24] = 1
    return x


class Stages(nn.Module):
    """Networks whose output shows their input: the coarse one applies a threshold, the fine one three."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: dict[str, list[torch.Tensor]] = {"coarse": [], "fine": []}

    def coarse(self, x):
        self.seen["coarse"].append(x)
        return x - 0.4

    def fine(self, x):
        self.seen["fine"].append(x)
        intensity, mask = x.split(1, dim=1)
        return torch.cat([(intensity - level) * mask for level in (0.5, 1.5, 1.5)], dim=1) - 0.1


def inferer(**options):
    options = {"spacing": SPACING, "coarse_spacing": (2.0, 2.0, 2.0), "margin_mm": 2.0, **options}
    return CoarseToFineInferer((8, 16, 16), (8, 8, 8), smallest_ml=0.1, overlap=0.25, **options)


def test_both_stages():
    stages, x = Stages(), image()
    probabilities = inferer()(x, stages)
    assert probabilities.shape == (1, 3, *SHAPE)
    found = probabilities[0] > 0.5
    assert torch.equal(found[0], (x[0, 0] > 0.5) & (torch.arange(24)[:, None, None] > 4))  # not the speck
    assert torch.equal(found[1], x[0, 0] > 1.5)
    untouched = probabilities[0, 0] == 0
    assert untouched[:7].all()
    assert not untouched[7:17, 14:32, 1:17].any(), "a box has the sides of a patch at least"
    assert {tuple(one.shape[1:]) for one in stages.seen["coarse"]} == {(1, 8, 8, 8)}
    assert {tuple(one.shape[1:]) for one in stages.seen["fine"]} == {(2, 8, 16, 16)}
    assert all(set(one[:, 1].unique().tolist()) <= {0.0, 1.0} for one in stages.seen["fine"])


def test_a_batch_equals_its_cases():
    two = torch.cat([image(), image().flip(4)])
    together = inferer()(two, Stages())
    assert torch.equal(together, torch.cat([inferer()(one[None], Stages()) for one in two]))


def test_a_wrapped_network():
    wrapped = nn.Module()
    wrapped.module = Stages()
    assert torch.equal(inferer()(image(), wrapped), inferer()(image(), Stages()))


def test_no_kidney(caplog):
    with caplog.at_level(logging.WARNING):
        probabilities = inferer()(torch.zeros(1, 1, *SHAPE), Stages())
    assert (probabilities == 0).all()
    assert "the coarse stage found no kidney" in caplog.text


def test_an_already_coarser_axis_is_left_alone():
    stages = Stages()
    mask, spacing = inferer(spacing=(5.0, 1.0, 1.0)).coarse_mask(image(), stages.coarse)
    assert mask.shape == (1, 1, 24, 24, 24)
    assert spacing == pytest.approx([5.0, 2.0, 2.0])


def test_small_components_are_removed_by_volume():
    mask = np.zeros((6, 6, 12), bool)
    mask[1:3, 1:3, 1:3] = mask[4, 4, 4] = mask[3, 3, 3] = True  # joined by corners: ten voxels
    mask[1, 1, 8:11] = True
    assert without_small_pieces(mask, (10, 10, 10), 3).sum() == 13
    assert without_small_pieces(mask, (10, 10, 10), 3.5).sum() == 10
    assert without_small_pieces(mask, (10, 10, 10), 10.5).sum() == 0


def test_regions_become_nested():
    regions = np.zeros((3, 8, 8, 8), bool)
    regions[0, 1:5, 1:5, 1:5] = True
    regions[1, 2:4, 2:4, 2:4] = regions[1, 6:8, 6:8, 6:8] = True  # the second outside every kidney
    regions[2, 2:4, 2:4, 3:8] = True  # half of it outside the mass
    kept = clean_regions(regions, (1, 1, 1), smallest_ml=(0.01, 0.001, 0.001))
    assert kept.sum(axis=(1, 2, 3)).tolist() == [64, 8, 4]
    assert not (kept[1] & ~kept[0]).any()
    assert not (kept[2] & ~kept[1]).any()


def test_label_map_of_probabilities():
    probabilities = torch.full((3, 8, 8, 8), 0.05)
    probabilities[0, 1:6, 1:6, 1:6] = 0.9
    probabilities[1, 2:5, 2:5, 2:5] = 0.7
    probabilities[2, 2:5, 2:5, 2:3] = 0.6
    probabilities[0, 7, 7, 7] = 0.99
    affine = torch.diag(torch.tensor([3.0, 3.0, 3.0, 1.0]))
    step = RegionsToLabeld("pred", smallest_ml=(0.1, 0.1, 0.1))
    label = step({"pred": MetaTensor(probabilities, affine=affine)})["pred"]
    assert label.shape == (1, 8, 8, 8)
    assert torch.equal(label.affine, affine)
    assert torch.bincount(label.as_tensor().flatten().int()).tolist() == [512 - 125, 98, 9, 18]
    as_it_is = RegionsToLabeld("pred", smallest_ml=(0, 0, 0))({"pred": probabilities})["pred"]
    assert as_it_is.dtype == torch.uint8
    assert as_it_is[0, 7, 7, 7] == 1


def test_label_map_of_what_was_decided():
    """On the scan's own grid only decisions remain: masks, or classes with softmax."""
    probabilities = torch.rand((3, 8, 8, 8), generator=torch.Generator().manual_seed(0))
    step = RegionsToLabeld("pred", smallest_ml=(0.02, 0.001, 0.001))
    masks = (probabilities > 0.5).to(torch.uint8)
    found = step({"pred": masks})["pred"]
    assert torch.equal(found, step({"pred": probabilities})["pred"])
    assert len(found.unique()) == 4
    step = RegionsToLabeld("pred", softmax=True, smallest_ml=(0.02, 0.001, 0.001))
    probabilities = torch.rand((4, 8, 8, 8), generator=torch.Generator().manual_seed(0))
    classes = probabilities.argmax(0, keepdim=True).to(torch.uint8)
    found = step({"pred": classes})["pred"]
    assert torch.equal(found, step({"pred": probabilities})["pred"])
    assert len(found.unique()) == 4


def test_mirrored_views_are_averaged():
    """Probabilities are averaged, not logits; a view is mirrored together with its mask, and back."""

    class Sideways(Stages):
        def fine(self, x):
            return super().fine(x) + torch.linspace(-1, 1, x.shape[4])

    once, other = (inferer()(x, Sideways()) for x in (image(), image().flip(4)))
    mirrored = inferer(mirror_axes=[2])(image(), Sideways())
    inside = once > 0  # the two crops mirror each other, and so do their windows
    assert torch.allclose(mirrored[inside], ((once + other.flip(4)) / 2)[inside], atol=1e-5)
    assert not torch.allclose(mirrored, once, atol=1e-2)


def test_a_network_of_one_stage():
    """Nothing is cropped; metadata are kept."""
    single = nn.Conv3d(1, 3, 1)
    given = MetaTensor(image(), affine=torch.diag(torch.tensor([2.0, 1.0, 1.0, 1.0])))
    with torch.no_grad():
        found = inferer()(given, single)
        assert torch.allclose(found.as_tensor(), single(image()).sigmoid(), atol=1e-5)
    assert torch.equal(found.affine, given.affine)
    seen = []
    TwoStageTrainingInferer()(image(), lambda *inputs: seen.append(len(inputs)), 1, 2)
    both = nn.Module()
    both.coarse = both.fine = nn.Identity()
    both.forward = lambda *inputs: seen.append(len(inputs))
    TwoStageTrainingInferer()(image(), both, 1, 2)
    assert seen == [1, 3]


def test_classes_instead_of_regions():
    stages = Stages()
    stages.fine = lambda x: torch.cat([0.5 - x[:, :1], x[:, :1] - 0.5, 2 * x[:, :1] - 2, -x[:, :1]], dim=1)
    probabilities = inferer(softmax=True)(image(), stages)
    found = RegionsToLabeld("pred", softmax=True, smallest_ml=(0.0,))({"pred": probabilities[0]})["pred"]
    expected = image()[0].clone()
    expected[0, 2, 2, 24] = 0  # no crop reaches the speck
    assert torch.equal(found, expected.to(torch.uint8))
    nothing = inferer(softmax=True)(torch.zeros(1, 1, *SHAPE), stages)
    assert (nothing.argmax(dim=1) == 0).all()
