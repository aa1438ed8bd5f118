"""The Triton kernels of deformable attention against the reference: interpreted, or on a GPU."""

import random

import pytest
import torch

from common.kernels.deformable_attention import deformable_attention, deformable_attention_reference
from tests.common.kernels.deformable_cases import SIZES, assert_same, inputs, output_and_gradients

# The interpreter takes seconds for what a GPU does in microseconds: "3d" is too large for it.
SMALL = ([[2, 3, 4], [1, 2, 2]], 2, 5, 2, 4, 2)
TINY = {name: size for name, size in SIZES.items() if name != "3d"} | {"3d small": SMALL}


def moved(tensors, device):
    return [t.detach().to(device).requires_grad_() for t in tensors]


def compare(size, device, *, rtol=1e-5, dtype=torch.float32):
    levels = size[0]
    tensors, cotangent = inputs(*size, dtype=dtype)
    theirs = output_and_gradients(deformable_attention_reference, levels, tensors, cotangent)
    ours = output_and_gradients(deformable_attention, levels, moved(tensors, device), cotangent.to(device))
    assert all(torch.isfinite(t).all() for t in ours)
    assert_same([t.cpu() for t in ours], theirs, rtol=rtol)


@pytest.mark.parametrize("size", TINY.values(), ids=TINY.keys())
def test_matches_reference_with_gradients(size, kernel_device):
    compare(size, kernel_device)


def random_size(seed):
    draw = random.Random(seed)
    dims = draw.choice([2, 3])
    levels = [[draw.randint(1, 6) for _ in range(dims)] for _ in range(draw.randint(1, 3))]
    B, Q, M, C, P = (draw.randint(1, n) for n in (2, 9, 3, 20, 3))
    return levels, B, Q, M, C, P


@pytest.mark.parametrize("seed", range(8))
def test_matches_reference_at_random_shapes(seed, kernel_device):
    compare(random_size(seed), kernel_device)


@pytest.mark.parametrize("channels", [129, 300])
def test_takes_any_head_width(channels, kernel_device):
    """More channels than one forward program holds; fewer rows than one."""
    compare(([[2, 3]], 1, 3, 1, channels, 2), kernel_device)


def test_double_precision_stays_double(kernel_device):
    compare(SIZES["3d primes"], kernel_device, rtol=1e-12, dtype=torch.float64)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_precision_values_are_summed_in_float32(dtype, kernel_device):
    """One rounding at the end: against the exact result from the same rounded values."""
    levels = SMALL[0]
    (value, locations, weights), cotangent = inputs(*SMALL)
    rounded, given = value.detach().to(dtype), cotangent.to(dtype)
    exact = output_and_gradients(
        deformable_attention_reference,
        levels,
        moved([rounded.float(), locations, weights], "cpu"),
        given.float(),
    )
    ours = output_and_gradients(
        deformable_attention,
        levels,
        moved([rounded, locations, weights], kernel_device),
        given.to(kernel_device),
    )
    step = torch.finfo(dtype).eps
    assert [t.dtype for t in ours] == [dtype, dtype, torch.float32, torch.float32]
    for a, b in zip(ours[:2], exact[:2], strict=True):
        torch.testing.assert_close(a.cpu(), b.to(dtype), rtol=step, atol=step / 64)
    for a, b in zip(ours[2:], exact[2:], strict=True):  # these were never in half precision
        torch.testing.assert_close(a.cpu(), b, rtol=1e-4, atol=1e-4)


def test_takes_tensors_that_are_not_contiguous(kernel_device):
    levels, *rest = SMALL
    tensors, cotangent = inputs(levels, *rest)
    theirs = output_and_gradients(deformable_attention_reference, levels, tensors, cotangent)
    strided = moved([t.detach().transpose(0, 2).contiguous().transpose(0, 2) for t in tensors], kernel_device)
    assert not any(t.is_contiguous() for t in strided)
    transposed = cotangent.to(kernel_device).transpose(0, 1).contiguous().transpose(0, 1)
    ours = output_and_gradients(deformable_attention, levels, strided, transposed)
    assert_same([t.cpu() for t in ours], theirs)


