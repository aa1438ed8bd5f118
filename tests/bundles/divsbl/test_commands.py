"""The bundle's inference.json and evaluate.json, and its data check on broken files."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from common.datasets.lists.datalist import read_description
from common.errors import InputError
from common.phantoms import signals
from divsbl.data import SetOperator, check_folder, measured_datalist, measurements_to_recover
from divsbl.files import read_signal, write_signal
from divsbl.network import DivSBL
from tests.contract.bundle import ROOT, Bundle, Run, Shell

BUNDLE = Bundle("divsbl")
M, N = 24, 64


@pytest.fixture(scope="module")
def shell(tmp_path_factory):
    return Shell(tmp_path_factory.mktemp("elsewhere"), tmp_path_factory.mktemp("home"))


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """Weights of a network that has not run yet: the operator and the blocks are all there is."""
    folder = tmp_path_factory.mktemp("a run")
    signals.make(folder / "phantom", training=2, validation=2, test=2)
    run = Run(BUNDLE, folder, folder / "phantom")
    network = DivSBL(80, 162, block_size=27)
    network.phi.copy_(torch.from_numpy(np.load(run.phantom / "operator.npy")))
    run.ckpt_dir.mkdir()
    torch.save(network.state_dict(), run.weights)
    return run


def test_recovers_the_given_measurements(run, shell):
    """In the measurement's format and axes, with the block size stored in the weights."""
    told = shell.run([BUNDLE.config_file("inference")], {**run.inference_overrides, "iterations": 30})
    told.ok()
    listed = json.loads((run.phantom / "dataset.json").read_text())["test"]
    network = DivSBL(80, 162, block_size=27, iterations=30)
    network.load_state_dict(torch.load(run.weights, weights_only=True))
    for case in listed:
        measured = np.load(run.phantom / case["image"])
        name = case["image"].split("/")[-1].replace(".npy", "_recovered.npy")
        found = np.load(run.output_dir / name)
        expected = network.recover(torch.from_numpy(measured)[None], network.phi).coefficients[0]
        np.testing.assert_allclose(found, expected.numpy(), atol=1e-9)
    assert len(list(run.output_dir.glob("*_recovered.npy"))) == len(listed) == 2
    with Image.open(run.output_dir / "preview_inference.png") as picture:
        assert len(picture.convert("L").getcolors()) > 10


def test_evaluation_writes_both_tables(run, shell):
    files = [BUNDLE.config_file("train"), BUNDLE.config_file("evaluate")]
    told = shell.run(files, {**run.train_overrides, "iterations": 30}).ok()
    with open(run.output_dir / "evaluation_cases.csv", newline="") as file:
        cases = list(csv.DictReader(file))
    assert len(cases) == 2
    assert all(0 < float(row["nmse"]) < 1.5 and -1 <= float(row["correlation"]) <= 1 for row in cases)
    with open(run.output_dir / "evaluation_summary.csv", newline="") as file:
        assert float(list(csv.DictReader(file))[-1]["nmse_cases"]) == 2
    assert "nmse_mean" in told.out
    assert not (run.ckpt_dir / "checkpoint.pt").exists(), "an evaluation trains nothing"


@pytest.mark.full
def test_sweep_on_a_picture(shell, tmp_path):
    """Column by column in wavelets; with ``root_nmse`` training and validation report the same error."""
    size = {"length": 64, "measurements": 32}
    data = {"kind": "picture", "training": 1, "validation": 1, "test": 1, **size}
    run = Run(BUNDLE, tmp_path / "a run", tmp_path / "phantom")
    overrides = {
        **run.base,
        **{f"dataset_dir#{key}": value for key, value in data.items()},
        "dataset_dir#folder": run.phantom,
        **size,
        "prune": 2.2e-5,
        "root_nmse": True,
        "block_sizes": [4],
        "iterations": 20,
        "keep": "last",
    }
    shell.run([BUNDLE.config_file("train")], overrides).ok()
    with open(run.output_dir / "metrics.csv", newline="") as file:
        (row,) = csv.DictReader(file)
    network = DivSBL(32, 64, block_size=4, prune=2.2e-5, iterations=20)
    network.load_state_dict(torch.load(run.weights, weights_only=True))
    for part, column in (("training", "nmse_divsbl"), ("validation", "nmse")):
        (case,) = json.loads((run.phantom / "dataset.json").read_text())[part]
        measured, truth = (torch.from_numpy(read_signal(run.phantom / case[k])) for k in ("image", "label"))
        error = (network(measured[None, None])[0, 0] - truth).norm() / truth.norm()
        assert float(row[column]) == pytest.approx(float(error), rel=1e-4)


