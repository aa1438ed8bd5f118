"""The handlers, on a trainer that only counts."""

from __future__ import annotations

import csv
import math
from types import SimpleNamespace

import pytest
import torch
from ignite.engine import Engine, Events
from monai.data import DataLoader, Dataset, MetaTensor
from monai.engines import SupervisedTrainer
from monai.transforms import RandShiftIntensityd

from common.errors import InputError
from common.training.guards import (
    GradientClamping,
    GradientClipping,
    NonFiniteLossStop,
    RestartWhenStuck,
    foreground_hits,
)
from common.training.history import RunHistory
from common.training.numbers import line_of_numbers
from common.training.progress import Progress
from common.training.resuming import ResumePoint
from common.training.seeding import EpochSeed
from common.training.weights import EndWithWeights, KeepLowestLoss, KeepWeights


def make_trainer(handlers=(), *, loss=None, epochs=2, items=2, network=None) -> SupervisedTrainer:
    data = [
        {
            "image": MetaTensor(torch.ones(1, 2), meta={"filename_or_obj": f"case{i}.nii.gz"}),
            "label": torch.ones(1, 2),
        }
        for i in range(items)
    ]
    network = network or torch.nn.Linear(2, 2)
    return SupervisedTrainer(
        device=torch.device("cpu"),
        max_epochs=epochs,
        train_data_loader=DataLoader(Dataset(data), batch_size=1),
        network=network,
        optimizer=torch.optim.SGD(network.parameters(), lr=0.1, momentum=0.9),
        loss_function=loss or torch.nn.MSELoss(),
        train_handlers=list(handlers),
        decollate=False,
    )


def make_evaluator(scores, *, names=("dice",)) -> Engine:
    """An engine that "measures" the given scores, one for each run."""
    engine = Engine(lambda _, batch: batch)
    engine.state.key_metric_name = names[0]
    engine.state.metric_details = {}
    engine.state.best_metric, engine.state.best_metric_epoch = -1.0, -1
    remaining = iter(scores)

    def measure(epoch: int) -> None:
        score = next(remaining)
        engine.state.epoch = epoch
        engine.state.metrics = {names[0]: score}
        engine.state.metric_details = {names[0]: torch.tensor([[score, math.nan]])}
        if score > engine.state.best_metric:
            engine.state.best_metric, engine.state.best_metric_epoch = score, epoch

    engine.measure = measure
    return engine


def test_a_loss_that_is_not_finite_stops_before_the_step_and_names_the_files():
    network = torch.nn.Linear(2, 2)
    before = network.weight.detach().clone()
    trainer = make_trainer([NonFiniteLossStop()], loss=lambda pred, _: pred.sum() * math.inf, network=network)
    with pytest.raises(InputError, match=r"loss is -?(inf|nan) in epoch 1, iteration 1, on case0\.nii\.gz"):
        trainer.run()
    assert torch.equal(network.weight, before)


def test_gradients_are_clipped_to_the_norm():
    norms = []

    class Spy:
        def attach(self, engine):
            engine.add_event_handler(
                Events.ITERATION_COMPLETED,
                lambda e: norms.append(
                    math.sqrt(sum(float(p.grad.pow(2).sum()) for p in e.network.parameters()))
                ),
            )

    make_trainer([GradientClipping(0.5), Spy()], loss=lambda pred, _: 1e4 * pred.pow(2).sum()).run()
    assert norms == pytest.approx([0.5] * 4, rel=1e-3)


@pytest.mark.parametrize(
    ("found", "restarts"),
    [({}, True), ({3: 1}, False), ({1: 5}, True), ({5: 5}, True)],  # iteration -> hits; epoch 2 has 3 and 4
)
def test_restart_when_nothing_was_learnt(found, restarts):
    network = torch.nn.Linear(2, 2)
    resets = []
    network.reset_parameters = lambda: resets.append(True)
    counted = iter(range(1, 100))
    guard = RestartWhenStuck(epoch=2, momentum=0.95, hits=lambda output: found.get(2 + next(counted), 0))
    trainer = make_trainer([guard], epochs=3, network=network)
    trainer.run()
    assert bool(resets) is restarts
    assert trainer.optimizer.param_groups[0]["momentum"] == (0.95 if restarts else 0.9)
    assert next(counted) == (2 if found.get(3) else 3), "only that epoch, and no further than needed"


