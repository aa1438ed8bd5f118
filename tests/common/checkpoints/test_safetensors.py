"""Reading safetensors files, whole and damaged."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from common.checkpoints.store import read_checkpoint as read_safetensors
from common.errors import InputError


def write(path: Path, tensors: dict[str, torch.Tensor], kinds: dict[str, str], **changes) -> Path:
    """As the format specifies: length, header, numbers."""
    header, numbers = {"__metadata__": {"format": "pt"}}, b""
    for key, tensor in tensors.items():
        content = tensor.contiguous().view(-1).view(torch.uint8).numpy().tobytes()
        span = [len(numbers), len(numbers) + len(content)]
        header[key] = {"dtype": kinds[key], "shape": list(tensor.shape), "data_offsets": span}
        numbers += content
    for key, change in changes.items():
        header[key].update(change)
    text = json.dumps(header).encode()
    path.write_bytes(len(text).to_bytes(8, "little") + text + numbers)
    return path


TENSORS = {
    "a.weight": torch.randn(3, 2, 5, generator=torch.Generator().manual_seed(0)),
    "b": torch.arange(4),
    "half": torch.tensor([0.5, -2.0], dtype=torch.float16),
    "none": torch.empty(0, 7),
    "scalar": torch.tensor(7.0),
}
KINDS = {"a.weight": "F32", "b": "I64", "half": "F16", "none": "F32", "scalar": "F32"}


def test_round_trip(tmp_path):
    read = read_safetensors(write(tmp_path / "x.safetensors", TENSORS, KINDS))
    assert read.keys() == TENSORS.keys()
    for key, tensor in TENSORS.items():
        assert read[key].dtype == tensor.dtype
        assert torch.equal(read[key], tensor)


@pytest.mark.parametrize(
    "change",
    [
        {"b": {"data_offsets": [120, 1000]}},
        {"b": {"data_offsets": [-8, 24]}},
        {"b": {"shape": [5]}},
        {"b": {"dtype": "Q4"}},
    ],
)
def test_header_that_does_not_fit_the_bytes(tmp_path, change):
    path = write(tmp_path / "x.safetensors", TENSORS, KINDS, **change)
    with pytest.raises(InputError, match=r"x\.safetensors: not a safetensors file, or a damaged one"):
        read_safetensors(path)


ONE = b'"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}'


def framed(header: bytes, numbers: bytes = b"") -> bytes:
    return len(header).to_bytes(8, "little") + header + numbers


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"abc",
        b"\xff" * 40,
        framed(b"[]"),
        framed(b"[" * 100_000),
        (2**63).to_bytes(8, "little") + b"{}",
        framed(b"{" + ONE + b"}", b"0" * 5),  # a hole at the end
        framed(b"{" + ONE + b"," + ONE.replace(b'"a"', b'"b"') + b"}", b"0" * 4),  # an overlap
        framed(b"{" + ONE + b"," + ONE.replace(b"[0,4]", b"[4,8]") + b"}", b"0" * 8),  # one key twice
    ],
)
def test_other_files(tmp_path, content):
    (tmp_path / "x.safetensors").write_bytes(content)
    with pytest.raises(InputError, match="damaged"):
        read_safetensors(tmp_path / "x.safetensors")


def test_cut_off_file(tmp_path):
    path = write(tmp_path / "x.safetensors", TENSORS, KINDS)
    path.write_bytes(path.read_bytes()[:-3])
    with pytest.raises(InputError, match="damaged"):
        read_safetensors(path)


def test_missing_file(tmp_path):
    with pytest.raises(InputError, match="no such file"):
        read_safetensors(tmp_path / "x.safetensors")
