"""The sweep: which baseline is told which block size and what else, and the bound of one who knows all."""

from __future__ import annotations

import pytest
import torch
from ignite.engine import Events
from torch import Tensor

import common  # noqa: F401 (makes bundles importable)
from common.errors import InputError
from divsbl.batches import PrepareMeasured
from divsbl.group_lasso import GroupLasso
from divsbl.network import DivSBL
from divsbl.oracle import Oracle
from divsbl.pc_sbl import PCSBL
from divsbl.sweep import BlockSizeSweep
from tests.bundles.divsbl.problems import problems

M, N = 40, 81


def sweep(**settings) -> tuple[BlockSizeSweep, list[dict[str, Tensor]]]:
    """Block sizes 9 and 27 on one batch of three signals, of which it gives the errors of every epoch."""
    phi, y, x = problems(3, seed=4, m=M, n=N)
    batch = {"image": y[:, None, :, None], "label": x[:, None, :, None]}
    network = DivSBL(M, N, block_size=3, iterations=5)
    network.phi.copy_(phi)
    trainer = BlockSizeSweep(
        device=torch.device("cpu"),
        max_epochs=2,
        train_data_loader=[batch],
        network=network,
        prepare_batch=PrepareMeasured(),
        block_sizes=[9, 27],
        decollate=False,
        **settings,
    )
    seen: list[dict[str, Tensor]] = []
    trainer.add_event_handler(
        Events.ITERATION_COMPLETED, lambda engine: seen.append(engine.state.output["errors"])
    )
    trainer.run()
    return trainer, seen


def test_baselines_with_a_block_size_of_their_own_keep_it():
    """Those that are told none, or keep theirs, are measured once."""
    lasso = {"weight": 20.0, "iterations": 50}
    baselines = {
        "told": GroupLasso(M, N, block_size=3, **lasso),
        "fixed": GroupLasso(M, N, block_size=3, **lasso),
        "without": PCSBL(M, N, iterations=3),
    }
    trainer, (first, second) = sweep(baselines=baselines, fixed_block_sizes=["fixed"])
    assert baselines["fixed"].valid.shape == (27, 3)
    assert baselines["told"].valid.shape == (3, 27)
    assert set(first) == {"divsbl", "told", "fixed", "without"}
    assert set(second) == {"divsbl", "told"}
    assert not torch.equal(first["told"], first["fixed"])
    assert trainer.network.valid.shape == (3, 27)


def test_a_fixed_block_size_needs_its_baseline():
    with pytest.raises(InputError, match="fixed_block_sizes: bsbl is no baseline; expected names out of pc"):
        sweep(baselines={"pc": PCSBL(M, N)}, fixed_block_sizes=["bsbl"])


def test_oracle_is_told_the_truth_and_beats_all():
    _, (errors, _) = sweep(baselines={"oracle": Oracle(M, N), "pc_sbl": PCSBL(M, N)})
    assert (errors["oracle"] < errors["pc_sbl"]).all()


def test_oracle_is_least_squares_on_the_support():
    """With a basis, without noise, and where more is not zero than was measured: then the least norm."""
    phi, y, x = problems(3, seed=4, m=M, n=N)
    oracle = Oracle(M, N)
    oracle.phi.copy_(phi)
    found = oracle(y[:, None, :, None], truth=x[:, None, :, None])[:, 0, :, 0]
    for one, measured, truth in zip(found, y, x, strict=True):
        on = truth != 0
        expected = torch.linalg.lstsq(phi[:, on], measured[:, None]).solution[:, 0]
        torch.testing.assert_close(one[on], expected)
        assert not one[~on].any()

    dct = DivSBL(M, N, block_size=9, basis="dct").psi
    oracle.psi.copy_(dct)
    signals = x @ dct.T
    clean = (signals @ phi.T)[:, None, :, None]
    found = oracle(clean, truth=signals[:, None, :, None])[:, 0, :, 0]
    torch.testing.assert_close(found, signals)
    other = oracle(y[:, None, :, None], operator=phi.expand(3, M, N), truth=torch.ones(3, 1, N, 1))
    assert other.shape == (3, 1, N, 1)

    oracle.psi.copy_(torch.eye(N))
    dense = oracle(y[:, None, :, None], truth=torch.ones(3, 1, N, 1))[:, 0, :, 0]
    torch.testing.assert_close(dense, y @ torch.linalg.pinv(phi).T)
