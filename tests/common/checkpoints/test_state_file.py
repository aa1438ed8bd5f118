"""Files that claim to be weights: read without running anything, and without filling the memory."""

from __future__ import annotations

import copy
import os
import pickle
import zipfile
from collections import OrderedDict

import pytest
import torch

from common.checkpoints.state_file import read_outline
from common.errors import InputError


class Evil:
    def __reduce__(self):
        return os.getcwd, ()


def test_shapes_are_those_of_the_tensors(tmp_path):
    network = torch.nn.Sequential(torch.nn.Conv2d(3, 4, 5), torch.nn.BatchNorm2d(4)).half()
    network[1].bias.data = torch.ones(4, dtype=torch.float64)
    states = {"module's": network.state_dict(), "plain": dict(network.state_dict())}
    states["parameters"] = dict(network.named_parameters())
    for name, state in states.items():
        torch.save(state, tmp_path / f"{name}.pt")
        outline = read_outline(tmp_path / f"{name}.pt")
        assert {k: one.shape for k, one in outline.items()} == {k: tuple(v.shape) for k, v in state.items()}
    torch.save({"part": torch.arange(10.0)[3:7:2]}, tmp_path / "view.pt")
    assert read_outline(tmp_path / "view.pt")["part"].shape == (2,)


def rewritten(path, edit, compression=zipfile.ZIP_STORED):
    """Pass the members of a zip through ``edit`` (name, content) and write them back."""
    with zipfile.ZipFile(path) as archive:
        members = [(name, archive.read(name)) for name in archive.namelist()]
    with zipfile.ZipFile(path, "w", compression) as archive:
        for name, content in members:
            archive.writestr(name, edit(name, content))


def with_pickle(path, content):
    rewritten(path, lambda name, old: content if name.endswith("data.pkl") else old)


def save_good(path):
    torch.save({"weight": torch.zeros(1000)}, path)


def large_view(path):
    torch.save({"weight": torch.zeros(1).expand(10**6, 10**6)}, path)


def fewer_bytes(path):
    save_good(path)
    rewritten(path, lambda name, old: old[:8] if "/data/" in name else old)


def compressed(path):
    save_good(path)
    rewritten(path, lambda _, old: old + bytes(10**6), zipfile.ZIP_DEFLATED)


def overlapping(path):
    """Nothing is compressed, but a hundred entries of the directory name the same bytes."""
    save_good(path)
    with zipfile.ZipFile(path, "a") as archive:
        largest = max(archive.infolist(), key=lambda one: one.file_size)
        for number in range(100):
            twin = copy.copy(largest)
            twin.filename = f"{largest.filename}{number}"
            archive.filelist.append(twin)
        archive._didModify = True


def many_memories(path):
    save_good(path)
    with_pickle(path, b"\x80\x02}r" + (2**31).to_bytes(4, "little") + b".")


def raw_pickle(content):
    def write(path):
        save_good(path)
        with_pickle(path, content)

    return write


BOMBS = {
    "code": (lambda path: torch.save({"a": Evil()}, path), r"\(posix\.getcwd\) that could run code"),
    "code in a pickle alone": (
        lambda path: path.write_bytes(pickle.dumps(Evil())),
        "not a PyTorch checkpoint",
    ),
    "memory": (raw_pickle(b"\x80\x02cbuiltins\nbytearray\n\x8a\x05\xff\xff\xff\xff\x7f\x85R."), "bytearray"),
    "memory of a pickle": (many_memories, "would fill the memory"),
    "overlapping entries": (overlapping, "is compressed: .* would become"),
    "deflated": (compressed, "is compressed: .* would become"),
    "tensor larger than its numbers": (large_view, "larger than its numbers"),
    "tensor larger than its record": (fewer_bytes, "weight is larger than what the file holds"),
    "text": (lambda path: path.write_text("weights"), "not a PyTorch checkpoint"),
    "empty": (lambda path: path.write_bytes(b""), "not a PyTorch checkpoint"),
    "a run's state": (
        lambda path: torch.save({"network": {"a": torch.ones(1)}}, path),
        "'network', which is no",
    ),
    "no tensors": (lambda path: torch.save(OrderedDict(), path), "holds no named tensors"),
    "one tensor": (lambda path: torch.save(torch.ones(1), path), "holds no named tensors"),
    "truncated pickle": (raw_pickle(b"\x80\x02}"), "not a PyTorch checkpoint"),
}


@pytest.mark.parametrize("kind", BOMBS)
def test_what_is_no_weights_is_refused(kind, tmp_path):
    write, message = BOMBS[kind]
    write(tmp_path / "model.pt")
    with pytest.raises(InputError, match=rf"model\.pt: .*{message}"):
        read_outline(tmp_path / "model.pt")


def test_memory_stays_bounded(tmp_path):
    """A pickle that asks for 550 GB, and a tensor of 4 TB, are refused within a few megabytes."""
    import tracemalloc

    tracemalloc.start()
    for kind in ("memory", "memory of a pickle", "tensor larger than its numbers"):
        BOMBS[kind][0](tmp_path / "model.pt")
        tracemalloc.reset_peak()
        with pytest.raises(InputError):
            read_outline(tmp_path / "model.pt")
        assert tracemalloc.get_traced_memory()[1] < 20e6
    tracemalloc.stop()
