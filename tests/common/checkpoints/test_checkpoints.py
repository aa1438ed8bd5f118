"""Authors' checkpoint files -> ours, through the command that a user types."""

from __future__ import annotations

import datetime
import errno
import json
import subprocess
import sys

import numpy as np
import pytest
import torch

from common.bundles import parse_config
from common.checkpoints.authors import rename_keys
from common.checkpoints.importing import import_checkpoint
from common.checkpoints.stamp import plan_digest, read_stamp
from common.checkpoints.store import load_weights, read_checkpoint, save_state, state_of
from common.disk import DiskError
from common.errors import InputError
from tests.contract.bundle import ROOT
from tests.vectors import load


@pytest.fixture(scope="module")
def published():
    """The authors' state dict, with the counters and buffers that reference vectors leave out."""
    return dict(load("cotr").state)


@pytest.fixture
def nnunet_file(tmp_path, published):
    """Everything that nnU-Net v1 pickles along with the weights."""

    def write(name="model_final_checkpoint.model", state=published, **more):
        scores = [np.float64(0.5), np.float32(0.25), 0.125]
        checkpoint = {
            "epoch": 1000,
            "state_dict": {f"module.{key}": value for key, value in state.items()},
            "optimizer_state_dict": {
                "state": {},
                "param_groups": [{"lr": np.float64(0.01), "params": [0, 1]}],
            },
            "lr_scheduler_state_dict": None,
            "plot_stuff": (scores, scores, [np.int64(3)], []),
            "best_stuff": (np.float64(0.9), 0.8, np.bool_(True)),
            "amp_grad_scaler": {"scale": 65536.0, "_growth_tracker": 7},
        }
        torch.save(checkpoint | more, tmp_path / name)
        return tmp_path / name

    return write


@pytest.fixture
def command(tmp_path):
    def run(source, *more):
        target = tmp_path / "new folder" / "model.pt"
        words = ("import", "--bundle", "cotr", "--source", source, "--target", target, *more)
        done = subprocess.run(
            [sys.executable, "-m", "common.checkpoints", *map(str, words)],
            cwd=tmp_path,
            env={"PYTHONPATH": str(ROOT), "HOME": str(tmp_path), "OMP_NUM_THREADS": "1"},
            capture_output=True,
            text=True,
        )
        assert "Traceback" not in done.stderr, done.stderr
        return done, target

    return run


def test_weights_that_were_there_move_away_with_their_plan(nnunet_file, published, tmp_path):
    """Beside imported weights it would be a foreign one."""
    target = tmp_path / "models" / "model.pt"
    target.parent.mkdir()
    for name in ("model.pt", "plan.json", "checkpoint.pt"):
        (target.parent / name).write_text(f"earlier {name}")
    told = import_checkpoint("cotr", str(nnunet_file()), str(target))
    assert f"the earlier weights and their plan are now in {tmp_path}/models_previous" in told
    assert sorted(file.name for file in target.parent.iterdir()) == ["model.pt", "plan.json"]
    assert read_stamp(target).plan == plan_digest(json.loads(target.with_name("plan.json").read_text()))
    for name in ("model.pt", "plan.json", "checkpoint.pt"):
        assert (tmp_path / "models_previous" / name).read_text() == f"earlier {name}"


def error_of(done) -> str:
    assert done.returncode != 0
    assert done.stderr.count("error: ") == 1
    return done.stderr[done.stderr.index("error: ") :]


def test_nnunet_file_becomes_the_bundles_weights(command, nnunet_file, published):
    done, target = command(nnunet_file())
    assert done.returncode == 0, done.stderr
    network = parse_config("cotr").get_parsed_content("network_def")
    assert load_weights(network, target, bundle="cotr") == []
    ours = torch.load(target, weights_only=True)
    assert f"{len(ours)} of {len(ours)} keys matched, {len(ours)} renamed" in done.stdout
    assert "axis_order published" in done.stdout, "the advice of the bundle's own checkpoint.py"
    head = next(value for key, value in published.items() if key.endswith(".cls_conv.weight"))
    assert torch.equal(ours["decoder.head.weight"], head)


