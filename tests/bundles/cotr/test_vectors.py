"""CoTr computes what the authors' code computes (cotr/docs/method.md#axis-order)."""

from __future__ import annotations

import pytest
import torch

import common  # noqa: F401 (makes bundles importable)
from common.blocks.deformable import DeformableAttention3d
from common.kernels.deformable_attention import deformable_attention, deformable_attention_reference
from cotr.checkpoint import from_authors
from cotr.network import CoTr, DeTrans
from tests.vectors import load


def test_network():
    vector = load("cotr")
    network = CoTr(out_channels=12, axis_order="published")
    network.load_state_dict(from_authors(vector.state))
    network.train()
    for module in network.modules():
        if isinstance(module, torch.nn.Dropout):
            module.eval()
    with torch.no_grad():
        final, ds0, ds1, ds2 = network(vector.inputs["x"])
        alone = network.eval()(vector.inputs["x"])
    quarter = (slice(None), slice(None), slice(0, None, 4), slice(0, None, 4), slice(0, None, 4))
    half = (slice(None), slice(None), slice(0, None, 2), slice(0, None, 2), slice(0, None, 2))
    vector.compare(
        {"final_strided": final[quarter], "ds0_strided": ds0[quarter], "ds1": ds1[half], "ds2": ds2}
    )
    torch.testing.assert_close(alone, final)


def test_detrans():
    vector = load("cotr_detrans")
    transformer = DeTrans(layers=1, axis_order="published").eval()
    state = from_authors({f"encoder_Detrans.{key}": value for key, value in vector.state.items()})
    transformer.load_state_dict({key.removeprefix("transformer."): value for key, value in state.items()})
    maps = [vector.inputs["level0"], vector.inputs["level1"]]
    with torch.no_grad():
        memory = torch.cat([m.flatten(2).transpose(1, 2) for m in transformer(maps)], dim=1)
        codes = [transformer.position(m) for m in maps]
    vector.compare({"memory": memory, "pos0": codes[0], "pos1": codes[1]})


def test_attention():
    vector = load("cotr_attention")
    attention = DeformableAttention3d(48, heads=6, levels=2, points=4, axis_order="published").eval()
    attention.load_state_dict(vector.state)
    with torch.no_grad():
        output = attention(
            vector.inputs["query"],
            vector.inputs["reference_points"],
            vector.inputs["value"],
            vector.inputs["spatial_shapes"].tolist(),
        )
    vector.compare({"output": output})


@pytest.mark.parametrize("core", [deformable_attention, deformable_attention_reference])
def test_attention_core(core):
    vector = load("cotr_attention_core")
    value, locations, weights = (
        vector.inputs[key].clone().requires_grad_() for key in ("value", "locations", "weights")
    )
    output = core(value, [[4, 6, 8], [2, 3, 4]], locations, weights)
    gradients = torch.autograd.grad(output, (value, locations, weights), vector.inputs["grad_output"])
    names = ("grad_value", "grad_locations", "grad_weights")
    vector.compare({"output": output, **dict(zip(names, gradients, strict=True))})
