"""A misspelt name in a command: one line gives it and the closest valid name, and nothing is written."""

from __future__ import annotations

import pytest

pytestmark = pytest.mark.full

MISTAKES = {
    "top-level key": ({"epocs": 3}, ['"epocs"', 'did you mean "epochs"?']),
    "argument": (
        {"network_def#{misspelt_argument}": 3},
        ["network_def", '"{misspelt_argument}"', 'did you mean "{argument}"?'],
    ),
    "key of a group": ({"train#trainr": 1}, ['"train#trainr"', 'did you mean "trainer"?']),
    "target": (
        {"network_def#_target_": "{name}.network.Nonesuch"},
        ["network_def", "{name}.network.Nonesuch"],
    ),
    "reference": ({"val_interval": "@{misspelt_key}"}, ["@{misspelt_key}", 'did you mean "{key}"?']),
    "word for a truth value": ({"resume": "off"}, ["resume is 'off'", "true, false, yes, no, 1, 0"]),
}


def misspelt(name: str) -> str:
    """Drops the last letter but one: ``out_chanels`` is as close, but not every name has a double letter."""
    return name[:-2] + name[-1]


def names_in(bundle) -> dict[str, str]:
    """Values for the braces above: an argument of the network, a key of train.json, and both misspelt."""
    train = bundle.config("train")
    argument = "out_channels" if "out_channels" in train["network_def"] else list(train["network_def"])[1]
    key = "learning_rate" if "learning_rate" in train else "batch_size"
    return {
        "name": bundle.name,
        "argument": argument,
        "misspelt_argument": misspelt(argument),
        "key": key,
        "misspelt_key": misspelt(key),
    }


@pytest.mark.parametrize("mistake", MISTAKES)
def test_mistake_in_an_override(bundle, mistake, make_run, shell):
    wrong, words = MISTAKES[mistake]
    names = names_in(bundle)
    wrong = {key.format(**names): str(value).format(**names) for key, value in wrong.items()}
    run = make_run()
    data = run.folder / "data"
    overrides = {**run.train_overrides, "dataset_dir#folder": data, **wrong}
    error = shell.run([bundle.config_file("train")], overrides).error()
    for word in words:
        assert word.format(**names) in error
    assert not run.folder.exists(), "nothing is written"


def test_mistake_in_inference(bundle, make_run, shell):
    """Every config has the check, not just train.json."""
    run = make_run(weights=True)
    wrong = {**run.inference_overrides, "output_postfx": "x"}
    error = shell.run([bundle.config_file("inference")], wrong).error()
    assert 'did you mean "output_postfix"?' in error
    assert not run.output_dir.exists()
