"""BA-Net's sizes, gates and gradients: banet_kidney/docs/method.md#how-to-know-it-works."""

from __future__ import annotations

import pytest
import torch
from scipy.ndimage import gaussian_filter
from torch import nn

import common  # noqa: F401 (makes bundles importable)
from banet_kidney.network import STRIDES, BANet
from common.losses.boundary_aware import BoundaryAwareLoss
from common.networks.plain_unet.network import PlainUNet
from common.transforms.boundary import inner_boundary

WIDTHS = (4, 6, 6, 8, 8, 8)


def count(module: nn.Module) -> int:
    return sum(p.numel() for p in module.parameters())


def narrow(**settings) -> BANet:
    torch.manual_seed(0)
    return BANet(1, 3, widths=WIDTHS, **settings)


@pytest.fixture(scope="module")
def image() -> torch.Tensor:
    return torch.randn(1, 1, 64, 32, 32, generator=torch.Generator().manual_seed(0))


def test_parameters():
    with torch.device("meta"):
        default, cubes = BANet(), BANet(strides=[2] * 5)
    assert (count(default), count(cubes)) == (47_547_648, 48_366_848)
    assert count(cubes.encoder) == 14_025_120
    for part in ("boundary", "segmentation"):
        levels = [getattr(level, part) for level in cubes.levels]
        assert sum(count(level.blocks) for level in levels) == 15_349_440
        assert sum(count(level.up) for level in levels) == 1_818_624
    assert sum(count(level.head) for level in cubes.levels) == 4_000
    assert sum(count(level.boundary_head) for level in cubes.levels) == 1_600


def test_levels_of_the_plan():
    """The last pooling leaves the third axis alone."""
    maps = narrow()(torch.zeros(1, 1, 64, 32, 32))
    assert [tuple(one.shape[2:]) for one in maps["boundary"]] == [
        (64, 32, 32),
        (32, 16, 16),
        (16, 8, 8),
        (8, 4, 4),
        (4, 2, 2),
    ]
    assert [one.shape[1] for one in maps["classes"] + maps["boundary"]] == [3] * 5 + [2] * 5


def say(network: BANet, boundary: bool) -> None:
    """Every boundary head is certain, everywhere."""
    for level in network.levels:
        level.boundary.blocks[1].norm.weight.data.zero_()
        level.boundary.blocks[1].norm.bias.data.fill_(1.0)
        level.boundary_head.weight.data[1] = 100.0 if boundary else -100.0


def plain_of(network: BANet) -> PlainUNet:
    plain = PlainUNet(1, 3, widths=WIDTHS, strides=STRIDES)
    state = {f"encoder.{key}": value for key, value in network.encoder.state_dict().items()}
    for number, level in enumerate(network.levels):
        own = level.segmentation.state_dict()
        state |= {f"decoder.levels.{number}.{key}": value for key, value in own.items()}
        state[f"heads.{len(network.levels) - 1 - number}.weight"] = level.head.weight
    plain.load_state_dict(state)
    return plain


@torch.no_grad()
def test_without_boundaries_it_is_the_plain_unet_and_with_them_everywhere_its_features_double(image):
    network = narrow().eval()
    plain = plain_of(network).eval()
    say(network, boundary=False)
    torch.testing.assert_close(network(image), plain(image))
    say(network, boundary=True)
    for level in plain.decoder.levels:
        level.up.weight *= 2
    torch.testing.assert_close(network(image), plain(image))


def test_gradients(image):
    """Of the segmentation alone to the boundary decoder; of the whole loss to every weight.

    The coarsest heads weigh nothing in the loss, but the coarsest boundary head has its gate.
    """
    network = narrow()
    label = torch.randint(0, 3, image.shape, generator=torch.Generator().manual_seed(1))
    maps = network(image)
    BoundaryAwareLoss()(maps["classes"], label).backward()
    for level in network.levels:
        assert level.boundary.up.weight.grad.abs().sum() > 0
        assert level.boundary_head.weight.grad.abs().sum() > 0
    assert not network.levels[0].head.weight.grad.any()
    network.zero_grad(set_to_none=True)
    target = {"classes": label, "boundary": inner_boundary(label).to(label.dtype)}
    BoundaryAwareLoss()(network(image), target).backward()
    assert all(p.grad is not None for p in network.parameters())
    assert not network.levels[0].head.weight.grad.any()


def test_a_label_that_fills_the_patch_has_no_boundary():
    for value in (0, 3):
        assert not inner_boundary(torch.full((1, 1, 8, 8, 8), value)).any()


def blobs(seed: int, side: int = 20) -> tuple[torch.Tensor, torch.Tensor]:
    """Two touching balls in noise, the edge between them weak: image and label (1, 1, side, side, side)."""
    generator = torch.Generator().manual_seed(seed)
    axes = torch.meshgrid(*[torch.arange(float(side))] * 3, indexing="ij")
    label = torch.zeros(side, side, side, dtype=torch.uint8)
    middle = side / 2 + 2 * torch.rand(3, generator=generator) - 1
    for value, shift in ((1, -3.5), (2, 3.5)):
        centre = middle + shift * torch.tensor([0.0, 0.0, 1.0])
        inside = sum((a - c) ** 2 for a, c in zip(axes, centre, strict=True)) < 4.0**2
        label[inside & (label == 0)] = value
    image = torch.tensor([0.0, 1.0, 1.4])[label.long()]
    image = image + 0.8 * torch.randn(image.shape, generator=generator)
    return image[None, None], label[None, None]


def dice(one: torch.Tensor, other: torch.Tensor) -> float:
    return float(2 * (one & other).sum() / (one.sum() + other.sum()))


def by_gradient(image: torch.Tensor, share: float) -> torch.Tensor:
    """The voxels with the steepest intensity, as many as there are on boundaries."""
    smooth = torch.from_numpy(gaussian_filter(image[0, 0].numpy(), 1.0))
    steep = torch.stack(torch.gradient(smooth)).norm(dim=0)
    return (steep > steep.flatten().quantile(1 - share))[None, None]


@pytest.mark.full
def test_the_boundary_head_beats_the_gradient_of_the_image():
    torch.manual_seed(0)
    network = BANet(1, 3, widths=(8, 16, 16), strides=(2, 2))
    optimizer = torch.optim.AdamW(network.parameters(), lr=3e-3)
    loss = BoundaryAwareLoss()
    for step in range(100):
        image, label = blobs(step)
        target = {"classes": label, "boundary": inner_boundary(label).to(label.dtype)}
        optimizer.zero_grad()
        loss(network(image), target).backward()
        optimizer.step()
    image, label = blobs(1000)
    truth = inner_boundary(label)
    with torch.no_grad():
        found = network.eval().with_boundary(image)[:, -1:] > 0.5
    best = max(dice(by_gradient(image, float(truth.float().mean()) * wide), truth) for wide in (1, 2, 3))
    assert dice(found, truth) > best + 0.1, (dice(found, truth), best)
