"""Hostile raw downloads: names that leave the target folder, and HDF5 files without their data."""

from __future__ import annotations

import h5py
import numpy as np
import pytest

from common.datasets.raw import prepare as module
from common.datasets.raw.prepare import RawCase, Reader, prepare
from common.errors import InputError
from tests.common.datasets.raw_left_atrium import RawLeftAtrium


@pytest.fixture
def raw(tmp_path):
    return RawLeftAtrium(tmp_path / "raw data", training=3, test=2)


def refusal(raw, tmp_path) -> str:
    """One line, and nothing was written in the target, beside it or above it."""
    before = sorted(path for path in tmp_path.rglob("*"))
    with pytest.raises(InputError) as caught:
        prepare("la2018", raw.root, tmp_path / "deep" / "out", partial=True)
    after = sorted(path for path in tmp_path.rglob("*") if path != tmp_path / "deep")
    assert after == before
    assert "\n" not in str(caught.value)
    return str(caught.value)


class Listing(Reader):
    """A reader that believes a list."""

    description = {"name": "foreign"}

    def __init__(self, section: str, name: str) -> None:
        self.lists = {"training": ["a"], "test": ["b"]}
        self.lists[section].append(name)

    def list_cases(self, source, *, partial):
        return self.lists

    def read(self, source, case):
        return RawCase(np.zeros((2, 2, 2), np.uint8), None, np.eye(4))


@pytest.mark.parametrize(
    "name", ["../../evil", "..", ".", "a/b", "a\\b", "x" * 201, "C:evil", "a\x1bb", "/somewhere/else"]
)
@pytest.mark.parametrize("section", ["training", "test"])
def test_invalid_file_names(raw, tmp_path, monkeypatch, section, name):
    monkeypatch.setattr(module, "find_reader", lambda _: Listing(section, name))
    assert f"{name[:80]!r}; expected a file's name" in refusal(raw, tmp_path)


@pytest.mark.parametrize("name", ["../../evil", "a\x1bb", "x" * 201])
def test_a_name_of_no_published_case_is_not_looked_for(raw, tmp_path, name):
    raw.write(name, **raw.arrays(0))
    raw.training[1] = name
    raw.write_lists()
    assert f"names {name[:80]!r}, which the published list does not" in refusal(raw, tmp_path)


def rewrite(raw, make) -> None:
    """Rewrite the second case's label and leave its image unchanged."""
    case = raw.training[1]
    with h5py.File(raw.path(case), "w") as file:
        file["image"] = raw.arrays(1)["image"]
        make(file, raw)


def _huge(file, raw):
    del file["image"]
    file.create_dataset("image", (100_000, 100_000, 88), "f4", chunks=(64, 64, 8))
    file["label"] = raw.arrays(1)["label"]


def _huge_label(file, raw):
    file.create_dataset("label", (1 << 40, 1, 88), "u1", chunks=(1024, 1, 8))


def _dangling(file, raw):
    file["label"] = h5py.SoftLink("/nowhere")


def _soft(file, raw):
    file["label"] = h5py.SoftLink("/image")


def _external(file, raw):
    file["label"] = h5py.ExternalLink(str(raw.path(raw.training[0])), "label")


def _external_dangling(file, raw):
    file["label"] = h5py.ExternalLink("nowhere.h5", "label")


def _external_voxels(file, raw):
    shape = raw.arrays(1)["label"].shape
    secret = raw.data / "secret"
    secret.write_bytes(bytes(range(2)) * 4000)
    file.create_dataset("label", shape, "u1", external=[(str(secret), 0, h5py.h5f.UNLIMITED)])


def _virtual(file, raw):
    shape = raw.arrays(1)["label"].shape
    layout = h5py.VirtualLayout(shape, "u1")
    layout[:] = h5py.VirtualSource(str(raw.path(raw.training[0])), "label", shape)
    file.create_virtual_dataset("label", layout)


def _empty(file, raw):
    file["label"] = h5py.Empty("u1")


def _no_voxels(file, raw):
    file["label"] = np.zeros((0, 5, 88), np.uint8)


def _group(file, raw):
    file.create_group("label")


def _named_type(file, raw):
    file["label"] = np.dtype("u1")


def _number(file, raw):
    file["label"] = np.uint8(1)


@pytest.mark.parametrize(
    ("make", "told"),
    [
        (_huge, "image has shape (100000, 100000, 88); expected 1 to 1024 voxels along each of"),
        (_huge_label, "label has shape (1099511627776, 1, 88); expected 1 to 1024"),
        (_dangling, "label is a link elsewhere (SoftLink)"),
        (_soft, "label is a link elsewhere (SoftLink)"),
        (_external, "label is a link elsewhere (ExternalLink)"),
        (_external_dangling, "label is a link elsewhere (ExternalLink)"),
        (_external_voxels, "label has its voxels in other files"),
        (_virtual, "label has its voxels in other files"),
        (_empty, "label is empty"),
        (_no_voxels, "label has shape (0, 5, 88)"),
        (_group, "label is a group"),
        (_named_type, "label is a "),
        (_number, "label has shape ()"),
    ],
)
def test_files_without_a_scan(raw, tmp_path, make, told):
    rewrite(raw, make)
    message = refusal(raw, tmp_path)
    assert told in message
    assert raw.training[1] in message
