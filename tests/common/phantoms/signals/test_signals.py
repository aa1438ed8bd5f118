"""The phantom of signals: divsbl/docs/method.md#synthetic-signals, the other kinds' sparsity, files."""

from __future__ import annotations

import json
from itertools import pairwise

import numpy as np
import pytest
from PIL import Image

from common.blocks.sensing import basis_matrix
from common.errors import InputError
from common.phantoms import signals
from common.phantoms.signals.kinds import KINDS, block_sparse, equal_blocks


def runs_of(x):
    """(start, length) of every run of non-zeros."""
    edges = np.flatnonzero(np.diff(np.concatenate([[0], x != 0, [0]])))
    return list(zip(edges[::2], edges[1::2] - edges[::2], strict=True))


def test_synthetic_runs():
    """Four runs of 40 samples in all, of unequal length, at least two zeros between them."""
    lengths, starts = [], []
    for seed in range(200):
        x = block_sparse(162, np.random.default_rng(seed))
        runs = runs_of(x)
        assert len(runs) == 4
        assert sum(length for _, length in runs) == 40
        gaps = [b - (a + n) for (a, n), (b, _) in pairwise(runs)]
        assert min(gaps) >= 2
        lengths += [length for _, length in runs]
        starts.append(runs[0][0])
    assert len(set(lengths)) > 20
    assert max(starts) > 60
    assert min(starts) < 3


def test_homoscedastic_runs_lie_on_a_grid_of_ten():
    for seed in range(50):
        x = equal_blocks(160, np.random.default_rng(seed))
        on = (x.reshape(16, 10) != 0).sum(1)
        assert sorted(on.tolist()) == [0] * 12 + [10] * 4


@pytest.mark.parametrize("kind", KINDS)
def test_few_coefficients_hold_the_signal(kind):
    """A third of the coefficients in the kind's basis leave out at most 1 % of the power."""
    draw, basis, _ = KINDS[kind]
    for seed in range(5):
        c = basis_matrix(basis, 128).numpy().T @ draw(128, np.random.default_rng(seed))
        power = np.sort(c**2, axis=0)
        assert power[: -128 // 3].sum() < 0.01 * power.sum()


@pytest.mark.parametrize("kind", ["ecg", "picture"])
def test_files(tmp_path, kind):
    sizes = {"length": 64, "measurements": 32, "training": 2, "validation": 1, "test": 1}
    folder = tmp_path / "phantom"
    assert signals.make(folder, kind=kind, snr_db=20.0, **sizes) == str(folder)
    dataset = json.loads((folder / "dataset.json").read_text())
    phi = np.load(folder / dataset["operator"])
    assert phi.shape == (32, 64)
    assert dataset["basis"] == KINDS[kind][1]
    for section, count in (("training", 2), ("validation", 1), ("test", 1)):
        assert len(dataset[section]) == count
        for case in dataset[section]:
            measured = np.load(folder / case["image"])
            if kind == "picture":
                truth = np.asarray(Image.open(folder / case["label"])).astype(float)
                assert truth.shape == (64, 64)
            else:
                truth = np.load(folder / case["label"])
            noise = measured - phi @ truth
            some = (phi @ truth).std(0) > 0
            db = 20 * np.log10(np.linalg.norm((phi @ truth).std(0)) / np.sqrt((noise**2).mean(0).sum()))
            assert db == pytest.approx(20, abs=2)
            assert (np.abs(noise).max(0) > 0).tolist() == some.tolist() if kind == "picture" else some


def test_another_operator_rebuilds_and_the_same_is_reused(tmp_path):
    sizes = {"length": 64, "measurements": 32, "training": 1, "validation": 1, "test": 1}
    signals.make(tmp_path / "p", **sizes)
    before = (tmp_path / "p" / "dataset.json").stat().st_mtime_ns
    signals.make(tmp_path / "p", **sizes)
    assert (tmp_path / "p" / "dataset.json").stat().st_mtime_ns == before
    first = np.load(tmp_path / "p" / "operator.npy")
    signals.make(tmp_path / "p", **sizes, seed=1)
    assert not np.array_equal(first, np.load(tmp_path / "p" / "operator.npy"))
    (tmp_path / "p" / "operator.npy").unlink()
    signals.make(tmp_path / "p", **sizes, seed=1)
    assert (tmp_path / "p" / "operator.npy").is_file()


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ({"kind": "voice"}, "expected one of heteroscedastic"),
        ({"measurements": 200}, "2 to 161"),
        ({"seed": -1}, "from 0"),
    ],
)
def test_refused(tmp_path, wrong, says):
    with pytest.raises(InputError, match=says):
        signals.make(tmp_path / "p", **wrong)