def test_another_operator_is_refused_unless_given(run, shell, tmp_path):
    signals.make(tmp_path / "other", training=2, validation=2, test=2, seed=5)
    overrides = {**run.base, "output_dir": tmp_path / "eval", "dataset_dir": tmp_path / "other"}
    overrides["iterations"] = 5
    error = shell.run([BUNDLE.config_file("inference")], overrides).error()
    assert "its operator is not the one that model.pt was made with" in error
    assert "--operator FILE" in error
    given = {**overrides, "operator": tmp_path / "other" / "operator.npy"}
    shell.run([BUNDLE.config_file("inference")], given).ok()
    assert len(list((tmp_path / "eval").glob("*_recovered.npy"))) == 2


def test_cases_with_their_own_operators(shell, tmp_path):
    """Sweep, then recovery: every case is solved with its operator, and weights that hold none say so."""
    folder = signals.make(
        tmp_path / "phantom",
        length=N,
        measurements=M,
        training=2,
        validation=2,
        test=2,
        shared_operator=False,
    )
    run = Run(BUNDLE, tmp_path / "a run", tmp_path / "phantom")
    sizes = {**run.base, "dataset_dir": folder, "length": N, "measurements": M, "iterations": 10}
    shell.run([BUNDLE.config_file("train")], {**sizes, "block_sizes": [8]}).ok()
    assert not torch.load(run.weights, weights_only=True)["phi"].any()
    with open(run.output_dir / "metrics.csv", newline="") as file:
        (row,) = csv.DictReader(file)
    network, description = DivSBL(M, N, block_size=8, iterations=10), read_description(folder)

    def recovered(case):
        measured, phi = (torch.from_numpy(np.load(f"{folder}/{case[key]}")) for key in ("image", "operator"))
        return network.recover(measured[None], phi).coefficients[0].numpy()

    for section, column in (("training", "nmse_divsbl"), ("validation", "nmse")):
        truths = [(recovered(case), np.load(f"{folder}/{case['label']}")) for case in description[section]]
        error = np.mean([np.square(found - x).sum() / np.square(x).sum() for found, x in truths])
        assert float(row[column]) == pytest.approx(error, rel=1e-4)
    inference = {**sizes, "output_dir": tmp_path / "recovered"}
    shell.run([BUNDLE.config_file("inference")], inference).ok()
    for case in description["test"]:
        (found,) = (tmp_path / "recovered").glob(f"{Path(case['image']).stem}_recovered.npy")
        np.testing.assert_allclose(np.load(found), recovered(case), atol=1e-9)
    network.load_state_dict(torch.load(run.weights, weights_only=True))
    with pytest.raises(InputError, match="names no operator, and model"):
        SetOperator(network, f"{folder}/imagesTs", keep=True)(None)


@pytest.mark.parametrize(
    ("value", "says"),
    [
        (None, r"training\[1\].operator is not there, but other cases name their own"),
        ("imagesTr/signals_training_000.npy", r"has the shape \(24,\); expected \(24, 64\)"),
        ("nothing.npy", "nothing.npy: missing"),
    ],
)
def test_own_operators_that_cannot_be_used(tmp_path, value, says):
    folder = signals.make(
        tmp_path / "own", length=N, measurements=M, training=2, validation=1, test=1, shared_operator=False
    )
    assert check_folder(folder) == (4, [])
    file = tmp_path / "own" / "dataset.json"
    description = json.loads(file.read_text())
    description["training"][1]["operator"] = value
    if value is None:
        del description["training"][1]["operator"]
    file.write_text(json.dumps(description))
    with pytest.raises(InputError, match=says):
        measured_datalist(folder, measurements=M, length=N)


def test_check_command(shell, tmp_path):
    folder = signals.make(tmp_path / "phantom", training=2, validation=2, test=2)
    words = ("-m", "common.datasets", "check", folder, "--bundle", "divsbl")
    assert "6 cases checked, nothing to repair" in shell.python(*words, path=ROOT).ok().out
    np.save(tmp_path / "phantom" / "imagesTr" / "signals_training_001.npy", np.ones(79))
    told = shell.python(*words, path=ROOT)
    assert told.code == 1
    assert "training[1].image" in told.out
    assert "has 79 rows; expected 80" in told.out


@pytest.fixture
def folder(tmp_path):
    return tmp_path / signals.make(
        tmp_path / "own", length=N, measurements=M, training=2, validation=1, test=1
    )


def spoil(path, value):
    np.save(path, value)


