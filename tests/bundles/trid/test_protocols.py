"""Fundus and prostate protocols, one domain held out: what is trained on, and the line that says so."""

from __future__ import annotations

import pytest

from common.datasets.public import optic, prostate
from common.datasets.raw.prepare import prepare
from tests.common.datasets.published import listed, lists_of
from tests.common.datasets.raw_pictures import raw_optic
from tests.common.datasets.raw_prostate import raw_prostate
from tests.contract.bundle import ROOT, Bundle, Run, Shell

TRID = Bundle("trid")
FUNDUS = {"BinRushed": 195, "Magrabia": 95, "REFUGE": 400, "ORIGA": 650, "Drishti_GS": 101}
SITES = {"RUNMC": 30, "BMC": 30, "I2CVB": 19, "UCL": 13, "BIDMC": 12, "HK": 12}


@pytest.mark.parametrize(("overlay", "counts"), [("paper", FUNDUS), ("prostate", SITES)])
def test_all_of_the_other_domains_are_trained_on(tmp_path, overlay, counts):
    """trid/docs/method.md#fundus-photographs, trid/docs/method.md#prostate-mr."""
    folder = listed(tmp_path / "data", counts)
    for held_out, number in counts.items():
        sources = [domain for domain in counts if domain != held_out]
        lists = lists_of("trid", overlay, folder, sources)
        sizes = [len(lists[section]) for section in ("training", "validation", "test")]
        assert sizes == [sum(counts.values()) - number, 0, number]


def test_numbers_are_those_of_the_readers():
    assert FUNDUS.items() <= optic.READER.published.items()
    assert {site: len(numbers) for site, numbers in prostate.CASES.items()} == SITES


@pytest.mark.full
def test_runs_on_the_real_layouts_say_what_they_train_on(tmp_path):
    prepare("optic", raw_optic(tmp_path / "raw"), tmp_path / "optic")
    raw = raw_prostate(tmp_path / "scans", {"RUNMC": 2, "HK": 1}, {"RUNMC": "ISBI"})
    prepare("prostate", raw, tmp_path / "prostate", partial=True)
    for overlay, folder, sources, told in (
        ("paper", "optic", ["BinRushed", "REFUGE"], "5 cases"),
        ("prostate", "prostate", ["RUNMC"], "2 cases (8 slices)"),
    ):
        run = Run(TRID, tmp_path / f"run {overlay}", tmp_path / "unused")
        settings = {**run.base, **TRID.quick[overlay], "dataset_dir": tmp_path / folder}
        settings["source_domains"] = str(sources)
        files = [TRID.config_file("train"), TRID.config_file(overlay)]
        output = Shell(ROOT, tmp_path).run(files, settings).ok()
        assert f"training on {told}, keeping the weights of the lowest loss" in output.out + output.err
