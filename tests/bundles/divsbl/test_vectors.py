"""DivSBL computes what the authors' function computes, iteration by iteration, and so does BSBL-EM."""

from __future__ import annotations

import pytest
import torch

import common  # noqa: F401 (makes bundles importable)
from divsbl.network import DivSBL
from tests.vectors import load

M, N, BLOCK = 80, 162, 18


@pytest.fixture(scope="module")
def vector():
    return load("divsbl")


def relative(found, expected):
    return float((found - expected).abs().max() / expected.abs().max())


def recover(vector, **settings):
    network = DivSBL(M, N, block_size=BLOCK, **settings)
    return network.recover(vector.inputs["y"][None], vector.inputs["Phi"])


@pytest.mark.parametrize("iterations", [1, 2, 3, 10])
def test_early_iterations(vector, iterations):
    found = recover(vector, iterations=iterations)
    assert relative(found.coefficients[0], vector.outputs[f"x_iter{iterations}"]) < 1e-8


def test_end(vector):
    """The last estimate but one, its iteration and its noise (in rescaled units)."""
    found = recover(vector)
    assert relative(found.coefficients[0], vector.outputs["x"]) < 1e-6
    assert found.iterations.tolist() == vector.outputs["count"].tolist()
    torch.testing.assert_close(found.noise, vector.outputs["lambda"], rtol=1e-8, atol=0)


def test_both_diversifications_off_are_bsbl(vector):
    found = recover(vector, diversify_variance=False, diversify_correlation=False, tolerance=1e-8)
    assert relative(found.coefficients[0], vector.outputs["x_bsbl_em"]) < 1e-8


def test_the_settings_differ(vector):
    """Otherwise the test above would pass for DivSBL too."""
    assert relative(vector.outputs["x"], vector.outputs["x_bsbl_em"]) > 0.05
