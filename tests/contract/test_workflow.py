"""The configs as programs around MONAI see them: required properties, shared nodes, federated learning."""

from __future__ import annotations

import json

import pytest
import torch
from monai.bundle import ConfigWorkflow
from monai.fl.client import MonaiAlgo
from monai.fl.utils.constants import FlStatistics, WeightType
from monai.fl.utils.exchange_object import ExchangeObject

from tests.contract.bundle import as_text
from tests.contract.kinds import kind_of

# Where train.json and inference.json may differ, and why.
OWN = {
    "plan": "training makes it, inference reads it",
    "mirror_axes": "training writes it into the plan that inference reads",
    "patch_size": "training writes it into the plan that inference reads",
    "coarse_patch_size": "training writes it into the plan that inference reads",
    "coarse_factor": "training writes it into the plan that inference reads",
    "image_size": "training writes it into the plan that inference reads",
    "size_of_weights": "training sets the size, inference reads it from the plan",
    "stride": "training writes it into the plan that inference reads",
    "prompt_alpha": "training writes it into the plan that inference reads",
    "prompt_lr": "training writes it into the plan that inference reads",
    "adaptation_lr": "training writes it into the plan that inference reads",
    "adapted_part": "training writes it into the plan that inference reads",
    "run": "each does its own work",
    "ckpt_dir": "a training of one fold has a folder of its own",
    "output_dir": "a training of one fold has a folder of its own",
    "branches": "training writes it into the plan that inference reads",
    "modality": "training takes the cases of one; inference is told that of images whose list does not say",
}


@pytest.mark.always
def test_train_and_inference_share_their_nodes(bundle):
    """MONAI Label and ``load`` read one file only, so both spell them out; they must be the same."""
    train, inference = bundle.config("train"), bundle.config("inference")
    shared = (train.keys() & inference.keys()) - OWN.keys()
    everyones = {"bundle_root", "dataset_dir", "network_def", "image_transforms"}
    assert everyones | kind_of(bundle).SHARED <= shared
    assert {key: train[key] for key in shared} == {key: inference[key] for key in shared}


@pytest.mark.always
def test_one_word_says_which_weights_are_kept(bundle):
    """Of the validation and of the end: else the last weights replace those of the lowest loss."""
    config = bundle.config("train")
    handlers = [*config["train"]["handlers"], *config["validate"]["handlers"]]
    keepers = [one for one in handlers if one["_target_"].endswith((".EndWithWeights", ".KeepWeights"))]
    assert [one["which"] for one in keepers] == ["@keep"] * 2


@pytest.mark.always
def test_overlays_change_only_existing_nodes(bundle):
    """A misspelt key in an overlay would add a new one; new keys must be read in the same file."""
    train = bundle.config("train")
    for kind in ("paper", "multi_gpu_train", "evaluate"):
        overlay = bundle.config(kind)
        for key in overlay:
            node, *inner = key.lstrip("+").split("#")
            text = json.dumps({k: v for k, v in overlay.items() if k != key})
            here = node in train and all(part in train[node] for part in inner)
            assert here or f"@{node}" in text or node in ("finalize",) or inner, f"{kind}: {key}"


@pytest.mark.always
@pytest.mark.parametrize("kind", ["train", "inference"])
def test_no_property_is_missing(bundle, kind, make_run, home, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(home / ".cache"))
    run = make_run(weights=True)
    overrides = run.train_overrides if kind == "train" else run.inference_overrides
    workflow = ConfigWorkflow(
        config_file=str(bundle.config_file(kind)),
        workflow_type=kind,
        logging_file=False,
        **as_text(overrides),
    )
    workflow.initialize()
    assert workflow.check_properties() == []


@pytest.mark.always
def test_nothing_imports_before_the_bundle_is_on_the_path(bundle):
    """MONAI puts the bundle root on sys.path in ``run``; an ``initialize`` list would import before that."""
    for kind in bundle.configs - {"metadata"}:
        assert "initialize" not in bundle.config(kind), kind


@pytest.mark.full
def test_federated_client_trains(learner, bundle, make_run, home, monkeypatch):
    """Two rounds of one local epoch: weights are received, trained, returned and scored."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(home / ".cache"))
    run = make_run()
    client = MonaiAlgo(
        str(bundle.root),
        local_epochs=1,
        send_weight_diff=False,
        train_kwargs=as_text(run.train_overrides),
        eval_kwargs=as_text(run.train_overrides),
    )
    client.initialize()
    start = {key: value.clone() for key, value in client.get_weights().weights.items()}
    assert start.keys() == bundle.build_network().state_dict().keys()

    given, steps = start, bundle.iterations_per_epoch
    for _ in range(2):
        client.train(ExchangeObject(weights=given))
        sent = client.get_weights()
        assert sent.weight_type == WeightType.WEIGHTS
        assert sent.statistics[FlStatistics.NUM_EXECUTED_ITERATIONS] == steps
        assert all(bool(torch.isfinite(value).all()) for value in sent.weights.values())
        changed = [key for key in given if not torch.equal(sent.weights[key], given[key])]
        assert changed, "a round must change the weights"
        given = {key: value.clone() for key, value in sent.weights.items()}

    metrics = client.evaluate(ExchangeObject(weights=given)).metrics
    assert metrics
    assert all(isinstance(value, float) for value in metrics.values())
    scored = client.evaluator.network.state_dict()
    assert all(torch.equal(scored[key], given[key]) for key in given), "not the weights that were sent"
    client.finalize()


@pytest.mark.full
def test_federated_client_in_a_process_of_its_own(learner, unpacked, make_run, shell):
    """As NVIDIA FLARE runs an unpacked bundle, with the client's default of sending differences."""
    run = make_run()
    code = (
        "import sys, json; from monai.fl.client import MonaiAlgo\n"
        "from monai.fl.utils.exchange_object import ExchangeObject\n"
        "root, overrides = sys.argv[1], json.loads(sys.argv[2])\n"
        "client = MonaiAlgo(root, train_kwargs=dict(overrides), eval_kwargs=dict(overrides))\n"
        "client.initialize()\n"
        "from monai.engines import SupervisedEvaluator, SupervisedTrainer\n"
        "engines = [isinstance(client.trainer, SupervisedTrainer),"
        " isinstance(client.evaluator, SupervisedEvaluator)]\n"
        "start = {k: v.clone() for k, v in client.trainer.network.state_dict().items()}\n"
        "client.train(ExchangeObject(weights=start))\n"
        "sent = client.get_weights()\n"
        "moved = max(float(d.abs().max()) for d in sent.weights.values() if d.is_floating_point())\n"
        "metrics = client.evaluate(ExchangeObject(weights=start)).metrics\n"
        "print(json.dumps([engines, sent.weight_type, moved, metrics]))\n"
    )
    told = shell.python("-c", code, unpacked, json.dumps(as_text(run.train_overrides)), path=unpacked).ok()
    engines, kind, moved, metrics = json.loads(told.out.splitlines()[-1])
    assert engines == [True, True]  # subclasses too
    assert kind == WeightType.WEIGHT_DIFF
    assert moved > 0
    assert metrics
