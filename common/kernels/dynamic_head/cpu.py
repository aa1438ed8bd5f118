"""Dynamic head for the CPU: batched matrix products over blocks of voxels that stay in the cache.

The backward pass computes the hidden layers again.  Axes: :mod:`common.kernels.dynamic_head.reference`.
"""

from __future__ import annotations

import torch
from torch import Tensor

__all__ = ["backward", "forward"]

# Voxels of a sample handled at once: some forty channels of them stay in the cache.
_BLOCK_VOXELS = 1 << 13


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


def forward(features: Tensor, parameters: Tensor, K: int) -> Tensor:
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


def backward(grad: Tensor, features: Tensor, parameters: Tensor) -> tuple[Tensor, Tensor]:
    """Gradients with respect to features and parameters, from ``grad`` (B, T, K, V)."""
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
    """One block's gradients with respect to features (B, C, V) and parameters (B, T, N)."""
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
