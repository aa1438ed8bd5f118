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
    """The labels made by ``prepare``, as predictions: perfect against the majority, which they are.

    Against all annotations of the tumor, boxes of 2, 3 and 4 columns, the majority has 3.
    """
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
    results = {len(list(folder.glob("*.csv"))): folder for folder in tmp_path.glob("eval*")}
    assert sorted(results) == [2, 4]
    averages = {}
    for tables, folder in results.items():
        rows = list(csv.reader((folder / "scores_labelsTr.csv").open(newline="")))
        averages[tables] = [float(value) for value in rows[-1][1:]]
        assert rows[-1][0] == "average"
    assert averages[2] == [1] * 6  # --samples False writes no tables of the annotators
    kidney, *others = averages[4]
    tumor = (4 / 5 + 1 + 6 / 7) / 3
    assert others == pytest.approx([tumor, tumor, 1, 1, 1], abs=1e-8)
    assert 10 / 11 < kidney < 1
    told = shell.python("-m", "common.datasets", "check", target, "--bundle", "kits21")
    assert "2 cases checked" in told.ok().out
    entries = json.loads((target / "dataset.json").read_text())["training"]
    assert {np.asarray(nib.load(target / e["label_or"]).dataobj).max() for e in entries} == {2}
