"""A training into a folder that holds another's files, killed at each step, and resumed with what differs."""

from __future__ import annotations

import json
import logging
from types import SimpleNamespace

import pytest
import torch
from ignite.engine import Events

from common.checkpoints import staging
from common.checkpoints.stamp import plan_digest, read_stamp
from common.datasets import CaseList, load_plan
from common.errors import InputError
from common.files import write_json
from common.training.history import RunHistory
from common.training.resuming import ResumePoint
from common.training.run import TrainingRun
from common.training.weights import KeepLowestLoss, KeepWeights
from tests.common.training.test_handlers import make_evaluator, make_trainer

OLD, NEW = ({"intensity": [], "labels": {}, "spacing": spacing} for spacing in ([3, 1, 1], [1, 1, 1]))


class Folder:
    """``models/`` and ``eval/`` of a bundle, and trainings into them."""

    def __init__(self, root):
        self.models, self.tables = root / "models", root / "eval"
        self.weights = self.models / "model.pt"

    def train(
        self, plan, *, resume=False, epochs=4, interval=2, stop_after=None, fill=1.0, best=0.1, **decides
    ):
        """Validates every ``interval`` epochs; ``stop_after`` ends it after an epoch as a power cut does."""
        target = self.models / "plan.json"  # as plan_of_cases
        staging.settle(self.weights)
        write_json(staging.staged(target) if staging.is_taken(self.models) else target, plan)
        network, evaluator = torch.nn.Linear(2, 2), make_evaluator([best, 0.2, 0.3])
        torch.nn.init.constant_(network.weight, fill)
        run = TrainingRun(
            self.weights, output_dir=self.tables, resume=resume, plan=plan, network=network, **decides
        )
        keep = KeepWeights(network, self.weights, run=run)

        def validate(trainer):
            evaluator.measure(trainer.state.epoch)
            keep(evaluator)
            (self.tables / "preview.png").write_text(f"preview {fill}")

        class Validation:
            def attach(self, trainer):
                trainer.add_event_handler(Events.EPOCH_COMPLETED(every=interval), validate)

        class PowerCut:
            def attach(self, trainer):
                trainer.add_event_handler(Events.EPOCH_STARTED(once=stop_after + 1), self.end)

            def end(self, _):
                raise KeyboardInterrupt

        history = RunHistory(evaluator, self.tables, {}, run=run)
        point = ResumePoint(
            self.models / "checkpoint.pt", parts={"network": network}, evaluator=evaluator, run=run
        )
        handlers = [Validation(), history, point, *([PowerCut()] if stop_after else [])]
        trainer = make_trainer(handlers, epochs=epochs, network=network)
        if stop_after:
            with pytest.raises(KeyboardInterrupt):
                trainer.run()
        else:
            trainer.run()
        return run

    def held(self):
        """All files below, with their content."""
        root = self.models.parent
        return {str(p.relative_to(root)): p.read_bytes() for p in root.rglob("*") if p.is_file()}

    def plan(self):
        return load_plan(self.models / "plan.json", {})


@pytest.fixture(autouse=True)
def quick_curves(monkeypatch):
    """Drawing takes longer than all else here."""
    draw = lambda rows, path, panels: write_json(path, [len(rows), sorted(panels)])  # noqa: E731
    monkeypatch.setattr("common.training.history.draw_curves", draw)


@pytest.fixture
def folder(tmp_path):
    """With a finished run."""
    folder = Folder(tmp_path / "bundle")
    folder.train(OLD)
    return folder


def test_weights_and_checkpoint_name_their_run_and_plan(folder):
    stamp = read_stamp(folder.weights)
    state = torch.load(folder.models / "checkpoint.pt", weights_only=True)["run"]
    assert stamp.plan == plan_digest(OLD) == state["plan"]
    assert stamp.run == state["id"]
    assert folder.plan() == OLD
    assert set(folder.held()) == {
        *("models/model.pt", "models/plan.json", "models/checkpoint.pt"),
        *("eval/metrics.csv", "eval/curves.png", "eval/preview.png"),
    }


