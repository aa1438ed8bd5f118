"""The fundus protocol: what is trained on, and the line that says so."""

from __future__ import annotations

import pytest

from common.datasets.public import optic
from common.datasets.raw.prepare import prepare
from tests.common.datasets.published import listed, lists_of
from tests.common.datasets.raw_pictures import raw_optic
from tests.contract.bundle import ROOT, Bundle, Run, Shell

GRATA = Bundle("grata")
CENTRES = {"RIM_ONE_r3": 159, "REFUGE": 400, "ORIGA": 650, "REFUGE_Valid": 800, "Drishti_GS": 101}


def test_all_of_the_source_is_trained_on_and_each_other_centre_is_a_target(tmp_path):
    """grata/docs/method.md#data."""
    assert CENTRES.items() <= optic.READER.published.items()
    folder = listed(tmp_path / "data", CENTRES)
    for source, trained in CENTRES.items():
        lists = lists_of("grata", "paper", folder, [source])
        assert [len(lists["training"]), len(lists["validation"])] == [trained, 0]
        targets = [case["domain"] for case in lists["test"]]
        others = [centre for centre in CENTRES if centre != source]
        assert targets == [centre for centre in others for _ in range(CENTRES[centre])]


@pytest.mark.full
def test_a_run_on_the_real_layout_says_what_it_trains_on(tmp_path):
    prepare("optic", raw_optic(tmp_path / "raw"), tmp_path / "data")
    run = Run(GRATA, tmp_path / "run", tmp_path / "unused")
    settings = {**run.base, **GRATA.quick["paper"], "dataset_dir": tmp_path / "data"}
    settings["source_domains"] = "['REFUGE']"
    files = [GRATA.config_file("train"), GRATA.config_file("paper")]
    told = Shell(ROOT, tmp_path).run(files, settings).ok()
    assert "training on 3 cases, keeping the last weights" in told.out + told.err