def test_foreground_is_hit_where_its_class_is_the_likeliest():
    logits = torch.zeros(1, 3, 1, 4)
    logits[0, [0, 1, 1, 2], 0, range(4)] = 1.0  # classes 0, 1, 1, 2
    label = torch.tensor([[[[0, 1, 2, 2]]]])
    coarser = torch.full((1, 3, 1, 2), torch.nan)
    assert foreground_hits({"pred": [logits, coarser], "label": label}) == 2
    assert foreground_hits({"pred": logits, "label": torch.zeros_like(label)}) == 0


@pytest.mark.parametrize("workers", [0, 1])
def test_an_epochs_random_numbers_do_not_depend_on_earlier_epochs(workers):
    """This makes a resumed run equal to an uninterrupted one."""

    def draws(first_epoch: int) -> torch.Tensor:
        data = Dataset([{"image": torch.zeros(1, 2)}] * 4, RandShiftIntensityd("image", 1.0, prob=1.0))
        loader = DataLoader(data, batch_size=1, num_workers=workers, shuffle=True)
        engine = Engine(lambda _, batch: batch["image"])
        engine.data_loader = loader
        EpochSeed(7).attach(engine)
        seen = []
        engine.add_event_handler(Events.ITERATION_COMPLETED, lambda e: seen.append(e.state.output.clone()))
        engine.state.epoch, engine.state.epoch_length = first_epoch - 1, len(loader)
        engine.state.max_epochs, engine.state.iteration = 3, (first_epoch - 1) * len(loader)
        engine.run(loader, max_epochs=3)
        return torch.cat(seen[-4:])

    assert torch.equal(draws(1), draws(3))


def test_weights_of_the_best_validation_are_kept_and_earlier_ones_saved(tmp_path):
    path, network = tmp_path / "model.pt", torch.nn.Linear(2, 2)
    torch.save({"earlier": torch.zeros(1)}, path)
    evaluator = make_evaluator([0.3, 0.5, 0.4])
    keep = KeepWeights(network, path)
    saved = []
    for epoch in (1, 2, 3):
        with torch.no_grad():
            network.weight.fill_(epoch)
        evaluator.measure(epoch)
        keep(evaluator)
        saved.append(float(torch.load(path, weights_only=True)["weight"][0, 0]))
    assert saved == [1, 2, 2]
    assert list(torch.load(tmp_path / "model_previous.pt", weights_only=True)) == ["earlier"]


@pytest.mark.parametrize(("interval", "validated"), [(2, [2, 3]), (3, [3]), (1, [1, 2, 3]), (9, [3])])
def test_a_training_ends_with_a_validation_and_no_epoch_has_two(tmp_path, interval, validated):
    evaluator = make_evaluator([0.1, 0.2, 0.3])
    evaluator.data_loader, epochs = [1], []

    def run(epoch):
        epochs.append(epoch)
        evaluator.measure(epoch)

    evaluator.run = run
    at_intervals = SimpleNamespace(
        attach=lambda trainer: trainer.add_event_handler(
            Events.EPOCH_COMPLETED(every=interval), lambda t: run(t.state.epoch)
        )
    )
    end = EndWithWeights(evaluator, torch.nn.Linear(1, 1), tmp_path / "model.pt")
    make_trainer([at_intervals, end], epochs=3).run()
    assert epochs == validated
    assert not (tmp_path / "model.pt").exists(), "writing is left to the handler of the validation"


def test_with_nothing_to_validate_on_the_last_weights_are_kept(tmp_path, caplog):
    path, network = tmp_path / "model.pt", torch.nn.Linear(2, 2)
    torch.save({"earlier": torch.zeros(1)}, path)
    evaluator = make_evaluator([])
    evaluator.data_loader = []
    make_trainer([EndWithWeights(evaluator, network, path)], network=network).run()
    assert torch.equal(torch.load(path, weights_only=True)["weight"], network.weight)
    assert list(torch.load(tmp_path / "model_previous.pt", weights_only=True)) == ["earlier"]
    assert "no case to validate on" in caplog.text


@pytest.mark.parametrize(("which", "kept"), [("last", True), ("lowest_loss", False)])
def test_recipes_that_train_on_every_case_keep_what_they_say(which, kept, tmp_path, caplog):
    """The last weights, or those of the lowest loss, which another handler has written."""
    path, network = tmp_path / "model.pt", torch.nn.Linear(2, 2)
    torch.save({"lowest": torch.zeros(1)}, path)
    evaluator = make_evaluator([])
    evaluator.data_loader = []
    make_trainer([EndWithWeights(evaluator, network, path, which=which)], network=network).run()
    assert ("weight" in torch.load(path, weights_only=True)) is kept
    assert "no case to validate on" not in caplog.text


