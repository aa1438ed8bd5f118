"""A bare state dict in a file, read without PyTorch and without its numbers: names, shapes, attributes.

Nothing in such a file is run, and no more memory is taken than the file has bytes, whoever wrote it.  That is
stricter than ``torch.load(weights_only=True)``, which runs no code but may be made to fill the memory: by a
file that is compressed, by objects that are no tensors, or by tensors larger than what the file holds.
"""

from __future__ import annotations

import io
import math
import os
import pickle
import pickletools
import struct
import zipfile
import zlib
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from common.errors import InputError

__all__ = ["TensorOutline", "read_outline"]

_LARGEST_PICKLE = 64 << 20
_BYTES = {
    **{"DoubleStorage": 8, "FloatStorage": 4, "HalfStorage": 2, "BFloat16Storage": 2, "LongStorage": 8},
    **{"IntStorage": 4, "ShortStorage": 2, "CharStorage": 1, "ByteStorage": 1, "BoolStorage": 1},
    **{"ComplexFloatStorage": 8, "ComplexDoubleStorage": 16},
}
_DAMAGE = (OSError, RuntimeError, ValueError, EOFError, LookupError, AttributeError, TypeError, MemoryError)
_DAMAGE += (zipfile.BadZipFile, struct.error, zlib.error, pickle.UnpicklingError, OverflowError)


@dataclass(frozen=True)
class TensorOutline:
    """A tensor in a file: its shape, and its record in the zip with the bytes that it takes there."""

    shape: tuple[int, ...]
    record: str
    size: int


def read_outline(file: str | Path | IO[bytes], shown: str = "") -> OrderedDict[str, TensorOutline]:
    """The tensors of a bare state dict as ``torch.save`` writes it (since PyTorch 1.6), with ``_metadata``.

    Args:
        file: its path, or the open file.
        shown: what to call it in messages; its path by default.

    Raises:
        InputError: it is no checkpoint, holds something else than named tensors, or would take more memory
            than it has bytes.
    """
    shown = shown or str(file)
    try:
        size = Path(file).stat().st_size if isinstance(file, str | Path) else file.seek(0, os.SEEK_END)
        with zipfile.ZipFile(file) as archive:
            members = {one.filename: one for one in archive.infolist()}
            _require_uncompressed(members, size)
            (name,) = (one for one in members if one.count("/") == 1 and one.endswith("/data.pkl"))
            state = _unpickled(archive.read(name))
    except InputError as error:
        raise InputError(f"{shown}: {error}; expected weights as training and import write them") from error
    except _DAMAGE as error:
        raise InputError(f"{shown}: not a PyTorch checkpoint, or a damaged one") from error
    _require_tensors(state, shown)
    for key, tensor in state.items():
        record = members.get(f"{name.removesuffix('data.pkl')}data/{tensor.record}")
        if record is None or tensor.size > record.file_size:
            raise InputError(f"{shown}: {key} is larger than what the file holds of it; the file is damaged")
    return state


def _require_uncompressed(members: Mapping[str, zipfile.ZipInfo], size: int) -> None:
    total = sum(one.file_size for one in members.values())
    if total > size or any(one.compress_type != zipfile.ZIP_STORED for one in members.values()):
        raise InputError(f"is compressed: {size} bytes would become {total}")


def _require_tensors(state: Any, shown: str) -> None:
    if not isinstance(state, Mapping) or not state:
        raise InputError(f"{shown}: holds no named tensors; expected weights as training writes them")
    for key, value in state.items():
        if not isinstance(key, str) or not isinstance(value, TensorOutline):
            raise InputError(
                f"{shown}: holds {str(key)[:80]!r}, which is no tensor; expected weights alone, as training "
                "and import write them"
            )


def _unpickled(content: bytes) -> Any:
    if len(content) > _LARGEST_PICKLE:
        raise InputError(f"holds {len(content)} bytes besides its tensors")
    for opcode, argument, _ in pickletools.genops(content):
        # The table of remembered objects is as long as the largest number in it.
        if opcode.name.endswith("PUT") and int(argument) > len(content):
            raise InputError("would fill the memory when it is read")
    return _Reader(content).load()


class _Reader(pickle.Unpickler):
    """Makes outlines of tensors, dictionaries and plain values, and nothing else."""

    def __init__(self, content: bytes) -> None:
        super().__init__(io.BytesIO(content))
        self.known: dict[str, Any] = {
            "collections.OrderedDict": OrderedDict,
            "torch._utils._rebuild_tensor_v2": self._tensor,
            "torch._utils._rebuild_parameter": self._parameter,
            **{f"torch.{name}": size for name, size in _BYTES.items()},
        }

    def find_class(self, module: str, name: str) -> int | type | Callable[..., Any]:
        """The stand-in for what a pickle names."""
        if f"{module}.{name}" not in self.known:
            raise InputError(f"holds a Python object ({module}.{name}) that could run code when it is loaded")
        return self.known[f"{module}.{name}"]

    def persistent_load(self, pid: Any) -> tuple[str, int, int]:
        """A storage: its record, bytes per element, number of elements."""
        kind, size, record, _, elements = pid
        if kind != "storage" or not isinstance(record, str) or size not in _BYTES.values():
            raise InputError("holds something else than tensors")
        return record, size, int(elements)

    @staticmethod
    def _tensor(
        storage: tuple[str, int, int], offset: int, shape: Sequence[int], strides: Sequence[int], *_: Any
    ) -> TensorOutline:
        record, size, elements = storage
        if min((offset, *shape, *strides, 0)) < 0 or len(shape) != len(strides):
            raise InputError("holds a tensor of impossible shape")
        last = offset + sum((n - 1) * step for n, step in zip(shape, strides, strict=True))
        if math.prod(shape) and (last >= elements or math.prod(shape) > elements):
            raise InputError("holds a tensor that is larger than its numbers")
        return TensorOutline(tuple(shape), record, size * elements)

    @staticmethod
    def _parameter(data: TensorOutline, *_: Any) -> TensorOutline:
        return data
