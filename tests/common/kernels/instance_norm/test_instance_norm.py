"""Instance norm with leaky ReLU: the reference by hand and by finite differences, the rest against it."""

from __future__ import annotations

import random

import pytest
import torch

from common.kernels import instance_norm
from common.kernels.instance_norm import instance_norm_leaky_relu, instance_norm_leaky_relu_reference


@pytest.fixture(autouse=True)
def any_size_is_large(monkeypatch):
    """So that the CPU form is tested on small maps too."""
    monkeypatch.setattr(instance_norm, "_LARGE", (0, 0))


# shape, with parameters, with a residual: sizes of one, odd sizes, two and three dimensions, several programs
CASES = {
    "3d": ((2, 3, 5, 7, 3), True, True),
    "no parameters": ((2, 2, 3, 4, 5), False, True),
    "no residual": ((1, 3, 4, 4, 4), True, False),
    "ones": ((1, 1, 1, 1, 3), True, True),
    "2d": ((3, 2, 9, 11), True, True),
    "several programs": ((1, 2, 19, 31, 17), True, True),
    "no sample": ((0, 2, 3, 3, 3), True, True),
}


def inputs(shape, parameters, residual, *, dtype=torch.float32):
    g = torch.Generator().manual_seed(0)
    x = 3 + 2 * torch.randn(shape, generator=g, dtype=dtype)
    weight, bias = (torch.randn(shape[1], generator=g, dtype=dtype) if parameters else None for _ in "wb")
    added = torch.randn(shape, generator=g, dtype=dtype) if residual else None
    return [x, weight, bias, added], torch.randn(shape, generator=g, dtype=dtype)


def results(norm, tensors, cotangent, device="cpu", slope=0.1):
    tensors = [None if t is None else t.detach().to(device).requires_grad_() for t in tensors]
    out = norm(*tensors, slope=slope)
    gradients = torch.autograd.grad(out, [t for t in tensors if t is not None], cotangent.to(device))
    return [t.cpu() for t in (out, *gradients)]


def compare(case, device, *, rtol=1e-5, dtype=torch.float32, slope=0.1):
    tensors, cotangent = inputs(*case, dtype=dtype)
    theirs = results(instance_norm_leaky_relu_reference, tensors, cotangent, slope=slope)
    ours = results(instance_norm_leaky_relu, tensors, cotangent, device, slope=slope)
    assert all(torch.isfinite(t).all() for t in ours)
    for a, b in zip(ours, theirs, strict=True):
        torch.testing.assert_close(a, b, rtol=rtol, atol=rtol * (b.abs().max().item() if b.numel() else 0))


@pytest.mark.parametrize("norm", [instance_norm_leaky_relu_reference, instance_norm_leaky_relu])
@pytest.mark.parametrize("case", ["no residual", "no parameters"])
def test_gradients_are_those_of_finite_differences(norm, case):
    tensors, _ = inputs((2, 2, 2, 3), *CASES[case][1:], dtype=torch.float64)
    given = [t.requires_grad_() for t in tensors if t is not None]

    def call(*tensors_given):
        found = iter(tensors_given)
        return norm(*(None if t is None else next(found) for t in tensors), slope=0.1)

    assert torch.autograd.gradcheck(call, given)


@pytest.mark.skipif(torch.cuda.is_available(), reason="of a CPU")
def test_small_maps_on_a_cpu_take_the_reference(monkeypatch):
    """The reference is faster there and, with gradients, on larger maps too."""
    monkeypatch.delenv("COMMON_KERNELS", raising=False)
    monkeypatch.setattr(instance_norm, "_LARGE", (100, 1000))
    calls = []
    fused = instance_norm._fused
    monkeypatch.setattr(instance_norm, "_fused", lambda *given: calls.append(given) or fused(*given))
    for elements, requires_grad, expected in (
        (99, False, 0),
        (100, False, 1),
        (999, True, 1),
        (1000, True, 2),
    ):
        instance_norm_leaky_relu(torch.zeros(1, 1, elements, requires_grad=requires_grad))
        assert len(calls) == expected, (elements, requires_grad)


def test_two_voxels_by_hand(device):
    """1 and 3 are -1 and +1 once normalised; times 2, plus 1, plus 0.5: -0.5 and 3.5; slope 0.1."""
    x = torch.tensor([[[1.0, 3.0]]], device=device)
    weight, bias = torch.tensor([2.0], device=device), torch.tensor([1.0], device=device)
    out = instance_norm_leaky_relu(x, weight, bias, torch.full_like(x, 0.5), eps=0.0, slope=0.1)
    torch.testing.assert_close(out.cpu(), torch.tensor([[[-0.05, 3.5]]]))


@pytest.mark.parametrize("case", CASES.values(), ids=CASES.keys())
def test_matches_reference_with_gradients(case, device):
    compare(case, device)


@pytest.mark.parametrize("seed", range(5))
def test_matches_reference_at_random_shapes(seed, device):
    draw = random.Random(seed)
    shape = (draw.randint(1, 3), draw.randint(1, 4), *(draw.randint(1, 9) for _ in range(2)), 2)
    compare((shape, draw.random() < 0.5, draw.random() < 0.5), device)