def test_killed_before_its_first_weights_a_run_has_changed_nothing(folder):
    before = folder.held()
    folder.train(NEW, stop_after=1, fill=2.0)
    assert {name: content for name, content in folder.held().items() if "unfinished" not in name} == before
    assert folder.plan() == OLD
    folder.train(NEW, resume=True, fill=2.0)
    assert folder.plan() == NEW
    epochs = [line.split(",")[0] for line in (folder.tables / "metrics.csv").read_text().splitlines()]
    assert epochs == ["epoch", "1", "2", "3", "4"]
    assert not [name for name in folder.held() if "unfinished" in name]


def test_the_earlier_run_moves_away_as_a_whole_and_one_line_says_where(folder, caplog):
    (folder.tables / "case_seg.nii.gz").write_text("a mask")
    (folder.tables / "events.out.tfevents.1").write_text("events")
    before = folder.held()
    with caplog.at_level(logging.WARNING):
        folder.train(NEW, fill=2.0)
    lines = [line for line in caplog.messages if "earlier run" in line]
    assert len(lines) == 1
    assert f"{folder.models}_previous, {folder.tables}_previous" in lines[0]
    after = folder.held()
    assert after.pop("eval/case_seg.nii.gz") == before.pop("eval/case_seg.nii.gz"), "masks stay"
    moved = {name.replace("/", "_previous/"): content for name, content in before.items()}
    assert {name: content for name, content in after.items() if "_previous" in name} == moved
    kept = {"models/model.pt", "models/plan.json", "models/checkpoint.pt"}
    assert set(after) - set(moved) == kept | {"eval/metrics.csv", "eval/curves.png", "eval/preview.png"}
    assert load_plan(folder.models.with_name("models_previous") / "plan.json", {}) == OLD
    assert folder.plan() == NEW


@pytest.mark.parametrize("step", ["set_aside", "save_state", "promote"])
@pytest.mark.parametrize("call", [1, 2])
def test_killed_while_it_takes_the_place_weights_and_plan_fit(folder, monkeypatch, step, call):
    """Before and after each step of the change."""
    import common.training.run as module

    original, calls = getattr(module, step), []

    def kill(*words, **more):
        calls.append(words)
        if call == 2:
            original(*words, **more)
        raise KeyboardInterrupt

    monkeypatch.setattr(module, step, kill)
    with pytest.raises(KeyboardInterrupt):
        folder.train(NEW, fill=2.0)
    monkeypatch.undo()
    assert calls
    new = read_stamp(folder.weights).plan == plan_digest(NEW)
    assert folder.plan() == (NEW if new else OLD)
    folder.train(NEW, resume=True, fill=2.0)
    assert folder.plan() == NEW
    held = folder.held()
    assert [n for n in held if n.startswith("models_previous") and n.endswith("model.pt")], "the old ones"


def test_new_weights_do_not_lie_beside_the_earlier_runs_checkpoint(folder):
    """Not even until the first checkpoint of their own run."""
    TrainingRun(folder.weights, output_dir=folder.tables, plan=OLD).save(torch.nn.Linear(2, 2))
    assert not (folder.models / "checkpoint.pt").exists()
    assert (folder.models.with_name("models_previous") / "checkpoint.pt").is_file()


def test_a_resumed_run_does_not_set_its_own_weights_aside(folder):
    first = read_stamp(folder.weights)
    folder.train(OLD, resume=True, epochs=6)
    assert not folder.models.with_name("models_previous").exists()
    assert read_stamp(folder.weights) == first
    assert not [name for name in folder.held() if "unfinished" in name]


def cases(folder, number=2, size=5):
    folder.mkdir(exist_ok=True)
    files = [folder / f"{i}.nii" for i in range(number)]
    for file in files:
        file.write_bytes(bytes(size))
    return CaseList([{"image": str(file), "slice": 3} for file in files], folder, ["training[0]"] * number)


