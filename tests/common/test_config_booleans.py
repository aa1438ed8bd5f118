"""Words for booleans in a config: ``--resume no`` is no, and ``--resume off`` is refused."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from monai.bundle import ConfigWorkflow

from common.bundles import parse_config
from common.config_booleans import read_booleans
from common.errors import InputError, root_input_error
from tests.contract.bundle import NAMES, Bundle

#: A run that returns its parsed values.
CONFIG = {
    "imports": ["$import common", "$import common.preflight"],
    "resume": False,
    "amp": "$torch.cuda.is_available()",
    "nested": {"adapt": True, "rate": 1.5},
    "linear": {"_target_": "torch.nn.Linear", "in_features": 2, "out_features": 2, "bias": "@bias"},
    "bias": "$1 > 2",
    "inferer": {"_target_": "monai.inferers.SlidingWindowInferer", "roi_size": [4, 4], "progress": True},
    "run": [
        "$common.preflight.begin()",
        "$[@resume, @amp, @nested#adapt, @linear.bias is not None, @inferer.progress]",
        "$@nested#rate",
    ],
}


def run(folder: Path, **overrides):
    """As ``python -m monai.bundle run`` does it; returns the result of the second item of ``run``."""
    file = folder / "configs" / "train.json"
    file.parent.mkdir(exist_ok=True)
    file.write_text(json.dumps(CONFIG))
    (file.parent / "paper.json").write_text(json.dumps({"amp": True, "nested#adapt": False}))
    workflow = ConfigWorkflow(config_file=str(file), workflow_type="train", logging_file=False, **overrides)
    workflow.initialize()
    return workflow.run()[1]


@pytest.mark.parametrize("word", ["false", "no", "0", "No", "FALSE", 0, False])
def test_words_for_false(word, tmp_path):
    given = ("resume", "amp", "nested#adapt", "bias", "inferer#progress")
    assert run(tmp_path, **dict.fromkeys(given, word)) == [False] * 5


@pytest.mark.parametrize("word", ["true", "yes", "1", "Yes", "TRUE", 1, True])
def test_words_for_true(word, tmp_path):
    given = ("resume", "amp", "nested#adapt", "bias", "inferer#progress")
    assert run(tmp_path, **dict.fromkeys(given, word)) == [True] * 5


@pytest.mark.parametrize("word", ["off", "on", "", "nein", "None", "2"])
@pytest.mark.parametrize("key", ["resume", "amp", "nested#adapt", "bias", "inferer#progress"])
def test_other_words_are_refused_in_one_line(key, word, tmp_path):
    with pytest.raises(RuntimeError) as caught:
        run(tmp_path, **{key: word})
    accepted = "expected one of: true, false, yes, no, 1, 0" + (", force" if key == "resume" else "")
    assert str(root_input_error(caught.value)) == f"config: {key} is {word!r}: not a boolean; {accepted}"


@pytest.mark.parametrize("word", ["force", "FORCE"])
def test_resume_takes_a_third_word(word, tmp_path):
    assert run(tmp_path, resume=word)[0] == "force"
    with pytest.raises(RuntimeError):
        run(tmp_path, amp=word)


@pytest.mark.parametrize("value", [None, 2, 0.5])
def test_numbers_and_null_are_not_booleans(value, tmp_path):
    with pytest.raises(RuntimeError) as caught:
        run(tmp_path, resume=value)
    assert f"resume is {value}: not a boolean" in str(root_input_error(caught.value))


def test_other_values_are_left_alone(tmp_path):
    """An expression, and a word for another kind of option."""
    assert run(tmp_path, resume="$1 < 2", amp="@resume")[:2] == [True, True]
    with pytest.raises(RuntimeError) as caught:
        run(tmp_path, **{"nested#rate": "false"})
    assert 'nested#rate is the text "false"' in str(root_input_error(caught.value))


@pytest.mark.parametrize("name", NAMES)
def test_every_boolean_of_every_bundle(name):
    """Each key that one of the bundle's configs sets to true or false, as typed."""
    files = [json.loads(file.read_text()) for file in (Bundle(name).root / "configs").glob("*.json")]
    for kind in ("train", "inference"):
        config = Bundle(name).config(kind)
        keys = [key for key, value in config.items() if isinstance(value, bool)]
        assert keys or kind == "inference"
        for word, value in (("no", False), ("Yes", True)):
            parsed = parse_config(name, kind, **dict.fromkeys(keys, word)).get()
            assert [key for key in keys if parsed[key] is not value] == []
        for key in keys:
            with pytest.raises(InputError, match=f"config: {key} is 'off': not a boolean"):
                read_booleans({key: "off"}, files)
