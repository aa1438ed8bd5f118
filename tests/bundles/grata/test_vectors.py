"""GraTa's network, all branches included, computes what the authors' code computes."""

from __future__ import annotations

import torch

import common  # noqa: F401 (makes bundles importable)
from grata.checkpoint import from_authors
from grata.network import BRANCHES, GraTaNet
from tests.vectors import load


def test_network():
    vector = load("grata_net")
    network = GraTaNet(branches=tuple(BRANCHES)).eval()
    state = from_authors(vector.state)
    network.load_state_dict(state, strict=False)
    assert set(state) == {k for k in network.state_dict() if not k.endswith("num_batches_tracked")}
    with torch.no_grad():
        deepest = network.encode(vector.inputs["image"])[-1]
        auxiliary = network.auxiliary(deepest)
        vector.compare(
            {
                "seg": network(vector.inputs["image"]),
                "recon": auxiliary["reconstruction"],
                "rotation": auxiliary["rotation"],
                "denoise": auxiliary["denoising"],
                "superres": auxiliary["super_resolution"][..., ::2, ::2],
                "feature": deepest,
            }
        )
