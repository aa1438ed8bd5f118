from __future__ import annotations

import pytest

from common.errors import InputError
from common.new.like import Like
from common.new.recipe import start_of
from common.recipes.checkout import ROOT


def recipe_like(like: str) -> dict:
    return start_of("throwaway", Like(like, ROOT)).recipe


def test_same_parts_and_same_data():
    recipe, other = recipe_like("trid"), Like("trid", ROOT).recipe
    assert recipe["on"] == other["on"]
    assert recipe["both"]["dataset_dir#source"] == other["both"]["dataset_dir#source"]
    assert recipe["both"]["+dataset_dir"] == other["both"]["+dataset_dir"]
    assert recipe["both"]["network_def"]["_target_"] == "throwaway.network.Throwaway"


def test_start_of_a_later_part_removes_gaps():
    """size_of_weights sets what pictures alone leaves to fill."""
    assert "image_size" in recipe_like("grata")["inference"]
    assert "image_size" not in recipe_like("vptta")["inference"]


def test_channels_are_those_of_the_first_network():
    """KiTS21 predicts nested regions; the first network of a bundle like it predicts classes."""
    metadata = recipe_like("kits21")["metadata"]
    assert metadata["+network_data_format#outputs#pred"]["num_channels"] == 4
    assert metadata["pred_classes"] == "4 channels, softmax"
    assert "scored" not in metadata


def test_nodes_that_no_part_knows_are_copied_without_the_method():
    recipe = recipe_like("easr_dcn")
    assert recipe["train"]["datalist"]["_target_"] == "throwaway.data.pair_datalist"
    assert "regions" not in recipe["both"]
    recipe = recipe_like("divsbl")
    assert recipe["train"]["baselines"] == {}
    assert "sbl" not in recipe["nodes"]


def test_nothing_is_known_of_such_a_bundle(monkeypatch):
    monkeypatch.setattr(Like, "output", property(lambda like: "report"))
    with pytest.raises(InputError, match=r"a report, .*; write common/new/starts/outputs/report\.json"):
        recipe_like("divsbl")
