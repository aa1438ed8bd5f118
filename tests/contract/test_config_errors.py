"""A misspelt thing in a command: one line names it and the closest valid name, and nothing is written."""

from __future__ import annotations

import pytest

MISTAKES = {
    "top-level key": ({"epocs": 3}, ['"epocs"', 'did you mean "epochs"?']),
    "argument": (
        {"network_def#out_chanels": 3},
        ["network_def", '"out_chanels"', 'did you mean "out_channels"?'],
    ),
    "key of a group": ({"train#trainr": 1}, ['"train#trainr"', 'did you mean "trainer"?']),
    "target": (
        {"network_def#_target_": "{name}.network.Nonesuch"},
        ["network_def", "{name}.network.Nonesuch"],
    ),
    "reference": ({"seed": "@learning_rat"}, ["@learning_rat", 'did you mean "learning_rate"?']),
    "word for a truth value": ({"resume": "false"}, ["resume", '"false"', "False"]),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_mistake_in_an_override(bundle, mistake, make_run, shell):
    wrong, words = MISTAKES[mistake]
    wrong = {key: str(value).format(name=bundle.name) for key, value in wrong.items()}
    run = make_run()
    data = run.folder / "data"
    overrides = {**run.train_overrides, "dataset_dir#folder": data, **wrong}
    error = shell.run([bundle.config_file("train")], overrides).error()
    for word in words:
        assert word.format(name=bundle.name) in error
    assert not run.folder.exists(), "nothing is written"


def test_mistake_in_inference(bundle, make_run, shell):
    """The check is in every config, not in train.json alone."""
    run = make_run(weights=True)
    wrong = {**run.inference_overrides, "output_exd": ".png"}
    error = shell.run([bundle.config_file("inference")], wrong).error()
    assert 'did you mean "output_ext"?' in error
    assert not run.output_dir.exists()
