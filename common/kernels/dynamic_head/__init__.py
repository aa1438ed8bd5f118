"""Dynamic head: the operator, its registration and the choice of its form.

Formula and axes: :mod:`common.kernels.dynamic_head.reference`.  Two faster forms: for the CPU batched matrix
products over blocks of voxels (``cpu``), for CUDA Triton kernels that read the features once (``triton``,
C <= 16).  Both compute the hidden layers again in the backward pass.
"""

from __future__ import annotations

import torch
from torch import Tensor

from common.kernels.dynamic_head import cpu
from common.kernels.dynamic_head.reference import check, dynamic_head_reference, parameter_count
from common.kernels.selection import choose, exporting

__all__ = ["dynamic_head", "dynamic_head_reference", "parameter_count"]


def dynamic_head(features: Tensor, parameters: Tensor, outputs: int) -> Tensor:
    """As :func:`dynamic_head_reference`, faster; differentiable once.

    ``COMMON_KERNELS=eager`` in the environment selects the reference, and so do scripting, tracing and ONNX
    export: the exported file then needs none of our code.  Under autocast it computes in float32.
    """
    if torch.jit.is_scripting():
        return dynamic_head_reference(features, parameters, outputs)
    else:  # the scripting compiler skips this branch only if it is spelt out
        return _dispatch(features, parameters, outputs)


def _dispatch(features: Tensor, parameters: Tensor, outputs: int) -> Tensor:
    if exporting() or choose(features) == "reference":
        return dynamic_head_reference(features, parameters, outputs)
    check(features, parameters, outputs)
    shape = features.shape[2:]
    return _fused(features.flatten(2), parameters, outputs).unflatten(3, shape)


def _triton_fits(features: Tensor) -> bool:
    if choose(features) != "triton":
        return False
    from common.kernels.dynamic_head import triton

    return features.size(1) <= triton.MAX_CHANNELS


@torch.library.custom_op("method_zoo::dynamic_head", mutates_args=())
def _fused(features: Tensor, parameters: Tensor, outputs: int) -> Tensor:
    if not _triton_fits(features):
        return cpu.forward(features, parameters, outputs)
    from common.kernels.dynamic_head import triton

    with torch.cuda.device_of(features):  # Triton launches on the current device
        return triton.forward(features, parameters, outputs)


@_fused.register_fake
def _(features: Tensor, parameters: Tensor, outputs: int) -> Tensor:
    return features.new_empty(features.size(0), parameters.size(1), outputs, features.size(2))


@torch.library.custom_op("method_zoo::dynamic_head_backward", mutates_args=())
def _fused_backward(grad: Tensor, features: Tensor, parameters: Tensor) -> tuple[Tensor, Tensor]:
    if not _triton_fits(features):
        return cpu.backward(grad, features, parameters)
    from common.kernels.dynamic_head import triton

    with torch.cuda.device_of(features):
        return triton.backward(grad, features, parameters)


@_fused_backward.register_fake
def _(grad: Tensor, features: Tensor, parameters: Tensor):
    return features.new_empty(features.shape), parameters.new_empty(parameters.shape)


def _save(ctx, inputs: tuple[Tensor, Tensor, int], output: Tensor) -> None:
    features, parameters, _ = inputs
    ctx.save_for_backward(features, parameters)


def _backward(ctx, grad: Tensor) -> tuple[Tensor, Tensor, None]:
    by_features, by_parameters = _fused_backward(grad, *ctx.saved_tensors)
    return by_features, by_parameters, None


_fused.register_autograd(_backward, setup_context=_save)
for _device in ("cpu", "cuda"):
    _fused.register_autocast(_device, torch.float32)