@pytest.mark.parametrize(
    ("held_out", "which", "line"),
    [
        (1, "best", "training on 4 cases, choosing weights on 1"),
        (0, "best", "training on 4 cases, keeping the last weights"),
        (0, "last", "training on 4 cases, keeping the last weights"),
        (0, "lowest_loss", "training on 4 cases, keeping the weights of the lowest loss"),
    ],
)
def test_a_training_says_how_many_cases_it_sees(held_out, which, line, tmp_path, capsys):
    evaluator = make_evaluator([0.5])
    evaluator.data_loader = SimpleNamespace(dataset=[{"image": "v.nii"}] * held_out)
    end = EndWithWeights(evaluator, torch.nn.Linear(1, 1), tmp_path / "model.pt", which=which)
    end.tell(SimpleNamespace(data_loader=SimpleNamespace(dataset=SimpleNamespace(data=list(range(4))))))
    assert capsys.readouterr().out == f"{line}\n"


def test_the_numbers_tell_labels_patients_and_slices():
    def frames(patients, frames, slices, **label):
        return [
            {"image": f"{patients}_{p}_{f}", "patient": f"{patients}_{p}", "slice": s, **label}
            for p in range(patients)
            for f in range(frames)
            for s in range(slices)
        ]

    items = frames(7, 2, 3, label="l.nii.gz") + frames(5, 2, 4)
    assert line_of_numbers(items, [{"image": "a"}, {"image": "b"}], "best") == (
        "training on 14 labelled cases (7 patients, 42 slices) and 10 unlabelled (5 patients, 40 slices), "
        "choosing weights on 2"
    )
    pairs = [{"fixed": "a", "moving": "b"}] * 3
    assert line_of_numbers(pairs, frames(2, 2, 1), "best") == (
        "training on 3 cases, choosing weights on 4 (2 patients)"
    )


def test_weights_of_the_last_validation(tmp_path):
    path, network = tmp_path / "model.pt", torch.nn.Linear(2, 2)
    evaluator = make_evaluator([0.5, 0.1])
    keep = KeepWeights(network, path, which="last")
    for epoch in (1, 2):
        with torch.no_grad():
            network.weight.fill_(epoch)
        evaluator.measure(epoch)
        keep(evaluator)
    assert float(torch.load(path, weights_only=True)["weight"][0, 0]) == 2
    with pytest.raises(InputError, match=r"keep = 'best_of_all'; expected one of: best, last$"):
        KeepWeights(network, path, which="best_of_all")


def test_the_lowest_loss_is_kept_only_where_a_handler_keeps_it(tmp_path):
    """Else the word would end a whole training without weights."""
    network, path = torch.nn.Linear(1, 1), tmp_path / "model.pt"
    with pytest.raises(InputError, match=r"keep = 'lowest_loss'; expected one of: best, last$"):
        KeepWeights(network, path, which="lowest_loss")
    KeepWeights(network, path, which="lowest_loss", lowest_loss=KeepLowestLoss(network, path))


@pytest.mark.parametrize("active", [True, False])
def test_weights_of_the_lowest_training_loss(tmp_path, active):
    """Mean over an epoch's two iterations; epoch 2 has the lowest loss, epoch 3 the last weights."""
    losses = [5.0, 3.0, 2.0, 1.0, 0.5, 4.0]
    network = torch.nn.Linear(1, 1)
    keep = KeepLowestLoss(network, tmp_path / "model.pt", active=active)

    def step(engine, _):
        loss = losses[engine.state.iteration - 1]
        with torch.no_grad():
            network.weight.fill_(engine.state.epoch)
        return {"loss": torch.tensor(loss)}

    trainer = Engine(step)
    keep.attach(trainer)
    KeepWeights(network, tmp_path / "model.pt", which="lowest_loss", lowest_loss=keep).attach(trainer)
    trainer.run([None] * 2, max_epochs=3)
    assert (tmp_path / "model.pt").exists() == active
    if active:
        assert torch.load(tmp_path / "model.pt", weights_only=True)["weight"].item() == 2
        again = KeepLowestLoss(network, tmp_path / "model.pt")
        again.load_state_dict(keep.state_dict())
        assert again.lowest == pytest.approx(1.5)


