"""The paper's audio and picture experiments start on files such as theirs, with the published numbers."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from scipy.io import savemat, wavfile

from common.blocks.sensing import basis_matrix
from common.phantoms.signals.kinds import ecg, picture
from divsbl.files import read_signal
from divsbl.network import DivSBL
from divsbl.oracle import Oracle
from tests.contract.bundle import ROOT, Bundle, Run, Shell

DIVSBL = Bundle("divsbl")
#: A few steps of each method; neither how many cases there are nor their sizes.
SHORT = {
    "iterations": 3,
    "baselines#pc_sbl#iterations": 3,
    "baselines#sbl#iterations": 3,
    "baselines#group_lasso#iterations": 3,
}
METHODS = {"divsbl", "bsbl", "pc_sbl", "sbl", "variance_only", "correlation_only", "group_lasso", "oracle"}
PHOTOGRAPHS = ("Parrots", "Cameraman", "Lena", "Boat", "House", "Barbara", "Monarch", "Foreman")


def start(overlays: Iterable[str], tmp_path: Path, **overrides: Any) -> tuple[Run, str, dict[str, str]]:
    """Run the configs; the run, the line that tells the numbers, and the row of metrics.csv."""
    run = Run(DIVSBL, tmp_path / "a run", tmp_path / "measured")
    files = [DIVSBL.config_file(kind) for kind in ("train", *overlays)]
    settings = {**run.base, "dataset_dir#folder": run.phantom, **SHORT, **overrides}
    told = Shell(ROOT, tmp_path).run(files, settings).ok()
    (line,) = [line for line in told.out.splitlines() if line.startswith("training on ")]
    with open(run.output_dir / "metrics.csv", newline="") as file:
        (row,) = csv.DictReader(file)
    return run, line, row


def cases_of(run: Run, section: str = "training") -> list[dict[str, Any]]:
    """The cases of a list, each with its arrays."""
    listed = json.loads((run.phantom / "dataset.json").read_text())[section]
    return [{key: torch.from_numpy(read_signal(run.phantom / case[key])) for key in case} for case in listed]


def error(method: torch.nn.Module, case: Mapping[str, torch.Tensor], **known: Any) -> float:
    image, truth = (case[key].reshape(len(case[key]), -1) for key in ("image", "label"))
    found = method(image[None, None], **known)[0, 0]
    return float((found - truth).square().sum() / truth.square().sum())


def clip(path: Path) -> np.ndarray:
    """Write two channels of 16 bits; the first one's samples, -1..1."""
    rng = np.random.default_rng(0)
    first = np.round(20_000 * ecg(1000, rng)).astype(np.int16)
    wavfile.write(path, 16_000, np.stack([first, rng.permutation(first)], 1))
    return first / 2**15


@pytest.mark.full
def test_audio_experiment(tmp_path):
    """Ten repetitions of one clip, each with its own operator on the cosines, and noise at 15 dB."""
    samples = clip(tmp_path / "clip.wav")[:480]
    files = [DIVSBL.config_file(kind) for kind in ("train", "paper", "audio")]
    told = Shell(ROOT, tmp_path).run(files, {"dataset_dir#folder": tmp_path / "measured"}).error()
    assert "no source; expected a file, or a folder of files, ending in .wav" in told
    source = {"dataset_dir#source": tmp_path / "clip.wav"}
    run, line, row = start(["paper", "audio"], tmp_path, **source)
    assert line == "training on 10 cases, choosing weights on 10"
    assert {key.removeprefix("nmse_") for key in row if key.startswith("nmse_")} == METHODS
    assert row["block_size"] == "16"

    cosines, cases = basis_matrix("dct", 480), cases_of(run)
    operators = torch.stack([case["operator"] @ cosines for case in cases])
    torch.testing.assert_close(operators.norm(dim=1), torch.ones(10, 480).double())
    assert len({float(one[0, 0]) for one in operators}) == 10
    for case in cases:
        np.testing.assert_array_equal(case["label"], samples)
    noise = torch.stack([case["image"] - case["operator"] @ case["label"] for case in cases])
    clean = torch.stack([case["operator"] @ case["label"] for case in cases])
    assert float(20 * (clean.std(1) / noise.std(1)).log10().mean()) == pytest.approx(15, abs=0.5)

    state = torch.load(run.weights, weights_only=True)
    assert torch.nonzero(state["begins"])[:, 0].tolist() == list(range(0, 480, 16))
    torch.testing.assert_close(state["psi"], cosines)
    bsbl = {"diversify_variance": False, "diversify_correlation": False, "iterations": 3, "prune": 1e-2}
    methods = {
        "divsbl": DivSBL(150, 480, block_size=16, basis="dct", prune=6e-3, iterations=3),
        "bsbl": DivSBL(150, 480, block_size=16, basis="dct", **bsbl),
    }
    for name, method in methods.items():
        errors = [error(method, case, operator=case["operator"][None]) for case in cases]
        assert float(row[f"nmse_{name}"]) == pytest.approx(np.mean(errors), rel=1e-4)


def photographs(folder: Path, size: int = 128) -> Path:
    """Eight pictures: grey and coloured, of the experiment's size and of others, in several formats."""
    folder.mkdir()
    for number, name in enumerate(PHOTOGRAPHS):
        grey = Image.fromarray(picture(size, np.random.default_rng(number)).astype(np.uint8))
        grey = grey.resize((160, 144)) if number % 2 else grey
        suffix = ("png", "tif", "bmp")[number % 3]
        (grey.convert("RGB") if number % 4 == 3 else grey).save(folder / f"{name}.{suffix}")
    return folder


