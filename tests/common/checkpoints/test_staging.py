"""Weights and the plan that they were trained with, wherever they lie, and a process killed between them."""

from __future__ import annotations

import json
import logging

import pytest
import torch

from common.checkpoints.staging import find_plan, set_aside, settle, staged
from common.checkpoints.stamp import Stamp, plan_digest, read_stamp
from common.checkpoints.store import load_weights, save_state
from common.errors import InputError

OLD, NEW = {"spacing": [3, 1, 1], "labels": {}}, {"spacing": [1, 1, 1], "labels": {}}


def write(folder, plan=None, weights=None):
    folder.mkdir(parents=True, exist_ok=True)
    if plan is not None:
        (folder / "plan.json").write_text(json.dumps(plan, indent=1))
    if weights is not None:
        stamp = None if weights == "unstamped" else Stamp("a run", plan_digest(weights))
        save_state(torch.nn.Linear(2, 2), folder / "model.pt", stamp)
    return folder / "model.pt"


def test_weights_stay_a_bare_state_dict_and_carry_their_run(tmp_path):
    path = write(tmp_path, weights=OLD)
    assert {key: type(value) for key, value in torch.load(path, weights_only=True).items()} == {
        "weight": torch.Tensor,
        "bias": torch.Tensor,
    }
    assert read_stamp(path) == Stamp("a run", plan_digest(OLD))
    assert load_weights(torch.nn.Linear(2, 2), path, bundle="cotr") == []
    torch.nn.Linear(2, 2).load_state_dict(torch.load(path, weights_only=True))
    assert read_stamp(write(tmp_path, weights="unstamped")) is None
    assert read_stamp(tmp_path / "none.pt") is None


def test_a_plans_digest_is_that_of_its_content(tmp_path):
    """However it is indented, and whatever JSON makes of its tuples and numbers."""
    plan = {"size": (2, 3), "labels": {10: "a", 9: "b"}, "rate": 1.0}
    written = json.dumps(plan, indent=2)
    assert plan_digest(plan) == plan_digest(json.loads(written))
    assert plan_digest(plan) != plan_digest({**plan, "rate": 1.5})


def test_the_plan_of_the_weights_is_taken(tmp_path):
    weights = write(tmp_path / "models", OLD, weights=OLD)
    assert find_plan(weights) == tmp_path / "models" / "plan.json"
    other = write(tmp_path / "models_previous", NEW, weights=NEW)
    assert find_plan(other, tmp_path / "models" / "plan.json") == other.with_name("plan.json")
    elsewhere = write(tmp_path / "elsewhere", weights=OLD)
    assert find_plan(elsewhere, tmp_path / "models" / "plan.json") == tmp_path / "models" / "plan.json"


def test_another_plan_is_refused(tmp_path):
    weights = write(tmp_path, NEW, weights=OLD)
    with pytest.raises(InputError, match=r"model\.pt: was trained with .* but .*plan\.json is another plan"):
        find_plan(weights)
    (tmp_path / "plan.json").unlink()
    with pytest.raises(InputError, match=r"plan\.json is not there; put the plan\.json there"):
        find_plan(weights)


def test_weights_without_a_stamp_take_the_plan_beside_them_and_say_so(tmp_path, caplog):
    """As those that an earlier version wrote."""
    weights = write(tmp_path, OLD, weights="unstamped")
    with caplog.at_level(logging.WARNING):
        assert find_plan(weights) == tmp_path / "plan.json"
    assert f"it cannot be checked that {tmp_path}/plan.json is its own" in caplog.text
    (tmp_path / "plan.json").unlink()
    assert find_plan(weights) is None


def test_killed_between_the_weights_and_their_plan(tmp_path):
    """Readers take the staged plan; the next run puts it in its place."""
    weights = write(tmp_path, OLD, weights=NEW)
    new, checkpoint = staged(tmp_path / "plan.json"), staged(tmp_path / "checkpoint.pt")
    new.parent.mkdir()
    new.write_text(json.dumps(NEW))
    checkpoint.write_text("of the new run")
    assert find_plan(weights) == new
    settle(weights)
    assert find_plan(weights) == tmp_path / "plan.json"
    assert json.loads((tmp_path / "plan.json").read_text()) == NEW
    assert (tmp_path / "checkpoint.pt").read_text() == "of the new run"
    assert not new.parent.exists()


def test_a_staged_plan_of_other_weights_stays_where_it_is(tmp_path):
    weights = write(tmp_path, OLD, weights=OLD)
    staged(tmp_path / "plan.json").parent.mkdir()
    staged(tmp_path / "plan.json").write_text(json.dumps(NEW))
    settle(weights)
    assert find_plan(weights) == tmp_path / "plan.json"
    assert json.loads((tmp_path / "plan.json").read_text()) == OLD


@pytest.mark.parametrize("links", [True, False])
def test_nothing_that_was_set_aside_is_replaced(tmp_path, links, monkeypatch):
    def refuse(*_):
        raise OSError("no links on this disk")

    if not links:
        monkeypatch.setattr("os.link", refuse)
    folder = tmp_path / "models"
    folder.mkdir()
    for run in "abc":
        (folder / "model.pt").unlink(missing_ok=True)
        (folder / "model.pt").write_text(run)
        assert set_aside(folder, ["model.pt", "plan.json"]) == tmp_path / "models_previous"
    held = {path.parent.name: path.read_text() for path in tmp_path.glob("*/model.pt")}
    assert held == {"models": "c", "models_previous": "c", "models_previous_2": "a", "models_previous_3": "b"}
    assert set_aside(folder, ["plan.json"]) is None