@pytest.mark.parametrize(
    ("value", "says"),
    [
        (np.ones(M + 1), f"has {M + 1} rows; expected {M}"),
        (np.full(M, np.nan), "NaN or infinity, the first at \\[0\\]"),
        (np.ones(M, complex), "holds complex128; expected real numbers"),
        (np.ones((M, 2, 2)), "has the shape \\(24, 2, 2\\)"),
        (np.ones((M, 3)), "expected as many signals as measured columns"),
    ],
)
def test_measurements_that_cannot_be_used(folder, value, says):
    """They are named by list, place and file before anything runs."""
    spoil(folder / "imagesTr" / "signals_training_001.npy", value)
    with pytest.raises(ValueError, match=says) as caught:
        measured_datalist(folder, measurements=M, length=N)
    assert "training[1]" in str(caught.value)
    assert "signals_training_001.npy" in str(caught.value)


def test_held_out_case_is_named_by_its_place_in_the_file(folder):
    file = folder / "dataset.json"
    description = json.loads(file.read_text())
    description["training"] += description.pop("validation")
    file.write_text(json.dumps(description))
    spoil(folder / "labelsTr" / "signals_validation_000.npy", np.ones(5))
    last = len(description["training"]) - 1
    with pytest.raises(ValueError, match=rf"training\[{last}\]\.label"):
        measured_datalist(folder, measurements=M, length=N)


def test_all_faults_are_reported_at_once(folder):
    spoil(folder / "imagesTr" / "signals_training_000.npy", np.ones(3))
    spoil(folder / "labelsTr" / "signals_validation_000.npy", np.ones(5))
    (folder / "imagesTs" / "signals_test_000.npy").write_bytes(b"no array")
    cases, problems = check_folder(folder)
    assert cases == 4
    assert [line.split()[0] for line in problems] == [
        "training[0].image",
        "validation[0].label",
        "test[0].image",
    ]
    with pytest.raises(ValueError, match="and 2 more"):
        measured_datalist(folder, measurements=M, length=N)


@pytest.mark.parametrize(
    ("description", "says"),
    [
        ({"operator": None}, "operator = null; expected the path of a file"),
        ({"basis": "fourier"}, "expected one of identity, dct"),
        ({"operator": "nothing.npy"}, "nothing.npy: missing"),
    ],
)
def test_operator_that_cannot_be_used(folder, description, says):
    file = folder / "dataset.json"
    file.write_text(json.dumps({**json.loads(file.read_text()), **description}))
    with pytest.raises(ValueError, match=says):
        measured_datalist(folder, measurements=M, length=N)


def test_operator_of_another_size_names_the_options(folder):
    with pytest.raises(ValueError, match="give --measurements 24 --length 64"):
        measured_datalist(folder, measurements=80, length=162)


def test_training_cases_need_a_signal(folder):
    file = folder / "dataset.json"
    description = json.loads(file.read_text())
    del description["training"][0]["label"]
    file.write_text(json.dumps(description))
    with pytest.raises(ValueError, match=r"training\[0\].label is not there"):
        measured_datalist(folder, measurements=M, length=N)


def test_folder_without_a_list(folder, tmp_path):
    loose = tmp_path / "loose"
    loose.mkdir()
    with pytest.raises(ValueError, match="nothing to recover"):
        measurements_to_recover(loose, measurements=M)
    for name, suffix in (("b", ".csv"), ("a", ".npy"), ("operator", ".npy")):
        write_signal(loose / f"{name}{suffix}", np.ones(M))
    cases = measurements_to_recover(loose, measurements=M)
    assert [case["image"] for case in cases] == [str(loose / "a.npy"), str(loose / "b.csv")]


def test_basis_of_the_data_set_reaches_the_network(tmp_path):
    folder = signals.make(
        tmp_path / "ecg", kind="ecg", length=N, measurements=M, training=1, validation=1, test=1
    )
    network = DivSBL(M, N, block_size=8)
    SetOperator(network, folder)(None)
    dct = DivSBL(M, N, block_size=8, basis="dct")
    assert torch.equal(network.psi, dct.psi)
    assert torch.equal(network.phi, torch.from_numpy(np.load(f"{folder}/operator.npy")))


@pytest.mark.parametrize("suffix", [".npy", ".csv", ".png"])
@pytest.mark.parametrize("shape", [(N,), (N, 5)])
def test_files_round_trip(tmp_path, suffix, shape):
    values = np.random.default_rng(0).integers(0, 256, shape).astype(float)
    write_signal(tmp_path / f"x{suffix}", values)
    found = read_signal(tmp_path / f"x{suffix}")
    assert np.array_equal(found, values.reshape(found.shape))
    assert found.shape == ((*shape, 1)[:2] if suffix == ".png" else shape)
