"""CT and MR in one data set: what the plan keeps of each, and who is refused."""

from __future__ import annotations

import json
import logging

import numpy as np
import pytest

from common.datasets import (
    PlanOptions,
    evaluation_plan,
    images_to_predict,
    plan_of_cases,
    read_datalist,
    training_plan,
)
from common.datasets.plan.plan_file import read_plan
from common.errors import InputError

OPTIONS = {"channels": 1, "classes": 3}


def magnitude(seed: int) -> np.ndarray:
    """An MR volume: no value below 0."""
    return np.random.default_rng(seed).integers(0, 800, (6, 5, 4)).astype(np.int16)


@pytest.fixture
def mixed(tiny):
    """Two CT and two MR cases; the MR volumes have voxels of (1.5, 1.5, 4) mm."""
    for number in (1, 3):
        affine = np.diag([1.5, 1.5, 4.0, 1.0])
        tiny.write(f"imagesTr/c{number}.nii.gz", magnitude(number), affine)
        tiny.write(f"labelsTr/c{number}.nii.gz", tiny.label(), affine)
    names = ["CT", "mr"] * 2
    tiny.training = [{**case, "modality": name} for case, name in zip(tiny.training, names, strict=True)]
    tiny.test = [{**tiny.test[0], "modality": "CT"}]
    tiny.save(modality={"0": "CT or MR"})
    return tiny


def plan_of(folder, *, modality=None, save_as=None, **options):
    cases = read_datalist(folder, holdout=0, modality=modality)["training"]
    return training_plan(cases, PlanOptions(**OPTIONS, **options), save_as=save_as)


def test_each_modality_has_the_spacing_and_the_scaling_of_its_own_cases(mixed, tmp_path):
    path = tmp_path / "plan.json"
    plan = plan_of(mixed.root, save_as=path)
    assert plan["spacing"] == {"CT": [3, 2, 1], "MR": [4, 1.5, 1.5]}
    (ct,) = plan["intensity"]["CT"]
    pooled = np.concatenate([mixed.image(i)[mixed.label() > 0] for i in (0, 2)])
    assert ct["mean"] == pytest.approx(pooled.mean(), abs=0.006)
    assert plan["intensity"]["MR"] == [{"scheme": "zscore"}]
    assert plan["cases"] == 4
    assert "modality" not in plan
    assert read_plan(path) == plan


def test_cases_of_one_modality_are_planned_as_any_others(mixed):
    ct = plan_of(mixed.root, modality="ct")
    assert (ct["modality"], ct["cases"], ct["spacing"]) == ("CT", 2, [3, 2, 1])
    assert ct["intensity"] == plan_of(mixed.root)["intensity"]["CT"]
    assert plan_of(mixed.root, modality="MR")["intensity"] == [{"scheme": "zscore"}]


def test_without_modalities_the_plan_is_written_as_before(tiny, tmp_path):
    path = tmp_path / "plan.json"
    plan_of(tiny.root, save_as=path)
    pooled = np.concatenate([tiny.image(i)[tiny.label() > 0] for i in range(4)])
    low, high = (round(float(value), 2) for value in np.percentile(pooled, [0.5, 99.5]))
    mean, sd = round(float(pooled.mean()), 2), round(float(pooled.std()), 2)
    expected = {
        "dataset": "Tiny",
        "cases": 4,
        "axcodes": "SPL",
        "spacing": [3.0, 2.0, 1.0],
        "intensity": [{"scheme": "ct", "clip": [low, high], "mean": mean, "sd": sd}],
        "labels": {"0": "background", "1": "liver", "2": "tumour"},
        "channels": 1,
        "classes": 3,
    }
    assert path.read_text() == json.dumps(expected, indent=2) + "\n"


def test_a_spacing_given_for_each_modality(mixed):
    assert plan_of(mixed.root, spacing={"ct": [3, 1, 1], "MR": [4, 2, 2]})["spacing"] == {
        "CT": [3, 1, 1],
        "MR": [4, 2, 2],
    }
    assert set(map(tuple, plan_of(mixed.root, spacing=[2, 2, 2])["spacing"].values())) == {(2, 2, 2)}
    with pytest.raises(InputError, match=r"nothing for cases of modality MR"):
        plan_of(mixed.root, spacing={"CT": [3, 1, 1]})
    mixed.save(training=[{key: case[key] for key in ("image", "label")} for case in mixed.training], test=[])
    with pytest.raises(InputError, match="cases that do not name their modality"):
        plan_of(mixed.root, spacing={"CT": [3, 1, 1]})


