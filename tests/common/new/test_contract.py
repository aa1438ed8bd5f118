"""A new bundle passes what the contract always asks, before any gap is filled."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from common.new.gaps import gaps

NAME = "throwaway"


def python(checkout: Path, *words: str) -> subprocess.CompletedProcess:
    """A fresh process in the copy, independent of this pytest run."""
    kept = {key: value for key, value in os.environ.items() if not key.startswith(("PYTEST", "COV"))}
    return subprocess.run(
        [sys.executable, *words], cwd=checkout, env=kept, capture_output=True, text=True, check=False
    )


@pytest.fixture(scope="module")
def told(checkout):
    return python(checkout, "-m", "common.new", NAME, "--like", "cotr")


def test_command_lists_files_and_gaps(checkout, told):
    assert told.returncode == 0, told.stderr
    lines = told.stdout.splitlines()
    assert f"bundles/{NAME}/configs/train.json" in lines
    assert f"tests/bundles/{NAME}/quick.json" in lines
    assert "bundle_index.json" in lines
    left = gaps(NAME, checkout)
    assert lines[-1].startswith(f"{len(left)} gaps to fill")
    assert lines[-1 - len(left) : -1] == left
    checked = python(checkout, "-m", "common.new", NAME, "--check")
    assert checked.returncode == 1
    assert checked.stdout.splitlines() == left
    assert checked.stderr == f"error: {NAME}: {len(left)} gaps to fill, listed above\n"


def test_untouched_bundle_passes_the_contract(checkout, told):
    assert told.returncode == 0, told.stderr
    words = ("-n", "0", "-q", "-p", "no:cacheprovider", "--full", "none", "-k", NAME)
    run = python(checkout, "-m", "pytest", *words, "tests/contract", f"tests/bundles/{NAME}")
    assert run.returncode == 0, run.stdout[-6000:] + run.stderr[-2000:]
    assert int(re.search(r"(\d+) passed", run.stdout)[1]) > 40