def test_a_plain_relu_and_doubles(device):
    compare(CASES["3d"], device, slope=0.0)
    compare(CASES["3d"], device, rtol=1e-12, dtype=torch.float64)


def test_large_mean_does_not_cancel(device):
    """A CT in HU: a mean of a thousand and a deviation of one."""
    g = torch.Generator().manual_seed(0)
    x = 1000 + torch.randn(1, 1, 40, 60, generator=g)
    exact = instance_norm_leaky_relu_reference(x.double()).float()
    torch.testing.assert_close(instance_norm_leaky_relu(x.to(device)).cpu(), exact, rtol=1e-3, atol=1e-3)


def test_takes_tensors_that_are_not_contiguous(device):
    tensors, cotangent = inputs(*CASES["3d"])
    theirs = results(instance_norm_leaky_relu_reference, tensors, cotangent)
    strided = [
        (t.transpose(0, -1).contiguous().transpose(0, -1) if t.ndim > 1 else t).to(device).requires_grad_()
        for t in tensors
    ]
    assert not strided[0].is_contiguous()
    out = instance_norm_leaky_relu(*strided, slope=0.1)
    grad = cotangent.to(device).transpose(0, 1).contiguous().transpose(0, 1)
    ours = [t.cpu() for t in (out, *torch.autograd.grad(out, strided, grad))]
    for a, b in zip(ours, theirs, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-5, atol=1e-5 * b.abs().max().item())


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_precision_is_summed_in_float32(dtype, device):
    """Rounded once, at the end."""
    (x, weight, bias, added), cotangent = inputs(*CASES["3d"])
    rounded = [x.to(dtype), weight, bias, added.to(dtype)]
    exact = results(
        instance_norm_leaky_relu_reference, [t.float() for t in rounded], cotangent.to(dtype).float()
    )
    ours = results(instance_norm_leaky_relu, rounded, cotangent.to(dtype), device)
    step = torch.finfo(dtype).eps
    assert [t.dtype for t in ours] == [dtype, dtype, torch.float32, torch.float32, dtype]
    for a, b in zip(ours, exact, strict=True):
        torch.testing.assert_close(a.float(), b, rtol=2 * step, atol=step * b.abs().max().item())


@pytest.mark.parametrize("norm", [instance_norm_leaky_relu_reference, instance_norm_leaky_relu])
@pytest.mark.parametrize(
    ("arguments", "found"),
    [
        (lambda x: (x[:, :, :1, :1],), r"\[2, 3, 1, 1\]; expected \(B, C, \*S\), two voxels"),
        (lambda x: (x, torch.ones(3)), "expected both or neither"),
        (lambda x: (x, torch.ones(3), torch.ones(4)), r"weight has shape \[3\], bias \[4\]; expected \[3\]"),
        (lambda x: (x, None, None, x[:1]), r"residual has shape \[1, 3, 4, 5\], x \[2, 3, 4, 5\]"),
        (lambda x: (x, None, None, None, 1e-5, -1.0), "slope=-1.0; expected 0 or more"),
    ],
)
def test_arguments_that_do_not_fit_are_named(norm, arguments, found):
    with pytest.raises(ValueError, match=found):
        norm(*arguments(torch.zeros(2, 3, 4, 5)))


@pytest.mark.usefixtures("clean_memory")
class TestCompilers:
    """The operator as ``torch.compile`` and ``torch.export`` see it."""

    def test_operator_is_registered_correctly(self):
        pytest.importorskip("triton", reason="Triton is not installed")
        where = "cuda" if torch.cuda.is_available() else "cpu"
        tensors, _ = inputs(*CASES["3d"])
        tensors = [t.to(where).requires_grad_() for t in tensors]
        torch.library.opcheck(torch.ops.method_zoo.instance_norm_leaky_relu, (*tensors, 1e-5, 0.1))

    @pytest.mark.parametrize("choice", ["auto", "triton"])
    def test_compiles_without_a_break(self, choice, monkeypatch):
        pytest.importorskip("triton", reason="Triton is not installed")
        monkeypatch.setenv("COMMON_KERNELS", choice)
        where = "cuda" if torch.cuda.is_available() else "cpu"
        tensors, cotangent = inputs(*CASES["3d"])
        compiled = torch.compile(instance_norm_leaky_relu, fullgraph=True, backend="aot_eager")
        theirs = results(instance_norm_leaky_relu, tensors, cotangent, where)
        for a, b in zip(results(compiled, tensors, cotangent, where), theirs, strict=True):
            torch.testing.assert_close(a, b)

    def test_exports(self):
        class Norm(torch.nn.Module):
            def forward(self, x):
                return instance_norm_leaky_relu(x)

        (x, *_), _ = inputs(*CASES["3d"])
        program = torch.export.export(Norm(), (x,))
        torch.testing.assert_close(program.module()(x), instance_norm_leaky_relu(x))
        torch.testing.assert_close(torch.jit.script(Norm())(x), instance_norm_leaky_relu(x))
