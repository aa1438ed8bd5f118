"""The benchmark of streaming runs, holds little memory, and reports nothing if the labels differ."""

from __future__ import annotations

import json

import pytest
import torch

from benchmarks.speed import streamed_argmax


def test_quick_run(tmp_path, capsys):
    saved = tmp_path / "figures.json"
    streamed_argmax.main(["--quick", "--repeats", "1", "--save", str(saved)])
    (row,) = json.loads(saved.read_text())["rows"]
    assert row["peak_ratio"] <= 0.35
    classes = 4 * 55 * 16 * 64 * 64
    assert classes < row["peak_bytes"]["whole"] < 1.1 * classes, "one volume of each class, not two"
    assert f"of peak {row['peak_ratio']:.3f}" in capsys.readouterr().out


def test_different_labels_are_an_error(monkeypatch):
    calls = {"whole": lambda: torch.zeros(2), "streamed": lambda: torch.ones(2)}
    monkeypatch.setattr(streamed_argmax, "ways", lambda shape, patch: calls)
    with pytest.raises(SystemExit, match="the labels differ"):
        streamed_argmax.main(["--quick", "--repeats", "1"])
