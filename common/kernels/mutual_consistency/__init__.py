"""Mutual consistency: the operator, its registration and the choice of its form.

Formula and axes: :mod:`common.kernels.mutual_consistency.reference`, which makes about 15 passes over memory.
The faster forms read every logit map once and return the loss and its gradients: ``cpu`` a cache-sized block
of voxels at a time, ``triton`` in one kernel.  Whether the kernel beats the compiled reference has not been
measured: until it is, only ``COMMON_KERNELS=triton`` selects it, and CUDA tensors take the ``cpu`` form too.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from common.kernels.mutual_consistency import cpu
from common.kernels.mutual_consistency.reference import check, mutual_consistency_reference
from common.kernels.selection import choose, forced

__all__ = ["mutual_consistency", "mutual_consistency_reference"]


def mutual_consistency(logits: Sequence[Tensor], temperature: float = 0.1, *, detach: bool = False) -> Tensor:
    """As :func:`mutual_consistency_reference`, in a fraction of its memory and time; differentiable once.

    ``COMMON_KERNELS=eager`` in the environment selects the reference.
    """
    if forced() == "eager":
        return mutual_consistency_reference(logits, temperature, detach=detach)
    check(logits, temperature)
    with_gradients = torch.is_grad_enabled() and any(z.requires_grad for z in logits)
    loss, _ = _fused(list(logits), temperature, detach, with_gradients)
    return loss


@torch.library.custom_op("method_zoo::mutual_consistency", mutates_args=())
def _fused(
    logits: Sequence[Tensor], temperature: float, detach: bool, with_gradients: bool
) -> tuple[Tensor, list[Tensor]]:
    """The loss, and the gradients of its sum (not mean) with respect to the logits, in their type.

    The mean's factor, some 1e-7, would underflow in float16; it is applied after the loss scale.
    """
    maps = [z.flatten(2) if z.ndim > 2 else z.unsqueeze(2) for z in logits]
    if _triton_fits(maps):
        from common.kernels.mutual_consistency import triton

        with torch.cuda.device_of(maps[0]):  # Triton launches on the current device
            total, gradients = triton.loss_and_gradients(
                maps, temperature, detach=detach, with_gradients=with_gradients
            )
    else:
        total, gradients = cpu.loss_and_gradients(
            maps, temperature, detach=detach, with_gradients=with_gradients
        )
    dtype = torch.promote_types(logits[0].dtype, torch.float32)
    mean = (total / max(logits[0].numel(), 1)).to(dtype)
    return mean, [gradient.view(z.shape) for gradient, z in zip(gradients, logits, strict=False)]


def _triton_fits(maps: Sequence[Tensor]) -> bool:
    if choose(maps[0], awaits_verdict=True) != "triton":
        return False
    from common.kernels.mutual_consistency.triton import MAX_CLASSES, MAX_MAPS

    return len(maps) <= MAX_MAPS and 1 < maps[0].size(1) <= MAX_CLASSES


@_fused.register_fake
def _(logits: Sequence[Tensor], temperature: float, detach: bool, with_gradients: bool):
    dtype = torch.promote_types(logits[0].dtype, torch.float32)
    gradients = [z.new_empty(z.shape) for z in logits] if with_gradients else []
    return logits[0].new_empty((), dtype=dtype), gradients


def _save(ctx, inputs, output) -> None:
    logits, gradients = inputs[0], output[1]
    ctx.count, ctx.voxels = len(logits), max(logits[0].numel(), 1)
    ctx.save_for_backward(*gradients)
    ctx.set_materialize_grads(False)


def _backward(ctx, grad: Tensor | None, _):
    if grad is None or not ctx.saved_tensors:
        return [None] * ctx.count, None, None, None
    scale = grad / ctx.voxels
    return [gradient * scale for gradient in ctx.saved_tensors], None, None, None


_fused.register_autograd(_backward, setup_context=_save)
