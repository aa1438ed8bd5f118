"""A whole network as the compilers see it: CoTr, with the operator in its middle."""

from __future__ import annotations

import importlib

import pytest
import torch

import common  # noqa: F401 (makes bundles importable)

CoTr = importlib.import_module("cotr.network").CoTr
OPERATOR = "method_zoo.deformable_attention.default"

pytestmark = pytest.mark.usefixtures("clean_memory")


@pytest.fixture(scope="module")
def network():
    torch.manual_seed(0)
    network = CoTr(in_channels=1, out_channels=2, dropout=0.0)
    del network.transformer.layers[1:]  # six alike; one shows a compiler everything
    return network


@pytest.fixture(scope="module")
def image():
    return torch.randn(1, 1, 16, 32, 32, generator=torch.Generator().manual_seed(0))


def test_compiles_without_a_break_in_training(network, image):
    """Forward and backward through one graph: ``fullgraph`` forbids breaks, and it has the operator."""
    seen = []

    def backend(graph, inputs):
        seen.extend(str(node.target) for node in graph.graph.nodes if node.op == "call_function")
        return graph.forward

    network.train()
    compiled = torch.compile(network, fullgraph=True, backend=backend)
    ours, theirs = compiled(image), network(image)
    assert sum("deformable_attention" in target for target in seen) >= 1
    for a, b in zip(ours, theirs, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-4, atol=1e-4)
    weight = next(network.parameters())
    (ours,), (theirs,) = (torch.autograd.grad(sum(o.sum() for o in out), weight) for out in (ours, theirs))
    torch.testing.assert_close(ours, theirs, rtol=1e-3, atol=1e-3 * theirs.abs().max().item())


@pytest.mark.slow
@pytest.mark.parametrize("choice", ["auto", "eager"])
def test_compiles_without_a_break_through_autograd(network, image, choice, monkeypatch):
    """Traced down to operators, forward and backward, with our form and the reference."""
    monkeypatch.setenv("COMMON_KERNELS", choice)
    compiled = torch.compile(network.train(), fullgraph=True, backend="aot_eager")
    final = compiled(image)[0]
    torch.testing.assert_close(final, network(image)[0], rtol=1e-4, atol=1e-4)
    final.sum().backward()
    network.zero_grad()


def test_exports(network, image):
    program = torch.export.export(network.eval(), (image,))
    targets = [str(node.target) for node in program.graph.nodes if node.op == "call_function"]
    assert targets.count(OPERATOR) == sum(
        "DeformableAttention" in type(m).__name__ for m in network.modules()
    )
    with torch.no_grad():
        torch.testing.assert_close(program.module()(image), network(image), rtol=1e-4, atol=1e-4)
