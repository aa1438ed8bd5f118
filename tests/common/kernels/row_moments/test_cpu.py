"""Vectorised moments of rows: as accurate as float32 allows, even where a sum of squares would cancel."""

from __future__ import annotations

import pytest
import torch

from common.kernels.row_moments.cpu import moments

# Voxels of a row: one, a few, a chunk of a norm and one less, several chunks with and without a rest, and
# enough that a single running sum would lose two digits.
LENGTHS = (1, 7, 4095, 8192, 3 * 4096, 5 * 4096 + 17, 1 << 21)


def exact(rows):
    rows = rows.double()
    mean = rows.mean(1)
    return mean, ((rows - mean.unsqueeze(1)) ** 2).sum(1)


@pytest.mark.parametrize("length", LENGTHS)
def test_as_in_double_precision(length):
    g = torch.Generator().manual_seed(length)
    rows = 1 + 2 * torch.randn(3, length, generator=g)
    mean, squares = moments(rows)
    assert mean.dtype == squares.dtype == torch.float32
    their_mean, their_squares = exact(rows)
    torch.testing.assert_close(mean.double(), their_mean, rtol=1e-6, atol=1e-6)
    torch.testing.assert_close(squares.double(), their_squares, rtol=5e-6, atol=1e-12)


def test_rows_whose_mean_hides_their_deviation_are_summed_around_it():
    """CT air, a constant and zeros next to an ordinary row: norm^2 - V mean^2 alone would leave no correct
    digit.
    """
    g = torch.Generator().manual_seed(0)
    noise = torch.randn(4, 20_000, generator=g)
    rows = torch.stack([noise[0], -1000 + 0.5 * noise[1], torch.full_like(noise[2], 7.3), 0 * noise[3]])
    _, squares = moments(rows)
    _, theirs = exact(rows)
    torch.testing.assert_close(squares.double(), theirs, rtol=1e-4, atol=1e-4)
    naive = rows[1].square().sum() - 20_000 * rows[1].mean() ** 2
    assert abs(naive.item() / theirs[1].item() - 1) > 1e-2, "the row would not show the difference"


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_precision_is_summed_in_float32(dtype):
    rows = torch.randn(2, 5000, generator=torch.Generator().manual_seed(0)).to(dtype)
    found = moments(rows)
    for ours, theirs in zip(found, exact(rows), strict=True):
        assert ours.dtype == torch.float32
        torch.testing.assert_close(ours.double(), theirs, rtol=1e-5, atol=1e-6)


def test_double_precision_stays_double():
    rows = 3 + torch.randn(2, 9000, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    for ours, theirs in zip(moments(rows), exact(rows), strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-13, atol=0)


def test_a_row_that_is_not_finite_leaves_the_others_alone():
    rows = torch.randn(3, 100, generator=torch.Generator().manual_seed(0))
    rows[1, 5] = float("nan")
    mean, squares = moments(rows)
    assert mean[1].isnan()
    assert squares[1].isnan()
    their_mean, their_squares = exact(rows)
    torch.testing.assert_close(mean[::2].double(), their_mean[::2], rtol=1e-6, atol=1e-6)
    torch.testing.assert_close(squares[::2].double(), their_squares[::2], rtol=1e-5, atol=0)
