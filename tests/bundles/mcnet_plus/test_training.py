"""Training through train.json: hidden labels, labelled cases only, and the 3D recipe's numbers."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from common.bundles import parse_config
from common.phantoms import atrium
from tests.contract.bundle import ROOT, Bundle, Run, Shell
from tests.contract.test_training import rows_of

MCNET = Bundle("mcnet_plus")


@pytest.fixture
def labelled_phantom(tmp_path) -> Path:
    """The phantom with a label for every case."""
    sizes = {"training": 4, "labelled": 4, "validation": 1, "test": 1, "shape": (32, 24, 16)}
    return Path(atrium.make(tmp_path / "phantom", spacing=(4.0, 4.0, 4.0), **sizes))


def train(run: Run, data: Path, **overrides):
    settings = {**run.base, "dataset_dir": data, **MCNET.quick["train"], "epochs": 1, **overrides}
    return Shell(ROOT, run.folder.parent).run([MCNET.config_file("train")], settings)


def test_labels_of_unlabelled_cases_are_never_read(labelled_phantom, tmp_path):
    """Their label files are not images, which goes unnoticed; the check finds them in labelled cases."""
    cases = json.loads((labelled_phantom / "dataset.json").read_text())["training"]
    for case in cases[2:]:
        (labelled_phantom / case["label"]).write_text("unreadable")
    run = Run(MCNET, tmp_path / "a run", labelled_phantom)
    train(run, labelled_phantom, num_labelled=2).ok()
    assert run.weights.is_file()
    told = train(Run(MCNET, tmp_path / "another", labelled_phantom), labelled_phantom, num_labelled=3)
    assert "training[2].label" in told.error()


def test_training_on_labelled_cases_alone(labelled_phantom, tmp_path):
    """As MONAI Label passes them: an ordinary supervised training, and one line that says so."""
    run = Run(MCNET, tmp_path / "a run", labelled_phantom)
    told = train(run, labelled_phantom).ok()
    lines = [line for line in (told.out + told.err).splitlines() if "no unlabelled case" in line]
    assert len(lines) == 1
    assert "training on the 4 labelled ones alone" in lines[0]
    assert float(rows_of(run)[0]["loss"]) > 0


def test_the_papers_numbers():
    """mcnet_plus/docs/method.md#recipe: 15,000 iterations of 2 + 2, 112 x 112 x 80, SGD, ramp to 6000."""
    parser = parse_config("mcnet_plus", "train")
    for key, value in MCNET.config("paper").items():
        parser[key.replace("#", "::")] = value
    assert parser["epochs"] * parser["iterations_per_epoch"] == 15_000
    assert (parser["labelled_batch_size"], parser["unlabelled_batch_size"]) == (2, 2)
    assert (parser["patch_size"], parser["stride"]) == ([112, 112, 80], [18, 18, 4])
    ramp = parser.get_parsed_content("ramp_up")
    assert (ramp(5999) < 1, ramp(6000)) == (True, 1.0)
    assert parser["supervised_weight"] == 0.5
    settings = parser.get_parsed_content("optimizer").param_groups[0]
    assert [settings[key] for key in ("lr", "momentum", "weight_decay")] == [0.01, 0.9, 1e-4]
    loss, consistency = (parser.get_parsed_content(key) for key in ("loss", "consistency"))
    assert list(loss.weights) == [1.0, 1.0, 1.0]
    assert (consistency.temperature, consistency.detach) == (0.1, False)
