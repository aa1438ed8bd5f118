"""Everything of a kernel launch except the launch: ``python -m tests.common.kernels.gpu_compilation 90``.

Arguments are bound and specialised, and the kernel is compiled to machine code for that compute capability;
only after that would Triton need a GPU.  Prints a JSON list with, for each launch, the kernel and its PTX
instructions that access global memory.  The interpreter accepts much that the compiler rejects.
"""

from __future__ import annotations

import json
import re
import sys

import torch
import triton
from triton.backends.compiler import GPUTarget
from triton.runtime.jit import JITFunction

from common.kernels.deformable_attention import triton as deformable
from common.kernels.dynamic_head import triton as head
from common.kernels.mutual_consistency import triton as consistency
from common.kernels.row_moments import triton as rows

FOUND: list[tuple[str, list[str]]] = []


class Target:
    """What Triton asks of a driver before it launches."""

    def __init__(self, capability: int) -> None:
        self.target = GPUTarget("cuda", capability, 32)

    def get_current_device(self) -> int:
        return 0

    def get_current_stream(self, _: int) -> int:
        return 0

    def get_current_target(self) -> GPUTarget:
        return self.target


def without_launching(launch):
    """Triton's own launch of a kernel, stopped before the GPU."""

    def run(kernel, *arguments, warmup, **settings):
        compiled = launch(kernel, *arguments, warmup=True, **settings)
        assert compiled.asm["cubin"]
        touched = set(re.findall(r"(?:ld|st|red|atom)\.global[.\w]*", compiled.asm["ptx"]))
        FOUND.append((kernel.__name__, sorted(touched)))

    return run


def attend(dims: int, channels: int, dtype: torch.dtype) -> None:
    sizes = [12, 24, 24, 6, 12, 12] if dims == 3 else [24, 24, 12, 12]
    tokens = 7776 if dims == 3 else 720
    value = torch.randn(1, tokens, 6, channels).to(dtype)
    wide = torch.promote_types(dtype, torch.float32)
    locations = torch.rand(1, 9, 6, 2, 4, dims, dtype=wide)
    weights = torch.rand(1, 9, 6, 2, 4, dtype=wide)
    given = (value, sizes, locations, weights)
    grad = deformable.forward(*given)
    for atomics in (True, False):
        deformable.backward(grad, *given, values_by_atomics=atomics)


def everything() -> None:
    for dims, channels, dtype in (
        (3, 64, torch.float32),
        (3, 64, torch.bfloat16),
        (2, 24, torch.float32),
        (2, 24, torch.float64),
    ):
        attend(dims, channels, dtype)
    for tasks in (1, 7):
        features, parameters = torch.randn(2, 8, 1000), torch.randn(2, tasks, 162)
        head.backward(head.forward(features, parameters, 2), features, parameters)
    for dtype in (torch.float32, torch.bfloat16):
        x = torch.randn(4, 5000).to(dtype)
        mean, _ = rows.moments(x)
        rows.affine(x, mean, mean)
        rows.affine(x, mean, mean, residual=x, slope=0.1)
        rows.gradient_sums(x, x, mean)
        rows.gradient_sums(x, x, mean, out=x, slope=0.1)
        rows.affine_gradients(x, x, mean, (mean, mean, mean))
        rows.affine_gradients(x, x, mean, (mean, mean, mean), out=x, slope=0.1, residual=True)
    for classes in (2, 4):
        maps = [torch.randn(2, classes, 500) for _ in range(3)]
        for detach in (False, True):
            consistency.loss_and_gradients(maps, 0.1, detach=detach, with_gradients=True)
        consistency.loss_and_gradients(maps, 0.1, detach=False, with_gradients=False)


if __name__ == "__main__":
    triton.runtime.driver.set_active(Target(int(sys.argv[1])))
    JITFunction.run = without_launching(JITFunction.run)
    everything()
    print(json.dumps(FOUND))
