"""What the check before a run must refuse, and what it must accept."""

from __future__ import annotations

import json
import re

import pytest
import torch
from monai.bundle import ConfigParser, ConfigWorkflow

from common.checkpoints.store import save_state
from common.errors import InputError, root_input_error
from common.preflight import begin, check_config


def config(**changes):
    """A small run as a parser returns it; keys with # are paths into it."""
    parser = ConfigParser(
        {
            "imports": ["$import torch"],
            "epochs": 3,
            "width": 4,
            "sizes": {"small": 1, "large": [2, 3]},
            "network_def": {"_target_": "torch.nn.Linear", "in_features": "@width", "out_features": 2},
            "train": {
                "inferer": {"_target_": "SimpleInferer"},
                "steps": "$@epochs * @sizes#small + @sizes#large#1",
                "trainer": {"_target_": "builtins.dict", "steps": "@train#steps"},
            },
            "run": ["$@train#trainer"],
        }
    )
    parser.update(changes)
    return parser.get()


def refusal(**changes) -> str:
    with pytest.raises(InputError) as caught:
        check_config(config(**changes))
    message = str(caught.value)
    assert "\n" not in message
    return message


def test_sound_config_passes():
    check_config(config())


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"epocs": 3}, 'nothing reads "epocs"; did you mean "epochs"?'),
        ({"train#trainr": 3}, 'nothing reads "train#trainr"; did you mean "trainer"?'),
        ({"sizes#smal": 3}, 'nothing reads "sizes#smal"; did you mean "small"?'),
        ({"network_def#out_feature": 3}, 'no argument "out_feature"; did you mean "out_features"?'),
        ({"network_def#_target_": "torch.nn.Linea"}, "network_def: there is no torch.nn.Linea to import"),
        ({"network_def#_target_": "nonesuch.Net"}, "network_def: there is no nonesuch.Net to import"),
        ({"train#steps": "@epocs"}, 'refers to @epocs, which is not there; did you mean "epochs"?'),
        ({"train#steps": "@sizes#smll"}, '@sizes#smll, which is not there; did you mean "small"?'),
        ({"train#steps": "@sizes#large#7"}, "refers to @sizes#large#7, which is not there"),
        ({"epochs": "false"}, 'epochs is the text "false", which counts as true; write False'),
        ({"sizes#small": "null"}, 'sizes#small is the text "null", which counts as true; write None'),
    ],
)  # fmt: skip
def test_refused(changes, says):
    assert says in refusal(**changes)


def test_missing_argument():
    assert "network_def: Linear needs out_features" in refusal(
        network_def={"_target_": "torch.nn.Linear", "in_features": "@width"}
    )


def test_component_inside_a_list_is_named_by_its_place():
    steps = [{"_target_": "SimpleInferer"}, {"_target_": "torch.nn.ReLU", "inplac": True}]
    assert 'train#steps#1: ReLU has no argument "inplac"; did you mean "inplace"?' in refusal(
        **{"train#steps": steps}
    )


@pytest.mark.parametrize(
    "changes",
    [
        {"sizes#large": [5, 6, 7]},  # another value
        {"network_def": {"_target_": "torch.nn.Sequential", "_args_": ["$torch.nn.Linear(@width, 2)"]}},
        {"network_def#_disabled_": True},
        {"network_def#_desc_": "why"},
        {"train#trainer#anything": 1},  # dict(**anything) takes it
        {"train#trainer#weight": "@network_def#weight"},  # known only when the network is built
        {"train#preprocessing": {"_target_": "Compose"}},  # read by MONAI Label
        {"finalize": ["$print(@epochs)"]},
        {"epochs": "false_positives"},  # contains the word but is another
    ],
)
def test_accepted(changes):
    check_config(config(**changes))


def test_key_that_another_config_of_the_bundle_reads():
    """An overlay may have replaced the only reader in this run."""
    changed = config(warmup=3)
    with pytest.raises(InputError):
        check_config(changed)
    check_config(changed, [{"schedule": "$@warmup + 1"}])


def test_a_dangling_reference_is_refused_anywhere():
    assert "refers to @below, which is not there" in refusal(**{"sizes#large": [2, "@below"]})
    assert "Give it with --below" in refusal(**{"sizes#large": [2, "@below"]})


def test_begin_belongs_in_a_workflow():
    with pytest.raises(RuntimeError, match=re.escape("common.preflight.begin() belongs into")):
        begin()


def planned_run(folder, extra, **overrides):
    """The parsed plan of a run, as ``python -m monai.bundle run`` makes it."""
    inference = {
        "ckpt_path": str(folder / "model.pt"),
        "plan": {
            "_target_": "common.datasets.load_plan",
            "path": str(folder / "plan.json"),
            "weights": "@ckpt_path",
            "default": {"spacing": [1, 1, 1]},
        },
    }
    begin = {
        "imports": ["$import common", "$import common.preflight"],
        "run": ["$common.preflight.begin()", "$@plan"],
    }
    (folder / "configs").mkdir(exist_ok=True)
    (folder / "configs/inference.json").write_text(json.dumps({**inference, **begin}))
    (folder / "configs/other.json").write_text(json.dumps({**begin, "plan": {}, **extra}))
    file = folder / "configs" / ("other.json" if extra else "inference.json")
    workflow = ConfigWorkflow(config_file=str(file), workflow_type="infer", logging_file=False, **overrides)
    workflow.initialize()
    return workflow.run()[1]


def test_published_settings_are_asked_for_with_a_word(tmp_path):
    """In inference, where weights without a plan are refused, and in evaluation."""
    save_state(torch.nn.Linear(1, 1), tmp_path / "model.pt")
    with pytest.raises(RuntimeError) as caught:
        planned_run(tmp_path, {})
    assert "--plan published" in str(root_input_error(caught.value))
    assert planned_run(tmp_path, {}, plan="published") == {"spacing": [1, 1, 1]}
    evaluation = {"evaluation_list": "test", "epochs": "@evaluation_list"}
    assert planned_run(tmp_path, evaluation, plan="published") == {"spacing": [1, 1, 1]}
    for extra, word, message in (
        ({}, "publisht", 'plan is "publisht"; expected "published"'),
        ({"epochs": 1}, "published", "is for inference and evaluation; leave it out"),
    ):
        with pytest.raises(RuntimeError) as caught:
            planned_run(tmp_path, extra, plan=word)
        assert message in str(root_input_error(caught.value))
