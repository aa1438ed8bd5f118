"""The card's scoring commands and their numbers, on a small release and predictions for it."""

from __future__ import annotations

import csv
import json
import re
import shlex

import nibabel as nib
import numpy as np
import pytest

from tests.common.datasets.raw_kits21 import RawKits21
from tests.contract.bundle import ROOT, Shell

CARD = ROOT / "bundles" / "kits21" / "docs" / "README.md"


@pytest.mark.full
def test_printed_scoring_commands(tmp_path):
    """The labels made by ``prepare`` serve as predictions: they agree perfectly with the references."""
    raw = RawKits21(tmp_path / "the release", cases=2)
    shell, target = Shell(ROOT, tmp_path), tmp_path / "prepared"
    places = {
        "PREDICTIONS": target / "labelsTr",
        "REFERENCES": raw.root,
        "RAW": raw.root,
        "KITS21": target,
    }
    printed = re.findall(r"^    (python .*(?:REFERENCES|source RAW).*)", CARD.read_text(), re.MULTILINE)
    assert len(printed) == 3
    for command in printed:
        words = [str(places.get(word, word)) for word in shlex.split(command)[1:]]
        own = (
            ["--partial", "True"] if "prepare" in words else ["--output_dir", tmp_path / f"eval{len(words)}"]
        )
        shell.python(*words, *own).ok()
    results = sorted(tmp_path.glob("eval*"))
    assert sorted(len(list(folder.glob("*.csv"))) for folder in results) == [2, 4]
    for folder in results:
        rows = list(csv.reader((folder / "scores_labelsTr.csv").open(newline="")))
        assert rows[-1] == ["average", *["1.00000000"] * 6]
    told = shell.python("-m", "common.datasets", "check", target, "--bundle", "kits21")
    assert "2 cases checked" in told.ok().out
    entries = json.loads((target / "dataset.json").read_text())["training"]
    assert {np.asarray(nib.load(target / e["label_or"]).dataobj).max() for e in entries} == {2}
