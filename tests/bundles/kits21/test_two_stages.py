"""The training of both stages: the second view of a case, and a step of MONAI's trainer."""

from __future__ import annotations

import pytest
import torch
from monai.engines import SupervisedTrainer
from monai.losses import DeepSupervisionLoss
from monai.transforms import RandFlipd

import common  # noqa: F401 (makes bundles importable)
from common.errors import InputError
from common.inference.two_stages import coarse_spacing
from kits21.losses import RegionLoss, TwoStageLoss
from kits21.network import CoarseToFine
from kits21.two_stages import CoarseViewd, OnCoarseView, PrepareBothStages


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
    with pytest.raises(InputError, match=r"several modalities \(CT, MR\), and two stages take one spacing"):
        coarse_spacing({"CT": [1.0] * 3, "MR": [2.0] * 3}, 2.0)


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
    whole = TwoStageLoss(batch=True)(output, target)
    parts = 0.0
    for stage, loss in (("fine", RegionLoss(batch=True)), ("coarse", RegionLoss([1]))):
        deep = DeepSupervisionLoss(loss)  # levels one by one
        for weight, one in zip((4 / 7, 2 / 7, 1 / 7), output[stage], strict=True):
            parts += weight * float(deep.get_loss(one, target[stage]))
    assert float(whole) == pytest.approx(parts, rel=1e-6)


def test_dice_is_pooled_at_full_resolution_and_per_sample_at_low():
    """A batch of one case with and one without foreground: only the pooled Dice forgives the latter."""
    label = torch.zeros(2, 1, 8, 8, 8, dtype=torch.uint8)
    label[0, :, 2:6] = 1
    perfect = torch.where(label == 1, 6.0, -6.0)
    perfect[1, 0, 0, 0] = 6.0  # a few voxels in the case without
    one = TwoStageLoss([1], batch=True, scales=[1.0])
    each = {"fine": [perfect], "coarse": [perfect]}
    pooled, single = (RegionLoss([1], batch=batch)(perfect, label) for batch in (True, False))
    assert float(single - pooled) > 0.3
    assert float(one(each, {"fine": label, "coarse": label})) == pytest.approx(
        float(pooled + single), rel=1e-6
    )
