"""The handlers, on a trainer that only counts."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
import torch
import torch.distributed as dist
import torch.multiprocessing as mp
from ignite.engine import Engine, Events
from monai.data import DataLoader, Dataset
from monai.transforms import RandShiftIntensityd

from common.errors import InputError
from common.training.guards import (
    GradientClamping,
    GradientClipping,
    NonFiniteLossStop,
    RestartWhenStuck,
    foreground_hits,
)
from common.training.progress import Progress
from common.training.seeding import EpochSeed
from tests.common.training.engines import make_evaluator, make_trainer


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


def _restart(rank: int, folder: Path) -> None:
    """One of two processes that have learnt nothing."""
    dist.init_process_group("gloo", init_method=f"file://{folder / 'meeting'}", rank=rank, world_size=2)
    network = torch.nn.Linear(2, 2)
    seed, guard = EpochSeed(0), RestartWhenStuck(epoch=1, hits=lambda output: 0)
    make_trainer([seed, guard], epochs=1, network=network).run()
    torch.save(network.state_dict(), folder / f"{rank}.pt")


def test_all_processes_restart_with_the_same_weights(tmp_path):
    """Each draws from a seed of its own, and gradients alone are exchanged."""
    mp.start_processes(_restart, (tmp_path,), nprocs=2, start_method="fork")
    one, other = (torch.load(tmp_path / f"{rank}.pt", weights_only=True) for rank in (0, 1))
    assert all(torch.equal(one[key], other[key]) for key in one)


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
