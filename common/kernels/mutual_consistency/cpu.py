"""Mutual consistency for the CPU: the loss and its gradients, a cache-sized block of voxels at a time.

Every logit map is read once.  With the half gradients of a voxel

    A_i = sum over j != i of (P_i - S_j) = (K - 1) p_i + s_i
    B_j = sum over i != j of (S_j - P_i) = (K - 1) s_j - (sum of p) + p_j

a voxel's loss is  sum over i of (p_i A_i + s_i B_i),  by Euler's theorem on homogeneous functions, where
p_i = P_i - m and s_i = S_i - m may be relative to any m, as only differences count.  m is the mean of the
S_j: then nothing large cancels where the decoders agree, and the s_j sum to zero.

Formula and axes: :mod:`common.kernels.mutual_consistency.reference`.  On a GPU it runs too, in larger blocks.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor

__all__ = ["loss_and_gradients"]

# Voxels that a thread handles at once, without and with gradients: a dozen arrays of K times as many.
_BLOCK_VOXELS = (1 << 15, 1 << 14)
# On a GPU a block costs some fifty launches: few, large blocks.
_BLOCK_VOXELS_GPU = 1 << 22


class _Block:
    """Every decoder's probabilities in one block (b samples, N voxels), and gradients back to its logits.

    Two classes take one number: the second class's P and S (the first's are 1 - P and 1 - S, and all
    differences are the same up to the sign).

    Attributes:
        p: P, (K, C, b, N), or (K, 1, b, N) for two classes.
        s: S, shaped like ``p``.
    """

    def __init__(self, logits: Sequence[Tensor], temperature: float) -> None:
        """``logits``: K maps (C, b, N)."""
        first = logits[0]
        self.two = first.size(0) == 2
        self.temperature = temperature
        if self.two:
            margins = first.new_empty((len(logits), 1, *first.shape[1:]))
            for margin, z in zip(margins, logits, strict=True):
                torch.sub(z[1:], z[:1], out=margin)
            self.p = torch.sigmoid(margins)
            self.s = margins.div_(temperature).sigmoid_()
            return
        z = torch.stack(list(logits))
        shifted = torch.exp(z - z.amax(1, keepdim=True))
        total = shifted.sum(1, keepdim=True)
        self.p = shifted / total
        # 1 - P_c as a sum of the others: never 0 by cancellation
        classes = range(z.size(1))
        others = [shifted[:, :c].sum(1) + shifted[:, c + 1 :].sum(1) for c in classes]
        self.rest = torch.stack(others, 1).div_(total).clamp_(min=torch.finfo(z.dtype).tiny)
        self.s = torch.sigmoid((self.p.log() - self.rest.log()).div_(temperature))

    def write_gradients(
        self, by_p: Tensor, by_s: Tensor | None, factor: float, into: Sequence[Tensor]
    ) -> None:
        """Write ``factor`` times the gradients of the logits, from those of P and S, which are overwritten.

        ``into`` holds K maps (b, C, N), of any type.
        """
        if self.two:
            by_margin = _sigmoid_backward_(by_p, self.p)
            if by_s is not None:
                by_margin.add_(_sigmoid_backward_(by_s, self.s), alpha=1 / self.temperature)
            for gradient, (by,) in zip(into, by_margin.mul_(factor), strict=True):
                gradient[:, 1] = by
                torch.neg(gradient[:, 1], out=gradient[:, 0])
            return
        by_z = self.p * (by_p - (by_p * self.p).sum(1, keepdim=True))
        if by_s is not None:
            by_logit = by_s * self.s * (1 - self.s) / self.temperature
            share = by_logit / self.rest  # logit(P_c) falls with z_k by P_k / (1 - P_c)
            by_z += by_logit - self.p * (share.sum(1, keepdim=True) - share)
        for gradient, by in zip(into, by_z.mul_(factor), strict=True):
            gradient.copy_(by.transpose(0, 1))


def _block_loss(block: _Block, detach: bool, into: Sequence[Tensor]) -> Tensor:
    """Summed loss of one block; its gradients go ``into`` K maps (b, C, N), unless that is empty."""
    others = block.p.size(0) - 1
    middle = block.s.mean(0)
    if into:
        p, s = block.p - middle, block.s - middle
    else:  # in place: on a CPU half of the time goes into allocating memory
        p, s = block.p.sub_(middle), block.s.sub_(middle)
    flat_p, flat_s = p.flatten(), s.flatten()
    loss = (torch.dot(flat_p, flat_p) + torch.dot(flat_s, flat_s)) * others + 2 * torch.dot(flat_p, flat_s)
    both = 2 if block.two else 1  # the first class of two, left out here
    if into:
        by_p = torch.add(s, p, alpha=others)
        by_s = None if detach else p.sub_(p.sum(0)).add_(s, alpha=others)
        block.write_gradients(by_p, by_s, 2 * both, into)
    return loss * both


def _sigmoid_backward_(grad: Tensor, output: Tensor) -> Tensor:
    return torch.ops.aten.sigmoid_backward.grad_input(grad, output, grad_input=grad)


def loss_and_gradients(
    maps: Sequence[Tensor], temperature: float, *, detach: bool, with_gradients: bool
) -> tuple[Tensor, list[Tensor]]:
    """Summed loss in float64, and its gradients, of maps (B, C, V)."""
    dtype = torch.promote_types(maps[0].dtype, torch.float32)
    gradients = [torch.empty(z.shape, dtype=z.dtype, device=z.device) for z in maps] if with_gradients else []
    total = torch.zeros((), dtype=torch.float64, device=maps[0].device)
    on_cpu = maps[0].device.type == "cpu"
    size = _BLOCK_VOXELS[with_gradients] * torch.get_num_threads() if on_cpu else _BLOCK_VOXELS_GPU
    samples, _, voxels = maps[0].shape
    together = max(1, size // max(voxels, 1))  # small maps: several samples in a block
    step = _share(voxels, size)
    for b in range(0, samples, together):
        for start in range(0, voxels, step):
            here = (slice(b, b + together), slice(None), slice(start, start + step))
            block = _Block([z[here].transpose(0, 1).to(dtype) for z in maps], temperature)
            total += _block_loss(block, detach, [gradient[here] for gradient in gradients])
    return total, gradients


def _share(voxels: int, most: int) -> int:
    """Voxels per block: the fewest blocks of at most ``most`` voxels, all equally large."""
    return max(1, math.ceil(voxels / max(1, math.ceil(voxels / most))))
