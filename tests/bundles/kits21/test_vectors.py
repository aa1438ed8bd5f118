"""The organisers' numbers: scores of four pairs, and three annotators' maps aggregated by three rules."""

from __future__ import annotations

import torch

import common  # noqa: F401 (makes bundles importable)
from common.datasets.raw.kits21_annotations import REGIONS, aggregate
from kits21.metrics import COLUMNS, score_case
from tests.vectors import load


def test_metrics():
    vector = load("kits21_metrics")
    spacing = vector.inputs["spacing"].tolist()
    computed = {}
    for key in vector.inputs:
        if key.startswith("prediction_"):
            number = key.removeprefix("prediction_")
            pair = (vector.inputs[f"{kind}_{number}"].numpy() for kind in ("prediction", "reference"))
            found = score_case(*pair, spacing)
            scores = torch.tensor([found[c] for c in COLUMNS], dtype=torch.float64)
            computed[f"dice_{number}"], computed[f"surface_dice_{number}"] = scores[:3], scores[3:]
    for key, expected in vector.outputs.items():
        torch.testing.assert_close(computed[key], expected, atol=1e-6, rtol=0)
    vector.compare(computed, rtol=1e-6)  # neither more nor fewer than there are


def test_aggregation():
    vector = load("kits21_aggregation")
    annotations = {region: {} for region in REGIONS}
    for key, mask in vector.inputs.items():
        region, instance, annotation = key.split("_")
        annotations[region].setdefault(instance, {})[annotation] = mask.numpy()
    masks = {region: [list(one.values()) for one in found.values()] for region, found in annotations.items()}
    for rule in ("MAJ", "OR", "AND"):
        expected = vector.outputs[f"aggregated_{rule.lower()}"]
        assert torch.equal(torch.from_numpy(aggregate(masks, rule)), expected)
        assert expected.unique().tolist() == [0, 1, 2, 3]
