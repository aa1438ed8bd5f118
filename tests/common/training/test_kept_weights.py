"""Which weights a training keeps, and what it says of its cases."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
import torch
from ignite.engine import Engine, Events

from common.errors import InputError
from common.training.numbers import line_of_numbers
from common.training.weights import EndWithWeights, KeepLowestLoss, KeepWeights
from tests.common.training.engines import make_evaluator, make_trainer


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
    assert list(torch.load(f"{tmp_path}_previous/model.pt", weights_only=True)) == ["earlier"]


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
    assert list(torch.load(f"{tmp_path}_previous/model.pt", weights_only=True)) == ["earlier"]
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
        "training on 3 pairs of 2 scans, choosing weights on 4 (2 patients)"
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
