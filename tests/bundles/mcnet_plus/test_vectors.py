"""MC-Net+ computes what the authors' code computes: networks through ``from_authors``, and the losses."""

from __future__ import annotations

import pytest
import torch

import common  # noqa: F401 (makes bundles importable)
from common.kernels.mutual_consistency import mutual_consistency, mutual_consistency_reference
from common.losses.overlap.soft_dice import SoftDiceLoss
from common.tensors.sharpening import sharpen, sharpen_logits
from common.training.ramp_up import SigmoidRampUp
from mcnet_plus.checkpoint import from_authors
from mcnet_plus.network import MCNetPlus2d, MCNetPlus3d
from tests.vectors import load


def all_decoders(network, x):
    """Every decoder's logits with running statistics and without dropout."""
    network.eval()
    with torch.no_grad():
        maps = network.encoder(x)
        return [decoder(maps) for decoder in network.decoders]


@pytest.mark.parametrize(("name", "kind"), [("mcnet_plus_3d", MCNetPlus3d), ("mcnet_plus_2d", MCNetPlus2d)])
def test_network(name, kind):
    vector = load(name)
    network = kind()
    network.load_state_dict(from_authors(vector.state), strict=False)
    assert set(from_authors(vector.state)) == {
        key for key in network.state_dict() if not key.endswith("num_batches_tracked")
    }
    logits = all_decoders(network, vector.inputs["x"])
    step = (slice(None), slice(None)) + ((slice(None, None, 2),) * 3 if kind is MCNetPlus3d else ())
    vector.compare({f"logits{k}": one[step] for k, one in enumerate(logits, 1)})
    with torch.no_grad():
        torch.testing.assert_close(network(vector.inputs["x"]), logits[0])


@pytest.mark.parametrize("consistency", [mutual_consistency, mutual_consistency_reference])
def test_losses(consistency):
    """Total and gradient as published: nothing detached, Dice on the labelled half, lambda 0.5."""
    vector = load("mcnet_plus_losses")
    given = vector.inputs
    maps3d = [given[f"logits3d_{k}"].clone().requires_grad_() for k in range(3)]
    maps2d = [given[f"logits2d_{k}"] for k in range(3)]
    label3d, label2d = given["label3d"].unsqueeze(1), given["label2d"].unsqueeze(1)
    foreground = SoftDiceLoss(smooth_nr=1e-8, smooth_dr=1e-8)
    published = SoftDiceLoss(include_background=True, squared=True, smooth_nr=0, smooth_dr=1e-10, overlap=1)
    ramp40, ramp200 = SigmoidRampUp(1.0, length=40), SigmoidRampUp(0.1, length=200)

    dice3d = sum(foreground(one[:2], label3d) for one in maps3d)
    consistency3d, weight = consistency(maps3d), ramp40(2700)
    total = 0.5 * dice3d + weight * consistency3d
    (gradient,) = torch.autograd.grad(total, maps3d[0])
    iterations = given["iterations"].tolist()
    vector.compare(
        {
            "sharpened3d_0": sharpen_logits(maps3d[0]),
            "dice3d_sum": dice3d,
            "consistency3d": consistency3d,
            "weight3d_at_2700": torch.tensor(weight),
            "total3d": total,
            "grad3d_0": gradient,
            "dice2d_sum": sum(published(one[:2], label2d) for one in maps2d),
            "consistency2d": consistency(maps2d),
            "ramp40": torch.tensor([ramp40(i) for i in iterations]),
            "ramp200": torch.tensor([ramp200(i) for i in iterations]),
        }
    )
    torch.testing.assert_close(sharpen(maps3d[0].softmax(1)), sharpen_logits(maps3d[0]), rtol=1e-4, atol=1e-6)
