"""LeFeD computes what the authors' code computes: the network through ``from_authors``, and the losses."""

from __future__ import annotations

import torch

import common  # noqa: F401 (makes bundles importable)
from lefed.checkpoint import from_authors
from lefed.feedback import feedback_maps
from lefed.losses import DecoderConsistencyLoss, LeFeDSupervisedLoss
from lefed.network import LeFeD
from lefed.output import LeFeDOutput
from tests.vectors import load

FEATURE_STEPS = (1, 2, 2, 4, 4)


def strided(x, channels, space):
    return x[:, ::channels, ::space, ::space, ::space]


def test_network():
    vector = load("lefed")
    network = LeFeD().eval()
    state = from_authors(vector.state)
    network.load_state_dict(state, strict=False)
    assert set(state) == {k for k in network.state_dict() if not k.endswith("num_batches_tracked")}
    x = vector.inputs["x"]

    def both(feedback=None):
        return network.both(network.encoder(x, feedback))

    with torch.no_grad():
        passes = {"pass1": both()}
        first = passes["pass1"]
        fed = feedback_maps(first.features_a, first.features_b)
        passes["pass2"] = both(fed)
        passes["strong"] = both(feedback_maps(first.features_a, first.features_b, scale=0.5))
        torch.testing.assert_close(network(x), first.logits_a)
        torch.testing.assert_close(network(x, fed), passes["pass2"].logits_a)
    computed = {}
    for name, output in passes.items():
        computed[f"{name}_logitsA"] = strided(output.logits_a, 1, 2)
        computed[f"{name}_logitsB"] = strided(output.logits_b, 1, 2)
    for i, step in enumerate(FEATURE_STEPS):
        computed[f"pass1_featA_{i}"] = strided(first.features_a[i], 4, step)
        computed[f"pass1_featB_{i}"] = strided(first.features_b[i], 4, step)
        computed[f"pass1_side_{i}"] = strided(first.side_logits[i], 1, 4)
        computed[f"feedback_abs_mean_{i}"] = fed[i].abs().mean()
    vector.compare(computed)


def test_losses():
    vector = load("lefed_losses")
    given = vector.inputs
    logits_a = given["A"].clone().requires_grad_()
    side = [given[f"side_{i}"] for i in range(5)]
    output = LeFeDOutput(logits_a, given["B"], side, [], [])
    known = LeFeDOutput(logits_a[:2], given["B"][:2], [one[:2] for one in side], [], [])
    label = given["label"].unsqueeze(1)
    supervised = LeFeDSupervisedLoss(side_weights=())(known, label)
    everything = LeFeDSupervisedLoss()(known, label)
    consistency = DecoderConsistencyLoss()(output)
    total = everything + consistency
    (gradient,) = torch.autograd.grad(total, logits_a)
    vector.compare(
        {
            "sup": supervised,
            "ds": everything - supervised,
            "cons": consistency,
            "total": total,
            "gradA": gradient,
        }
    )