def test_resume_point_round_trip_and_refusals(tmp_path):
    path = tmp_path / "checkpoint.pt"

    def setup(epochs: int, resume: bool, width: int = 2):
        torch.manual_seed(epochs)
        network, evaluator = torch.nn.Linear(2, width), make_evaluator([])
        point = ResumePoint(path, parts={"network": network}, evaluator=evaluator, resume=resume)
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
        # The order of a recipe that adds the restart to a list which ends with the resume point.
        ResumePoint(tmp_path / "c.pt", parts=parts, evaluator=evaluator, resume=resume).attach(trainer)
        RestartWhenStuck(epoch=1, momentum=0.95, hits=lambda output: 0).attach(trainer)
        return trainer

    trainer_of(Net(2, 2), epochs=1, resume=False).run()
    network = torch.nn.Linear(2, 2)
    resumed = trainer_of(network, epochs=2, resume=True)
    assert (network.weight == 7).all()
    assert [group["momentum"] for group in resumed.optimizer.param_groups] == [0.95]
    assert not resumed.optimizer.state_dict()["state"]


def test_resume_without_a_checkpoint_starts_from_scratch(tmp_path, caplog):
    point = ResumePoint(tmp_path / "none.pt", parts={}, evaluator=make_evaluator([]), resume=True)
    assert make_trainer([point]).state.epoch == 0
    assert "nothing to resume" in caplog.text


def test_history_has_a_row_per_epoch_and_survives_a_resume(tmp_path):
    def run(resume: bool, epochs: int, start: int) -> list[dict]:
        evaluator = make_evaluator([0.25, 0.5, 0.75])
        history = RunHistory(evaluator, tmp_path, {1: "liver", 2: "spleen"}, resume=resume)

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


def test_progress_shows_epoch_loss_and_time_left(capsys):
    evaluator = make_evaluator([])
    evaluator.state.best_metric, evaluator.state.best_metric_epoch = 0.321, 1
    progress = Progress("training", evaluator)
    make_trainer([progress]).run()
    shown = capsys.readouterr().err
    assert "4/4" in shown
    assert "epoch=2/2" in shown
    assert "loss=" in shown
    assert "best=0.321" in shown
    assert progress.bar is None


def test_progress_does_not_hide_an_error():
    with pytest.raises(ZeroDivisionError):
        make_trainer([Progress()], loss=lambda *_: 1 / 0).run()


def test_resume_brings_back_the_gradient_scaler(tmp_path):
    """Mixed precision continues with the scale that it had found."""

    class GiveScaler:
        def __init__(self, scale: float) -> None:
            self.scaler = torch.amp.GradScaler("cpu", init_scale=scale)

        def attach(self, engine):
            engine.add_event_handler(Events.STARTED, lambda e: setattr(e, "scaler", self.scaler))

    def run(resume: bool, epochs: int) -> float:
        point = ResumePoint(tmp_path / "c.pt", parts={}, evaluator=make_evaluator([]), resume=resume)
        trainer = make_trainer([GiveScaler(8.0 if resume else 1024.0), point], epochs=epochs)
        trainer.run()
        return trainer.scaler.get_scale()

    run(resume=False, epochs=1)
    assert run(resume=True, epochs=2) == 1024.0


@pytest.mark.parametrize(
    ("guard", "largest"),
    [(GradientClipping(0.5), 0.5), (GradientClamping(0.25), 0.25)],
    ids=["norm", "entry"],
)
def test_limits_are_those_of_the_gradients_without_their_scale(guard, largest):
    """Mixed precision multiplies the loss; the limit is for what moves the weights."""

    class Scaled:
        def attach(self, engine):
            engine.add_event_handler(Events.STARTED, self.give)
            guard.attach(engine)

        def give(self, engine):
            engine.amp, engine.scaler = True, torch.amp.GradScaler("cpu", init_scale=1024.0)

    network = torch.nn.Linear(2, 2)
    before = torch.cat([p.detach().flatten() for p in network.parameters()])
    loss = lambda pred, _: 100 * pred.sum()  # noqa: E731
    make_trainer([Scaled()], network=network, epochs=1, items=1, loss=loss).run()
    moved = (torch.cat([p.detach().flatten() for p in network.parameters()]) - before) / 0.1  # the rate
    found = moved.norm() if isinstance(guard, GradientClipping) else moved.abs().max()
    assert float(found) == pytest.approx(largest, rel=1e-3)


def test_resume_from_another_kind_of_file(tmp_path):
    torch.save({"weight": torch.zeros(1)}, tmp_path / "c.pt")
    point = ResumePoint(tmp_path / "c.pt", parts={}, evaluator=make_evaluator([]), resume=True)
    with pytest.raises(InputError, match=r"c\.pt: not the state of a run; it holds weight"):
        make_trainer([point])
