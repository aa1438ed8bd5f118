"""What the organisers' code computes: classes to organs, scores, and their U-Net."""

from __future__ import annotations

import numpy as np
import torch

import common  # noqa: F401 (makes bundles importable)
from common.datasets.raw.segrap_classes import compose, expand
from segrap2023.metrics import score_structure
from tests.vectors import load


def test_labels():
    vector = load("segrap2023_labels")
    fine = vector.inputs["fine"].numpy()
    channels = expand(fine)
    flat = channels.reshape(len(channels), -1)
    assert np.array_equal(np.packbits(flat, axis=1), vector.outputs["channels"].numpy())
    assert np.array_equal(flat.sum(axis=1), vector.outputs["count"].numpy())
    assert np.array_equal(compose(channels)[0], fine)


def test_metrics():
    vector = load("segrap2023_metrics")
    spacing = vector.inputs["spacing"].tolist()
    numbers = [key.removeprefix("prediction_") for key in vector.inputs if key.startswith("prediction_")]
    assert numbers
    for number in numbers:
        prediction, reference = (
            vector.inputs[f"{kind}_{number}"].numpy() > 0 for kind in ("prediction", "reference")
        )
        tolerance = float(vector.inputs[f"tolerance_{number}"])
        found = score_structure(prediction, reference, spacing=spacing, tolerance_mm=tolerance)
        assert found["DSC"] == float(vector.outputs[f"dsc_{number}"])
        assert found["NSD"] == float(vector.outputs[f"nsd_{number}"])


def test_network():
    from segrap2023.checkpoint import from_authors
    from segrap2023.network import UNet3D

    vector = load("segrap2023_unet3d")
    network = UNet3D().eval()
    network.load_state_dict({**from_authors(vector.state), **counters(network)}, strict=True)
    with torch.no_grad():
        logits = network(vector.inputs["image"])
    vector.compare({"logits": logits[:, :, ::2, ::2, ::3]})


def counters(network: torch.nn.Module) -> dict[str, torch.Tensor]:
    """How many batches a norm has seen, which no vector holds."""
    return {k: v for k, v in network.state_dict().items() if k.endswith("num_batches_tracked")}
