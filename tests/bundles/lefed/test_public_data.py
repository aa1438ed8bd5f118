"""The published recipes start on tiny copies of their data sets' real layouts, with the published numbers."""

from __future__ import annotations

import pytest

from common.datasets.raw.prepare import prepare
from tests.bundles.few_labels import line_for, line_of_start
from tests.common.datasets.raw_left_atrium import RawLeftAtrium
from tests.common.datasets.raw_volumes import write_brats2019, write_prepared_pancreas
from tests.contract.bundle import Bundle

LEFED = Bundle("lefed")
SMALL = {"patch_size": [16, 16, 16], "stride": [16, 16, 16]}


def left_atrium(root):
    return RawLeftAtrium(root, training=80, test=20).root


@pytest.mark.full
def test_left_atrium(tmp_path):
    line = line_of_start(LEFED, ["paper"], left_atrium(tmp_path / "raw"), "la2018", tmp_path, **SMALL)
    assert line == "training on 16 labelled cases and 54 unlabelled, choosing weights on 10"


@pytest.mark.full
def test_pancreas(tmp_path):
    raw = write_prepared_pancreas(tmp_path / "raw")
    line = line_of_start(LEFED, ["paper", "pancreas"], raw, "pancreas_ct", tmp_path, **SMALL)
    assert line == "training on 6 labelled cases and 48 unlabelled, choosing weights on 8"


@pytest.mark.full
def test_brats(tmp_path):
    raw = write_brats2019(tmp_path / "raw")
    line = line_of_start(LEFED, ["paper", "brats"], raw, "brats2019", tmp_path, **SMALL)
    assert line == "training on 25 labelled cases and 225 unlabelled, choosing weights on 25"
    assert line_for(tmp_path / "brats2019", num_labelled=50) == (
        "training on 50 labelled cases and 200 unlabelled, choosing weights on 25"
    )


def test_other_published_numbers(tmp_path):
    """lefed/docs/method.md#data: 6 or 12 of VerSemi's 62 scans."""
    raw = write_prepared_pancreas(tmp_path / "raw", "pancreas_ct_versemi", side=4)
    prepare("pancreas_ct_versemi", raw, tmp_path / "out")
    for labelled in (6, 12):
        assert line_for(tmp_path / "out", num_labelled=labelled, holdout=8) == (
            f"training on {labelled} labelled cases and {54 - labelled} unlabelled, choosing weights on 8"
        )