def test_pickled_object_is_refused_unless_trusted(command, nnunet_file):
    """Loading it could run code; the message says what to do."""
    source = nnunet_file(made=datetime.timedelta(days=3))
    done, target = command(source)
    error = error_of(done)
    assert "datetime.timedelta" in error
    assert "--trust true" in error
    assert not target.exists()

    done, target = command(source, "--trust", "true")
    assert done.returncode == 0, done.stderr
    assert target.is_file()


def test_mismatched_keys_are_named_and_nothing_is_written(command, nnunet_file, published):
    state = dict(published)
    lost = next(iter(state))
    del state[lost]
    state["another.head.weight"] = torch.zeros(2)
    source = nnunet_file(state=state)
    done, target = command(source)
    error = error_of(done)
    assert "1 missing: " in error
    assert "1 left over: another.head.weight" in error
    assert not target.parent.exists()

    done, target = command(source, "--partial", "true")
    assert done.returncode == 0, done.stderr
    assert "1 missing: " in done.stdout
    assert "1 left over: another.head.weight" in done.stdout
    assert (
        torch.load(target, weights_only=True).keys()
        == parse_config("cotr").get_parsed_content("network_def").state_dict().keys()
    )


def test_another_number_of_classes_names_the_heads(tmp_path, nnunet_file):
    """``--num_classes`` reaches the network that the weights are compared with."""
    target = tmp_path / "model.pt"
    with pytest.raises(InputError, match=r"of another shape: decoder\.head"):
        import_checkpoint("cotr", str(nnunet_file()), str(target), num_classes=5)
    assert not target.exists()


def test_damaged_or_missing_file(tmp_path, nnunet_file):
    whole = nnunet_file().read_bytes()
    for name, content in (
        ("half.model", whole[: len(whole) // 2]),
        ("empty.model", b""),
        ("letter.model", b"Dear all"),
    ):
        (tmp_path / name).write_bytes(content)
        with pytest.raises(InputError, match=f"{name}: not a PyTorch checkpoint, or a damaged one"):
            read_checkpoint(tmp_path / name)
    with pytest.raises(InputError, match="there is no such file"):
        read_checkpoint(tmp_path / "nonesuch.model")


def test_interrupted_write_leaves_the_old_file(tmp_path, monkeypatch):
    network = torch.nn.Linear(2, 2)
    path = tmp_path / "model.pt"
    save_state(network, path)
    before = path.read_bytes()

    def disk_full(state, file):
        file.write(b"half of it")
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(torch, "save", disk_full)
    with pytest.raises(DiskError, match="the disk is full"):
        save_state(network, path)
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path], "no temporary file is left"


@pytest.mark.parametrize("key", ["state_dict", "network_weights", "model", None])
def test_weights_are_found_bare_or_under_the_usual_keys(key):
    state = {"weight": torch.ones(2)}
    checkpoint = state if key is None else {"epoch": 3, key: state}
    assert state_of(checkpoint, "file").keys() == {"weight"}


@pytest.mark.parametrize("checkpoint", [{"epoch": 3}, torch.ones(2), [], {}, {"model": {}}])
def test_file_without_weights(checkpoint):
    with pytest.raises(InputError, match="found no network weights in it"):
        state_of(checkpoint, "file")


def test_two_keys_renamed_to_one_are_refused():
    state = {"module.a": torch.ones(1), "a": torch.zeros(1)}
    with pytest.raises(InputError, match="another key both become a"):
        rename_keys(state, [(r"^module\.", "")])


def test_weights_of_an_unrelated_network(tmp_path):
    save_state(torch.nn.BatchNorm1d(3), tmp_path / "other.pt")
    with pytest.raises(InputError, match="do not fit this network"):
        load_weights(torch.nn.Conv1d(1, 1, 1, bias=False), tmp_path / "other.pt", bundle="cotr")
    with pytest.raises(InputError, match="not one of its"):
        load_weights(torch.nn.Conv1d(1, 1, 1, bias=False), tmp_path / "other.pt", bundle="cotr", partial=True)


def test_failed_load_leaves_the_network_unchanged(tmp_path):
    """Keys that fit are not copied if others do not fit."""
    save_state(torch.nn.Linear(2, 2, bias=False), tmp_path / "other.pt")
    network = torch.nn.Linear(2, 2)
    before = network.weight.clone()
    with pytest.raises(InputError):
        load_weights(network, tmp_path / "other.pt", bundle="cotr")
    assert torch.equal(network.weight, before)
