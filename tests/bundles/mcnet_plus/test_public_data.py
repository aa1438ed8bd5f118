"""The published recipes start on tiny copies of their data sets' real layouts, with the published numbers."""

from __future__ import annotations

import pytest

from tests.bundles.few_labels import line_for, line_of_start
from tests.common.datasets.raw_left_atrium import RawLeftAtrium
from tests.common.datasets.raw_volumes import write_acdc, write_prepared_pancreas
from tests.contract.bundle import Bundle

MCNET = Bundle("mcnet_plus")
SMALL = {"patch_size": [16, 16, 16], "stride": [16, 16, 16]}


def left_atrium(root):
    return RawLeftAtrium(root, training=80, test=20).root


@pytest.mark.full
def test_left_atrium(tmp_path):
    line = line_of_start(MCNET, ["paper"], left_atrium(tmp_path / "raw"), "la2018", tmp_path, **SMALL)
    assert line == "training on 8 labelled cases and 62 unlabelled, choosing weights on 10"
    assert line_for(tmp_path / "la2018", num_labelled=16, holdout=10) == (
        "training on 16 labelled cases and 54 unlabelled, choosing weights on 10"
    )


@pytest.mark.full
def test_pancreas(tmp_path):
    raw = write_prepared_pancreas(tmp_path / "raw")
    line = line_of_start(MCNET, ["paper", "pancreas"], raw, "pancreas_ct", tmp_path, **SMALL)
    assert line == "training on 6 labelled cases and 48 unlabelled, choosing weights on 8"
    assert line_for(tmp_path / "pancreas_ct", num_labelled=12, holdout=8) == (
        "training on 12 labelled cases and 42 unlabelled, choosing weights on 8"
    )


@pytest.mark.full
def test_acdc(tmp_path):
    line = line_of_start(MCNET, ["acdc"], write_acdc(tmp_path / "raw"), "acdc", tmp_path, patch_size=[32, 32])
    assert line == (
        "training on 14 labelled cases (7 patients, 136 slices) and 126 unlabelled (63 patients, "
        "1176 slices), choosing weights on 20 (10 patients)"
    )


@pytest.mark.full
def test_as_published_weights_are_chosen_on_the_test_list(tmp_path):
    """``--choose_on test``: nothing is held out, and a line says what that means."""
    raw = left_atrium(tmp_path / "raw")
    line = line_of_start(MCNET, ["paper"], raw, "la2018", tmp_path, **SMALL, choose_on="test")
    assert line == "training on 8 labelled cases and 72 unlabelled, choosing weights on 20"
