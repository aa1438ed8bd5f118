"""Checkpoints are whole or absent, and a full disk is called that."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest
import torch

from common.checkpoints.store import read_checkpoint
from common.checkpoints.writing import write_checkpoint
from tests.contract.bundle import ROOT

CODE = """
import sys, torch
from common.checkpoints.writing import write_checkpoint
from common.errors import show_input_errors_as_one_line
show_input_errors_as_one_line()
write_checkpoint(sys.argv[1], {"a": torch.zeros(int(sys.argv[2])), "b": 1}, kept="the old one is kept")
"""


@pytest.mark.parametrize("size", [1_000_000, 30_000])
def test_a_file_that_cannot_grow(size, tmp_path):
    """However far it got: among the tensors, or at the end, where the zip's directory stands."""
    write_checkpoint(tmp_path / "model.pt", {"old": 1})
    limit = 100_000 if size == 1_000_000 else size * 4 + 600
    words = ["prlimit", f"--fsize={limit}", sys.executable, "-c", CODE, tmp_path / "model.pt", size]
    done = subprocess.run([str(word) for word in words], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 1
    assert done.stderr == f"error: {tmp_path}: cannot write there (File too large); the old one is kept\n"
    assert os.listdir(tmp_path) == ["model.pt"]
    assert read_checkpoint(tmp_path / "model.pt") == {"old": 1}


def test_round_trip(tmp_path):
    state = {"weight": torch.randn(3, 4), "run": {"epoch": 3}}
    write_checkpoint(tmp_path / "a.pt", state)
    found = read_checkpoint(tmp_path / "a.pt")
    assert torch.equal(found["weight"], state["weight"])
    assert found["run"] == state["run"]
