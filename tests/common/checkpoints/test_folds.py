"""Folders of folds, and which weights files are averaged."""

from __future__ import annotations

import json
import logging

import pytest

from common.checkpoints.folds import fold_folder, fold_weights, shown_weights, weights_to_average
from common.checkpoints.store import require_weights
from common.errors import InputError

PLAN = {"dataset": "a", "cases": 3, "intensity": [{"scheme": "zscore"}], "labels": {}, "spacing": [1, 1, 2]}


@pytest.fixture
def models(tmp_path):
    """A function that puts weights into folders of ``models/``, with a plan."""

    def make(*names, **changes):
        for name in names:
            folder = tmp_path / "models" / name
            folder.mkdir(parents=True, exist_ok=True)
            (folder / "model.pt").write_bytes(b"weights")
            (folder / "plan.json").write_text(json.dumps({**PLAN, **changes}))
        return tmp_path / "models"

    return make


def names_of(files):
    return [file.parent.name for file in files]


def test_folder_of_a_fold():
    assert fold_folder("/a/models", None, 5) == "/a/models"
    assert fold_folder("/a/models", 2, 4) == "/a/models/fold_2"
    with pytest.raises(InputError, match=r"fold = 4; expected a whole number from 0 to 3 \(folds = 4\)"):
        fold_folder("/a/models", 4, 4)


def test_folds_are_in_the_order_of_their_numbers(models):
    """What an earlier run left is none."""
    folder = models("fold_10", "fold_2", "fold_2_previous", "fold_x", "low_resolution")
    assert names_of(fold_weights(folder)) == ["fold_2", "fold_10"]


def test_the_one_file_there_is(models, caplog):
    folder = models(".")
    with caplog.at_level(logging.WARNING):
        assert weights_to_average(folder / "model.pt") == [folder / "model.pt"]
    assert not caplog.records
    assert weights_to_average("nowhere/model.pt")[0].name == "model.pt", "refused where it is loaded"


def test_folds_where_there_is_no_other_file(models):
    folder = models("fold_0", "fold_1")
    assert names_of(weights_to_average(folder / "model.pt")) == ["fold_0", "fold_1"]
    assert shown_weights(fold_weights(folder)) == f"2 folds: {folder}/fold_0, {folder}/fold_1"


def test_weights_of_all_cases_come_before_folds(models, caplog):
    """One line says that there are folds, and how to have them."""
    folder = models(".", "fold_0", "fold_1")
    with caplog.at_level(logging.WARNING):
        assert weights_to_average(folder / "model.pt") == [folder / "model.pt"]
    assert (
        "used alone; the 2 folds beside it (fold_0, fold_1) are averaged with  --ensemble folds"
        in caplog.text
    )
    assert names_of(weights_to_average(folder / "model.pt", "folds")) == ["fold_0", "fold_1"]


def test_files_by_name(models):
    folder = models("a", "b")
    files = [folder / name / "model.pt" for name in ("b", "a")]
    assert weights_to_average(folder / "model.pt", [str(file) for file in files]) == files
    assert shown_weights(files) == f"2 weights files: {files[0]}, {files[1]}"
    with pytest.raises(InputError, match=r"c/model.pt: there is no such file.*correct --ensemble"):
        weights_to_average(folder / "model.pt", [files[0], folder / "c" / "model.pt"])
    with pytest.raises(InputError, match="ensemble = 'all'; expected \"folds\", or a list of weights files"):
        weights_to_average(folder / "model.pt", "all")
    with pytest.raises(InputError, match=r"holds no fold_0/model.pt or the like"):
        weights_to_average(folder / "model.pt", "folds")


def test_bundles_that_use_one_file_say_which_there_are(models):
    folder = models("fold_3", "fold_4")
    with pytest.raises(
        InputError, match=r"weights of 2 folds are, .* repeat with  --ckpt_dir .*models/fold_3$"
    ):
        require_weights(folder / "model.pt", bundle="cotr")


def test_folds_of_different_plans_are_refused(models):
    """Each was trained on images prepared in its own way; from how many cases it was planned is no matter."""
    folder = models("fold_0", "fold_1")
    models("fold_1", cases=7, dataset="b")
    assert len(weights_to_average(folder / "model.pt")) == 2
    models("fold_1", spacing=[1, 1, 3])
    with pytest.raises(
        InputError, match=r"fold_1/plan.json: differs from .*fold_0/plan.json in spacing; expe"
    ):
        weights_to_average(folder / "model.pt")
    (folder / "fold_1" / "plan.json").write_text("{")
    with pytest.raises(InputError, match=r"fold_1/plan.json: cannot be read as a plan"):
        weights_to_average(folder / "model.pt")
