"""The comparison of mirroring runs with a tiny budget and prints what its page promises."""

from __future__ import annotations

import pytest

from common.phantoms import head_neck
from tests.contract.bundle import ROOT, Bundle, Shell


@pytest.mark.full
def test_mirroring_with_and_without_an_exchange(tmp_path):
    quick = Bundle("segrap2023").quick
    sizes = {key.removeprefix("dataset_dir#"): value for key, value in quick["data"].items()}
    data = head_neck.make(tmp_path / "phantom", **{**sizes, "training": 2, "validation": 0, "test": 1})
    tiny = ["--iterations_per_epoch", "1", "--minutes", "0.01", "--patch_size", "[16,32,32]"]
    target = ["--target", tmp_path / "out"]
    module, shell = "benchmarks.comparisons.paired_flips", Shell(ROOT, tmp_path)
    for method in ("exchanged", "plain"):
        shell.python("-m", module, "train", data, "--method", method, *target, *tiny).ok()
    table = shell.python("-m", module, "report", *target).ok().out.splitlines()
    assert [line.split()[:2] for line in table] == [["method", "seeds"], ["exchanged", "1"], ["plain", "1"]]
    assert {"dice_paired", "dice_single", "nsd_all", "cpu_minutes"} <= set(table[0].split())
    error = shell.python("-m", module, "train", data, "--method", "x", *target).error()
    assert "expected one of: none, exchanged, plain" in error
