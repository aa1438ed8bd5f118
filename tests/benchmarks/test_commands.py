"""The benchmark commands run and print what their pages promise."""

from __future__ import annotations

import csv
import json

import pytest
import torch

from benchmarks.comparisons import moving_blobs, registration
from common.phantoms import abdomen, atrium, brain_pair, fundus, kidneys
from common.registration.warp import warp
from tests.contract.bundle import NAMES, ROOT, Shell

OPERATORS = sorted({f.stem for f in (ROOT / "benchmarks" / "speed" / "ops").glob("*.py")} - {"__init__"})


@pytest.mark.parametrize(
    "words",
    [
        ("--op", "deformable_attention"),
        pytest.param(("--bundle", "cotr"), marks=pytest.mark.full),
        pytest.param(("--bundle", "mcnet_plus"), marks=pytest.mark.full),
        ("--bundle", "divsbl"),
        pytest.param(("--bundle", "trid", "--bundle", "grata"), marks=pytest.mark.full),
        pytest.param(("--bundle", "easr_dcn"), marks=pytest.mark.full),
    ],
)
def test_quick_run_prints_ratios_and_saves(words, tmp_path):
    saved, page = tmp_path / "figures.json", tmp_path / "figures.md"
    kept = ["--save", saved, "--markdown", page]
    told = Shell(ROOT, tmp_path).python("-m", "benchmarks", *words, "--quick", *kept).ok()
    assert "ratio" in told.out
    assert "Growth" in told.out
    figures = json.loads(saved.read_text())
    assert {"date", "device", "threads", "torch", "triton"} <= set(figures["environment"])
    assert figures["rows"]
    assert all(row["ours"]["seconds"] >= row["ours"]["fastest_seconds"] > 0 for row in figures["rows"])
    lines = page.read_text().splitlines()
    assert [line[3:] for line in lines if line.startswith("## ")] == list(words[1::2])
    assert sum(line.startswith("| ") and not line.startswith("| what") for line in lines) == len(
        figures["rows"]
    )


def test_every_operator_is_measured_against_its_reference(tmp_path):
    """Forward and backward, with the bytes that it has to move against those of a copy."""
    saved = tmp_path / "figures.json"
    words = [word for name in OPERATORS for word in ("--op", name)]
    told = Shell(ROOT, tmp_path).python("-m", "benchmarks", *words, "--quick", "--save", saved).ok()
    assert told.out.count("compiled reference was not measured") >= 2 * len(OPERATORS)
    figures = json.loads(saved.read_text())
    assert figures["copy_bytes_per_second"] > 0
    assert {row["benchmark"] for row in figures["rows"]} == set(OPERATORS)
    for row in figures["rows"]:
        assert row["kind"] == "op"
        assert row["bytes_moved"] > 0
    assert {row["what"].split(", ")[-1] for row in figures["rows"]} == {"forward", "forward + backward"}


@pytest.mark.full  # runs a C++ compiler
def test_compiled_reference_gives_a_verdict(tmp_path):
    words = ["--op", "adaptive_batch_norm", "--quick", "--compile", "all"]
    told = Shell(tmp_path, tmp_path).python("-m", "benchmarks", *words, path=ROOT).ok()
    assert json.loads((tmp_path / "benchmarks.json").read_text())["rows"], "saved without being asked"
    assert "forward + backward: faster than the compiled reference? " in told.out
    assert "not measured" not in told.out


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_a_machine_without_a_gpu_says_so(tmp_path):
    told = Shell(ROOT, tmp_path).python("-m", "benchmarks", "--device", "cuda")
    assert told.code == 2
    assert "torch sees no GPU here" in told.err


def test_every_operator_has_a_benchmark():
    """A folder of common/kernels with a reference in it is an operator."""
    references = (ROOT / "common" / "kernels").glob("*/reference.py")
    assert sorted(f.parent.name for f in references) == OPERATORS


def test_every_bundle_has_a_benchmark():
    assert {f.stem for f in (ROOT / "benchmarks" / "speed" / "bundles").glob("*.py")} - {"__init__"} == set(
        NAMES
    )


