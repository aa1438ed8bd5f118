"""The benchmark of boundary targets runs, and reports no speed if the boundaries differ."""

from __future__ import annotations

import json

import pytest
import torch

from benchmarks.speed import boundary_targets


def test_quick_run(tmp_path, capsys):
    saved = tmp_path / "figures.json"
    boundary_targets.main(["--quick", "--repeats", "1", "--save", str(saved)])
    (row,) = json.loads(saved.read_text())["rows"]
    assert row["ratio"] == row["ours"] / row["scipy"] > 0
    assert "quick, 24 x 32 x 32, 5 classes: SciPy " in capsys.readouterr().out


def test_different_boundaries_are_an_error(monkeypatch):
    monkeypatch.setattr(boundary_targets, "inner_boundary", lambda label: torch.ones_like(label) > 0)
    with pytest.raises(SystemExit, match="the boundaries differ"):
        boundary_targets.main(["--quick", "--repeats", "1"])
