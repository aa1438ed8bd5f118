"""Read a pickle of plain values without running anything that it asks for.

A pickle is a program: it names functions and calls them.  Here a name that is not in a short list ends the
reading, and the names of NumPy's arrays and numbers stand for functions of this module, so that no other
code is called than this and Python's containers.
"""

from __future__ import annotations

import io
import math
import pickle
import pickletools
import warnings
from collections import OrderedDict
from pathlib import Path
from typing import Any

import numpy as np

from common.errors import InputError

__all__ = ["read_plain_pickle"]

_LARGEST = 64 << 20  # bytes of a file
_REFUSED = frozenset(["PERSID", "BINPERSID", "INST", "OBJ", "EXT1", "EXT2", "EXT4", "NEXT_BUFFER"])
_PUTS = frozenset(["PUT", "BINPUT", "LONG_BINPUT"])
_KINDS = "biuf"  # NumPy's numbers; neither objects nor text


class _Dtype:
    """Stands for ``numpy.dtype``: a kind of number, and its byte order."""

    def __init__(self, code: str, *_: Any) -> None:
        if _require(code, str)[:1] not in _KINDS or not code[1:].isdigit():
            raise pickle.UnpicklingError(f"an array of {code[:20]}")
        self.code, self.order = code, "<"

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        self.order = ">" if state[1] == ">" else "<"

    def numbers(self, content: bytes | str) -> np.ndarray:
        """The numbers in bytes, which Python 2 pickled as text."""
        held = content.encode("latin-1") if isinstance(content, str) else _require(content, bytes)
        return np.frombuffer(held, f"{self.order}{self.code}")


class _Array:
    """Stands for ``numpy.ndarray``: filled by ``__setstate__``."""

    values: np.ndarray | None = None

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        _, shape, dtype, is_fortran, content = state
        self.fill(content, dtype, shape, "F" if is_fortran else "C")

    def fill(self, content: bytes | str, dtype: _Dtype, shape: tuple[int, ...], order: str) -> None:
        flat = _require(dtype, _Dtype).numbers(content)
        if math.prod(_require(shape, tuple)) != flat.size:
            raise pickle.UnpicklingError(f"an array of {flat.size} numbers for the shape {shape}")
        self.values = flat.reshape(shape, order="F" if order == "F" else "C").copy()


class _Empty:
    """Stands for ``numpy.core.multiarray._reconstruct``."""

    __slots__ = ()

    def __call__(self, *_: Any) -> _Array:
        return _Array()


class _FromBuffer:
    """Stands for ``numpy.core.numeric._frombuffer``, with which protocol 5 writes arrays."""

    __slots__ = ()

    def __call__(self, content: Any, dtype: _Dtype, shape: tuple[int, ...], order: str) -> _Array:
        array = _Array()
        array.fill(bytes(_require(content, bytes | bytearray)), dtype, shape, order)
        return array


class _Scalar:
    """Stands for ``numpy.core.multiarray.scalar``."""

    __slots__ = ()

    def __call__(self, dtype: _Dtype, content: bytes | str) -> Any:
        return _require(dtype, _Dtype).numbers(content)[0].item()


class _NoBytes:
    """Stands for ``bytes``, with which old protocols write none."""

    __slots__ = ()

    def __call__(self) -> bytes:
        return b""


class _Encode:
    """Stands for ``_codecs.encode``, with which old protocols write bytes."""

    __slots__ = ()

    def __call__(self, text: str, _: str) -> bytes:
        return _require(text, str).encode("latin-1")


def _require(value: Any, kind: Any) -> Any:
    if not isinstance(value, kind):
        raise pickle.UnpicklingError(f"a {type(value).__name__} where none belongs")
    return value


_NAMES: dict[str, Any] = {
    "collections.OrderedDict": OrderedDict,
    "_codecs.encode": _Encode(),
    "numpy.ndarray": _Array,
    "numpy.dtype": _Dtype,
    **{f"{module}.set": set for module in ("builtins", "__builtin__")},
    **{f"{module}.frozenset": frozenset for module in ("builtins", "__builtin__")},
    **{f"{module}.bytes": _NoBytes() for module in ("builtins", "__builtin__")},
    **{f"numpy.{core}.multiarray._reconstruct": _Empty() for core in ("core", "_core")},
    **{f"numpy.{core}.multiarray.scalar": _Scalar() for core in ("core", "_core")},
    **{f"numpy.{core}.numeric._frombuffer": _FromBuffer() for core in ("core", "_core")},
}


class _PlainUnpickler(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        """What a name stands for here.

        Raises:
            pickle.UnpicklingError: it is not in the list.
        """
        if f"{module}.{name}" not in _NAMES:
            raise pickle.UnpicklingError(f"a Python object ({module}.{name})")
        return _NAMES[f"{module}.{name}"]


def read_plain_pickle(path: str | Path) -> Any:
    """Numbers, text, lists, tuples, sets, dicts and NumPy arrays of numbers, as pickled into a file.

    Args:
        path: the file, of any protocol, Python 2's included.

    Returns:
        The value; NumPy's numbers as Python's.

    Raises:
        InputError: no such file, not a pickle, a damaged one, or one that holds anything else; no code of
            the file has run.
    """
    path = Path(path)
    try:
        if path.stat().st_size > _LARGEST:
            raise InputError(f"{path}: larger than {_LARGEST >> 20} MiB; expected a small file of settings")
        content = path.read_bytes()
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror})") from error
    try:
        _require_plain(content)
        return _plain(_PlainUnpickler(io.BytesIO(content), encoding="latin-1").load())
    except pickle.UnpicklingError as error:
        raise InputError(
            f"{path}: holds {error}; expected numbers, text, lists, dicts and NumPy arrays of numbers. "
            "Nothing in it was run"
        ) from error
    except (
        ArithmeticError,
        AttributeError,
        EOFError,
        LookupError,
        MemoryError,
        TypeError,
        ValueError,
    ) as error:
        raise InputError(f"{path}: not a pickle, or a damaged one ({str(error)[:100]})") from error
    except RecursionError as error:
        raise InputError(f"{path}: not a pickle of settings: nested too deeply") from error


def _require_plain(content: bytes) -> None:
    """Refuse instructions that plain values never need, and places in the memo that would fill the memory."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of text with strange escapes
        for opcode, argument, _ in pickletools.genops(content):
            if opcode.name in _REFUSED:
                raise pickle.UnpicklingError(f"an instruction that no settings need ({opcode.name})")
            if opcode.name in _PUTS and int(argument) > len(content):
                raise ValueError(f"place {argument} in the memo")


def _plain(value: Any) -> Any:
    """The same with arrays in place of what stands for them."""
    if isinstance(value, _Array) and value.values is not None:
        return value.values
    if isinstance(value, dict):
        return {_plain(key): _plain(one) for key, one in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return type(value)(_plain(one) for one in value)
    return _require(value, (bool, int, float, complex, str, bytes, bytearray, type(None)))