def test_block_sizes(tmp_path):
    """Every method and block size has a row; long blocks hurt BSBL, whatever they do to DivSBL."""
    words = [
        "--target",
        tmp_path,
        "--seeds",
        2,
        "--signals",
        2,
        "--block_sizes",
        "[6,27]",
        "--iterations",
        60,
    ]
    told = Shell(ROOT, tmp_path).python(
        "-m", "benchmarks.comparisons.block_sizes", *words, "--length", 81, "--measurements", 40
    )
    told.ok()
    with open(tmp_path / "heteroscedastic.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 2 * 5 + 2
    error = {(row["method"], row["block size"]): float(row["NMSE"]) for row in rows}
    assert error["bsbl", "27"] > error["bsbl", "6"]
    assert error["divsbl", "27"] < error["bsbl", "27"]


@pytest.mark.full
def test_networks_on_one_data_set(tmp_path):
    """Two networks and the prior in one table, each within its CPU time."""
    data = abdomen.make(tmp_path / "phantom", training=3, validation=1, test=2, shape=(48, 48, 24))
    tiny = ["--patch_size", "[16,32,32]", "--iterations_per_epoch", "1", "--val_interval", "1"]
    common = [data, "--num_classes", "12", "--target", tmp_path / "out"]
    shell = Shell(ROOT, tmp_path)
    for network in ("cotr", "dynunet"):
        shell.python(
            "-m",
            "benchmarks.comparisons.real_data",
            "train",
            *common,
            "--network",
            network,
            "--minutes",
            "0.05",
            *tiny,
        ).ok()
    table = shell.python("-m", "benchmarks.comparisons.real_data", "report", *common).ok().out.splitlines()
    assert [line.split("  ")[0] for line in table] == ["method", "mean-shape prior", "cotr", "dynunet"]
    facts = json.loads((tmp_path / "out" / "dynunet" / "facts.json").read_text())
    assert 1 <= facts["iterations"] < 50
    assert facts["parameters"] > 1_000_000


@pytest.mark.full
def test_semi_supervised_methods_on_one_data_set(tmp_path):
    """With and without the unlabelled cases, two seeds for one of them; each within its CPU time, without
    selection.
    """
    sizes = {"training": 4, "labelled": 2, "validation": 0, "test": 2, "shape": (32, 24, 16)}
    data = atrium.make(tmp_path / "phantom", spacing=(4.0, 4.0, 4.0), **sizes)
    tiny = ["--patch_size", "[16,16,16]", "--iterations_per_epoch", "1"]
    target = ["--target", tmp_path / "out"]
    shell = Shell(ROOT, tmp_path)
    for method, seed in (("vnet", 0), ("mcnet_plus", 0), ("mcnet_plus", 1)):
        words = ["train", data, "--method", method, "--seed", seed, "--minutes", "0.05", *target, *tiny]
        shell.python("-m", "benchmarks.comparisons.semi_supervised", *words).ok()
    table = (
        shell.python("-m", "benchmarks.comparisons.semi_supervised", "report", *target).ok().out.splitlines()
    )
    assert [line.split()[:4] for line in table] == [
        ["method", "labelled", "unlabelled", "seeds"],
        ["vnet", "2", "0", "1"],
        ["mcnet_plus", "2", "2", "2"],
    ]
    error = shell.python(
        "-m", "benchmarks.comparisons.semi_supervised", "train", data, "--method", "x", *target
    ).error()
    assert "expected one of: vnet" in error


@pytest.mark.full
def test_registrations_of_one_data_set(tmp_path):
    """Two networks and no registration in one table, each within its CPU time, without selection."""
    data = brain_pair.make(
        tmp_path / "phantom", training=2, validation=1, test=2, shape=(16, 16, 16), spacing=(10.0, 11.0, 9.0)
    )
    target = ["--target", tmp_path / "out"]
    shell = Shell(ROOT, tmp_path)
    for network in ("easr_dcn", "regunet", "affine"):
        words = ["train", data, "--network", network, "--minutes", "0.05", *target]
        shell.python("-m", "benchmarks.comparisons.registration", *words).ok()
    table = shell.python("-m", "benchmarks.comparisons.registration", "report", *target).ok().out.splitlines()
    assert [line.split()[0] for line in table] == ["network", "identity", "easr_dcn", "regunet", "affine"]
    facts = json.loads((tmp_path / "out" / "regunet" / "seed0" / "facts.json").read_text())
    assert 1 <= facts["iterations"] < 200
    error = shell.python(
        "-m", "benchmarks.comparisons.registration", "train", data, "--network", "x", *target
    ).error()
    assert "expected one of: easr_dcn" in error


def test_affine_map_of_a_pair_is_found():
    """A textured blob moved by 2.5 voxels and stretched is brought back."""
    x, y, z = torch.meshgrid(*(torch.linspace(-1, 1, 20) for _ in range(3)), indexing="ij")

    def blob(y):
        texture = 1 + 0.5 * torch.sin(9 * x) * torch.cos(7 * y)
        return (texture * torch.exp(-8 * (x**2 + y**2 + z**2)) - 0.05).clamp(min=0)

    pair = torch.stack([blob(0.8 * y - 0.2), blob(y)])[None]
    field = registration.AffineByPair()(pair)
    before, after = ((one - pair[:, 1:]).abs().mean() for one in (pair[:, :1], warp(pair[:, :1], field)))
    assert after < 0.2 * before


def test_moving_blobs(tmp_path):
    """The blobs move apart: the true field takes one onto the other, and every method is in the table."""
    pair, masks = moving_blobs.blobs(0)
    assert pair.shape == (1, 2, *moving_blobs.SHAPE)
    for blob, step in ((0, -2.5), (1, 2.5)):
        field = torch.zeros(1, 3, *moving_blobs.SHAPE)
        field[:, 1] = step
        warped = warp(masks[:, blob : blob + 1], field)
        assert (warped - masks[:, 2 + blob : 3 + blob]).abs().mean() < 0.01
        wrong = warp(masks[:, blob : blob + 1], -field)
        assert (wrong - masks[:, 2 + blob : 3 + blob]).abs().mean() > 0.02
    words = ["--seeds", 1, "--steps", 1, "--target", tmp_path]
    told = Shell(ROOT, tmp_path).python("-m", "benchmarks.comparisons.moving_blobs", *words).ok()
    assert [line.split()[0] for line in told.out.splitlines()] == ["method", *moving_blobs.METHODS]
    with open(tmp_path / "moving_blobs.csv", newline="") as file:
        assert len(list(csv.DictReader(file))) == 3


@pytest.mark.full
def test_test_time_methods_on_one_stream(tmp_path):
    """Plain prediction and two methods from the same weights, trained once; each round on its own."""
    tiny = ["--dataset_dir#training", "3", "--dataset_dir#validation", "1", "--dataset_dir#test", "1"]
    tiny += ["--epochs", "1", "--val_interval", "1", "--image_size", "[64,64]"]
    target = ["--target", tmp_path / "out"]
    shell = Shell(ROOT, tmp_path)
    words = ["stream", "--source", "B", "--rounds", "2", *target, *tiny]
    shell.python("-m", "benchmarks.comparisons.adaptation", *words, "--methods", "['source','vptta']").ok()
    weights = tmp_path / "out" / "models" / "B_seed0" / "model.pt"
    written = weights.stat().st_mtime_ns
    shell.python("-m", "benchmarks.comparisons.adaptation", *words, "--methods", "['tent']").ok()
    assert weights.stat().st_mtime_ns == written
    table = shell.python("-m", "benchmarks.comparisons.adaptation", "report", *target).ok().out.splitlines()
    assert [line.split()[:3] for line in table[1:]] == [
        ["source", "1", "8"],
        ["tent", "1", "8"],
        ["vptta", "1", "8"],
    ]
    source = table[1].split()
    assert source[-2] == source[-1]  # without adaptation all rounds are equal
    error = shell.python(
        "-m", "benchmarks.comparisons.adaptation", "stream", *words[1:], "--methods", "['x']"
    ).error()
    assert "expected some of: source" in error


@pytest.mark.full
def test_styles_on_an_unseen_domain(tmp_path):
    """With and without random styles, each within its CPU time."""
    data = fundus.make(
        tmp_path / "phantom", source=["A", "B", "C", "D"], training=1, validation=1, test=1, size=48
    )
    tiny = ["--image_size", "[64,64]", "--batch_size", "2", "--minutes", "0.05"]
    target = ["--target", tmp_path / "out"]
    shell = Shell(ROOT, tmp_path)
    for style in ("none", "trid"):
        words = ["train", data, "--style", style, "--held_out", "E", *target, *tiny]
        shell.python("-m", "benchmarks.comparisons.unseen_domains", *words).ok()
    table = (
        shell.python("-m", "benchmarks.comparisons.unseen_domains", "report", *target).ok().out.splitlines()
    )
    assert [line.split()[0] for line in table] == ["style", "none", "trid"]


@pytest.mark.full
def test_nested_regions_beside_classes(tmp_path):
    """Two-stage regions and one-stage classes, each within its CPU time; both scored by region."""
    sizes = {"training": 2, "validation": 0, "test": 1, "shape": (48, 40, 24), "spacing": (6.0, 6.0, 8.0)}
    data = kidneys.make(tmp_path / "phantom", **sizes)
    tiny = ["--iterations_per_epoch", "1", "--batch_size", "1", "--minutes", "0.01"]
    target = ["--target", tmp_path / "out"]
    shell = Shell(ROOT, tmp_path)
    for method in ("coarse_to_fine", "one_stage_softmax"):
        words = ["train", data, "--method", method, *target, *tiny]
        shell.python("-m", "benchmarks.comparisons.nested_regions", *words).ok()
    table = (
        shell.python("-m", "benchmarks.comparisons.nested_regions", "report", *target).ok().out.splitlines()
    )
    assert [line.split()[:2] for line in table] == [
        ["method", "seeds"],
        ["coarse_to_fine", "1"],
        ["one_stage_softmax", "1"],
    ]
    assert {"dice_kidney_and_mass", "dice_tumor", "surface_dice_mean"} <= set(table[0].split())
    error = shell.python(
        "-m", "benchmarks.comparisons.nested_regions", "train", data, "--method", "x", *target
    ).error()
    assert "expected one of: coarse_to_fine" in error
