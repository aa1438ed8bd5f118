"""Read a ``.safetensors`` file: eight bytes with the length of a JSON header, the header, the numbers.

The header gives each tensor's dtype, shape and position; nothing in such a file can run.
"""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from common.errors import InputError

__all__ = ["read_safetensors"]

_DTYPES = {
    "F64": torch.float64,
    "F32": torch.float32,
    "F16": torch.float16,
    "BF16": torch.bfloat16,
    "I64": torch.int64,
    "I32": torch.int32,
    "I16": torch.int16,
    "I8": torch.int8,
    "U8": torch.uint8,
    "BOOL": torch.bool,
}


def read_safetensors(path: str | Path) -> dict[str, Tensor]:
    """All tensors of a file, on the CPU.

    Raises:
        InputError: no such file, or its header does not match its bytes.
    """
    path = Path(path)
    if not path.is_file():
        raise InputError(f"{path}: there is no such file")
    content = bytearray(path.read_bytes())
    try:
        length = int.from_bytes(content[:8], "little")
        header = json.loads(content[8 : 8 + length].decode())
        numbers = memoryview(content)[8 + length :]
        return {key: _tensor(entry, numbers) for key, entry in header.items() if key != "__metadata__"}
    except (ValueError, KeyError, TypeError, AttributeError, OverflowError) as error:
        raise InputError(f"{path}: not a safetensors file, or a damaged one ({error})") from error


def _tensor(entry: dict[str, Any], numbers: memoryview) -> Tensor:
    dtype, shape = _DTYPES[entry["dtype"]], entry["shape"]
    first, end = entry["data_offsets"]
    size = math.prod(shape) * dtype.itemsize
    if not 0 <= first <= end <= len(numbers) or end - first != size:
        raise ValueError(f"a tensor of {size} bytes lies at {first} to {end} of {len(numbers)}")
    if size == 0:
        return torch.empty(shape, dtype=dtype)
    return torch.frombuffer(numbers[first:end], dtype=dtype).reshape(shape).clone()
