"""What the tests of all forms of deformable attention share: sizes, inputs, comparison."""

import math

import torch

# levels, B, Q, M, C, P: sizes of one, primes, a real pyramid
SIZES = {
    "3d": ([[4, 6, 8], [2, 3, 4]], 2, 50, 6, 8, 4),
    "3d primes": ([[3, 5, 7], [2, 3, 1], [1, 1, 1]], 1, 13, 3, 5, 3),
    "3d ones": ([[1, 1, 1]], 1, 1, 1, 1, 1),
    "3d one batch more": ([[2, 3, 2]], 3, 7, 2, 16, 1),
    "2d": ([[9, 7], [4, 3]], 2, 31, 4, 8, 4),
    "2d ones": ([[1, 1]], 1, 2, 1, 1, 2),
    "no sample": ([[4, 6, 8], [2, 3, 4]], 0, 5, 2, 4, 2),
    "no query": ([[4, 3], [2, 3]], 2, 0, 2, 4, 2),
}


def inputs(levels, B, Q, M, C, P, *, dtype=torch.float32, reach=0.4):
    """Value, locations (``reach`` beyond [0, 1] on either side), weights, and a cotangent of the output."""
    g = torch.Generator().manual_seed(0)
    L, dims = len(levels), len(levels[0])
    S = sum(math.prod(level) for level in levels)
    value = torch.randn(B, S, M, C, generator=g, dtype=dtype)
    locations = torch.rand(B, Q, M, L, P, dims, generator=g, dtype=dtype) * (1 + 2 * reach) - reach
    weights = torch.randn(B, Q, M, L * P, generator=g, dtype=dtype).softmax(-1).view(B, Q, M, L, P)
    cotangent = torch.randn(B, Q, M * C, generator=g, dtype=dtype)
    return [t.requires_grad_() for t in (value, locations, weights)], cotangent


def output_and_gradients(attend, levels, tensors, cotangent):
    out = attend(tensors[0], levels, *tensors[1:])
    return [out, *torch.autograd.grad(out, tensors, cotangent)]


def assert_same(ours, theirs, *, rtol=1e-5):
    """Close, relative to the largest value of each tensor: sums in another order, float32."""
    for name, a, b in zip(("output", "value", "locations", "weights"), ours, theirs, strict=True):
        scale = b.abs().max().item() if b.numel() else 0.0
        torch.testing.assert_close(
            a, b, rtol=rtol, atol=rtol * scale, msg=lambda m, name=name: f"{name}: {m}"
        )
