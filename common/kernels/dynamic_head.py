"""Dynamic head: three pointwise convolutions whose weights are different for every sample and task.

    h1 = relu(W1 x + b1),  h2 = relu(W2 h1 + b2),  logits = W3 h2 + b3,    at each voxel

Source: Zhang et al., DoDNet, CVPR 2021, sec. 3.3 (C = 8, K = 2: 162 numbers a task); in TransDoDNet (Xie
et al., TPAMI 2023) all T tasks of a sample read the same features.

Axes: B batch, T tasks, C channels of features and hidden layers, K outputs, *S spatial (V voxels), and
N = 2 C C + C K + 2 C + K parameters: W1, W2 (C, C), W3 (K, C), row = output channel; then b1, b2 (C), b3 (K).

Three forms: the reference; for the CPU batched matrix products over blocks of voxels, which compute the
hidden layers again in the backward pass; for CUDA Triton kernels that read the features once
(``dynamic_head_triton``, C <= 16).
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from common.kernels.selection import choose, exporting

__all__ = ["dynamic_head", "dynamic_head_reference", "parameter_count"]

# Voxels of a sample that are handled at once by the CPU form: some forty channels of them stay in the cache.
_BLOCK_VOXELS = 1 << 13


def parameter_count(channels: int, outputs: int) -> int:
    """N, the numbers of one task."""
    return 2 * channels * channels + channels * outputs + 2 * channels + outputs


def _check(features: Tensor, parameters: Tensor, outputs: int) -> None:
    if features.dim() < 3 or parameters.dim() != 3 or parameters.size(0) != features.size(0):
        raise ValueError(
            f"dynamic_head: features have shape {list(features.shape)}, parameters {list(parameters.shape)}; "
            "expected (B, C, *S) and (B, T, N)"
        )
    expected = parameter_count(features.size(1), outputs)
    if parameters.size(2) != expected:
        raise ValueError(
            f"dynamic_head: a task has N={parameters.size(2)} parameters; {features.size(1)} channels and "
            f"{outputs} outputs need {expected}"
        )


def dynamic_head_reference(features: Tensor, parameters: Tensor, outputs: int) -> Tensor:
    """The definition as published: grouped convolutions, one group for each sample and task.

    Args:
        features: (B, C, *S).
        parameters: (B, T, N), all weights first, then all biases.
        outputs: K.

    Returns:
        Logits (B, T, K, *S), of the type of ``features``; computed in float32 or wider.

    Raises:
        ValueError: sizes do not belong together.
    """
    _check(features, parameters, outputs)
    B, C, T, K = features.size(0), features.size(1), parameters.size(1), outputs
    dtype = torch.promote_types(features.dtype, torch.float32)
    groups = B * T
    shape = list(features.shape)[2:]
    if groups * features[0:1, 0:1].numel() == 0:  # convolutions refuse empty batches
        return features.new_zeros([B, T, K] + shape) + 0 * (features.sum() + parameters.sum())
    hidden = features.to(dtype).unsqueeze(1).expand([B, T, C] + shape).reshape(1, groups * C, -1)
    sizes = [C * C, C * C, C * K, C, C, K]
    w1, w2, w3, b1, b2, b3 = parameters.to(dtype).reshape(groups, -1).split(sizes, dim=1)
    hidden = F.conv1d(hidden, w1.reshape(-1, C, 1), b1.reshape(-1), groups=groups).relu()
    hidden = F.conv1d(hidden, w2.reshape(-1, C, 1), b2.reshape(-1), groups=groups).relu()
    logits = F.conv1d(hidden, w3.reshape(-1, C, 1), b3.reshape(-1), groups=groups)
    return logits.reshape([B, T, K] + shape).to(features.dtype)


def dynamic_head(features: Tensor, parameters: Tensor, outputs: int) -> Tensor:
    """As :func:`dynamic_head_reference`, faster; differentiable once.

    ``COMMON_KERNELS=eager`` in the environment selects the reference, and so do scripting, tracing and ONNX
    export: the exported file then needs nothing of ours.  Under autocast it computes in float32.
    """
    if torch.jit.is_scripting():
        return dynamic_head_reference(features, parameters, outputs)
    else:  # the scripting compiler skips this branch only if it is spelt out
        return _dispatch(features, parameters, outputs)


def _dispatch(features: Tensor, parameters: Tensor, outputs: int) -> Tensor:
    if exporting() or choose(features) == "reference":
        return dynamic_head_reference(features, parameters, outputs)
    _check(features, parameters, outputs)
    shape = features.shape[2:]
    return _fused(features.flatten(2), parameters, outputs).unflatten(3, shape)


def _layers(parameters: Tensor, C: int, K: int) -> list[tuple[Tensor, Tensor]]:
    """Weight (B, T, outputs, inputs) and bias (B, T, outputs, 1) of each layer."""
    w1, w2, w3, b1, b2, b3 = parameters.split([C * C, C * C, C * K, C, C, K], dim=2)
    pairs = ((w1, b1), (w2, b2), (w3, b3))
    return [(w.unflatten(2, (-1, C)), b.unsqueeze(3)) for w, b in pairs]


def _hidden(features: Tensor, layers: list[tuple[Tensor, Tensor]]) -> tuple[Tensor, Tensor]:
    """Both hidden layers, (B * T, C, V)."""
    (w1, b1), (w2, b2), _ = layers
    B, T, C, _ = w1.shape
    # All tasks read the same features: their first layers are one product.
    first = torch.baddbmm(b1.reshape(B, T * C, 1), w1.reshape(B, T * C, C), features).relu_()
    first = first.view(B * T, C, features.size(2))
    return first, torch.baddbmm(b2.flatten(0, 1), w2.flatten(0, 1), first).relu_()


def _products_forward(features: Tensor, parameters: Tensor, K: int) -> Tensor:
    """(B, C, V) and (B, T, N) to (B, T, K, V)."""
    (B, C, V), T = features.shape, parameters.size(1)
    dtype = torch.promote_types(features.dtype, torch.float32)
    layers = _layers(parameters.to(dtype), C, K)
    weight, bias = (t.flatten(0, 1) for t in layers[2])
    logits = features.new_empty(B, T, K, V)
    for here in _voxel_blocks(V):
        _, second = _hidden(features[..., here].to(dtype), layers)
        logits[..., here] = torch.baddbmm(bias, weight, second).view(B, T, K, second.size(2))
    return logits


def _voxel_blocks(V: int) -> list[slice]:
    return [slice(start, start + _BLOCK_VOXELS) for start in range(0, V, _BLOCK_VOXELS)]


def _products_backward(grad: Tensor, features: Tensor, parameters: Tensor) -> tuple[Tensor, Tensor]:
    """Gradients by features and parameters from ``grad`` (B, T, K, V)."""
    by_features = torch.zeros(features.shape, dtype=features.dtype, device=features.device)
    dtype = torch.promote_types(features.dtype, torch.float32)
    by_parameters = torch.zeros(parameters.shape, dtype=dtype, device=features.device)
    if not grad.numel():
        return by_features, by_parameters.to(parameters.dtype)
    layers = _layers(parameters.to(dtype), features.size(1), grad.size(2))
    for here in _voxel_blocks(features.size(2)):
        found = _block_gradients(grad[..., here].to(dtype), features[..., here].to(dtype), layers)
        by_features[..., here] = found[0]
        by_parameters += found[1]
    return by_features, by_parameters.to(parameters.dtype)


def _block_gradients(grad: Tensor, x: Tensor, layers: list[tuple[Tensor, Tensor]]) -> tuple[Tensor, Tensor]:
    """Of one block of voxels: gradients by features (B, C, V) and parameters (B, T, N)."""
    B, T, C, _ = layers[0][0].shape
    first, second = _hidden(x, layers)
    by_out = grad.flatten(0, 1)
    by_weights, by_biases = [], []
    for inputs, (weight, _) in ((second, layers[2]), (first, layers[1])):
        by_weights.insert(0, torch.bmm(by_out, inputs.transpose(1, 2)))
        by_biases.insert(0, by_out.sum(2))
        by_out = torch.bmm(weight.flatten(0, 1).transpose(1, 2), by_out).mul_(inputs > 0)
    by_out = by_out.view(B, T * C, x.size(2))
    by_weights.insert(0, torch.bmm(by_out, x.transpose(1, 2)))
    by_biases.insert(0, by_out.sum(2))
    by_features = torch.bmm(layers[0][0].reshape(B, T * C, C).transpose(1, 2), by_out)
    return by_features, torch.cat([t.reshape(B, T, -1) for t in by_weights + by_biases], dim=2)


def _triton_fits(features: Tensor) -> bool:
    if choose(features) != "triton":
        return False
    from common.kernels import dynamic_head_triton as kernels

    return features.size(1) <= kernels.MAX_CHANNELS


@torch.library.custom_op("method_zoo::dynamic_head", mutates_args=())
def _fused(features: Tensor, parameters: Tensor, outputs: int) -> Tensor:
    if not _triton_fits(features):
        return _products_forward(features, parameters, outputs)
    from common.kernels import dynamic_head_triton as kernels

    with torch.cuda.device_of(features):  # Triton launches on the current device
        return kernels.forward(features, parameters, outputs)


@_fused.register_fake
def _(features: Tensor, parameters: Tensor, outputs: int) -> Tensor:
    return features.new_empty(features.size(0), parameters.size(1), outputs, features.size(2))


@torch.library.custom_op("method_zoo::dynamic_head_backward", mutates_args=())
def _fused_backward(grad: Tensor, features: Tensor, parameters: Tensor) -> tuple[Tensor, Tensor]:
    if not _triton_fits(features):
        return _products_backward(grad, features, parameters)
    from common.kernels import dynamic_head_triton as kernels

    with torch.cuda.device_of(features):
        return kernels.backward(grad, features, parameters)


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
