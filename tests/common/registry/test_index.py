"""bundle_index.json of a folder of zips, and what is refused."""

from __future__ import annotations

import hashlib
import json

import pytest

from common.errors import InputError
from common.registry.entries import facts_of, key_of, newest
from common.registry.index import index
from common.registry.pack import pack
from tests.common.registry import toy


def test_entry(tmp_path):
    dist = toy.dist(tmp_path, "https://example.org/zoo/")
    entries = json.loads((dist / "bundle_index.json").read_text())
    content = (dist / "toy_v0.1.0.zip").read_bytes()
    assert entries == {
        "toy_v0.1.0": {
            "checksum": hashlib.sha1(content).hexdigest(),
            "source": "https://example.org/zoo/toy_v0.1.0.zip",
            "sha256": hashlib.sha256(content).hexdigest(),
            "size": len(content),
            "name": "toy",
            "version": "0.1.0",
            "title": "A toy",
            "description": "",
            "task": "Organ segmentation in CT",
            "task_type": "segmentation",
            "modality": "CT",
            "dimensions": 3,
            "paradigm": "supervised",
            "reference": "Nobody N. Toys. 2020",
            "authors_weights": [],
            "weights": True,
            "common": "0.1.0",
        }
    }


def test_facts_prefer_what_the_metadata_says():
    facts = facts_of(
        toy.metadata(paradigm="federated", reference="Toys, 2020", task="Counting", dimensions=2)
    )
    assert facts == {
        "task": "Counting",
        "task_type": "segmentation",
        "modality": "CT",
        "dimensions": 2,
        "paradigm": "federated",
        "reference": "Toys, 2020",
        "authors_weights": [],
    }


def test_versions_are_numbers():
    assert newest(["0.9.0", "0.10.0", "0.2.11"]) == "0.10.0"


@pytest.mark.parametrize(
    ("name", "version"), [("my_vnet", "0.1.0"), ("../x", "0.1.0"), ("x", "1.0"), ("x", "1.0.0/")]
)
def test_keys_that_clients_would_misread(name, version):
    with pytest.raises(InputError, match="expected"):
        key_of(name, version)


def test_no_zip(tmp_path):
    with pytest.raises(InputError, match="holds no zip; pack bundles first"):
        index(tmp_path, "https://example.org")


def test_zip_that_pack_did_not_write(tmp_path):
    dist = toy.dist(tmp_path, "https://example.org")
    before = (dist / "bundle_index.json").read_bytes()
    (dist / "stranger_v0.1.0.zip").write_bytes(b"zip")
    with pytest.raises(InputError, match="not a zip"):
        index(dist, "https://example.org")
    assert (dist / "bundle_index.json").read_bytes() == before


def test_one_version_of_common_has_one_content(tmp_path):
    """Else the guard in packed bundles would let two different ones share a process."""
    pack("one", tmp_path / "dist", root=toy.checkout(tmp_path / "a", "one"))
    other = toy.checkout(tmp_path / "b", "two")
    (other / "common/blocks/__init__.py").write_text("# changed\n")
    pack("two", tmp_path / "dist", root=other)
    with pytest.raises(
        InputError, match=r"both carry common 0\.1\.0, with different files; raise __version__"
    ):
        index(tmp_path / "dist", "https://example.org")


def test_metadata_without_formats(tmp_path):
    root = toy.checkout(tmp_path, network_data_format={})
    pack("toy", tmp_path / "dist", root=root)
    with pytest.raises(InputError, match=r"metadata\.json lacks 'inputs'"):
        index(tmp_path / "dist", "https://example.org")
