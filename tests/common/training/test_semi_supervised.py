"""The trainer on a network of one number, whose losses can be worked out by hand."""

from __future__ import annotations

import math

import pytest
import torch
from ignite.engine import Events
from monai.data import CacheDataset, DataLoader
from monai.engines import IterationEvents, SupervisedTrainer
from torch import Tensor, nn

from common.training.batches import PrepareImageLabel
from common.training.ramp_up import SigmoidRampUp
from common.training.seeding import EpochSeed
from common.training.semi_supervised import SemiSupervisedTrainer, loss_parts
from common.training.two_stream import TwoStreamBatchSampler, collate_labelled_first


class Two(nn.Module):
    """Two outputs: the image times a, and the image times 2a plus what the caller adds."""

    def __init__(self) -> None:
        super().__init__()
        self.a = nn.Parameter(torch.tensor(1.0))

    def forward(self, x: Tensor, extra: float = 0.0) -> list[Tensor]:
        return [self.a * x, 2 * self.a * x + extra]


def supervised(pred, label):
    return sum((one - label).pow(2).mean() for one in pred)


def consistency(pred):
    return (pred[0] - pred[1]).pow(2).mean()


def make_trainer(*, unlabelled=4, handlers=(), kind=SemiSupervisedTrainer, epochs=1, **options):
    data = [{"image": torch.full((1, 2), float(i + 1))} for i in range(2 + unlabelled)]
    for one in data[:2]:
        one["label"] = torch.ones(1, 2)
    names = [{"label": "a.nii.gz"} if "label" in one else {} for one in data]
    network = Two()
    loader = DataLoader(
        CacheDataset(data, progress=False),
        batch_sampler=TwoStreamBatchSampler(names, labelled=1, unlabelled=1, iterations=3),
        collate_fn=collate_labelled_first,
    )
    return kind(
        device=torch.device("cpu"),
        max_epochs=epochs,
        train_data_loader=loader,
        network=network,
        optimizer=torch.optim.SGD(network.parameters(), lr=1e-4),
        loss_function=supervised,
        prepare_batch=PrepareImageLabel(),
        train_handlers=[EpochSeed(0), *handlers],
        decollate=False,
        **{"consistency_loss": consistency, "consistency_weight": lambda _: 0.5, **options},
    )


def test_loss_is_the_weighted_sum_over_labelled_and_over_all_samples():
    trainer = make_trainer(supervised_weight=3.0)
    seen = []
    trainer.add_event_handler(
        IterationEvents.LOSS_COMPLETED,
        lambda e: seen.append((e.state.output, e.network.a.item(), dict(e.state.output))),
    )
    trainer.run()
    assert isinstance(trainer, SupervisedTrainer)
    for _, a, output in seen:
        x = output["image"]
        assert len(output["label"]) == 1
        assert len(x) == 2
        labelled, every = x[:1].double(), x.double()
        expected_supervised = ((a * labelled - 1) ** 2).mean() + ((2 * a * labelled - 1) ** 2).mean()
        expected_consistency = (a * every).pow(2).mean()
        parts = loss_parts(output)
        assert parts["supervised_loss"] == pytest.approx(float(expected_supervised), rel=1e-5)
        assert parts["consistency_loss"] == pytest.approx(float(expected_consistency), rel=1e-5)
        assert parts["consistency_weight"] == 0.5
        assert parts["loss"] == pytest.approx(
            3 * float(expected_supervised) + 0.5 * float(expected_consistency), rel=1e-5
        )


def test_the_weight_is_asked_for_iterations_from_one():
    """UA-MT raises its counter before it reads the weight."""
    asked = []
    make_trainer(epochs=2, consistency_weight=lambda i: asked.append(i) or 1.0).run()
    assert asked == [1, 2, 3, 4, 5, 6]


def test_a_ramp_is_full_in_its_last_iteration():
    """As ACDC's of 200 steps of 150 iterations is in the last of 30,000; here 2 steps of 3 iterations."""
    trainer = make_trainer(epochs=2, consistency_weight=SigmoidRampUp(0.1, length=2, every=3))
    weights = []
    trainer.add_event_handler(
        Events.ITERATION_COMPLETED, lambda e: weights.append(e.state.output["consistency_weight"])
    )
    trainer.run()
    first, half = 0.1 * math.exp(-5), 0.1 * math.exp(-5 / 4)
    assert weights == pytest.approx([first, first, half, half, half, 0.1])


def test_without_unlabelled_samples_it_is_supervised_training():
    trainer = make_trainer(unlabelled=0)
    trainer.run()
    assert len(trainer.state.output["image"]) == len(trainer.state.output["label"]) == 1


class ThreePasses(SemiSupervisedTrainer):
    """Each pass adds to the second output what the pass before had lost."""

    def _iteration(self, engine, batchdata):
        output = self.one_pass(batchdata)
        for _ in range(2):
            output = self.one_pass(batchdata, extra=float(output["loss"].detach()))
        return output


def test_several_passes_make_as_many_steps_and_fire_their_events():
    fired = {event: 0 for event in (IterationEvents.MODEL_COMPLETED, IterationEvents.BACKWARD_COMPLETED)}
    trainer = make_trainer(kind=ThreePasses)
    weights = []
    for event in fired:
        trainer.add_event_handler(event, lambda _, e=event: fired.__setitem__(e, fired[e] + 1))
    trainer.add_event_handler(IterationEvents.FORWARD_COMPLETED, lambda e: weights.append(e.network.a.item()))
    iterations = []
    trainer.add_event_handler(Events.ITERATION_COMPLETED, lambda e: iterations.append(e.state.iteration))
    trainer.run()
    assert set(fired.values()) == {9}
    assert iterations == [1, 2, 3]
    assert len(set(weights)) == 9, "a step of the optimiser after every pass"


def test_ramp_up():
    """mcnet_plus/docs/method.md#how-to-know-it-works."""
    ramp = SigmoidRampUp(1.0, length=40, every=150)
    assert ramp(0) == pytest.approx(0.00674, abs=1e-5)
    assert ramp(3000) == pytest.approx(0.2865, abs=1e-4)
    assert ramp(6000) == ramp(15000) == 1
    assert ramp(149) == ramp(0) < ramp(150)
    assert SigmoidRampUp(0.3, length=0)(0) == 0.3
