"""Compile every kernel for a GPU, without one: ``python -m tests.common.kernels.gpu_compilation 90``.

Prints one JSON object: for each kernel its PTX instructions that touch global memory.  The interpreter takes
much that the compiler refuses; this is what a machine without a GPU can know about that.
"""

from __future__ import annotations

import json
import re
import sys

import triton
import triton.language as tl
from triton.backends.compiler import GPUTarget
from triton.compiler import ASTSource

from common.kernels import deformable_attention_triton as deformable
from common.kernels import dynamic_head_triton as head
from common.kernels import mutual_consistency_triton as consistency
from common.kernels import row_moments_triton as rows

FLOAT32 = {"ACC": tl.float32}
ROWS = {"rows": "i32", "Q": "i32", "S": "i32"}
PYRAMID = {"M": 6, "C": 64, "P": 4, "DIMS": 3, "SIZES": (12, 24, 24, 6, 12, 12), "LEVELS": 2, "CHANNELS": 64}
FLAT = {"M": 8, "C": 24, "P": 4, "DIMS": 2, "SIZES": (1, 24, 24, 1, 12, 12), "LEVELS": 2, "CHANNELS": 32}
HEAD = {"T": 1, "C": 8, "K": 2, "N": 162, **FLOAT32}
PARTS = {"V": "i32", "chunks": "i32", "blocks": "i32", "slope": "fp32", "sharpness": "fp32"}
MUTUAL = {"K": 3, "TINY": 2.0**-126, "DETACH": False, "GRADIENTS": True, "BLOCK": 256, **FLOAT32}

# name: kernel, type of its pointers, types of its numbers, constants
KERNELS = {
    "deformable, 3D": (deformable._forward_kernel, "fp32", ROWS, {**PYRAMID, **FLOAT32, "ROWS": 16}),
    "deformable, 3D, bfloat16": (deformable._forward_kernel, "bf16", ROWS, {**PYRAMID, **FLOAT32, "ROWS": 16}),
    "deformable, 2D": (deformable._forward_kernel, "fp32", ROWS, {**FLAT, **FLOAT32, "ROWS": 32}),
    "deformable backward, 3D": (
        deformable._backward_kernel, "fp32", ROWS, {**PYRAMID, **FLOAT32, "ROWS": 8, "ATOMICS": True},
    ),
    "deformable backward, 3D, no atomics": (
        deformable._backward_kernel, "fp32", ROWS, {**PYRAMID, **FLOAT32, "ROWS": 8, "ATOMICS": False},
    ),
    "deformable backward, 2D, float64": (
        deformable._backward_kernel, "fp64", ROWS, {**FLAT, "ACC": tl.float64, "ROWS": 16, "ATOMICS": True},
    ),
    "head": (head._forward_kernel, "fp32", PARTS, {**HEAD, "BLOCK": 512}),
    "head backward": (head._backward_kernel, "fp32", PARTS, {**HEAD, "BLOCK": 128, "STEPS": 16}),
    "moments": (rows._moments_kernel, "fp32", PARTS, {**FLOAT32, "BLOCK": 1024, "STEPS": 8}),
    "affine": (
        rows._affine_kernel, "fp32", PARTS, {**FLOAT32, "BLOCK": 1024, "RESIDUAL": True, "ACTIVATION": True},
    ),
    "sums": (rows._sums_kernel, "fp32", PARTS, {**FLOAT32, "BLOCK": 1024, "STEPS": 8, "ACTIVATION": True}),
    "gradients": (
        rows._gradients_kernel, "fp32", PARTS, {**FLOAT32, "BLOCK": 1024, "RESIDUAL": True, "ACTIVATION": True},
    ),
    "consistency, 2 classes": (consistency._kernel, "fp32", PARTS, {**MUTUAL, "C": 2, "TERMS": 1}),
    "consistency, 4 classes": (consistency._kernel, "fp32", PARTS, {**MUTUAL, "C": 4, "TERMS": 4}),
}  # fmt: skip


def instructions(kernel, pointers: str, numbers: dict, constants: dict, capability: int) -> list[str]:
    """Global loads, stores and atomics of the kernel's PTX, each once."""
    signature, aligned = {}, {}
    for place, name in enumerate(kernel.arg_names):
        if name in constants:
            signature[name] = "constexpr"
        elif name in numbers:
            signature[name] = numbers[name]
        else:
            signature[name] = f"*{pointers}"
            aligned[(place,)] = [["tt.divisibility", 16]]  # as every allocation is
    places = {(kernel.arg_names.index(name),): value for name, value in constants.items()}
    source = ASTSource(kernel, signature, places, aligned)
    compiled = triton.compile(source, target=GPUTarget("cuda", capability, 32))
    assert compiled.asm["cubin"]
    return sorted(set(re.findall(r"(?:ld|st|red|atom)\.global[.\w]*", compiled.asm["ptx"])))


if __name__ == "__main__":
    target = int(sys.argv[1])
    print(json.dumps({name: instructions(*kernel, target) for name, kernel in KERNELS.items()}))
