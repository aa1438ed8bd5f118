"""The schemas of dataset.json and plan.json: every value has a type and a range, and none can be run."""

from __future__ import annotations

import json
import re
import time
from pathlib import Path

import pytest

from common.datasets import read_datalist
from common.datasets.check.check import check_cases
from common.datasets.lists.datalist import read_description
from common.datasets.plan.plan_file import check_plan, read_plan
from common.errors import InputError

ROOT = Path(__file__).resolve().parents[2]
SCHEMAS = sorted((ROOT / "common" / "datasets").rglob("*_schema.json"))
CONFIGS = sorted(ROOT.glob("bundles/*/configs/*.json"))
PLAN = {"intensity": [{"scheme": "ct", "clip": [-1, 1], "mean": 0.5, "sd": 1}], "labels": {"1": "liver"}}
CASES = {"training": [{"image": "a.nii", "label": "b.nii"}, {"image": "c.nii", "label": 1}]}


def parts(schema: dict) -> list[dict]:
    """The subschemas that can fail, the schema itself first."""
    named = [*schema.get("properties", {}).values(), *schema.get("patternProperties", {}).values()]
    single = [
        schema[key] for key in ("items", "additionalProperties", "propertyNames", "then") if key in schema
    ]
    inside = [one for one in [*named, *single] if isinstance(one, dict)]
    return [schema, *(part for one in inside for part in parts(one))]


@pytest.mark.parametrize("file", SCHEMAS, ids=lambda file: file.stem)
def test_every_part_of_a_schema_says_what_is_expected(file):
    assert all(part.get("description") for part in parts(json.loads(file.read_text())))


@pytest.mark.parametrize("file", CONFIGS, ids=lambda file: f"{file.parts[-3]}-{file.stem}")
def test_what_inference_needs_of_a_plan_has_a_range(file):
    schema = json.loads((ROOT / "common/datasets/plan/plan_schema.json").read_text())
    plan = json.loads(file.read_text()).get("plan") or {}
    needed = {**(plan.get("inference") or {}), **(plan.get("default") or {})}
    patterns = "|".join(schema["patternProperties"])
    assert not [key for key in needed if key not in schema["properties"] and not re.search(patterns, key)]
    if plan.get("default"):
        check_plan(plan["default"], file)


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"spacing": [1, 0, 1]}, r"spacing\[1\] = 0; expected a length above 0"),
        ({"spacing": [1, 1]}, r"spacing = \[1, 1\]; expected three lengths"),
        ({"spacing": None}, "spacing = null; expected three lengths"),
        ({"channels": "$__import__('os')"}, r"channels: .*would be run as code"),
        ({"labels": {"1": "@network"}}, r"labels\.1: .*would be run"),
        ({"labels": {"$x": "liver"}}, "labels: .*would be run"),
        ({"labels": {"one": "liver"}}, "expected the value of a label as key"),
        ({"note": ["%a.json"]}, r"note\[0\]: .*would be run"),
        ({"_target_": "os.system"}, "_target_.*would be run"),
        ({"channels": 2.0}, "channels = 2.0; expected a number of channels"),
        ({"channels": True}, "channels = true; expected a number of channels"),
        ({"classes": 10**9}, "classes = 1000000000; expected a number of classes from 1 to 65536"),
        ({"patch_size": [96, 96, 10**6]}, r"patch_size\[2\] = 1000000; expected a whole number"),
        ({"prompt_lr": "fast"}, 'prompt_lr = "fast"; expected a number above 0'),
        ({"axcodes": "SSL"}, 'axcodes = "SSL"; expected three letters'),
        ({"intensity": [{"scheme": "ct"}]}, r"intensity\[0\] = .*expected \"clip\""),
        ({"intensity": [{"scheme": "log"}]}, r"intensity\[0\]\.scheme = \"log\"; expected one of"),
        ({"mirror_axes": [0, 3]}, r"mirror_axes\[1\] = 3; expected an axis"),
        ({"run": "../../x y"}, "run = .*expected the id of a run"),
        ({"other": {"a": 1}}, "other = .*expected a number, text"),
    ],
)
def test_a_plan_with_a_bad_value_names_the_file_the_key_and_what_is_allowed(tmp_path, changed, words):
    file = tmp_path / "plan.json"
    file.write_text(json.dumps(PLAN))
    assert read_plan(file) == PLAN
    file.write_text(json.dumps(PLAN | changed))
    with pytest.raises(InputError, match=words) as told:
        read_plan(file)
    assert str(told.value).startswith(str(file))


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"training": [{"image": "$open('x')"}]}, r"training\[0\]\.image: .*would be run as code"),
        ({"training": [{"image": "a.nii", "report": "@b"}]}, r"training\[0\]\.report: .*would be run"),
        ({"name": 3}, "name = 3; expected the name"),
        ({"training": [{"image": 7}]}, r"training\[0\]\.image = 7; expected the path"),
        ({"training": [{"image": "a.nii", "label": -1}]}, r"training\[0\]\.label = -1; expected"),
        ({"training": [{"image": "a.nii", "domain": ["A"]}]}, r"training\[0\]\.domain = .*expected the name"),
        ({"labels": {"1": None}}, r"labels\['1'\] = null; expected one integer"),
        ({"domains": ["A", "A"]}, "domains = .*each once"),
        ({"modality": {"0": 3}}, r"modality\['0'\] = 3; expected the modality"),
        ({"numTraining": -1}, "numTraining = -1; expected a number of cases"),
    ],
)
def test_a_bad_value_in_dataset_json(tmp_path, changed, words):
    file = tmp_path / "dataset.json"
    file.write_text(json.dumps(CASES))
    assert len(read_datalist(tmp_path, holdout=0)["training"]) == 2
    file.write_text(json.dumps(CASES | changed))
    with pytest.raises(InputError, match=words) as told:
        read_description(tmp_path)
    assert str(told.value).startswith(str(file))


def test_thousands_of_cases_are_checked_once(tmp_path):
    cases = [{"image": f"i{n}.nii.gz", "label": f"l{n}.nii.gz", "domain": "A"} for n in range(5000)]
    (tmp_path / "dataset.json").write_text(json.dumps({"training": cases}))
    started = time.process_time()
    first = read_description(tmp_path)
    assert time.process_time() - started < 5
    assert read_description(tmp_path) is first


def test_two_classes_of_one_name_are_an_error():
    needs = {"channels": None, "classes": None}
    twins = {0: "background", 1: "liver", 2: " liver"}
    found = [one for one in check_cases([], **needs, declared=twins) if one.severity == "error"]
    assert [one.found for one in found] == ["has the name 'liver' for the values {1, 2}"]
    assert not check_cases([], **needs, declared=twins, label_map={2: 1})
    assert not check_cases([], **needs, declared={0: "background", 1: "liver", 2: "tumour"})
