"""The training of both stages: the second view of a case, the rough mask, and a step of MONAI's trainer."""

from __future__ import annotations

import pytest
import torch
from monai.engines import SupervisedTrainer
from monai.losses import DeepSupervisionLoss
from monai.transforms import RandFlipd

import common  # noqa: F401 (makes bundles importable)
from kits21.losses import RegionLoss, TwoStageLoss
from kits21.network import CoarseToFine
from kits21.two_stages import CoarseViewd, OnCoarseView, PrepareBothStages, RandRoughMaskd, coarse_spacing


def case():
    label = torch.zeros(1, 12, 16, 16, dtype=torch.uint8)
    label[:, 2:10, 4:12, 3:13] = 1
    label[:, 4:6, 4:8, 4:8] = 2
    return {"image": torch.randn(1, 12, 16, 16), "label": label, "name": "case_00000"}


def test_second_view():
    given = case()
    seen = CoarseViewd(spacing=(3.0, 1.0, 1.0), coarse_spacing=(2.0, 2.0, 2.0))(given)
    assert seen["name"] == "case_00000"
    assert seen["coarse_image"].shape == seen["coarse_label"].shape == (1, 12, 8, 8)
    blocks = given["image"].reshape(1, 12, 8, 2, 8, 2).mean(dim=(3, 5))
    assert torch.allclose(seen["coarse_image"], blocks, atol=1e-6)
    assert seen["coarse_label"].unique().tolist() == [0, 1]
    # Columns 3 and 12 are half of a coarse voxel, which is no majority.
    assert torch.equal(seen["coarse_mask"][0, 5, 5].nonzero().flatten(), torch.arange(4, 12))
    assert torch.equal(seen["label"], given["label"])


def test_coarse_spacing():
    """kits21/docs/method.md#configurations; isotropic whatever the case's slices."""
    assert coarse_spacing([0.78] * 3, 2.56) == pytest.approx([2.0] * 3, abs=0.01)
    assert coarse_spacing([5.0, 4.0, 4.0], 2.0) == [8.0] * 3


def test_random_transforms_of_the_coarse_view():
    """They see it under the usual names, draw on their own, and leave the fine view alone."""
    flip = RandFlipd(["image", "label", "more"], prob=0.5, spatial_axis=2, allow_missing_keys=True)
    step = OnCoarseView([flip])
    given = {
        "image": torch.zeros(1, 2, 2, 2),
        "coarse_image": torch.arange(8.0).reshape(1, 2, 2, 2),
        "coarse_label": torch.arange(8).reshape(1, 2, 2, 2),
    }
    drawn = []
    for _ in range(2):
        step.set_random_state(5)
        drawn.append([])
        for _ in range(12):
            seen = step(given)
            assert set(seen) == set(given)
            assert seen["image"] is given["image"]
            assert seen["coarse_image"].flatten().tolist() == seen["coarse_label"].flatten().tolist()
            drawn[-1].append(float(seen["coarse_image"][0, 0, 0, 0]))
    assert drawn[0] == drawn[1]
    assert set(drawn[0]) == {0.0, 1.0}


def pieces():
    mask = torch.zeros(1, 12, 12, 12, dtype=torch.uint8)
    mask[:, 2:10, 2:5, 2:5] = 1
    mask[:, 2:10, 8:11, 8:11] = 1
    return mask


def test_rough_mask():
    mask = pieces()
    step = RandRoughMaskd("m", prob=1.0, most=1, prob_removal=0.0)
    step.set_random_state(0)
    sizes = {int(step({"m": mask})["m"].sum()) for _ in range(12)}
    assert len(sizes) == 2  # grown or shrunk by one voxel
    assert min(sizes) < int(mask.sum()) < max(sizes)
    away = RandRoughMaskd("m", prob=0.0, prob_removal=1.0)
    away.set_random_state(0)
    left = [away({"m": mask})["m"] for _ in range(12)]
    assert {int(one.sum()) for one in left} == {72}
    assert {int(one[0, 5, 3, 3]) for one in left} == {0, 1}, "either piece may go"
    assert torch.equal(mask, pieces())
    same = RandRoughMaskd("m", prob=0.0, prob_removal=0.0)({"m": mask})["m"]
    assert torch.equal(same, mask)
    none = away({"m": torch.zeros_like(mask)})["m"]
    assert not none.any()


def test_the_same_state_draws_the_same():
    steps = [RandRoughMaskd("m", prob=0.5, prob_removal=0.5).set_random_state(3) for _ in range(2)]
    drawn = [[step({"m": pieces()})["m"].sum().item() for _ in range(10)] for step in steps]
    assert drawn[0] == drawn[1]
    assert len(set(drawn[0])) > 2


def test_a_step_of_the_trainer_moves_both_stages():
    torch.manual_seed(0)
    network = CoarseToFine(filters=(4, 8, 8, 16, 16, 16))
    shape = (1, 1, 64, 32, 32)
    label = torch.randint(0, 4, shape, dtype=torch.uint8)
    batch = {
        "image": torch.randn(shape),
        "label": label,
        "coarse_mask": (label > 0).to(torch.uint8),
        "coarse_image": torch.randn(shape),
        "coarse_label": (label > 1).to(torch.uint8),
    }
    before = {name: p.detach().clone() for name, p in network.named_parameters()}
    trainer = SupervisedTrainer(
        device=torch.device("cpu"),
        max_epochs=1,
        train_data_loader=[batch],
        network=network,
        optimizer=torch.optim.SGD(network.parameters(), lr=0.1),
        loss_function=TwoStageLoss(),
        prepare_batch=PrepareBothStages(),
        decollate=False,
    )
    trainer.run()
    assert 0 < float(trainer.state.output["loss"]) < 10
    still = [name for name, p in network.named_parameters() if torch.equal(p, before[name])]
    assert not still


def test_loss_is_the_sum_of_the_stages():
    torch.manual_seed(1)
    output = {
        "fine": [torch.randn(2, 3, n, n, n) for n in (8, 4, 2)],
        "coarse": [torch.randn(2, 1, n, n, n) for n in (4, 2, 1)],
    }
    target = {
        "fine": torch.randint(0, 4, (2, 1, 8, 8, 8), dtype=torch.uint8),
        "coarse": torch.randint(0, 2, (2, 1, 4, 4, 4), dtype=torch.uint8),
    }
    whole = TwoStageLoss()(output, target)
    parts = 0.0
    for stage, loss in (("fine", RegionLoss()), ("coarse", RegionLoss([1], batch=True))):
        deep = DeepSupervisionLoss(loss)  # levels one by one
        for weight, one in zip((4 / 7, 2 / 7, 1 / 7), output[stage], strict=True):
            parts += weight * float(deep.get_loss(one, target[stage]))
    assert float(whole) == pytest.approx(parts, rel=1e-6)
