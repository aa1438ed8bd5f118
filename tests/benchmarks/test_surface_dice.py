"""The benchmark of the surface metrics runs, and reports no speed if the values differ."""

from __future__ import annotations

import json

import pytest

from benchmarks.speed import surface_dice
from tests.contract.bundle import ROOT, Shell


def test_quick_run(tmp_path):
    saved = tmp_path / "figures.json"
    words = ["--quick", "--repeats", "1", "--save", saved]
    told = Shell(ROOT, tmp_path).python("-m", "benchmarks.speed.surface_dice", *words).ok()
    figures = json.loads(saved.read_text())
    assert [row["what"] for row in figures["rows"]] == ["near", "with a stray piece"]
    for row in figures["rows"]:
        assert all(0.5 < value <= 1 for value in row["values"])
        assert min(row["values"]) < 1
        assert row["our_seconds"] > 0
        assert row["monai_seconds"] > 0
        assert f"96 x 96 x 40, {row['what']}: MONAI" in told.out


def test_different_values_are_an_error(monkeypatch, tmp_path):
    monkeypatch.setattr(surface_dice, "QUICK", (12, 24, 24))
    right = surface_dice.our_scores
    monkeypatch.setattr(surface_dice, "our_scores", lambda *pair: [v + 1e-4 for v in right(*pair)])
    with pytest.raises(SystemExit, match="differ by more than 1e-06"):
        surface_dice.main(["--quick", "--repeats", "1"])