def test_resuming_names_what_differs(tmp_path):
    data = cases(tmp_path / "a")

    def optimizer(kind=torch.optim.SGD, **given):
        return kind(torch.nn.Linear(1, 1).parameters(), **{"lr": 0.1, **given})

    begun = {"data": {"training": data}, "seed": 1, "optimizer": optimizer()}
    folder = Folder(tmp_path / "bundle")
    folder.train(OLD, stop_after=3, **begun)
    other = {
        "training data .*cases was 2, now 3": {"data": {"training": cases(tmp_path / "b", 3)}},
        "training data .*folder was": {"data": {"training": cases(tmp_path / "c", 2, size=6)}},
        r"seed \(was 1, now 2\)": {"seed": 2},
        r"optimizer \(learning rate was 0.1, now 0.01\)": {"optimizer": optimizer(lr=0.01)},
        r"optimizer \(.*class was .SGD., now .Adam.": {"optimizer": optimizer(torch.optim.Adam)},
        r"optimizer \(momentum was 0, now 0.9\)": {"optimizer": optimizer(momentum=0.9)},
    }
    for message, changed in other.items():
        with pytest.raises(InputError, match=rf"checkpoint\.pt: .*differs .* in {message}.*--resume force"):
            folder.train(OLD, resume=True, **{**begun, **changed})
    with pytest.raises(InputError, match=r"plan \(spacing was \[3, 1, 1\], now \[1, 1, 1\]\), seed"):
        folder.train(NEW, resume=True, **{**begun, "seed": 3})
    assert folder.plan() == OLD, "nothing was changed by the attempts"
    moved = {**begun, "data": {"training": cases(tmp_path / "moved")}}
    folder.train(OLD, resume=True, **moved)


def test_resuming_by_force_goes_on_whatever_differs(tmp_path, caplog):
    folder = Folder(tmp_path / "bundle")
    folder.train(OLD, stop_after=3, seed=1)
    with caplog.at_level(logging.WARNING):
        folder.train(NEW, resume="force", seed=2, best=0.9)
    assert "resumed by force; it differs in plan (spacing was [3, 1, 1], now [1, 1, 1]), seed (was 1" in (
        caplog.text
    )
    assert folder.plan() == NEW
    assert read_stamp(folder.weights).plan == plan_digest(NEW)
    with pytest.raises(InputError, match="resume = 'forse'; expected true, false or force"):
        TrainingRun(folder.weights, resume="forse")


def test_another_network_of_the_same_shapes_is_another_run(tmp_path):
    def network(rate):
        return torch.nn.Sequential(torch.nn.Linear(1, 1), torch.nn.Dropout(rate))

    then = TrainingRun(tmp_path / "model.pt", network=network(0.1)).state()
    TrainingRun(tmp_path / "model.pt", network=network(0.1), resume=True).take_up(then, tmp_path / "c.pt")
    again = TrainingRun(tmp_path / "model.pt", network=network(0.5), resume=True)
    with pytest.raises(InputError, match=r"network \(other content\)"):
        again.take_up(then, tmp_path / "c.pt")


def test_a_checkpoint_of_an_earlier_version_is_resumed_and_said_not_to_be_checked(tmp_path, caplog):
    folder = Folder(tmp_path / "bundle")
    folder.train(OLD, stop_after=3)
    path = folder.models / "checkpoint.pt"
    state = torch.load(path, weights_only=True)
    state["run"] = {
        key: state["run"][key] for key in ("epoch", "iteration", "best_metric", "best_metric_epoch")
    }
    torch.save(state, path)
    torch.save(dict(torch.load(folder.weights, weights_only=True)), folder.weights)
    folder.train(OLD, resume=True, seed=5)
    assert "written by an earlier version" in caplog.text
    assert not folder.models.with_name("models_previous").exists(), "the weights are this run's"


def test_the_lowest_loss_is_kept_with_the_runs_stamp(tmp_path):
    run = TrainingRun(tmp_path / "model.pt", plan=OLD)
    keep = KeepLowestLoss(torch.nn.Linear(1, 1), tmp_path / "model.pt", run=run)
    keep.losses = [1.0]
    keep(SimpleNamespace())
    assert read_stamp(tmp_path / "model.pt").plan == plan_digest(OLD)


def test_a_plan_as_a_file_has_it_is_no_other_plan(tmp_path):
    """Tuples, and numbers as keys, are not the same after JSON."""
    plan = {"size": (1, 2), "labels": {1: "a"}}
    then = TrainingRun(tmp_path / "model.pt", plan=json.loads(json.dumps(plan))).state()
    TrainingRun(tmp_path / "model.pt", plan=plan, resume=True).take_up(then, tmp_path / "checkpoint.pt")
