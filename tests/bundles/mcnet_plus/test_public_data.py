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
@pytest.mark.parametrize(
    ("overlays", "dataset", "write", "small", "line"),
    [
        (
            ["paper"],
            "la2018",
            left_atrium,
            SMALL,
            "8 labelled cases and 62 unlabelled, choosing weights on 10",
        ),
        (
            ["paper", "pancreas"],
            "pancreas_ct",
            write_prepared_pancreas,
            SMALL,
            "6 labelled cases and 48 unlabelled, choosing weights on 8",
        ),
        (
            ["acdc"],
            "acdc",
            write_acdc,
            {"patch_size": [32, 32]},
            "14 labelled cases (7 patients, 136 slices) and 126 unlabelled (63 patients, 1176 slices), "
            "choosing weights on 20 (10 patients)",
        ),
    ],
    ids=["paper", "pancreas", "acdc"],
)
def test_the_published_numbers_of_cases(overlays, dataset, write, small, line, tmp_path):
    raw = write(tmp_path / "raw")
    assert line_of_start(MCNET, overlays, raw, dataset, tmp_path, **small) == f"training on {line}"


@pytest.mark.full
def test_as_published_weights_are_chosen_on_the_test_list(tmp_path):
    """``--choose_on test``: nothing is held out, and a line says what that means."""
    raw = left_atrium(tmp_path / "raw")
    line = line_of_start(MCNET, ["paper"], raw, "la2018", tmp_path, **SMALL, choose_on="test")
    assert line == "training on 8 labelled cases and 72 unlabelled, choosing weights on 20"
    assert line_for(tmp_path / "la2018", num_labelled=16, holdout=10) == (
        "training on 16 labelled cases and 54 unlabelled, choosing weights on 10"
    )
