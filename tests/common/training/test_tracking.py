"""What MONAI adds to a config for MLflow, adapted to ours (tests/contract/test_tracking.py runs it)."""

from __future__ import annotations

import copy

import pytest
import torch
from monai.bundle import ConfigParser, ConfigWorkflow
from monai.bundle.utils import DEFAULT_MLFLOW_SETTINGS

from common.training.tracking import fit_tracking


def tracked(tmp_path, output_dir) -> ConfigParser:
    """A config as MONAI modifies it."""
    engines = {"train": {"trainer": {"max_epochs": 1}, "handlers": []}}
    parser = ConfigParser({"bundle_root": str(tmp_path), "output_dir": output_dir, **engines})
    ConfigWorkflow.patch_bundle_tracking(parser, copy.deepcopy(DEFAULT_MLFLOW_SETTINGS))
    return parser


@pytest.mark.parametrize("output_dir", ["an output folder", "$@bundle_root + '/an output folder'"])
def test_the_saved_config_is_found(tmp_path, output_dir, monkeypatch):
    monkeypatch.chdir(tmp_path)
    parser = tracked(tmp_path, output_dir)
    fit_tracking(parser)
    (written,) = tmp_path.glob("an output folder/config_*.json")
    assert (tmp_path / parser.get_parsed_content("save_execute_config")).samefile(written)


def test_artifacts_are_in_the_output_folder(tmp_path, monkeypatch):
    """Even if its name has a space; a server named in another way decides for itself."""
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    folder = tmp_path / "an output folder"
    parser = tracked(tmp_path, str(folder))
    fit_tracking(parser)
    assert parser.get_parsed_content("train#handlers#0#artifact_location") == (folder / "mlruns").as_uri()

    monkeypatch.setenv("MLFLOW_TRACKING_URI", "https://example.org")
    parser = tracked(tmp_path, str(folder))
    fit_tracking(parser)
    assert "artifact_location" not in parser["train#handlers#0"]


def test_the_loss_is_a_number(tmp_path):
    """From a dictionary, or a list of dictionaries."""
    parser = tracked(tmp_path, str(tmp_path))
    fit_tracking(parser)
    loss = parser.get_parsed_content("train#handlers#0#output_transform")
    output = {"loss": torch.tensor(0.5)}
    assert loss(output) == loss([output, output]) == 0.5


def test_other_configs_are_left_unchanged():
    config = {"train": {"handlers": [{"_target_": "MLFlowHandler", "output_transform": "$x"}]}, "a": 1}
    parser = ConfigParser(copy.deepcopy(config))
    fit_tracking(parser)
    assert {key: value for key, value in parser.get().items() if key != "_meta_"} == config
