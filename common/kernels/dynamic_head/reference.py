"""Dynamic head in plain PyTorch: three pointwise convolutions with weights of each sample and task.

    h1 = relu(W1 x + b1),  h2 = relu(W2 h1 + b2),  logits = W3 h2 + b3,    at each voxel

Source: Zhang et al., DoDNet, CVPR 2021, sec. 3.3 (C = 8, K = 2: 162 parameters per task); in TransDoDNet (Xie
et al., TPAMI 2023) all T tasks of a sample read the same features.

Axes: B batch, T tasks, C channels of features and hidden layers, K outputs, *S spatial (V voxels), and
N = 2 C C + C K + 2 C + K parameters: W1, W2 (C, C), W3 (K, C), row = output channel; then b1, b2 (C), b3 (K).
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

__all__ = ["check", "dynamic_head_reference", "parameter_count"]


def parameter_count(channels: int, outputs: int) -> int:
    """N, the number of parameters of one task."""
    return 2 * channels * channels + channels * outputs + 2 * channels + outputs


def check(features: Tensor, parameters: Tensor, outputs: int) -> None:
    """Raises ValueError unless the shapes match; arguments as below."""
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
        ValueError: the shapes do not match.
    """
    check(features, parameters, outputs)
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
