"""GraTa's parts compute what the authors' code computes: the views, and two steps of adaptation.

Tolerances of the steps: batch norm over few pixels and the kinks of ReLU amplify rounding, so that deep
gradients change by several percent with the order of operations; grata/docs/method.md#tolerances.
"""

from __future__ import annotations

import torch

import common  # noqa: F401 (makes bundles importable)
from common.networks.resnet_unet.checkpoint import from_authors_resnet_unet
from common.networks.resnet_unet.network import ResNetUNet
from grata.inferer import GradientAlignmentInferer
from grata.views import INVERSES, VIEWS
from tests.vectors import load

#: Their names of the stored parameters -> ours.
STORED = {
    "res_bn1_weight": "encoder.bn1.weight",
    "res_bn1_bias": "encoder.bn1.bias",
    "up1_bn_weight": "blocks.0.norm.weight",
    "bnout_weight": "head.norm.weight",
    "bnout_bias": "head.norm.bias",
}


def test_views():
    vector = load("grata_views")
    x = vector.inputs["x"]
    computed = {f"view_{i}": view(x) for i, view in enumerate(VIEWS[1:])}
    computed |= {f"inverse_{i}": inverse(x) for i, inverse in enumerate(INVERSES[1:])}
    vector.compare(computed, rtol=0)


def relative(actual, expected):
    return ((actual - expected).abs().max() / expected.abs().max()).item()


def similarity(actual, expected):
    return torch.nn.functional.cosine_similarity(actual.flatten(), expected.flatten(), dim=0).item()


class Steps(GradientAlignmentInferer):
    """Takes the strong image as an argument."""

    def adapt(self, image):
        self.last = self.align(image, self.strong)


def test_two_steps():
    vector = load("grata_step")
    network = ResNetUNet().eval()
    state = {k: v for k, v in from_authors_resnet_unet(vector.state).items() if k in network.state_dict()}
    network.load_state_dict(state, strict=False)
    assert set(state) == {k for k in network.state_dict() if not k.endswith("num_batches_tracked")}
    inferer = Steps()
    met = set()
    before = {ours: network.get_parameter(ours).detach().clone() for ours in STORED.values()}
    for i, image in enumerate(vector.inputs["images"].split(1)):
        inferer.strong = vector.inputs["strong"][i : i + 1]
        logits = inferer(image, network)
        expected, last = vector.outputs, inferer.last
        for ours, key in ((last.auxiliary_loss, "loss_entropy"), (last.pseudo_loss, "loss_consistency")):
            assert abs(ours / expected[f"{key}_{i}"].item() - 1) < 1e-5, key
        for ours, key in ((last.cosine, "cosine"), (last.lr, "lr")):
            assert abs(ours / expected[f"{key}_{i}"].item() - 1) < 2e-2, key
        assert relative(logits, expected[f"logits_{i}"]) < 1e-3
        met |= {f"{key}_{i}" for key in ("loss_entropy", "loss_consistency", "cosine", "lr", "logits")}
        places = {name: j for j, (name, _) in enumerate(inferer.network.named_parameters())}
        adapted = {id(p): j for j, p in enumerate(inferer.parameters)}
        assert len(places) >= len(adapted)
        for theirs, name in STORED.items():
            parameter = inferer.network.get_parameter(name)
            j = adapted[id(parameter)]
            for key, gradient in (("auxgrad", last.auxiliary[j]), ("psegrad", last.pseudo[j])):
                stored = expected[f"{key}_{i}/{theirs}"]
                if theirs.startswith("bnout"):
                    assert relative(gradient, stored) < 2e-3, f"{key} {name}"
                assert similarity(gradient, stored) > 0.99, f"{key} {name}"
                met.add(f"{key}_{i}/{theirs}")
            delta = parameter.detach() - before[name]
            assert similarity(delta, expected[f"delta_{i}/{theirs}"]) > 0.95, f"delta {name}"
            met.add(f"delta_{i}/{theirs}")
            before[name] = parameter.detach().clone()
    assert met == set(vector.outputs)
