"""A run that goes on equals one that was never stopped."""

from __future__ import annotations

import csv

import pytest
import torch
from ignite.engine import Events

from common.errors import InputError
from common.training.guards import (
    RestartWhenStuck,
)
from common.training.history import RunHistory
from common.training.resuming import ResumePoint
from common.training.run import TrainingRun
from tests.common.training.engines import make_evaluator, make_trainer


def test_resume_point_round_trip_and_refusals(tmp_path):
    path = tmp_path / "checkpoint.pt"

    def setup(epochs: int, resume: bool, width: int = 2):
        torch.manual_seed(epochs)
        network, evaluator = torch.nn.Linear(2, width), make_evaluator([])
        run = TrainingRun(tmp_path / "model.pt", resume=resume)
        point = ResumePoint(path, parts={"network": network}, evaluator=evaluator, run=run)
        return network, evaluator, point, epochs

    network, evaluator, point, _ = setup(2, resume=False)
    evaluator.state.best_metric, evaluator.state.best_metric_epoch = 0.7, 1
    trained = make_trainer([point], epochs=2)
    trained.run()
    saved = torch.load(path, weights_only=True)
    assert saved["model"]["weight"].data_ptr() == saved["network"]["weight"].data_ptr(), "stored once"

    again, evaluator, point, _ = setup(5, resume=True)
    trainer = make_trainer([point], epochs=5)
    assert (trainer.state.epoch, trainer.state.iteration) == (2, 4)
    assert torch.equal(again.weight, network.weight)
    assert (evaluator.state.best_metric, evaluator.state.best_metric_epoch) == (0.7, 1)
    trainer.run()
    assert trainer.state.epoch == 5

    with pytest.raises(InputError, match="ended after epoch 5; to go on give --epochs with more than 5"):
        make_trainer([setup(5, resume=True)[2]], epochs=5)
    with pytest.raises(InputError, match=r"its network does not fit this config"):
        make_trainer([setup(9, resume=True, width=3)[2]], epochs=9)


def test_nothing_follows_the_resume_point(tmp_path):
    """Neither a handler listed after it nor one attached as late as the start of the training."""
    network, calls = torch.nn.Linear(2, 2), []

    class Late:
        def attach(self, engine):
            engine.add_event_handler(Events.EPOCH_COMPLETED, lambda _: calls.append("listed behind"))
            engine.add_event_handler(Events.STARTED, self.add_another)

        def add_another(self, engine):
            engine.add_event_handler(Events.EPOCH_COMPLETED, lambda _: calls.append("added at the start"))

    class Point(ResumePoint):
        def save(self, trainer):
            calls.append("saved")

    point = Point(tmp_path / "c.pt", parts={"network": network}, evaluator=make_evaluator([]))
    make_trainer([point, Late()], network=network, epochs=2).run()
    assert calls == ["listed behind", "added at the start", "saved"] * 2


def test_a_restart_of_a_stuck_training_survives_a_resume(tmp_path):
    """The run continues from the new weights, the lower momentum and the reset velocity."""

    class Net(torch.nn.Linear):
        def reset_parameters(self):
            torch.nn.init.constant_(self.weight, 7.0)
            torch.nn.init.zeros_(self.bias)

    def trainer_of(network, *, epochs, resume):
        trainer = make_trainer(network=network, epochs=epochs)
        evaluator = make_evaluator([])
        parts = {"network": network, "optimizer": trainer.optimizer}
        run = TrainingRun(tmp_path / "model.pt", resume=resume)
        # The order of a recipe that adds the restart to a list which ends with the resume point.
        ResumePoint(tmp_path / "c.pt", parts=parts, evaluator=evaluator, run=run).attach(trainer)
        RestartWhenStuck(epoch=1, momentum=0.95, hits=lambda output: 0).attach(trainer)
        return trainer

    trainer_of(Net(2, 2), epochs=1, resume=False).run()
    network = torch.nn.Linear(2, 2)
    resumed = trainer_of(network, epochs=2, resume=True)
    assert (network.weight == 7).all()
    assert [group["momentum"] for group in resumed.optimizer.param_groups] == [0.95]
    assert not resumed.optimizer.state_dict()["state"]


def test_resume_without_a_checkpoint_starts_from_scratch(tmp_path, caplog):
    run = TrainingRun(tmp_path / "model.pt", resume=True)
    point = ResumePoint(tmp_path / "none.pt", parts={}, evaluator=make_evaluator([]), run=run)
    assert make_trainer([point]).state.epoch == 0
    assert "nothing to resume" in caplog.text


def test_history_has_a_row_per_epoch_and_survives_a_resume(tmp_path):
    def run(resume: bool, epochs: int, start: int) -> list[dict]:
        evaluator = make_evaluator([0.25, 0.5, 0.75])
        run = TrainingRun(tmp_path / "model.pt", resume=resume)
        history = RunHistory(evaluator, tmp_path, {1: "liver", 2: "spleen"}, run=run)

        class Validate:
            def attach(self, engine):
                engine.add_event_handler(
                    Events.EPOCH_COMPLETED(every=2), lambda e: evaluator.measure(e.state.epoch)
                )

        trainer = make_trainer([Validate(), history], epochs=epochs)
        trainer.state.epoch, trainer.state.iteration = start, start * 2
        trainer.run()
        with open(tmp_path / "metrics.csv", newline="") as file:
            return list(csv.DictReader(file))

    rows = run(resume=False, epochs=3, start=0)
    assert [row["epoch"] for row in rows] == ["1", "2", "3"]
    assert [row["dice"] for row in rows] == ["", "0.25", ""]
    assert [row["dice_liver"] for row in rows] == ["", "0.25", ""]
    assert rows[1]["dice_spleen"] == ""
    assert float(rows[2]["loss"]) < float(rows[0]["loss"])
    assert (tmp_path / "curves.png").stat().st_size > 1000

    longer = run(resume=True, epochs=5, start=3)
    assert [float(row["epoch"]) for row in longer] == [1, 2, 3, 4, 5]
    assert float(longer[4]["seconds"]) >= float(longer[2]["seconds"])


def test_resume_brings_back_the_gradient_scaler(tmp_path):
    """Mixed precision continues with the scale that it had found."""

    class GiveScaler:
        def __init__(self, scale: float) -> None:
            self.scaler = torch.amp.GradScaler("cpu", init_scale=scale)

        def attach(self, engine):
            engine.add_event_handler(Events.STARTED, lambda e: setattr(e, "scaler", self.scaler))

    def run(resume: bool, epochs: int) -> float:
        run = TrainingRun(tmp_path / "model.pt", resume=resume)
        point = ResumePoint(tmp_path / "c.pt", parts={}, evaluator=make_evaluator([]), run=run)
        trainer = make_trainer([GiveScaler(8.0 if resume else 1024.0), point], epochs=epochs)
        trainer.run()
        return trainer.scaler.get_scale()

    run(resume=False, epochs=1)
    assert run(resume=True, epochs=2) == 1024.0


def test_resume_from_another_kind_of_file(tmp_path):
    torch.save({"weight": torch.zeros(1)}, tmp_path / "c.pt")
    run = TrainingRun(tmp_path / "model.pt", resume=True)
    point = ResumePoint(tmp_path / "c.pt", parts={}, evaluator=make_evaluator([]), run=run)
    with pytest.raises(InputError, match=r"c\.pt: not the state of a run; it holds weight"):
        make_trainer([point])
