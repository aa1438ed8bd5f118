"""Multi-scale deformable attention, 2D and 3D: the operator, its registration and the choice of its form.

Formula and axes: :mod:`common.kernels.deformable_attention.reference`.  Two faster forms: for the CPU a
sparse matrix product (``cpu``), for CUDA Triton kernels (``triton``).  Neither ever holds the C channels of
all sampled points, which is what the reference spends its memory and time on.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from common.kernels.deformable_attention import cpu
from common.kernels.deformable_attention.reference import check, deformable_attention_reference
from common.kernels.selection import choose, exporting

__all__ = ["deformable_attention", "deformable_attention_reference"]


def deformable_attention(
    value: Tensor, shapes: list[list[int]], locations: Tensor, weights: Tensor
) -> Tensor:
    """As :func:`deformable_attention_reference`, in a fraction of its memory and time; differentiable once.

    ``COMMON_KERNELS=eager`` in the environment selects the reference, and so do scripting, tracing and ONNX
    export: the exported file then needs none of our code.  Under autocast it computes in float32.  Where
    values are bfloat16 or float16 the sums are float32.  On CUDA the gradient with respect to ``value`` is
    summed by atomics; under ``torch.use_deterministic_algorithms``, more slowly and in a fixed order.
    """
    if torch.jit.is_scripting():
        return deformable_attention_reference(value, shapes, locations, weights)
    else:  # the scripting compiler skips this branch only if it is spelt out
        return _dispatch(value, shapes, locations, weights)


def _dispatch(value: Tensor, shapes: Sequence[Sequence[int]], locations: Tensor, weights: Tensor) -> Tensor:
    shapes = [list(shape) for shape in shapes]
    if exporting() or choose(value) == "reference":
        return deformable_attention_reference(value, shapes, locations, weights)
    check(value, shapes, locations, weights)
    sizes = [n for shape in shapes for n in shape]  # an operator takes no nested lists
    return _fused(value, sizes, locations, weights)


def _empty_contiguous(value: Tensor, locations: Tensor, weights: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    return (
        value.new_empty(value.shape),
        locations.new_empty(locations.shape),
        weights.new_empty(weights.shape),
    )


@torch.library.custom_op("method_zoo::deformable_attention", mutates_args=())
def _fused(value: Tensor, sizes: Sequence[int], locations: Tensor, weights: Tensor) -> Tensor:
    if choose(value) != "triton":
        return cpu.forward(value, sizes, locations, weights)
    from common.kernels.deformable_attention import triton

    with torch.cuda.device_of(value):  # Triton launches on the current device
        return triton.forward(value, sizes, locations, weights)


@_fused.register_fake
def _(value: Tensor, sizes: Sequence[int], locations: Tensor, weights: Tensor) -> Tensor:
    return value.new_empty(locations.size(0), locations.size(1), locations.size(2) * value.size(3))


@torch.library.custom_op("method_zoo::deformable_attention_backward", mutates_args=())
def _fused_backward(
    grad: Tensor, value: Tensor, sizes: Sequence[int], locations: Tensor, weights: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    if choose(value) != "triton":
        return cpu.backward(grad, value, sizes, locations, weights)
    from common.kernels.deformable_attention import triton

    repeatable = torch.are_deterministic_algorithms_enabled()
    with torch.cuda.device_of(value):
        by_value, by_location, by_weight = triton.backward(
            grad, value, sizes, locations, weights, values_by_atomics=not repeatable
        )
    if by_value is None:
        by_value = cpu.values_gradient(grad, value, sizes, locations, weights)
    return by_value, by_location, by_weight


@_fused_backward.register_fake
def _(grad: Tensor, value: Tensor, sizes: Sequence[int], locations: Tensor, weights: Tensor):
    return _empty_contiguous(value, locations, weights)


def _save(ctx, inputs: tuple[Tensor, Sequence[int], Tensor, Tensor], output: Tensor) -> None:
    value, ctx.sizes, locations, weights = inputs
    ctx.save_for_backward(value, locations, weights)


def _backward(ctx, grad: Tensor) -> tuple[Tensor, None, Tensor, Tensor]:
    value, locations, weights = ctx.saved_tensors
    by_value, by_location, by_weight = _fused_backward(grad, value, ctx.sizes, locations, weights)
    return by_value, None, by_location, by_weight


_fused.register_autograd(_backward, setup_context=_save)
for _device in ("cpu", "cuda"):
    _fused.register_autocast(_device, torch.float32)
