"""The Triton kernel of the mutual consistency against the reference: interpreted, or on a GPU."""

import random

import pytest
import torch

from common.kernels.mutual_consistency import mutual_consistency, mutual_consistency_reference


def maps(shape, decoders, *, scale=2.0, dtype=torch.float32, seed=0):
    g = torch.Generator().manual_seed(seed)
    drawn = [scale * torch.randn(shape, generator=g, dtype=torch.float64) for _ in range(decoders)]
    return [z.to(dtype) for z in drawn]


def value_and_gradients(loss, logits, device="cpu", **options):
    logits = [z.to(device).requires_grad_() for z in logits]
    value = loss(logits, **options)
    return [t.cpu() for t in (value.detach(), *torch.autograd.grad(value * 100, logits))]


def compare(logits, device, *, rtol=1e-5, **options):
    theirs = value_and_gradients(mutual_consistency_reference, logits, **options)
    ours = value_and_gradients(mutual_consistency, logits, device, **options)
    assert all(torch.isfinite(t).all() for t in ours)
    for a, b in zip(ours, theirs, strict=True):
        torch.testing.assert_close(a, b, rtol=rtol, atol=rtol * (b.abs().max().item() if b.numel() else 0))


@pytest.mark.parametrize("detach", [False, True])
@pytest.mark.parametrize("temperature", [0.1, 1.0])
@pytest.mark.parametrize(("shape", "decoders"), [((2, 2, 5, 7, 3), 3), ((1, 4, 11, 5), 3), ((2, 3, 1), 2)])
def test_matches_reference_with_gradients(shape, decoders, temperature, detach, kernel_device):
    compare(
        maps(shape, decoders), kernel_device, temperature=temperature, detach=detach, rtol=1e-4
    )  # float32 reference against float32 kernel; doubles below


@pytest.mark.parametrize("seed", range(4))
def test_matches_reference_at_random_shapes_in_doubles(seed, kernel_device):
    draw = random.Random(seed)
    shape = (draw.randint(1, 2), draw.randint(2, 5), draw.randint(1, 300))
    logits = maps(shape, draw.randint(1, 4), dtype=torch.float64, seed=seed)
    compare(logits, kernel_device, rtol=1e-10, detach=draw.random() < 0.5)


def test_more_maps_or_classes_than_the_kernel_holds(kernel_device):
    compare(maps((1, 9, 3), 2, dtype=torch.float64), kernel_device, rtol=1e-10)
    compare(maps((1, 2, 3), 5, dtype=torch.float64), kernel_device, rtol=1e-10)


def test_empty_batch_and_other_strides(kernel_device):
    with torch.no_grad():
        assert not torch.isnan(mutual_consistency([z.to(kernel_device) for z in maps((0, 2, 5), 3)]))
    strided = [
        z.transpose(0, 2).contiguous().transpose(0, 2) for z in maps((2, 2, 7), 3, dtype=torch.float64)
    ]
    assert not strided[0].is_contiguous()
    compare(strided, kernel_device, rtol=1e-10)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
@pytest.mark.parametrize("classes", [2, 4])
def test_half_precision_logits_are_computed_in_float32(dtype, classes, kernel_device):
    logits = maps((2, classes, 6, 5), 3, scale=30.0, dtype=dtype)
    exact = value_and_gradients(mutual_consistency_reference, [z.double() for z in logits])
    ours = value_and_gradients(mutual_consistency, logits, kernel_device)
    assert [t.dtype for t in ours] == [torch.float32, dtype, dtype, dtype]
    torch.testing.assert_close(ours[0].double(), exact[0], rtol=1e-5, atol=1e-7)
    for a, b in zip(ours[1:], exact[1:], strict=True):
        assert (a.double() - b).abs().max() <= 2 * torch.finfo(dtype).eps * b.abs().max()


def test_saturated_logits_give_finite_gradients(kernel_device):
    logits = [torch.tensor([[200.0, -200.0, 0.0]]), torch.zeros(1, 3)]
    ours = value_and_gradients(mutual_consistency, logits, kernel_device)
    assert all(torch.isfinite(t).all() for t in ours)


@pytest.mark.usefixtures("clean_memory")
def test_compiles_without_a_break(kernel_device, monkeypatch):
    monkeypatch.setenv("COMMON_KERNELS", "triton")  # clean_memory undid it
    logits = maps((1, 2, 9), 3)
    compiled = torch.compile(mutual_consistency, fullgraph=True, backend="aot_eager")
    theirs = value_and_gradients(mutual_consistency, logits, kernel_device)
    for a, b in zip(value_and_gradients(compiled, logits, kernel_device), theirs, strict=True):
        torch.testing.assert_close(a, b)


@pytest.mark.usefixtures("clean_memory")
@pytest.mark.parametrize("with_gradients", [False, True])
def test_operator_is_registered_correctly(with_gradients):
    logits = [z.requires_grad_(with_gradients) for z in maps((1, 3, 5), 2)]
    torch.library.opcheck(torch.ops.method_zoo.mutual_consistency, (logits, 0.5, False, with_gradients))
