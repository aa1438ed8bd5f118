"""VPTTA's source networks and losses compute what the authors' code computes, through ``from_authors``."""

from __future__ import annotations

import torch
from monai.losses import DiceLoss
from torch.nn import functional

import common  # noqa: F401 (makes bundles importable)
from common.adaptation.aligning_norm import WarmUp, alignment_loss, convert_to_aligning
from common.losses.overlap.nested_dice_bce import NestedDiceBCELoss
from common.networks.pranet.network import PraNet
from common.networks.resnet_unet.network import ResNetUNet
from tests.vectors import load
from vptta.checkpoint import from_authors


def test_network():
    vector = load("vptta_net")
    network = ResNetUNet().eval()
    state = from_authors(vector.state)
    network.load_state_dict(state, strict=False)
    assert set(state) == {k for k in network.state_dict() if not k.endswith("num_batches_tracked")}
    with torch.no_grad():
        maps = network.encode(vector.inputs["image"])
        logits = network.head(network.decode(maps))
        torch.testing.assert_close(network(vector.inputs["image"]), logits)
    vector.compare({"logits": logits, "skip_layer1": maps[1][:, :16, ::2, ::2], "bottleneck": maps[4]})


def generalised_dice(p, target):
    """Channels weighted by one over their area, 1 added to each sum before the weight."""
    overlap, total, area = ((x.sum((0, 2, 3))) for x in (p * target, p + target, target))
    return 1 - 2 * ((overlap + 1) / area).sum() / ((total + 1) / area).sum()


def test_source_losses():
    """The published loss, and three that no recipe uses; the Jaccard loss is of the background."""
    vector = load("vptta_segloss")
    logits, target = vector.inputs["logits"].clone().requires_grad_(), vector.inputs["target"]
    loss = NestedDiceBCELoss().of_channels(logits, target)
    (gradient,) = torch.autograd.grad(loss, logits)
    p = logits.detach().sigmoid()
    bce = functional.binary_cross_entropy(p, target)
    jaccard = DiceLoss(jaccard=True, batch=True, smooth_nr=2, smooth_dr=2)
    vector.compare(
        {
            "loss_dice": loss - bce,
            "loss_bce": bce,
            "loss_bce_dice": loss,
            "grad_bce_dice": gradient,
            "loss_gdl": generalised_dice(p, target),
            "loss_jaccard": jaccard((1 - p).reshape(1, 1, -1), (1 - target).reshape(1, 1, -1)),
            "loss_p2p": functional.l1_loss(p, target),
        }
    )


def test_pranet():
    """Plain, and with the encoder's norms adapted to the first image of a stream."""
    vector = load("vptta_pranet")
    network = PraNet().eval()
    state = from_authors(vector.state)
    network.load_state_dict(state, strict=False)
    assert set(state) == {k for k in network.state_dict() if not k.endswith("num_batches_tracked")}
    with torch.no_grad():
        logits = network(vector.inputs["image"])
        warm_up = WarmUp(tau=5)
        layers = convert_to_aligning(network, warm_up, within="encoder")
        warm_up.images = 1
        adapted = network(vector.inputs["image"])
        losses = torch.stack([layer.loss for layer in layers])
    assert len(layers) == 87
    vector.compare(
        {
            "logits": logits[..., ::2, ::2],
            "logits_adaptive": adapted[..., ::2, ::2],
            "bn_losses": losses,
            "bn_loss": alignment_loss(layers),
        }
    )
