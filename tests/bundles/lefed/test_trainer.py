"""LeFeD's trainer: three passes per batch, each with the previous one's feedback."""

from __future__ import annotations

import pytest
import torch
from ignite.engine import Events
from monai.inferers import SimpleInferer
from torch.nn import functional

import common  # noqa: F401 (makes bundles importable)
from common.networks.vnet.network import VNet
from common.training.batches import PrepareImageLabel
from common.training.ramp_up import SigmoidRampUp
from lefed.losses import DecoderConsistencyLoss, LeFeDSupervisedLoss
from lefed.network import LeFeD
from lefed.trainer import LeFeDTrainer

SIZE = (16, 16, 16)


def make_batch(seed=0):
    generator = torch.Generator().manual_seed(seed)
    image = torch.randn(4, 1, *SIZE, generator=generator)
    return {"image": image, "label": (image[:2] > 0.5).long()}


def make_network():
    torch.manual_seed(0)
    return LeFeD(dropout=0.0, head_dropout=0.0)


def make_trainer(network, batches, optimizer=None, **options):
    return LeFeDTrainer(
        device=torch.device("cpu"),
        max_epochs=1,
        train_data_loader=batches,
        network=network,
        prepare_batch=PrepareImageLabel(),
        loss_function=LeFeDSupervisedLoss(),
        consistency_loss=DecoderConsistencyLoss(),
        consistency_weight=SigmoidRampUp(1.0, length=0),
        optimizer=optimizer
        or torch.optim.SGD(network.parameters(), lr=0.01, momentum=0.9, weight_decay=1e-4),
        inferer=SimpleInferer(),
        decollate=False,
        **options,
    )


def dice(logits, label):
    p, g = logits.softmax(1)[:, 1], (label[:, 0] == 1).float()
    return 1 - (2 * (p * g).sum() + 1e-5) / ((p * p).sum() + (g * g).sum() + 1e-5)


def train_by_hand(network, batches, passes):
    """The published loop, written out."""
    optimizer = torch.optim.SGD(network.parameters(), lr=0.01, momentum=0.9, weight_decay=1e-4)
    network.train()
    losses = []
    for batch in batches:
        feedback = None
        for _ in range(passes):
            out = network(batch["image"], feedback)
            label = batch["label"]
            loss = dice(out.logits_a[:2], label) + dice(out.logits_b[:2], label)
            for weight, side in zip((0.8, 0.6, 0.4, 0.2, 0.1), reversed(out.side_logits), strict=True):
                loss = loss + weight * dice(side[:2], label)
            loss = loss + functional.mse_loss(out.logits_a.softmax(1), out.logits_b.softmax(1))
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            pairs = zip(out.features_a, out.features_b, strict=True)
            feedback = [1e-3 * (b - a).detach() for a, b in pairs]
            losses.append(loss.item())
    return losses


@pytest.mark.parametrize("passes", [1, 3])
def test_equal_to_the_published_loop(passes):
    batches = [make_batch(0), make_batch(1)]
    ours, expected = make_network(), make_network()
    trainer = make_trainer(ours, batches, passes=passes)
    trainer.run()
    losses = train_by_hand(expected, batches, passes)
    assert trainer.state.output["loss"].item() == pytest.approx(losses[-1], rel=1e-5)
    for key, value in expected.state_dict().items():
        torch.testing.assert_close(ours.state_dict()[key], value, rtol=1e-4, atol=1e-6, msg=key)


def test_one_step_and_one_feedback_per_pass():
    network = make_network()
    seen = []
    network.register_forward_pre_hook(
        lambda _, args, kwargs: seen.append(kwargs.get("feedback")), with_kwargs=True
    )
    optimizer = torch.optim.SGD(network.parameters(), lr=0.01)
    steps = []
    optimizer.register_step_post_hook(lambda *_: steps.append(1))
    trainer = make_trainer(network, [make_batch()] * 2, optimizer)
    trainer.run()
    assert len(steps) == 6
    assert [feedback is None for feedback in seen] == [True, False, False] * 2
    assert not any(m.requires_grad for feedback in seen if feedback for m in feedback)
    output = trainer.state.output
    assert output["feature_discrepancy"] > 0
    assert output["consistency_weight"] == 1.0
    total = output["supervised_loss"] + output["consistency_loss"]
    torch.testing.assert_close(output["loss"].detach(), total)


def test_the_bottleneck_can_stay_without_feedback():
    network = make_network()
    seen = []
    network.register_forward_pre_hook(
        lambda _, args, kwargs: seen.append(kwargs.get("feedback")), with_kwargs=True
    )
    make_trainer(network, [make_batch()], passes=2, bottleneck_feedback=False, feedback_scale=0.5).run()
    assert not seen[1][0].any()
    assert all(m.any() for m in seen[1][1:])


def test_discrepancy_stays_while_disagreement_falls():
    """lefed/docs/method.md#how-to-know-it-works: on one batch, trained until the decoders agree."""
    network = make_network()
    trainer = make_trainer(network, [make_batch()] * 12)
    history = []
    trainer.add_event_handler(
        Events.ITERATION_COMPLETED,
        lambda e: history.append(
            (e.state.output["consistency_loss"].item(), e.state.output["feature_discrepancy"].item())
        ),
    )
    trainer.run()
    disagreement, discrepancy = zip(*history, strict=True)
    assert max(disagreement[-3:]) < 0.5 * max(disagreement)
    assert min(discrepancy) > 0.05


def test_a_network_with_one_decoder_is_trained_on_the_labels_alone():
    torch.manual_seed(0)
    network = VNet(dropout=0.0)
    trainer = make_trainer(network, [make_batch()])
    before = network(make_batch()["image"])
    trainer.run()
    output = trainer.state.output
    assert output["consistency_loss"] == 0
    torch.testing.assert_close(output["loss"].detach(), dice(before[:2], make_batch()["label"]).detach())


@pytest.mark.parametrize("passes", [0, -1])
def test_zero_passes_are_refused(passes):
    with pytest.raises(ValueError, match="passes"):
        make_trainer(make_network(), [], passes=passes)
