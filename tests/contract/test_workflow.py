"""The configs as the programs around MONAI see them: required properties, shared nodes, FL."""

from __future__ import annotations

import json

import pytest
from monai.bundle import ConfigWorkflow

import common  # noqa: F401 (makes bundles importable)

# Where train.json and inference.json may differ, and why.
OWN = {
    "plan": "training makes it, inference reads it",
    "mirror_axes": "training writes it into the plan that inference reads",
    "patch_size": "training writes it into the plan that inference reads",
    "stride": "training writes it into the plan that inference reads",
    "run": "each does its own work",
}


def test_train_and_inference_share_their_nodes(bundle):
    """MONAI Label and ``load`` read one file only, so both spell them out; they must be the same."""
    train, inference = bundle.config("train"), bundle.config("inference")
    shared = (train.keys() & inference.keys()) - OWN.keys()
    assert {"bundle_root", "dataset_dir", "network_def", "image_transforms", "num_classes"} <= shared
    assert {key: train[key] for key in shared} == {key: inference[key] for key in shared}


def test_overlays_change_only_what_is_there(bundle):
    """A misspelt key in an overlay would add a new one; those that are new are read in the same file."""
    train = bundle.config("train")
    for kind in ("paper", "multi_gpu_train", "evaluate"):
        overlay = bundle.config(kind)
        for key in overlay:
            node, *inner = key.lstrip("+").split("#")
            text = json.dumps({k: v for k, v in overlay.items() if k != key})
            here = node in train and all(part in train[node] for part in inner)
            assert here or f"@{node}" in text or node in ("finalize",) or inner, f"{kind}: {key}"


@pytest.mark.parametrize("kind", ["train", "inference"])
def test_no_property_is_missing(bundle, kind, make_run, home, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(home / ".cache"))
    run = make_run(weights=True)
    overrides = run.train_overrides if kind == "train" else run.inference_overrides
    workflow = ConfigWorkflow(
        config_file=str(bundle.config_file(kind)),
        workflow_type=kind,
        logging_file=False,
        **{
            key: str(value) if key in run.places or "folder" in key else value
            for key, value in overrides.items()
        },
    )
    workflow.initialize()
    assert workflow.check_properties() == []


def test_nothing_imports_before_the_bundle_is_on_the_path(bundle):
    """MONAI puts the bundle root on sys.path in ``run``; an ``initialize`` list would import before that."""
    for kind in bundle.kinds - {"metadata"}:
        assert "initialize" not in bundle.config(kind), kind


def test_federated_client_initialises(bundle, unpacked, make_run, shell):
    """NVIDIA FLARE drives a bundle through this class."""
    run = make_run()
    code = (
        "import sys, json; from monai.fl.client import MonaiAlgo\n"
        "root, overrides = sys.argv[1], json.loads(sys.argv[2])\n"
        "options = {'train_kwargs': dict(overrides), 'eval_kwargs': dict(overrides)}\n"
        "client = MonaiAlgo(root, send_weight_diff=False, **options)\n"
        "client.initialize()\n"
        "from monai.engines import SupervisedEvaluator, SupervisedTrainer\n"
        "assert isinstance(client.trainer, SupervisedTrainer)\n"
        "assert isinstance(client.evaluator, SupervisedEvaluator)\n"
        "print(len(client.get_weights().weights))\n"
    )
    told = shell.python(
        "-c", code, unpacked, json.dumps(run.train_overrides, default=str), path=unpacked
    ).ok()
    assert int(told.out.splitlines()[-1]) > 0
