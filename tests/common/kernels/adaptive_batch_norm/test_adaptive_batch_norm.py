"""Adaptive batch norm: the reference against the authors' numbers and finite differences, the rest against
it.
"""

from __future__ import annotations

import random

import pytest
import torch
import torch.nn.functional as F

from common.kernels.adaptive_batch_norm import adaptive_batch_norm, adaptive_batch_norm_reference
from tests.vectors import load

SHAPES = {
    "one image": (1, 4, 7, 9),
    "batch": (3, 2, 5, 4),
    "3d": (2, 3, 3, 4, 5),
    "smallest": (1, 1, 1, 2),
    "several programs": (2, 1, 97, 101),
}


def inputs(shape, *, dtype=torch.float32):
    """z, source statistics, parameters; cotangents of output and loss."""
    g = torch.Generator().manual_seed(0)
    z = 1 + 2 * torch.randn(shape, generator=g, dtype=dtype)
    mean, weight, bias = (torch.randn(shape[1], generator=g, dtype=dtype) for _ in range(3))
    variance = 0.5 + torch.rand(shape[1], generator=g, dtype=dtype)
    cotangents = [torch.randn(shape, generator=g, dtype=dtype), torch.tensor(3.0, dtype=dtype)]
    return [z, mean, variance, weight, bias], cotangents


def results(norm, tensors, cotangents, device="cpu", share=0.7):
    tensors = [t.detach().to(device) for t in tensors]
    wanted = [tensors[i].requires_grad_() for i in (0, 3, 4)]
    out, loss = norm(*tensors, share)
    gradients = torch.autograd.grad([out, loss], wanted, [c.to(device) for c in cotangents])
    return [t.cpu() for t in (out, loss, *gradients)]


def assert_same(ours, theirs, *, rtol=1e-5):
    names = ("output", "loss", "z", "weight", "bias")
    for name, a, b in zip(names, ours, theirs, strict=True):
        tolerance = rtol * b.abs().max().item()
        torch.testing.assert_close(a, b, rtol=rtol, atol=tolerance, msg=lambda m, name=name: f"{name}: {m}")


def compare(shape, device, *, rtol=1e-5, dtype=torch.float32, share=0.7):
    tensors, cotangents = inputs(shape, dtype=dtype)
    theirs = results(adaptive_batch_norm_reference, tensors, cotangents, share=share)
    ours = results(adaptive_batch_norm, tensors, cotangents, device, share=share)
    assert all(torch.isfinite(t).all() for t in ours)
    assert_same(ours, theirs, rtol=rtol)


@pytest.mark.parametrize("norm", [adaptive_batch_norm_reference, adaptive_batch_norm])
def test_losses_equal_the_authors(norm, device):
    """The first three of the 41 layers on the first image, whose prompt is all ones."""
    vector = load("vptta_stream")

    def layer(name, z):
        keys = ("running_mean", "running_var", "weight", "bias")
        parameters = [vector.state[f"{name}.{key}"].to(device) for key in keys]
        return norm(z, *parameters, 1 / (1 / 5 + 1))

    def convolve(name, x, **settings):
        return F.conv2d(x, vector.state[f"{name}.weight"].to(device), **settings)

    losses = [None, None, None]
    x = convolve("res.conv1", vector.inputs["images"][:1].to(device), stride=2, padding=3)
    x, losses[0] = layer("res.bn1", x)
    x = convolve("res.layer1.0.conv1", F.max_pool2d(x.relu(), 3, 2, 1), padding=1)
    x, losses[1] = layer("res.layer1.0.bn1", x)
    _, losses[2] = layer("res.layer1.0.bn2", convolve("res.layer1.0.conv2", x.relu(), padding=1))
    theirs = vector.outputs["layer_losses_0"][:3].float()
    torch.testing.assert_close(torch.stack(losses).cpu(), theirs, rtol=1e-5, atol=0)


@pytest.mark.parametrize("norm", [adaptive_batch_norm_reference, adaptive_batch_norm])
def test_gradients_are_those_of_finite_differences(norm):
    """Where a gradient flows: of the loss with fixed targets (share 0), of the output by the parameters."""
    (z, mean, variance, weight, bias), _ = inputs((2, 2, 2, 3), dtype=torch.float64)
    given = [t.requires_grad_() for t in (z, weight, bias)]
    assert torch.autograd.gradcheck(lambda z, w, b: norm(z, mean, variance, w, b, 0.0), given)


@pytest.mark.parametrize("norm", [adaptive_batch_norm_reference, adaptive_batch_norm])
def test_share_is_between_source_and_current_statistics(norm, device):
    tensors, _ = inputs(SHAPES["batch"])
    z, mean, variance, weight, bias = (t.to(device) for t in tensors)
    source, _ = norm(z, mean, variance, weight, bias, 0.0)
    torch.testing.assert_close(source, F.batch_norm(z, mean, variance, weight, bias))
    current, _ = norm(z, mean, variance, weight, bias, 1.0)
    own = torch.var_mean(z.transpose(0, 1).flatten(1), dim=1)
    torch.testing.assert_close(current, F.batch_norm(z, own[1], own[0], weight, bias), rtol=1e-4, atol=1e-5)
    _, loss = norm(z[:1], mean, variance, weight, bias, 1.0)
    assert loss.item() == pytest.approx(0, abs=1e-6)


@pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES.keys())
def test_matches_reference_with_gradients(shape, device):
    compare(shape, device)


@pytest.mark.parametrize("seed", range(5))
def test_matches_reference_at_random_shapes(seed, device):
    draw = random.Random(seed)
    shape = (draw.randint(1, 3), draw.randint(1, 4), *(draw.randint(1, 9) for _ in range(2)), 2)
    compare(shape, device, share=draw.random())


def test_double_precision_stays_double(device):
    compare(SHAPES["batch"], device, rtol=1e-11, dtype=torch.float64)


def test_a_constant_channel_gets_a_finite_gradient(device):
    """Its standard deviation is zero, where the square root has no derivative."""
    tensors, cotangents = inputs((1, 2, 3, 3))
    tensors[0][:, 0] = 5.0
    ours = results(adaptive_batch_norm, tensors, cotangents, device)
    assert_same(ours, results(adaptive_batch_norm_reference, tensors, cotangents))
    assert torch.isfinite(ours[2]).all()


def test_takes_tensors_that_are_not_contiguous(device):
    tensors, cotangents = inputs(SHAPES["batch"])
    theirs = results(adaptive_batch_norm_reference, tensors, cotangents)
    tensors = [t.to(device) for t in tensors]
    tensors[0] = tensors[0].transpose(0, -1).contiguous().transpose(0, -1)
    wanted = [tensors[i].requires_grad_() for i in (0, 3, 4)]
    assert not tensors[0].is_contiguous()
    out, loss = adaptive_batch_norm(*tensors, 0.7)
    strided = cotangents[0].to(device).transpose(0, 1).contiguous().transpose(0, 1)
    gradients = torch.autograd.grad([out, loss], wanted, [strided, cotangents[1].to(device)])
    assert_same([t.cpu() for t in (out, loss, *gradients)], theirs)


def test_a_relu_in_place_may_follow(device):
    """As in most networks; a result that is a view would not allow it."""
    tensors, cotangents = inputs(SHAPES["one image"])
    theirs = results(lambda *given: _relu(adaptive_batch_norm_reference(*given), False), tensors, cotangents)
    ours = results(lambda *given: _relu(adaptive_batch_norm(*given), True), tensors, cotangents, device)
    assert_same(ours, theirs)


def _relu(out_and_loss, inplace):
    out, loss = out_and_loss
    return F.relu(out, inplace=inplace), loss


@pytest.mark.parametrize("norm", [adaptive_batch_norm_reference, adaptive_batch_norm])
def test_sizes_that_do_not_fit_are_named(norm):
    ones = torch.ones(3)
    for shape in ((2, 3, 1, 1), (0, 3, 4, 4), (2, 3)):
        with pytest.raises(ValueError, match=r"expected \(N, C, \*S\) with a sample"):
            norm(torch.zeros(shape), ones, ones, ones, ones, 0.5)
    with pytest.raises(ValueError, match=r"shape \[4\]; expected \[3\]"):
        norm(torch.zeros(2, 3, 4), ones, torch.ones(4), ones, ones, 0.5)


@pytest.mark.usefixtures("clean_memory")
class TestCompilers:
    """The operator as ``torch.compile`` and ``torch.export`` see it."""

    @pytest.mark.parametrize("choice", ["auto", "triton"])
    def test_operator_is_registered_correctly(self, choice, monkeypatch):
        pytest.importorskip("triton", reason="Triton is not installed")
        monkeypatch.setenv("COMMON_KERNELS", choice)
        where = "cuda" if torch.cuda.is_available() else "cpu"
        tensors, _ = inputs(SHAPES["batch"])
        tensors = [t.to(where) for t in tensors]
        tensors[0].requires_grad_()
        torch.library.opcheck(torch.ops.method_zoo.adaptive_batch_norm, (*tensors, 0.5, 1e-5))

    @pytest.mark.parametrize("choice", ["auto", "triton"])
    def test_compiles_without_a_break(self, choice, monkeypatch):
        pytest.importorskip("triton", reason="Triton is not installed")
        monkeypatch.setenv("COMMON_KERNELS", choice)
        where = "cuda" if torch.cuda.is_available() else "cpu"
        tensors, cotangents = inputs(SHAPES["batch"])
        compiled = torch.compile(adaptive_batch_norm, fullgraph=True, backend="aot_eager")
        theirs = results(adaptive_batch_norm, tensors, cotangents, where)
        assert_same(results(compiled, tensors, cotangents, where), theirs)