def test_points_outside_read_zero_and_get_no_gradient(kernel_device):
    levels = [[2, 3, 4]]
    (value, locations, weights), cotangent = inputs(levels, 1, 4, 2, 3, 2)
    far = torch.tensor([-1e30, -1.0, 2.0, float("inf")]).view(1, 4, 1, 1, 1, 1)
    tensors = moved([value, far.expand(locations.shape).contiguous(), weights], kernel_device)
    for result in output_and_gradients(deformable_attention, levels, tensors, cotangent.to(kernel_device)):
        assert not result.any()


def test_deterministic_algorithms_give_the_same_bits_and_the_same_gradients(kernel_device):
    levels = SMALL[0]
    tensors, cotangent = inputs(*SMALL)
    theirs = output_and_gradients(deformable_attention_reference, levels, tensors, cotangent)
    tensors, cotangent = moved(tensors, kernel_device), cotangent.to(kernel_device)
    torch.use_deterministic_algorithms(True)
    try:
        first, second = (
            output_and_gradients(deformable_attention, levels, tensors, cotangent) for _ in range(2)
        )
    finally:
        torch.use_deterministic_algorithms(False)
    assert all(torch.equal(a, b) for a, b in zip(first, second, strict=True))
    assert_same([t.cpu() for t in first], theirs)


def test_deterministic_algorithms_avoid_atomics(kernel_device, monkeypatch):
    from common.kernels.deformable_attention import triton as kernels

    asked = []

    def backward(*arguments, values_by_atomics):
        asked.append(values_by_atomics)
        return original(*arguments, values_by_atomics=values_by_atomics)

    original = kernels.backward
    monkeypatch.setattr(kernels, "backward", backward)
    levels = SMALL[0]
    tensors, cotangent = inputs(*SMALL)
    tensors, cotangent = moved(tensors, kernel_device), cotangent.to(kernel_device)
    output_and_gradients(deformable_attention, levels, tensors, cotangent)
    torch.use_deterministic_algorithms(True)
    try:
        output_and_gradients(deformable_attention, levels, tensors, cotangent)
    finally:
        torch.use_deterministic_algorithms(False)
    assert asked == [True, False]


@pytest.mark.usefixtures("clean_memory")
@pytest.mark.parametrize("backend", ["eager", "aot_eager"])
def test_compiles_without_a_break(backend, kernel_device, monkeypatch):
    levels, *rest = SIZES["3d primes"]
    monkeypatch.setenv("COMMON_KERNELS", "triton")  # clean_memory undid it
    tensors, cotangent = inputs(levels, *rest)
    tensors, cotangent = moved(tensors, kernel_device), cotangent.to(kernel_device)
    attend = torch.compile(deformable_attention, fullgraph=True, backend=backend)
    ours = output_and_gradients(attend, levels, tensors, cotangent)
    assert_same(ours, output_and_gradients(deformable_attention, levels, tensors, cotangent))


@pytest.mark.gpu
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_at_the_width_of_cotr(dtype, kernel_device):
    """The full published pyramid, which is too large for the interpreter."""
    if kernel_device.type != "cuda":
        pytest.skip("needs a CUDA device")
    levels = [[12, 24, 24], [6, 12, 12]]
    (value, locations, weights), cotangent = inputs(levels, 1, 7776, 6, 64, 4)
    exact = output_and_gradients(
        deformable_attention_reference,
        levels,
        moved([value.to(dtype).float(), locations, weights], kernel_device),
        cotangent.to(dtype).float().to(kernel_device),
    )
    ours = output_and_gradients(
        deformable_attention,
        levels,
        moved([value.to(dtype), locations, weights], kernel_device),
        cotangent.to(dtype).to(kernel_device),
    )
    rtol = 1e-4 if dtype == torch.float32 else 2e-2
    assert_same([t.float() for t in ours], [t.float() for t in exact], rtol=rtol)
