"""Similarity, smoothness, integration and Jacobian, checked by hand."""

from __future__ import annotations

import math

import pytest
import torch
import torch.nn.functional as F

from common.registration.integration import integrate
from common.registration.jacobian import folded_share, jacobian_determinant
from common.registration.local_correlation import (
    LocalCorrelationLoss,
    local_squared_correlation,
    window_sums,
)
from common.registration.smoothness import SmoothnessLoss
from common.registration.warp import identity_points, warp


def texture(*shape, seed=0):
    return torch.rand(1, 1, *shape, generator=torch.Generator().manual_seed(seed))


def linear_field(matrix, shape):
    """phi(x) = M (x - middle)."""
    points = identity_points(shape, like=torch.zeros(1, dtype=torch.float64))
    middle = torch.tensor([(n - 1) / 2 for n in shape]).reshape(1, -1, *[1] * len(shape))
    return torch.einsum("ij,bj...->bi...", torch.tensor(matrix, dtype=torch.float64), points - middle)


@pytest.mark.parametrize("window", [1, 3, 5, 7, 9, 11])
@pytest.mark.parametrize("shape", [(12, 13), (12, 10, 11), (4, 5, 3)])
def test_window_sums_equal_a_convolution(window, shape):
    x = texture(*shape).double()
    kernel = torch.ones(1, 1, *[window] * len(shape), dtype=x.dtype)
    convolve = F.conv2d if len(shape) == 2 else F.conv3d
    expected = convolve(x, kernel, padding=window // 2)
    torch.testing.assert_close(window_sums(x, window), expected)
    torch.testing.assert_close(window_sums(x, window, direct=True), expected)


def test_an_image_matches_any_linear_function_of_itself():
    """Wherever the window stays within the volume; an image matches itself everywhere."""
    x, inside = texture(20, 20, 20), (..., *[slice(4, -4)] * 3)
    assert local_squared_correlation(x, x).min() > 0.999
    assert local_squared_correlation(x, 0.7 - 0.5 * x)[inside].min() > 0.999
    assert local_squared_correlation(x, texture(20, 20, 20, seed=1))[inside].mean() < 0.1
    assert LocalCorrelationLoss()(x, x).item() < 1e-3


def test_constant_regions_count_as_dissimilar():
    """Half of the volume is background: the loss of an image with itself is the background's share of
    windows.
    """
    x = texture(40, 9, 9)
    x[:, :, 20:] = 0
    cc = local_squared_correlation(x, x)
    assert not cc[:, :, 24:].any()
    assert cc[:, :, :20].min() > 0.99
    constant = torch.full((1, 1, 12, 12, 12), 0.3)
    assert local_squared_correlation(constant, constant)[..., 4:-4, 4:-4, 4:-4].max() < 0.01


def test_similarity_has_a_gradient_where_there_is_texture():
    x = texture(10, 10, 10).requires_grad_()
    LocalCorrelationLoss(5)(x, texture(10, 10, 10, seed=1)).backward()
    assert x.grad.abs().min() > 0


@pytest.mark.parametrize("window", [0, 4])
def test_even_window_is_refused(window):
    with pytest.raises(ValueError, match="expected an odd window"):
        local_squared_correlation(texture(9, 9), texture(9, 9), window=window)


@pytest.mark.parametrize("shape", [(6, 7), (6, 7, 5)])
def test_smoothness(shape):
    """0 for a constant field; for phi = M x the mean square of M's entries."""
    constant = torch.ones(1, len(shape), *shape) * 3.7
    assert SmoothnessLoss()(constant) == 0
    matrix = torch.randn(len(shape), len(shape), generator=torch.Generator().manual_seed(0)).tolist()
    expected = torch.tensor(matrix).square().mean().item()
    assert SmoothnessLoss()(linear_field(matrix, shape)).item() == pytest.approx(expected)


@pytest.mark.parametrize("differences", ["central", "forward"])
@pytest.mark.parametrize("shape", [(6, 7), (6, 7, 5)])
def test_determinant_of_a_linear_field(differences, shape):
    matrix = torch.randn(len(shape), len(shape), generator=torch.Generator().manual_seed(3)).double()
    found = jacobian_determinant(linear_field(matrix.tolist(), shape), differences=differences)
    expected = torch.linalg.det(matrix + torch.eye(len(shape))).item()
    torch.testing.assert_close(found, torch.full_like(found, expected))
    lost = 1 if differences == "forward" else 0
    assert list(found.shape) == [1, *[n - lost for n in shape]]


def test_central_differences_are_one_sided_at_the_border():
    field = torch.zeros(1, 2, 4, 3)
    field[:, 0] = torch.tensor([0.0, 1.0, 4.0, 9.0])[:, None]
    assert jacobian_determinant(field)[0, :, 0].tolist() == [2.0, 3.0, 5.0, 6.0]
    assert jacobian_determinant(field, differences="forward")[0, :, 0].tolist() == [2.0, 4.0, 6.0]
    # half of the one-sided difference there, as SimpleITK 2.5.7 computes it
    replicated = jacobian_determinant(field, differences="replicated")
    assert replicated[0, :, 0].tolist() == [1.5, 3.0, 5.0, 3.5]


def test_share_of_folds():
    """phi = -2x reverses the first axis in a fifth of the volume; det = 0 counts as a fold."""
    field = torch.zeros(2, 3, 10, 4, 4)
    field[0, 0, 4:7] = -2 * torch.arange(3.0).reshape(3, 1, 1)
    field[1, 0] = -torch.arange(10.0).reshape(10, 1, 1)
    share = folded_share(field, differences="forward")
    assert share.tolist() == pytest.approx([2 / 9, 1.0])
    with pytest.raises(ValueError, match='expected "central"'):
        folded_share(field, differences="backward")


def test_integration_is_the_exponential():
    """dx/dt = a x for unit time takes x to e^a x."""
    velocity = linear_field([[0.3, 0.0], [0.0, -0.2]], (41, 41))
    displacement = integrate(velocity, 7)
    points = linear_field([[1.0, 0.0], [0.0, 1.0]], (41, 41))
    inside = (..., slice(10, 31), slice(10, 31))
    torch.testing.assert_close(
        displacement[:, 0][inside], (math.exp(0.3) - 1) * points[:, 0][inside], rtol=2e-3, atol=1e-6
    )
    torch.testing.assert_close(
        displacement[:, 1][inside], (math.exp(-0.2) - 1) * points[:, 1][inside], rtol=2e-3, atol=1e-6
    )


def test_integration_does_not_fold_and_its_reverse_undoes_it():
    noise = torch.randn(1, 3, 24, 24, 24, generator=torch.Generator().manual_seed(0))
    velocity = F.avg_pool3d(noise, 9, stride=1, padding=4) * 100
    velocity = F.avg_pool3d(velocity, 5, stride=1, padding=2)
    forth, back = integrate(velocity, 7), integrate(-velocity, 7)
    assert folded_share(velocity).item() > 0.01
    assert folded_share(forth).item() < folded_share(velocity).item() / 10
    there_and_back = back + warp(forth, back, padding="border")
    inside = (..., slice(8, 16), slice(8, 16), slice(8, 16))
    assert there_and_back[inside].abs().mean() < 0.1 * velocity[inside].abs().mean()


def test_zero_steps_return_the_plain_field():
    velocity = torch.randn(1, 2, 5, 5)
    assert torch.equal(integrate(velocity, 0), velocity)
    with pytest.raises(ValueError, match="steps=-1"):
        integrate(velocity, -1)
