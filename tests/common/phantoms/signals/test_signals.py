"""The phantom of signals: divsbl/docs/method.md#synthetic-signals, the other kinds' sparsity, files."""

from __future__ import annotations

import json

import numpy as np
import pytest
from PIL import Image

from common.blocks.sensing import basis_matrix, measurement_noise
from common.errors import InputError
from common.phantoms import signals
from common.phantoms.signals.kinds import KINDS, _run_lengths, _run_starts, block_sparse, equal_blocks


def runs_of(x):
    """(start, length) of every run of non-zeros."""
    edges = np.flatnonzero(np.diff(np.concatenate([[0], x != 0, [0]])))
    return list(zip(edges[::2], edges[1::2] - edges[::2], strict=True))


def test_lengths_of_synthetic_runs():
    """Four of 40 samples in all: 3 at least, but for the last and the one that it may take a sample from."""
    drawn = np.array([_run_lengths(40, 4, np.random.default_rng(seed)) for seed in range(2000)])
    assert (drawn.sum(1) == 40).all()
    assert drawn.min(0).tolist() == [3, 3, 2, 2]
    assert drawn.max() > 25
    short = drawn[(drawn[:, 2] == 2)]
    assert (short[:, 3] == 2).all(), "a neighbour gives a sample only to a last run of 1"


def test_places_of_synthetic_runs():
    """Neighbours may touch and share a sample, no more; the last may be cut; no grid, no gap."""
    lengths, gaps, starts = np.array([14, 13, 6, 7]), [], []
    for seed in range(500):
        begin = _run_starts(162, lengths, np.random.default_rng(seed))
        gaps += (np.diff(begin) - lengths[:-1]).tolist()
        starts.append(begin[0])
    assert min(gaps) == -1
    assert {0, 1, 2} <= set(gaps)
    assert min(starts) == 0
    assert max(starts) > 60
    cut = [block_sparse(60, np.random.default_rng(seed), share=40 / 60) for seed in range(200)]
    assert max((x != 0).sum() for x in cut) == 40
    assert min((x != 0).sum() for x in cut) < 37, "a last run is cut at the end"


def test_amplitudes_of_synthetic_runs():
    """The first sample of a run has the deviation 1; the others up to 20, 12 in the root mean square."""
    first, others = [], []
    for seed in range(400):
        x = block_sparse(162, np.random.default_rng(seed))
        for start, length in runs_of(x)[:1]:
            first.append(x[start])
            others += x[start + 1 : start + length].tolist()
    assert np.std(first) == pytest.approx(1, rel=0.15)
    assert np.sqrt(np.mean(np.square(others))) == pytest.approx(
        np.sqrt(np.mean(np.arange(1, 21) ** 2)), rel=0.1
    )


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


def test_noise_is_sized_by_the_sample_deviation():
    """Divisor M - 1; the columns of a picture share one direction unless each is to have its own."""
    clean = np.random.default_rng(0).normal(3, 2, (4, 5))
    for shared in (True, False):
        noise = measurement_noise(clean, 20.0, np.random.default_rng(1), shared=shared)
        drawn = noise / (np.std(clean, axis=0, ddof=1) / 10)
        again = np.random.default_rng(1).standard_normal((4, 1) if shared else (4, 5))
        np.testing.assert_allclose(drawn, np.broadcast_to(again, (4, 5)))
        assert np.linalg.matrix_rank(noise) == (1 if shared else 4)
    one = measurement_noise(clean[:, 0], 20.0, np.random.default_rng(1))
    assert one.shape == (4,)


def test_an_operator_for_each_case(tmp_path):
    sizes = {"length": 64, "measurements": 32, "training": 2, "validation": 1, "test": 1}
    folder = tmp_path / "p"
    for _ in range(2):  # the second time it is reused
        signals.make(folder, snr_db=200.0, shared_operator=False, **sizes)
    dataset = json.loads((folder / "dataset.json").read_text())
    assert "operator" not in dataset
    cases = [case for section in ("training", "validation", "test") for case in dataset[section]]
    operators = [np.load(folder / case["operator"]) for case in cases]
    for case, phi in zip(cases, operators, strict=True):
        np.testing.assert_allclose(np.linalg.norm(phi, axis=0), 1)
        measured = phi @ np.load(folder / case["label"])
        np.testing.assert_allclose(np.load(folder / case["image"]), measured, atol=1e-6)
    assert all(not np.array_equal(operators[0], other) for other in operators[1:])


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
