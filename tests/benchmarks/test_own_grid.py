"""The benchmark of resampling to the scan's grid runs, and reports no speed if the labels differ."""

from __future__ import annotations

import json

import pytest
import torch

from benchmarks.speed import own_grid


def test_quick_run(tmp_path, capsys):
    saved = tmp_path / "figures.json"
    own_grid.main(["--quick", "--repeats", "1", "--save", str(saved)])
    rows = {row["way"]: row for row in json.loads(saved.read_text())["rows"]}
    assert list(rows) == list(own_grid.ways((8, 8, 8), 2))
    assert rows["ours, probabilities"]["peak_volumes"] < 2 < rows["Invertd, all class maps"]["peak_volumes"]
    assert "48 x 40 x 24, 5 classes, ours, probabilities: " in capsys.readouterr().out


def test_different_labels_are_an_error(monkeypatch):
    right = own_grid.ways

    def wrong(shape, classes):
        calls = right(shape, classes)
        return {**calls, "ours, probabilities": lambda: torch.zeros_like(calls["ours, labels"]())}

    monkeypatch.setattr(own_grid, "ways", wrong)
    with pytest.raises(SystemExit, match="of the voxels differ; expected 1e-04 at the most"):
        own_grid.main(["--quick", "--repeats", "1"])
