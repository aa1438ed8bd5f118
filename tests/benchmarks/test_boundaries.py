"""What BA-Net's boundary decoder and its gate are worth, as a command."""

from __future__ import annotations

import pytest

from benchmarks.comparisons.boundaries import METHODS, report
from common.errors import InputError
from common.evaluation.tables import write_rows
from common.files import write_json
from common.phantoms import kidney_cta
from tests.contract.bundle import ROOT, Bundle, Shell, words_of


def scored(target, method: str, seed: int, **means) -> None:
    folder = target / method / f"seed{seed}"
    write_json(folder / "facts.json", {"iterations": 10 + seed, "cpu_minutes": 2.0})
    rows = [{"name": name, "dice_mean": dice, "nsd_mean": nsd} for name, (dice, nsd) in means.items()]
    write_rows(folder / "eval" / "evaluation_summary.csv", rows)


def test_report_is_the_mean_over_seeds(tmp_path):
    scored(tmp_path, "no_gate", 0, kidney=(0.5, 0.4), **{"mean over classes": (0.6, 0.5)})
    scored(tmp_path, "no_gate", 2, kidney=(0.7, 0.2), **{"mean over classes": (0.8, 0.7)})
    scored(tmp_path, "gate", 0, kidney=(0.9, 0.8), **{"mean over classes": (0.9, 0.8)})
    head, gate, no_gate = (line.split() for line in report(target=tmp_path).splitlines())
    found = dict(zip(head, no_gate, strict=True))
    assert gate[:2] == ["gate", "1"]
    assert found["seeds"] == "2"
    numbers = {key: float(found[key]) for key in head[2:]}
    assert numbers["dice_kidney"] == pytest.approx(0.6)
    assert numbers["nsd_kidney"] == pytest.approx(0.3)
    assert numbers["dice_mean"] == pytest.approx(0.7)
    assert numbers["dice_sd"] == pytest.approx(0.1414, abs=1e-3)
    assert numbers["iterations"] == 11


def test_report_without_runs(tmp_path):
    with pytest.raises(InputError, match="holds no results"):
        report(target=tmp_path)


@pytest.mark.full
def test_all_methods_within_their_time(tmp_path):
    quick = Bundle("banet_kidney").quick
    sizes = {key.partition("#")[2]: value for key, value in quick["data"].items()}
    data = kidney_cta.make(tmp_path / "phantom", **{**sizes, "training": 2, "validation": 0, "test": 1})
    tiny = {"minutes": 0.01, "iterations_per_epoch": 1, "batch_size": 1, **quick["network"]}
    tiny["patch_size"] = quick["train"]["patch_size"]
    shell, target = Shell(ROOT, tmp_path), ["--target", tmp_path / "out"]
    command = ("-m", "benchmarks.comparisons.boundaries")
    for method in METHODS:
        shell.python(*command, "train", data, "--method", method, *target, *words_of(tiny)).ok()
    table = shell.python(*command, "report", *target).ok().out.splitlines()
    assert [line.split()[0] for line in table] == ["method", *METHODS]
    assert {"dice_kidney", "nsd_mean"} <= set(table[0].split())
    error = shell.python(*command, "train", data, "--method", "x", *target).error()
    assert "expected one of: gate" in error