@pytest.mark.full
def test_picture_experiment(tmp_path):
    """Eight pictures, one operator, wavelets from a file, and a block size of its own for BSBL."""
    source = photographs(tmp_path / "pictures")
    wavelets = basis_matrix("haar", 128).T.numpy()
    savemat(tmp_path / "DWTM.mat", {"ww": wavelets})
    given = {"dataset_dir#source": source, "basis": tmp_path / "DWTM.mat"}
    run, line, row = start(["paper", "image"], tmp_path, **given)
    assert line == "training on 8 cases, choosing weights on 8"
    assert {key.removeprefix("nmse_") for key in row if key.startswith("nmse_")} == METHODS

    state, cases = torch.load(run.weights, weights_only=True), cases_of(run)
    torch.testing.assert_close(state["psi"], torch.from_numpy(wavelets.T))
    assert state["phi"].shape == (64, 128)
    assert float(state["phi"].std()) == pytest.approx(1, abs=0.05), "columns are not normalised"
    for case in cases:
        noise = case["image"] - state["phi"] @ case["label"]
        assert torch.linalg.matrix_rank(noise) == 1
        clean = (state["phi"] @ case["label"]).std(0)
        share = noise.norm(dim=0)[clean > 0] / clean[clean > 0] / 64**0.5
        torch.testing.assert_close(share, share[:1].expand_as(share))
        assert float(share[0]) == pytest.approx(10 ** (-25 / 20), rel=0.4)
    bsbl = {"diversify_variance": False, "diversify_correlation": False, "iterations": 3, "prune": 1e-5}
    methods = {
        "divsbl": DivSBL(64, 128, block_size=8, basis="haar", prune=2.2e-5, iterations=3),
        "bsbl": DivSBL(64, 128, block_size=4, basis="haar", **bsbl),
    }
    for name, method in methods.items():
        method.phi.copy_(state["phi"])
        errors = [error(method, case) ** 0.5 for case in cases]
        assert float(row[f"nmse_{name}"]) == pytest.approx(np.mean(errors), rel=1e-4)
    oracle = Oracle(64, 128)
    oracle.phi, oracle.psi = state["phi"], state["psi"]
    errors = [error(oracle, case, truth=case["label"][None, None]) ** 0.5 for case in cases]
    assert float(row["nmse_oracle"]) == pytest.approx(np.mean(errors), rel=1e-4)


@pytest.mark.full
def test_defaults_for_medical_signals(tmp_path):
    """Windows of 480 samples, 150 measurements, blocks of 16 cosines; ``medical.json`` on ``train.json``."""
    assert DIVSBL.config("medical")["prune"] == 6e-3
    few = {f"dataset_dir#{section}": 1 for section in ("training", "validation", "test")}
    short = {
        key: value for key, value in SHORT.items() if key in ("iterations", "baselines#pc_sbl#iterations")
    }
    run = Run(DIVSBL, tmp_path / "a run", tmp_path / "windows")
    files = [DIVSBL.config_file(kind) for kind in ("train", "medical")]
    Shell(ROOT, tmp_path).run(files, {**run.base, "dataset_dir#folder": run.phantom, **few, **short}).ok()
    state, (case,) = torch.load(run.weights, weights_only=True), cases_of(run)
    assert case["label"].shape == (480,)
    assert state["phi"].shape == (150, 480)
    assert torch.nonzero(state["begins"])[:, 0].tolist() == list(range(0, 480, 16))
    torch.testing.assert_close(state["psi"], basis_matrix("dct", 480))


@pytest.mark.full
def test_thresholds_side_by_side(tmp_path):
    """``prune.json`` on another config: the network with every threshold, each with its column."""
    few = {f"dataset_dir#{section}": 2 for section in ("training", "validation", "test")}
    run = Run(DIVSBL, tmp_path / "a run", tmp_path / "signals")
    files = [DIVSBL.config_file(kind) for kind in ("train", "prune")]
    settings = {**run.base, "dataset_dir#folder": run.phantom, **few, "iterations": 30, "block_size": 9}
    Shell(ROOT, tmp_path).run(files, settings).ok()
    with open(run.output_dir / "metrics.csv", newline="") as file:
        (row,) = csv.DictReader(file)
    thresholds = ["1e-5", "3e-5", "1e-4", "3e-4", "1e-3", "3e-3", "1e-2"]
    assert [key for key in row if key.startswith("nmse_prune")] == [f"nmse_prune_{one}" for one in thresholds]
    phi = torch.load(run.weights, weights_only=True)["phi"]
    for one in (thresholds[0], thresholds[-1]):
        network = DivSBL(80, 162, block_size=9, prune=float(one), iterations=30)
        network.phi.copy_(phi)
        errors = [error(network, case) for case in cases_of(run)]
        assert float(row[f"nmse_prune_{one}"]) == pytest.approx(np.mean(errors), rel=1e-4)
    assert row["nmse_prune_1e-5"] != row["nmse_prune_1e-2"]
    assert row["nmse_divsbl"] == row["nmse_prune_1e-2"]
