"""Warps: exact identity, shifts, and agreement with PyTorch's own sampler in value and gradient."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

from common.registration.warp import identity_points, sample_at, warp

SHAPES = [(9, 11), (5, 7, 6)]


def random_case(shape, channels=2, reach=4.0, dtype=torch.float64):
    g = torch.Generator().manual_seed(0)
    image = torch.randn(2, channels, *shape, generator=g, dtype=dtype)
    return image, reach * torch.randn(2, len(shape), *shape, generator=g, dtype=dtype)


def with_grid_sample(image, displacement, **how):
    """The same through ``grid_sample``: coordinates scaled to -1..1, last axis first."""
    points = identity_points(image.shape[2:], like=displacement) + displacement
    sizes = torch.tensor(image.shape[2:], dtype=points.dtype).reshape(1, -1, *[1] * (image.ndim - 2))
    grid = (2 * points / (sizes - 1) - 1).movedim(1, -1).flip(-1)
    return F.grid_sample(image, grid, align_corners=True, **how)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("mode", ["linear", "nearest"])
@pytest.mark.parametrize("padding", ["zeros", "border"])
def test_zero_displacement_is_exact(shape, mode, padding):
    image, displacement = random_case(shape, dtype=torch.float32)
    assert torch.equal(warp(image, 0 * displacement, mode=mode, padding=padding), image)


def test_grid_sample_would_not_be_exact():
    """The reason for our own sampler."""
    image = torch.randn(1, 1, 50, 60, 70, generator=torch.Generator().manual_seed(0))
    assert not torch.equal(with_grid_sample(image, torch.zeros(1, 3, 50, 60, 70)), image)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("padding", ["zeros", "border"])
def test_linear_is_grid_sample_with_its_gradients(shape, padding):
    image, displacement = random_case(shape)
    weight = torch.randn(image.shape, generator=torch.Generator().manual_seed(1), dtype=image.dtype)
    found = []
    for sample in (
        lambda a, b: warp(a, b, padding=padding),
        lambda a, b: with_grid_sample(a, b, padding_mode=padding),
    ):
        a, b = image.clone().requires_grad_(), displacement.clone().requires_grad_()
        value = sample(a, b)
        found.append([value, *torch.autograd.grad((value * weight).sum(), [a, b])])
    for ours, theirs in zip(*found, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("shape", SHAPES)
def test_nearest_is_grid_sample(shape):
    image, displacement = random_case(shape)
    torch.testing.assert_close(
        warp(image, displacement, mode="nearest"), with_grid_sample(image, displacement, mode="nearest")
    )


@pytest.mark.parametrize("mode", ["linear", "nearest"])
def test_a_whole_voxel_shift_is_a_roll_inside(mode):
    image, displacement = random_case((8, 9, 10), dtype=torch.float32)
    shift = torch.tensor([2.0, -1.0, 3.0]).reshape(1, 3, 1, 1, 1).expand_as(displacement)
    warped = warp(image, shift, mode=mode)
    rolled = image.roll((-2, 1, -3), dims=(2, 3, 4))
    inside = (..., slice(0, 6), slice(1, 9), slice(0, 7))
    assert torch.equal(warped[inside], rolled[inside])
    assert not warped[:, :, 6:].any()
    assert not warped[:, :, :, :1].any()
    assert not warped[..., 7:].any()


def test_labels_keep_their_type_and_their_values():
    label = torch.randint(0, 5, (1, 1, 6, 6, 6), dtype=torch.uint8)
    found = warp(label, torch.full((1, 3, 6, 6, 6), 0.3), mode="nearest")
    assert found.dtype == torch.uint8
    assert torch.equal(found, label)


def test_non_finite_displacements_do_not_spread():
    image, displacement = random_case((5, 7, 6))
    displacement[0, 1, 2, 3, 4] = torch.nan
    displacement[1, 0, 0, 0, 0] = torch.inf
    found = warp(image, displacement)
    assert found[0, :, 2, 3, 4].isnan().all()
    assert found.isnan().sum() == 2
    assert not found[1, :, 0, 0, 0].any()


def test_half_precision_displacements_are_added_in_full():
    """In half precision a coordinate of 200 has steps of 1/8 voxel."""
    image = torch.arange(300.0).reshape(1, 1, 300, 1).expand(1, 1, 300, 2)
    found = warp(image, torch.full((1, 2, 300, 2), 0.0625, dtype=torch.float16) * torch.tensor(1.0).half())
    assert found[0, 0, 200, 0] == pytest.approx(200.0625)


def test_points_of_another_shape():
    image = torch.arange(12.0).reshape(1, 1, 3, 4)
    points = torch.tensor([[[0.5, 2.0, -1.0], [0.0, 3.0, 0.0]]])
    assert sample_at(image, points).tolist() == [[[2.0, 11.0, 0.0]]]
    assert sample_at(image, points, padding="border").tolist() == [[[2.0, 11.0, 0.0]]]


@pytest.mark.parametrize("wrong", [{"mode": "cubic"}, {"padding": "reflect"}])
def test_unknown_modes_are_refused(wrong):
    with pytest.raises(ValueError, match='expected "linear"'):
        warp(torch.zeros(1, 1, 3, 3), torch.zeros(1, 2, 3, 3), **wrong)


def test_mismatched_shapes_are_refused():
    with pytest.raises(ValueError, match=r"expected \[1, 3, 4, 4, 4\]"):
        warp(torch.zeros(1, 1, 4, 4, 4), torch.zeros(1, 3, 4, 4, 5))
