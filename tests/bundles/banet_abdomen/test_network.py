"""Sizes, boundaries and losses with sixteen classes: banet_abdomen/docs/method.md#how-to-know-it-works."""

from __future__ import annotations

from functools import partial

import pytest
import torch
from torch import nn

import common  # noqa: F401 (makes bundles importable)
from banet_abdomen.checkpoint import from_authors
from banet_abdomen.network import LAST_IN_PLANE, BANet, PlainMR
from common.losses.boundary_aware import BoundaryAwareLoss
from common.transforms.boundary import inner_boundary

WIDTHS = (4, 6, 6, 8, 8, 8)
CUBES = (3,) * 6


def count(module: nn.Module) -> int:
    return sum(p.numel() for p in module.parameters())


def test_parameters():
    with torch.device("meta"):
        assert count(BANet()) == 48_340_256
        assert count(BANet(kernels=CUBES, strides=LAST_IN_PLANE)) == 47_556_448
        assert count(BANet(strides=((1, 2, 2), 2, 2, 2, (1, 2, 2)))) == 47_521_056
        assert count(BANet(kernels=CUBES, strides=(2,) * 5)) == 48_375_648


@pytest.mark.parametrize(
    ("build", "patch", "sides"),
    [
        (BANet, (64, 160, 160), [(64, 80, 80), (32, 40, 40), (16, 20, 20), (8, 10, 10), (4, 5, 5)]),
        (
            partial(BANet, kernels=CUBES, strides=LAST_IN_PLANE),
            (80, 160, 160),
            [(40, 80, 80), (20, 40, 40), (10, 20, 20), (5, 10, 10), (5, 5, 5)],
        ),
        (PlainMR, (64, 160, 224), [(32, 80, 112), (16, 40, 56), (8, 20, 28), (4, 10, 14), (4, 5, 7)]),
    ],
    ids=["full resolution", "low resolution", "MR alone"],
)
def test_levels_of_the_plans(build, patch, sides):
    """With the published patches, whose sizes are computed without any number."""
    with torch.device("meta"):
        network, image = build(widths=WIDTHS), torch.zeros(1, 1, *patch)
        maps, alone = network.train()(image), network.eval()(image)
    classes = maps["classes"] if isinstance(maps, dict) else maps
    assert [tuple(one.shape[1:]) for one in classes] == [(16, *size) for size in (patch, *sides[:-1])]
    assert (
        tuple(side // factor for side, factor in zip(patch, network.encoder.factors, strict=True))
        == sides[-1]
    )
    assert alone.shape == (1, 16, *patch)


def test_checkpoints_of_both_kinds_of_network():
    """Keys of the authors' plain nnU-Net have no boundary decoder; ours keep every one of both."""
    for network, theirs in ((BANet(widths=WIDTHS), boundary_keys), (PlainMR(widths=WIDTHS), plain_keys)):
        own = network.state_dict()
        found = from_authors({theirs(key): value for key, value in own.items()})
        assert {key: value.data_ptr() for key, value in found.items()} == {
            key: value.data_ptr() for key, value in own.items()
        }


def plain_keys(key: str) -> str:
    """Our key of a plain U-Net -> nnU-Net's."""
    part, _, rest = key.partition(".")
    if part == "heads":
        number, leaf = rest.split(".")
        return f"seg_outputs.{4 - int(number)}.{leaf}"
    if part == "encoder":
        _, stage, block, kind, leaf = rest.split(".")
        place = f"{stage}.{block}.blocks.0" if stage == "5" else f"{stage}.blocks.{block}"
        return f"conv_blocks_context.{place}.{'instnorm' if kind == 'norm' else kind}.{leaf}"
    return decoder_keys(rest.removeprefix("levels."), "tu", "conv_blocks_localization")


def decoder_keys(rest: str, up: str, blocks: str) -> str:
    level, kind, *more = rest.split(".")
    if kind == "up":
        return f"{up}.{level}.{more[0]}"
    block, part, leaf = more
    return f"{blocks}.{level}.{block}.blocks.0.{'instnorm' if part == 'norm' else part}.{leaf}"


def boundary_keys(key: str) -> str:
    """Our key of a BA-Net -> the authors'."""
    if key.startswith("encoder."):
        return plain_keys(key)
    _, level, part, *rest = key.split(".")
    if part in ("head", "boundary_head"):
        return f"{'seg' if part == 'head' else 'bdr'}_outputs.{level}.{rest[0]}"
    names = {"segmentation": ("tu", "conv_blocks_localization"), "boundary": ("tb", "conv_blocks_boundary")}
    return decoder_keys(".".join([level, *rest]), *names[part])


def test_between_two_organs_the_boundary_lies_on_the_side_of_the_higher_number():
    """Fifteen touching slabs: one voxel at each contact, not two as the contours of all classes have."""
    slabs = torch.arange(16).repeat_interleave(4)
    label = slabs.view(1, 1, 64, 1, 1).expand(1, 1, 64, 6, 6)
    boundary = inner_boundary(label)[0, 0, :, 3, 3]
    first_of_each = torch.arange(4, 64, 4)
    assert boundary.nonzero().ravel().tolist() == first_of_each.tolist()
    contours = sum(inner_boundary((label == value).int())[0, 0, :, 3, 3].int() for value in range(1, 16)) > 0
    assert contours.sum() > boundary.sum()


@pytest.mark.parametrize("batch", [True, False], ids=["pooled over the batch", "per sample"])
def test_missing_organs_leave_the_loss_finite(batch):
    """A class that is absent counts in the mean, close to 0 until it is predicted nowhere."""
    torch.manual_seed(0)
    label = torch.zeros(2, 1, 8, 8, 8)
    label[0, 0, :4] = 3  # the second sample has no organ at all
    logits = torch.randn(2, 16, 8, 8, 8, requires_grad=True)
    loss = BoundaryAwareLoss(batch=batch)
    found = loss([logits], label)
    found.backward()
    assert found.isfinite()
    assert logits.grad.isfinite().all()
    sure = torch.full((2, 16, 8, 8, 8), -30.0)
    sure.scatter_(1, label.long(), 30.0)
    assert float(loss([sure], label)) < 1e-3, "absent organs that are predicted nowhere have a Dice of 1"
    sure[:, 9, 0, 0, 0] = 60.0  # one voxel of an organ that is not there
    dice_of_one_class = 1 / 15
    assert float(loss([sure], label)) > dice_of_one_class / (1 if batch else 2) * 0.9