def test_a_case_that_does_not_say_is_named(mixed):
    del mixed.training[2]["modality"]
    mixed.save()
    with pytest.raises(InputError, match=r"training\[2\]\.modality is not given; expected .*\(CT, MR\)"):
        plan_of(mixed.root)


@pytest.mark.parametrize("name", ["", "$x", " CT", 3])
def test_a_name_that_is_none(mixed, name):
    mixed.training[0]["modality"] = name
    mixed.save()
    with pytest.raises(InputError, match=r"training\[0\]\.modality"):
        plan_of(mixed.root)


def test_a_modality_that_no_case_has(mixed, tiny):
    with pytest.raises(InputError, match=r"no case of modality PET; found CT, MR: correct --modality"):
        read_datalist(mixed.root, modality="PET")
    tiny.save(training=[{key: case[key] for key in ("image", "label")} for case in tiny.training], test=[])
    assert len(read_datalist(tiny.root, modality="CT", holdout=0)["training"]) == 4, "no case says what it is"


def test_cases_are_held_out_of_the_modality_alone(mixed):
    lists = read_datalist(mixed.root, modality="MR", holdout=0.5)
    assert (lists["training"].places, lists["validation"].places) == (["training[1]"], ["training[3]"])
    assert lists["test"] == []


def test_a_plan_of_one_modality_refuses_others(mixed, tmp_path):
    """By the names that cases give, in what is predicted, scored and trained on further."""
    path = tmp_path / "plan.json"
    plan = plan_of(mixed.root, modality="CT", save_as=path)
    mixed.save(test=[mixed.test[0], {"image": mixed.training[1]["image"], "modality": "MR"}])
    told = r"test\[1\]: its modality is MR; the weights were trained on CT"
    for one in (plan, {key: value for key, value in plan.items() if key != "modality"}):
        with pytest.raises(InputError, match=told):
            images_to_predict(mixed.root, channels=1, plan=one)
    lists = read_datalist(mixed.root, holdout=0)
    with pytest.raises(InputError, match=r"training\[1\]: its modality is MR"):
        evaluation_plan(lists, "training", PlanOptions(**OPTIONS), path=path)
    cases = [dict(case) for case in lists["training"]]
    with pytest.raises(InputError, match=r"training\[1\]: its modality is MR"):
        plan_of_cases(cases, PlanOptions(**OPTIONS), save_as=path)


def test_cases_of_other_modalities_are_left_out_on_request(mixed, caplog):
    plan = plan_of(mixed.root, modality="CT")
    mr = {"image": mixed.training[1]["image"], "modality": "MR"}
    mixed.save(test=[mr, mixed.test[0]])
    with caplog.at_level(logging.WARNING):
        (case,) = images_to_predict(mixed.root, channels=1, plan=plan, skip_others=True)
    assert case["image"].endswith("t0.nii.gz")
    assert "1 of 2 cases are left out: they are MR, and the weights were trained on CT" in caplog.text
    mixed.save(test=[mr])
    with pytest.raises(InputError, match=r"test\[0\]: its modality is MR"):
        images_to_predict(mixed.root, channels=1, plan=plan, skip_others=True)


def test_images_of_a_folder_are_of_the_modality_given(mixed):
    plan, folder = plan_of(mixed.root), mixed.root / "imagesTs"
    with pytest.raises(InputError, match=r"nothing says of which modality .* CT and MR: say .*--modality"):
        images_to_predict(folder, channels=1, plan=plan)
    assert [one["modality"] for one in images_to_predict(folder, channels=1, plan=plan, modality="MR")] == [
        "MR"
    ]
    listed = images_to_predict(mixed.root, channels=1, plan=plan, modality="MR")
    assert [one["modality"] for one in listed] == ["CT"], "its entry says so"
    with pytest.raises(InputError, match="its modality is PET"):
        images_to_predict(folder, channels=1, plan=plan, modality="PET")


def test_mr_for_a_network_of_ct_is_told_by_its_values(tiny, caplog):
    plan = plan_of(tiny.root)
    tiny.write("imagesTs/t0.nii.gz", magnitude(7))
    with caplog.at_level(logging.WARNING):
        images_to_predict(tiny.root, channels=1, plan=plan)
    assert "t0.nii.gz has values" in caplog.text
    assert "for another modality these weights are worthless" in caplog.text
    caplog.clear()
    tiny.write("imagesTs/t0.nii.gz", tiny.image(7))
    with caplog.at_level(logging.WARNING):
        images_to_predict(tiny.root, channels=1, plan=plan)
    assert not caplog.text
