"""Which form of an operator runs: the reference, the one written for the CPU, or the Triton kernel.

The environment variable COMMON_KERNELS overrides the choice at each call; only tests and comparisons
need it:

    auto    (or unset) CPU tensors take the CPU form, CUDA tensors the Triton kernel, unless that
     has not been measured yet: then the reference
    eager   the reference, everywhere
    triton  the Triton kernel, also on CPU tensors (then through Triton's interpreter, slowly)
"""

from __future__ import annotations

import importlib.util
import os
import warnings
from functools import cache
from typing import Literal

import torch
from torch import Tensor

__all__ = ["Form", "TRITON_IS_INSTALLED", "choose", "exporting", "forced"]

Form = Literal["reference", "cpu", "triton"]
_CHOICES = ("auto", "eager", "triton")


TRITON_IS_INSTALLED = importlib.util.find_spec("triton") is not None


def forced() -> str:
    """What COMMON_KERNELS says.

    Raises:
        ValueError: it is none of the three choices.
    """
    wanted = os.environ.get("COMMON_KERNELS", "auto")
    if wanted not in _CHOICES:
        raise ValueError(f"COMMON_KERNELS={wanted!r}; expected one of {', '.join(_CHOICES)}, or unset it")
    return wanted


def exporting() -> bool:
    """Whether a file is being exported that must work without our operators: a TorchScript trace, or ONNX."""
    return torch.jit.is_tracing() or torch.onnx.is_in_onnx_export()


def choose(tensor: Tensor, *, awaits_verdict: bool = False) -> Form:
    """The form for a call whose tensors lie where ``tensor`` does.

    Args:
        tensor: one of the call's tensors.
        awaits_verdict: nobody has measured yet whether the kernel beats the compiled reference on a GPU;
            until then only COMMON_KERNELS=triton selects it.

    Raises:
        ValueError: COMMON_KERNELS is none of the three choices.
        RuntimeError: it asks for Triton where Triton is not installed.
    """
    wanted = forced()
    if wanted == "eager":
        return "reference"
    if wanted == "triton":
        if not TRITON_IS_INSTALLED:
            raise RuntimeError(
                "COMMON_KERNELS=triton, but Triton is not installed; pip install triton, or unset it"
            )
        return "triton"
    if tensor.device.type == "cuda" and not awaits_verdict:
        return "triton" if _triton_for_cuda() else "reference"
    return "cpu" if tensor.device.type == "cpu" else "reference"


def _triton_for_cuda() -> bool:
    if TRITON_IS_INSTALLED:
        return True
    if not torch.compiler.is_compiling():
        _say_that_triton_is_missing()
    return False


@cache  # once a process
def _say_that_triton_is_missing() -> None:
    warnings.warn(
        "Triton is not installed, so the operators of common.kernels run as plain PyTorch on this GPU: "
        "same results, more time and memory. pip install triton (COMMON_KERNELS=eager silences this).",
        stacklevel=2,
    )
