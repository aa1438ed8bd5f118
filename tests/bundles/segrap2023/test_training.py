"""The baseline's training: segrap2023/docs/method.md#recipe."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from monai.transforms import RandGaussianNoised

import common  # noqa: F401 (makes bundles importable)
from common.transforms.nnunet_crops import ForegroundVoxelsd
from segrap2023.augmentation import RandPlainGammad
from segrap2023.crops import RandCropInsided
from segrap2023.losses import DiceCrossEntropy, class_weights
from segrap2023.mixup import PrepareMixup, mixed
from segrap2023.preparation import ZScored
from tests.contract.augmentation import compare, recipe, volumes

KEYS = ["image", "label"]


def test_augmentation():
    steps = recipe("segrap2023", "paper").get_parsed_content("augmentation")
    compare(steps, [(RandPlainGammad, {"image": 0.5}), (RandGaussianNoised, {"image": 0.5})], volumes(2))
    assert steps[1].rand_gaussian_noise.std == 0.05
    assert not steps[1].rand_gaussian_noise.sample_std


def test_gamma_is_of_each_channel_and_keeps_its_range():
    gamma = RandPlainGammad("image", gamma=(0.7, 1.5), prob=1.0)
    draws = []
    for _ in range(500):
        gamma.randomize(2)
        draws.append(gamma.drawn)
    exponents = np.array(draws)
    assert 0.7 <= exponents.min() < 0.75 < 1.45 < exponents.max() <= 1.5
    assert np.mean(exponents < 1) == pytest.approx(0.375, abs=0.07), "plain uniform"
    assert not np.allclose(exponents[:, 0], exponents[:, 1])
    image = torch.linspace(-3, 5, 60).reshape(1, 3, 4, 5)
    bent = gamma({"image": image})["image"]
    torch.testing.assert_close(bent.aminmax(), image.aminmax(), atol=1e-5, rtol=0)


def test_a_crop_lies_inside_and_holds_the_voxel_it_is_about():
    label = torch.zeros(1, 9, 10, 11, dtype=torch.uint8)
    label[0, 0, 9, 5], label[0, 8, 0, 0] = 3, 7
    case = ForegroundVoxelsd("label")({"image": torch.rand(2, 9, 10, 11) + 1, "label": label})
    crop = RandCropInsided(KEYS, size=[4, 5, 6], on_class=True)
    crop.set_random_state(0)
    seen = set()
    for _ in range(40):
        found = crop(case)
        assert found["image"].shape == (2, 4, 5, 6)
        assert found["image"].min() >= 1, "no padding"
        seen |= set(found["label"].unique().tolist())
        assert len(found["label"].unique()) > 1
    assert seen == {0, 3, 7}
    chosen = RandCropInsided(KEYS, size=[4, 5, 6], on_class=True, classes=[7, 8])
    assert all(7 in chosen(case)["label"] for _ in range(10))


def test_a_crop_anywhere_starts_at_every_place_inside():
    crop = RandCropInsided(KEYS, size=[2, 3, 3])
    crop.set_random_state(0)
    starts = []
    for _ in range(300):
        crop.randomize((4, 3, 2), {})
        starts.append(tuple(crop.start))
    assert {start[0] for start in starts} == {0, 1, 2}
    assert {start[1:] for start in starts} == {(0, -1)}, "a smaller side lies in the middle"


def test_a_second_z_score_of_a_crop_needs_no_first_one():
    """So that the volume's may come first: the crop's undoes it."""
    volume = torch.randn(2, 6, 7, 8, generator=torch.Generator().manual_seed(0)) * 40 + 100
    step = ZScored("image")
    part = (slice(None), slice(0, 3), slice(2, 6), slice(1, 5))
    directly = step({"image": volume[part]})["image"]
    after = step({"image": step({"image": volume})["image"][part]})["image"]
    torch.testing.assert_close(after, directly, atol=1e-4, rtol=0)
    assert directly.mean(dim=(1, 2, 3)).abs().max() < 1e-5
    torch.testing.assert_close(directly.std(dim=(1, 2, 3), correction=0), torch.ones(2), atol=1e-4, rtol=0)


def test_mixup_is_of_two_orders_with_a_share_for_each_sample():
    values = torch.tensor([1.0, 10.0, 100.0]).reshape(3, 1, 1)
    order, other = torch.tensor([2, 0, 1]), torch.tensor([0, 1, 2])
    found = mixed(values, order, other, torch.tensor([0.5, 1.0, 0.0]))
    assert found.flatten().tolist() == [50.5, 1.0, 100.0]


@pytest.mark.parametrize(("prob", "acts"), [(0.0, False), (1.0, True)])
def test_batches_have_a_channel_for_each_class(prob, acts):
    torch.manual_seed(3)
    image = torch.randn(4, 2, 3, 4, 5)
    label = torch.randint(0, 6, (4, 1, 3, 4, 5))
    seen, target = PrepareMixup(6, prob=prob)({"image": image, "label": label})
    assert target.shape == (4, 6, 3, 4, 5)
    torch.testing.assert_close(target.sum(dim=1), torch.ones(4, 3, 4, 5))
    assert torch.equal(seen, image) != acts
    assert torch.equal(target.argmax(dim=1, keepdim=True), label) or acts
    assert bool(((target > 0) & (target < 1)).any()) == acts


def loss_by_hand(logits: np.ndarray, target: np.ndarray, weights: np.ndarray) -> float:
    p = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    dice, entropy = [], 0.0
    for k in range(p.shape[1]):
        both, sizes = (p[:, k] * target[:, k]).sum(), p[:, k].sum() + target[:, k].sum()
        dice.append((2 * both + 1e-5) / (sizes + 1e-5))
        entropy += weights[k] * np.mean(-target[:, k] * np.log(0.999 * p[:, k] + 5e-4))
    return float((weights * (1 - np.array(dice))).sum() / weights.sum() + entropy)


@pytest.mark.parametrize("weights", [None, [1.0, 10.0, 1.0]])
def test_loss(weights):
    random = np.random.default_rng(0)
    logits = random.normal(size=(2, 3, 4, 4, 4))
    target = random.dirichlet(np.ones(3), size=(2, 4, 4, 4)).transpose(0, 4, 1, 2, 3)
    expected = loss_by_hand(logits, target, np.ones(3) if weights is None else np.array(weights))
    loss = DiceCrossEntropy(weights)
    assert float(loss(torch.tensor(logits), torch.tensor(target))) == pytest.approx(expected, rel=1e-5)
    halves = torch.tensor(target).reshape(2, 3, 2, 2, 2, 2, 2, 2).mean(dim=(3, 5, 7))
    coarse = torch.tensor(random.normal(size=(2, 3, 2, 2, 2)))
    both = float(loss([torch.tensor(logits), coarse], torch.tensor(target)))
    assert both == pytest.approx((expected + float(loss(coarse, halves))) / 2, rel=1e-5)
    assert math.isfinite(float(loss(torch.tensor(logits) * 1e4, torch.tensor(target))))


def test_weights_of_the_small_classes():
    weights = class_weights(55)
    small = {3, 8, 9, *range(12, 35)}
    assert weights == [10.0 if value in small else 1.0 for value in range(55)]
    assert class_weights(5, small=30.0, other=5.0) == [1.0, 5.0, 5.0, 30.0, 5.0]
    with pytest.raises(ValueError, match="55 weights for 3 classes"):
        DiceCrossEntropy(weights)(torch.zeros(1, 3, 2, 2, 2), torch.zeros(1, 3, 2, 2, 2))
