"""Every training can hold out a fold, and keeps its files apart from other runs'."""

from __future__ import annotations

import pytest

from common.bundles import parse_config

pytestmark = pytest.mark.always


def test_training_takes_a_fold(bundle):
    """Unless one is given, all is as without folds."""
    train = bundle.config("train")
    assert train["fold"] is None
    assert train["folds"] > 1
    assert (train["datalist"]["fold"], train["datalist"]["folds"]) == ("@fold", "@folds")
    places = {"ckpt_dir": "models", "output_dir": "eval"}
    without, third = (parse_config(bundle.name, "train", fold=fold, folds=4) for fold in (None, 2))
    for key, name in places.items():
        assert without.get_parsed_content(key) == f"{bundle.root}/{name}"
        assert third.get_parsed_content(key) == f"{bundle.root}/{name}/fold_2"
    assert parse_config(bundle.name, "inference").get_parsed_content("ckpt_dir") == f"{bundle.root}/models"


def test_a_folds_own_cases_are_scored(bundle):
    named = bundle.config("evaluate")["evaluation_list"]
    chosen = [eval(named[1:].replace("@fold", "fold"), {"fold": fold}) for fold in (None, 0)]
    assert chosen == ["test", "validation"]


def test_a_plan_is_made_of_all_folds(bundle):
    """So that all have one plan; of the training list alone where there is no fold."""
    if not bundle.has_plan:
        pytest.skip("no plan")
    found = [
        parse_config(bundle.name, "train", fold=fold).get_parsed_content("plan_options").lists
        for fold in (None, 0)
    ]
    assert found == [["training"], ["training", "validation"]]
