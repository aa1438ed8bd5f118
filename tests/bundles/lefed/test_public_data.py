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
@pytest.mark.parametrize(
    ("overlays", "dataset", "write", "line"),
    [
        (["paper"], "la2018", left_atrium, "16 labelled cases and 54 unlabelled, choosing weights on 10"),
        (
            ["paper", "pancreas"],
            "pancreas_ct",
            write_prepared_pancreas,
            "6 labelled cases and 48 unlabelled, choosing weights on 8",
        ),
        (
            ["paper", "brats"],
            "brats2019",
            write_brats2019,
            "25 labelled cases and 225 unlabelled, choosing weights on 25",
        ),
    ],
    ids=["paper", "pancreas", "brats"],
)
def test_the_published_numbers_of_cases(overlays, dataset, write, line, tmp_path):
    raw = write(tmp_path / "raw")
    assert line_of_start(LEFED, overlays, raw, dataset, tmp_path, **SMALL) == f"training on {line}"


def test_other_published_numbers(tmp_path):
    """lefed/docs/method.md#data: 6 or 12 of VerSemi's 62 scans."""
    raw = write_prepared_pancreas(tmp_path / "raw", "pancreas_ct_versemi", side=4)
    prepare("pancreas_ct_versemi", raw, tmp_path / "out")
    for labelled in (6, 12):
        assert line_for(tmp_path / "out", num_labelled=labelled, holdout=8) == (
            f"training on {labelled} labelled cases and {54 - labelled} unlabelled, choosing weights on 8"
        )
