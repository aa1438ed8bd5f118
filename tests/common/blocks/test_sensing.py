"""Bases are orthonormal and give sparse coefficients where they should; operators have their named
properties.
"""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.fft import dct

from common.blocks.sensing import BASES, basis_matrix, gaussian_operator


@pytest.mark.parametrize("name", BASES)
@pytest.mark.parametrize("length", [64, 162])
def test_orthonormal(name, length):
    psi = basis_matrix(name, length)
    torch.testing.assert_close(psi.T @ psi, torch.eye(length, dtype=torch.float64))


def test_dct_equals_scipys():
    x = np.random.default_rng(0).standard_normal(50)
    np.testing.assert_allclose(basis_matrix("dct", 50).numpy().T @ x, dct(x, norm="ortho"), atol=1e-12)


def test_haar_by_hand():
    """For four samples: the mean, the difference of the halves, and the difference within each half."""
    h, r = 0.5, 0.5**0.5
    expected = [[h, h, h, h], [h, h, -h, -h], [r, -r, 0, 0], [0, 0, r, -r]]
    found = basis_matrix("haar", 4).T
    assert torch.allclose(found.abs(), torch.tensor(expected, dtype=torch.float64).abs())
    assert torch.allclose(found.sum(1)[1:], torch.zeros(3, dtype=torch.float64))


def test_second_wavelet_does_not_see_a_slope():
    """Two vanishing moments: away from the border a straight line has no fine coefficient."""
    line = torch.arange(64, dtype=torch.float64)
    fine = (basis_matrix("daubechies2", 64).T @ line)[32:]
    assert fine[:-1].abs().max() < 1e-9
    assert (basis_matrix("haar", 64).T @ line)[32:].abs().min() > 0.5


@pytest.mark.parametrize(("name", "length"), [("fourier", 8), ("haar", 9), ("daubechies2", 2)])
def test_refused(name, length):
    with pytest.raises(ValueError, match=r"expected one of|needs an even length"):
        basis_matrix(name, length)


def test_operator():
    phi = gaussian_operator(80, 162, seed=1)
    torch.testing.assert_close(phi.norm(dim=0), torch.ones(162, dtype=torch.float64))
    assert torch.equal(phi, gaussian_operator(80, 162, seed=1))
    assert not torch.equal(phi, gaussian_operator(80, 162, seed=2))
    assert gaussian_operator(80, 162, seed=1, unit_columns=False).std() == pytest.approx(1, abs=0.05)
