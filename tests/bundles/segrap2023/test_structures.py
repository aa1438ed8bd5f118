"""The two tasks, and left and right in the label algebra: segrap2023/docs/method.md#structures."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch

import common  # noqa: F401 (makes bundles importable)
from common.bundles import bundle_folder
from common.config_walk import components
from common.datasets.raw.segrap_classes import (
    GTVS,
    ORGANS,
    channel_pairs,
    class_pairs,
    compose,
    expand,
)
from common.errors import InputError
from common.transforms.paired_flip import RandPairedFlipd, swap_channels
from segrap2023.structure_metrics import StructureDice, structure_names
from segrap2023.structures import exchanged_classes, mirrored_axes, structures_of, tolerance_mm


def random_map(seed: int, shape=(5, 6, 7)) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 55, shape).astype(np.uint8)


@pytest.mark.parametrize("seed", range(3))
def test_classes_come_back(seed):
    fine = random_map(seed)
    found, conflicts = compose(expand(fine))
    assert np.array_equal(found, fine)
    assert not conflicts


def test_a_flip_with_swap_commutes_with_expand():
    fine = torch.from_numpy(random_map(0))[None]
    flip = RandPairedFlipd("label", ["label"], class_pairs(), axis=2, prob=1.0)
    after = expand(flip({"label": fine})["label"][0].numpy())
    before = torch.from_numpy(expand(fine[0].numpy())).flip(3)
    assert np.array_equal(after, swap_channels(before, channel_pairs()).numpy())
    assert not np.array_equal(after, before.numpy())


def test_sizes_of_the_unions():
    sizes = {name: len(classes) for name, classes in ORGANS.items() if len(classes) > 1}
    twos = ("TemporalLobe", "Hippocampus", "Eye", "TympanicCavity", "VestibulSemi", "ETbone")
    assert sizes == {
        "Brain": 9,
        "MiddleEar_L": 6,
        "MiddleEar_R": 6,
        "Larynx": 4,
        "PharynxConst": 2,
        **{f"{name}_{side}": 2 for name in twos for side in "LR"},
    }


def test_tasks_and_tolerances():
    assert structures_of("organs") is ORGANS
    assert structures_of("tumours") is GTVS
    with pytest.raises(InputError, match="expected one of: organs, tumours"):
        structures_of("organ")
    others = {name: tolerance_mm(name) for name in [*ORGANS, *GTVS] if tolerance_mm(name) != 1.0}
    assert others == {"Larynx": 2.0, "OralCavity": 3.0}


def test_other_labels_are_structures_of_their_own():
    """A network of five classes is none of organs: its second class is no brain stem."""
    names = {1: "cord", 2: "lung", 3: "heart", 4: "aorta"}
    own = structures_of("organs", names)
    assert own == {"cord": (1,), "lung": (2,), "heart": (3,), "aorta": (4,)}
    assert structure_names("organs", names) == {1: "cord", 2: "lung", 3: "heart", 4: "aorta"}
    assert structures_of("organs", dict.fromkeys(range(1, 55), "")) is ORGANS
    assert structures_of("tumours", dict.fromkeys(range(1, 3), "")) is GTVS
    fine = torch.arange(5).reshape(1, 1, 5, 1, 1)
    metric = StructureDice("organs", names)
    metric(fine, torch.tensor([0, 1, 1, 3, 4]).reshape(1, 1, 5, 1, 1))
    assert metric.get_buffer().tolist() == [[0.6667, 0.0, 1.0, 1.0]]


def test_organs_are_not_mirrored_from_left_to_right():
    assert mirrored_axes([0, 1], "organs", 55) == [0, 1]
    assert mirrored_axes([0, 1, 2], "tumours", 3) == [0, 1, 2]
    assert mirrored_axes([2], "organs", 5) == [2], "labels of one's own"
    for axes in ([0, 1, 2], [-1]):
        with pytest.raises(InputError, match="axis 2 exchanges left and right"):
            mirrored_axes(axes, "organs", 55)


def test_paired_flips_exchange_the_classes_of_the_task():
    assert exchanged_classes(False, "organs", 5) is None
    assert exchanged_classes(True, "organs", 55) == list(class_pairs())
    assert exchanged_classes(True, "tumours", 3) == []
    with pytest.raises(InputError, match="which of 5 classes are left and right is not known"):
        exchanged_classes(True, "organs", 5)


def test_everything_that_names_structures_knows_the_networks_classes():
    for config, targets in (
        ("inference", {"SaveStructuresd"}),
        ("evaluate", {"StructureDice", "StructureSurfaceDice", "StructurePage"}),
    ):
        raw = json.loads((bundle_folder("segrap2023") / "configs" / f"{config}.json").read_text())
        nodes = {node["_target_"].rpartition(".")[2]: node for _, node in components(raw)}
        assert all(nodes[target]["names"] == "@names" for target in targets)
    assert nodes["CaseTable"]["names"] == "$segrap2023.structure_metrics.structure_names(@task, @names)"
