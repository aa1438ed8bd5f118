"""divsbl/docs/method.md#how-to-know-it-works, and the baselines against direct implementations."""

from __future__ import annotations

import pytest
import torch

import common  # noqa: F401 (makes bundles importable)
from divsbl import ar1, em
from divsbl.fast_sbl import FastSBL
from divsbl.group_lasso import GroupLasso
from divsbl.network import DivSBL
from divsbl.partition import block_table
from divsbl.pc_sbl import PCSBL
from tests.bundles.divsbl.problems import nmse, problems

M, N = 40, 81  # a quarter of the paper's size
BSBL = {"diversify_variance": False, "diversify_correlation": False, "tolerance": 1e-8}


@pytest.fixture(scope="module")
def five():
    return problems(5, seed=1, m=M, n=N)


def physically_pruned(network: DivSBL, y, phi):
    """The same algorithm for one problem with dense matrices, physically dropping the columns of pruned
    blocks.
    """
    size = network.valid.shape[1]
    s = y.std()
    factor = 0.4 / s if s < 0.4 or s > 1 else torch.tensor(1.0, dtype=y.dtype)
    y = y * factor
    blocks = list(range(phi.shape[1] // size))
    gamma = {i: torch.ones(size, dtype=y.dtype) for i in blocks}
    sigma0 = {i: torch.eye(size, dtype=y.dtype) for i in blocks}
    noise, before, result = 1e-3, None, None
    for _ in range(network.iterations):
        if min(float(gamma[i].mean()) for i in blocks) < network.prune:
            left = [i for i in blocks if gamma[i].mean() > network.prune]
            before = before if left == blocks else None
            blocks = left
        part = torch.cat([phi[:, i * size : (i + 1) * size] for i in blocks], 1)
        prior = torch.block_diag(*(sigma0[i] for i in blocks))
        inverse = torch.linalg.inv(part @ prior @ part.T + noise * torch.eye(len(y), dtype=y.dtype))
        mean = prior @ part.T @ inverse @ y
        whole = prior - prior @ part.T @ inverse @ part @ prior
        trace, rs, ks = 0.0, {}, {}
        for k, i in enumerate(blocks):
            here = slice(k * size, (k + 1) * size)
            ks[i] = whole[here, here] + torch.outer(mean[here], mean[here])
            rs[i] = ks[i] / torch.sqrt(torch.outer(gamma[i], gamma[i]))
            trace = trace + torch.trace(part[:, here] @ whole[here, here] @ part[:, here].T)
        for i in blocks:
            b = rs[i].diagonal(1).mean() / rs[i].diagonal().mean()
            b = 0.98 * torch.sign(b) if abs(b) >= 0.99 else b
            place = torch.arange(size)
            correlation = b ** (place[:, None] - place[None, :]).abs()
            p = torch.linalg.inv(correlation)
            for j in range(size):
                w = 1 / gamma[i].sqrt()
                w[j] = 0
                t = (p[j] * w * ks[i][:, j]).sum()
                a = p[j, j] * ks[i][j, j]
                gamma[i][j] = ((t + torch.sqrt(t * t + 4 * a)) / 2) ** 2
            sigma0[i] = correlation * torch.sqrt(torch.outer(gamma[i], gamma[i]))
        noise = ((y - part @ mean).square().sum() + trace) / len(y)
        if before is not None and (mean - before).abs().max() < network.tolerance:
            break
        before, result = mean, torch.zeros(phi.shape[1], dtype=y.dtype)
        for k, i in enumerate(blocks):
            result[i * size : (i + 1) * size] = mean[k * size : (k + 1) * size]
    return result / factor


def test_masked_pruning_equals_physical_pruning(five):
    phi, y, _ = five
    y = y[:2]
    network = DivSBL(M, N, block_size=9, iterations=120)
    found = network.recover(y, phi).coefficients
    for one, measured in zip(found, y, strict=True):
        expected = physically_pruned(network, measured, phi)
        torch.testing.assert_close(one, expected, rtol=0, atol=1e-8 * float(expected.abs().max()))
    assert (found == 0).any(), "no block was pruned: the test shows nothing"


@pytest.mark.parametrize("settings", [{}, BSBL, {"project": "ar1_scaled"}])
def test_batch_equals_single_runs(five, settings):
    """The problems finish after different numbers of iterations and leave the batch then."""
    phi, y, _ = five
    y = y[:3]
    network = DivSBL(M, N, block_size=9, iterations=200, **{"tolerance": 1e-3, **settings})
    together = network.recover(y, phi)
    assert len(set(together.iterations.tolist())) > 1
    for k in range(len(y)):
        alone = network.recover(y[k : k + 1], phi)
        assert alone.iterations[0] == together.iterations[k]
        error = (alone.coefficients[0] - together.coefficients[k]).abs().max()
        assert error < 1e-10 * alone.coefficients.abs().max()


def test_one_operator_per_problem(five):
    phi, y, _ = five
    network = DivSBL(M, N, block_size=9, iterations=40)
    other, measured, _ = problems(1, seed=2, m=M, n=N)
    both = network.recover(torch.cat([y[:1], measured]), torch.stack([phi, other])).coefficients
    torch.testing.assert_close(both[:1], network.recover(y[:1], phi).coefficients, rtol=0, atol=1e-9)
    torch.testing.assert_close(both[1:], network.recover(measured, other).coefficients, rtol=0, atol=1e-9)


def test_blocks_of_one_element_follow_the_sparse_bayesian_rule(five):
    """B_i = 1, and the variance of an element is its second moment."""
    phi, y, _ = five
    _, valid = block_table(N, range(N))
    prior = em.start(y, valid, 1e-3)
    posterior = em.expectation(y, phi[None], prior, valid)
    learnt = em.maximisation(posterior, prior, valid, True, True, False)
    assert torch.equal(learnt.b, torch.zeros_like(learnt.b))
    torch.testing.assert_close(learnt.root[..., 0] ** 2, posterior.second[..., 0, 0])


@pytest.mark.parametrize("b", [-0.98, -0.5, 0.0, 0.3, 0.98])
@pytest.mark.parametrize("size", [1, 2, 7])
def test_closed_forms_of_the_correlation(b, size):
    b = b if size > 1 else 0.0
    valid = torch.ones(1, size, dtype=torch.bool)
    coefficient = torch.tensor([[b]], dtype=torch.float64)
    dense = ar1.correlation(coefficient, size)[0, 0]
    diagonal, beside = (band[0, 0] for band in ar1.inverse_bands(coefficient, valid))
    banded = torch.diag(diagonal)
    if size > 1:
        banded = banded + torch.diag(beside, 1) + torch.diag(beside, -1)
    torch.testing.assert_close(banded, torch.linalg.inv(dense))
    torch.testing.assert_close(ar1.log_determinant(coefficient, valid)[0, 0], torch.logdet(dense))


@pytest.mark.parametrize("sign", [1.0, -1.0])
def test_strong_correlation_is_bounded(sign):
    """A constant block would have b = 1 and a singular matrix."""
    alternating = sign ** torch.arange(6.0, dtype=torch.float64)
    r = torch.outer(alternating, alternating)[None, None]
    b, _ = ar1.project(r, torch.ones(1, 6, dtype=torch.bool))
    assert b.item() == pytest.approx(sign * 0.98)
    phi, y, _ = problems(1, seed=5, m=M, n=N)
    smooth = phi @ torch.cat([torch.ones(20), torch.zeros(N - 20)]).double()
    found = DivSBL(M, N, block_size=9, iterations=200).recover(torch.stack([smooth, y[0]]), phi)
    assert torch.isfinite(found.coefficients).all()


@pytest.mark.parametrize("c", [-3.0, 1e3, 1e-4])
def test_scale_equivariance(five, c):
    """Provided that neither y nor c y has a standard deviation in the range that is not rescaled."""
    phi, y, _ = five
    y = y[:2] / y[:2].std(1, keepdim=True) * 2
    network = DivSBL(M, N, block_size=9, iterations=100)
    plain = network.recover(y, phi).coefficients
    torch.testing.assert_close(network.recover(c * y, phi).coefficients / c, plain, rtol=0, atol=1e-8)


def test_permuted_blocks_permute_the_signal(five):
    phi, y, _ = five
    order = torch.randperm(9, generator=torch.Generator().manual_seed(0))
    columns = (order[:, None] * 9 + torch.arange(9)).flatten()
    network = DivSBL(M, N, block_size=9, iterations=100)
    plain = network.recover(y, phi).coefficients
    torch.testing.assert_close(
        network.recover(y, phi[:, columns]).coefficients, plain[:, columns], atol=1e-7, rtol=0
    )


def test_zero_measurements_give_a_zero_signal(five):
    phi, y, _ = five
    found = DivSBL(M, N, block_size=9, iterations=20).recover(torch.cat([y[:1], 0 * y[:1]]), phi)
    assert torch.equal(found.coefficients[1], torch.zeros(N, dtype=torch.float64))
    assert found.iterations.tolist() == [20, 0]
    assert found.coefficients[0].abs().max() > 0


def test_unequal_blocks(five):
    """True starts recover at least as well; equal starts given as a list match equal blocks."""
    phi, y, x = five
    listed = DivSBL(M, N, block_starts=list(range(0, N, 9)), iterations=60).recover(y, phi)
    equal = DivSBL(M, N, block_size=9, iterations=60).recover(y, phi)
    assert torch.equal(listed.coefficients, equal.coefficients)
    uneven = DivSBL(M, N, block_starts=[0, 1, 8, 30, 31, 50, 75], iterations=200).recover(y, phi)
    assert float(nmse(uneven.coefficients, x).median()) < 0.5


@pytest.mark.parametrize("starts", [[], [1, 5], [0, 5, 5], [0, 90]])
def test_starts_that_are_not_a_partition(starts):
    with pytest.raises(ValueError, match="rise from 0"):
        DivSBL(M, N, block_starts=starts)


def test_cost_never_rises_with_the_full_trace(five):
    """EM in the strict sense: no pruning, and blocks of one element with one variance each."""
    phi, y, _ = five
    _, valid = block_table(N, range(N))
    prior, costs = em.start(y, valid, 1e-3), []
    for _ in range(30):
        posterior = em.expectation(y, phi[None], prior, valid)
        costs.append(em.marginal_cost(posterior))
        learnt = em.maximisation(posterior, prior, valid, True, True, False)
        noise = em.noise(y, phi[None], torch.zeros(1), posterior, prior, True)
        prior = learnt._replace(noise=noise)
    falls = torch.stack(costs).diff(dim=0)
    assert (falls <= 1e-9 * torch.stack(costs)[0].abs()).all()


def test_full_trace_is_that_of_the_dense_covariance(five):
    phi, y, _ = five
    _, valid = block_table(N, range(0, N, 9))
    prior = em.start(y, valid, 1e-2)
    posterior = em.expectation(y, phi[None], prior, valid)
    noise = em.noise(y, phi[None], torch.zeros(1), posterior, prior, True)
    covariance = torch.linalg.inv(torch.eye(N).double() + phi.T @ phi / 1e-2)
    rest = y[0] - phi @ posterior.mean[0].flatten()
    expected = (rest.square().sum() + torch.trace(phi @ covariance @ phi.T)) / M
    torch.testing.assert_close(noise[0], expected)


def test_kept_scale_acts(five):
    """The published projection cancels the dual ascent; the other does not."""
    phi, y, _ = five
    plain = DivSBL(M, N, block_size=9, iterations=30).recover(y, phi).coefficients
    scaled = DivSBL(M, N, block_size=9, iterations=30, project="ar1_scaled").recover(y, phi).coefficients
    assert (plain - scaled).abs().max() > 1e-4 * plain.abs().max()
    assert torch.isfinite(scaled).all()


@pytest.mark.full
def test_preset_block_size_hardly_matters_to_divsbl():
    """Six seeds of the paper's synthetic problem: BSBL's error rises with the preset size, DivSBL's does not.

    Most of this is due to the per-sample variances (as in the paper's ablation).
    """
    drawn = [problems(1, seed=seed) for seed in range(6)]
    phi, y, x = (torch.stack([one[i] for one in drawn]) for i in range(3))
    error: dict[tuple[str, int], float] = {}
    variants = {"divsbl": {}, "bsbl": BSBL, "correlations": {"diversify_variance": False}}
    for name, settings in variants.items():
        for size in (6, 18, 54):
            network = DivSBL(80, 162, block_size=size, iterations=150, **settings)
            found = network.recover(y[:, 0], phi).coefficients
            error[name, size] = float(nmse(found, x[:, 0]).mean())
    divsbl = [error["divsbl", size] for size in (6, 18, 54)]
    assert error["bsbl", 54] > 2.5 * error["bsbl", 6]
    assert max(divsbl) < 2.5 * min(divsbl)
    assert error["divsbl", 54] < 0.65 * error["bsbl", 54]
    assert error["divsbl", 18] < 0.7 * error["correlations", 18]


def test_pattern_coupled_baseline_with_dense_matrices(five):
    """A few iterations in the N x N form of the paper."""
    phi, y, _ = five
    n = phi.shape[1]

    def summed(v):
        return torch.nn.functional.conv1d(v[None, None], torch.ones(1, 1, 3).double(), padding=1)[0, 0]

    d, noise = torch.ones(n).double(), 1.0
    sigma = torch.linalg.inv(phi.T @ phi / noise + torch.diag(d))
    mu = sigma @ phi.T @ y[0] / noise
    for _ in range(4):
        d = summed((0.5 / (0.5 * summed(mu**2 + sigma.diagonal()) + 1e-10)).clamp(max=1e10))
        noise = ((y[0] - phi @ mu).square().sum() + torch.trace(sigma @ phi.T @ phi)) / len(y[0])
        sigma = torch.linalg.inv(phi.T @ phi / noise + torch.diag(d))
        mu = sigma @ phi.T @ y[0] / noise
    found = PCSBL(M, N, iterations=4).coefficients(y, phi)
    torch.testing.assert_close(found[0], mu, rtol=1e-7, atol=1e-9)


def test_group_lasso_meets_its_optimality_conditions(five):
    """Zero blocks: |2 Phi_i^T r| <= w; others: 2 Phi_i^T r = w x_i / |x_i|."""
    phi, y, _ = five
    for weight in (0.3, 20.0):
        x = GroupLasso(M, N, block_size=9, weight=weight).coefficients(y, phi)
        pull = 2 * ((y - x @ phi.T) @ phi).reshape(5, 9, 9)
        x = x.reshape(5, 9, 9)
        on = x.norm(dim=-1) > 0
        assert ((pull.norm(dim=-1) <= weight * (1 + 1e-5)) | on).all()
        expected = weight * x / x.norm(dim=-1, keepdim=True)
        torch.testing.assert_close(pull[on], expected[on], rtol=0, atol=1e-4 * weight)
    assert 0 < on.float().mean() < 1


def test_fast_sparse_bayesian_learning_ends_at_a_maximum(five):
    """No single variance can be changed for a higher likelihood, and the estimate is the posterior's mean."""
    phi, y, _ = five
    x = FastSBL(M, N, tolerance=1e-12).coefficients(y, phi)
    for one, measured in zip(x, y, strict=True):
        on = one != 0
        assert 0 < int(on.sum()) < M
        noise, part = measured.var() / 100, phi[:, on]

        # At a maximum v_i (1 - Sigma_ii / v_i) = mean_i^2 for every element that is left.
        v = one[on] ** 2
        for _ in range(500):
            sigma = torch.linalg.inv(part.T @ part / noise + torch.diag(1 / v))
            mean = sigma @ part.T @ measured / noise
            v = mean**2 / (1 - sigma.diagonal() / v)
        torch.testing.assert_close(mean, one[on], rtol=0, atol=1e-3 * float(one.abs().max()))
        inverse = torch.linalg.inv(noise * torch.eye(M).double() + (part * v) @ part.T)
        rest = phi[:, ~on]
        s, q = (rest * (inverse @ rest)).sum(0), rest.T @ inverse @ measured
        assert (q**2 <= s * (1 + 1e-3)).all(), "an element that would raise the likelihood is missing"
    assert torch.equal(FastSBL(M, N).coefficients(0 * y, phi), torch.zeros_like(x))


@pytest.mark.parametrize("method", [PCSBL, FastSBL, DivSBL, GroupLasso])
def test_an_operator_for_every_case(five, method):
    """A batch whose cases have their own operators is each case alone with its operator as ``phi``."""
    phi, y, _ = five
    other, measured, _ = problems(2, seed=2, m=M, n=N)
    blocks = {"block_size": 9, "iterations": 25}
    # Loose enough for some problems to finish, and leave the batch, before others.
    network = method(M, N, **{PCSBL: {"tolerance": 1.0}, FastSBL: {}}.get(method, blocks))
    images = torch.stack([y[:2].T, measured.T])[:, None]  # two columns each
    together = network(images, operator=torch.stack([phi, other]))
    for image, own, found in zip(images, (phi, other), together, strict=True):
        network.phi.copy_(own)
        torch.testing.assert_close(found, network(image[None])[0], rtol=0, atol=1e-9)
        torch.testing.assert_close(found, network(image[None], operator=own[None])[0], rtol=0, atol=1e-9)
    with pytest.raises(ValueError, match=r"expected operators \[2, 40, 81\]"):
        network(images, operator=phi[None])


def test_module_measures_columns_and_keeps_units():
    """(B, C, M, W) in, (B, C, N, W) out, each column by itself, through the basis."""
    network = DivSBL(M, 80, block_size=8, basis="dct", iterations=60)
    x = torch.randn(2, 1, M, 3, generator=torch.Generator().manual_seed(0)) * 100
    found = network(x)
    assert found.shape == (2, 1, 80, 3)
    assert found.dtype == torch.float32
    alone = network(x[1:, :, :, 2:])
    torch.testing.assert_close(found[1:, :, :, 2:], alone, rtol=1e-5, atol=1e-4)
    with pytest.raises(ValueError, match=r"expected measurements \(B, C, 40, W\)"):
        network(torch.zeros(1, 1, M + 1, 1))


def test_state_dict_holds_the_blocks():
    one, other = DivSBL(M, N, block_size=27), DivSBL(M, N, block_size=9, operator_seed=3)
    other.load_state_dict(one.state_dict())
    assert torch.equal(other.valid, one.valid)
    assert torch.equal(other.index, one.index)
    assert torch.equal(other.phi, one.phi)
