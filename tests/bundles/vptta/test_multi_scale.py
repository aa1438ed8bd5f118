"""The polyp network's training: three sizes of each batch, one step for each, clamped gradients."""

from __future__ import annotations

import pytest
import torch
from monai.inferers import SimpleInferer
from torch import nn
from torch.nn import functional

import common  # noqa: F401 (makes bundles importable)
from common.losses.overlap.structure import StructureLoss
from common.training.batches import PrepareImageLabel
from common.training.guards import GradientClamping
from vptta.multi_scale import MultiScaleTrainer


class Small(nn.Conv2d):
    """Records the sizes of its inputs."""

    def __init__(self):
        torch.manual_seed(0)
        super().__init__(3, 1, 3, padding=1)
        self.sizes = []

    def forward(self, x):
        self.sizes.append(tuple(x.shape[2:]))
        return super().forward(x)


@pytest.fixture
def batch():
    generator = torch.Generator().manual_seed(1)
    image = torch.randn(2, 3, 352, 352, generator=generator)
    return {"image": image, "label": (image[:, :1] > 1).to(torch.uint8)}


def train(network, batches, handlers=(), **options):
    trainer = MultiScaleTrainer(
        device=torch.device("cpu"),
        max_epochs=1,
        train_data_loader=batches,
        network=network,
        prepare_batch=PrepareImageLabel(),
        loss_function=StructureLoss(),
        optimizer=torch.optim.SGD(network.parameters(), lr=0.1),
        inferer=SimpleInferer(),
        train_handlers=list(handlers),
        decollate=False,
        **options,
    )
    trainer.run()
    return trainer


def test_published_sizes(batch):
    network = Small()
    train(network, [batch])
    assert network.sizes == [(256, 256), (352, 352), (448, 448)]


def test_each_size_has_its_own_step(batch):
    """Against the loop written out."""
    ours, theirs = Small(), Small()
    train(ours, [batch, batch])
    optimizer = torch.optim.SGD(theirs.parameters(), lr=0.1)
    for _ in range(2):
        for size in (256, 352, 448):
            image, mask = (
                functional.interpolate(batch[key].float(), (size, size), mode="bilinear", align_corners=True)
                for key in ("image", "label")
            )
            optimizer.zero_grad()
            StructureLoss()(theirs(image), mask).backward()
            optimizer.step()
    torch.testing.assert_close(ours.weight, theirs.weight)
    assert not torch.allclose(ours.weight, Small().weight, atol=1e-3)


def test_gradients_are_clamped_entry_by_entry(batch):
    class Steep(Small):
        def forward(self, x):
            return 1000 * super().forward(x)

    network = Steep()
    before = network.weight.detach().clone()
    train(network, [batch], handlers=[GradientClamping(0.5)], rates=[1.0])
    moved = (network.weight - before).abs()
    torch.testing.assert_close(moved.max().item(), 0.1 * 0.5)
    assert moved.min() < moved.max()


def test_rates_must_be_positive():
    with pytest.raises(ValueError, match=r"rates=\[0\]"):
        MultiScaleTrainer(rates=[0])
