"""Every reader, given damaged and made-up files, raises InputError and nothing else.

How many files: the profiles in tests/suite.py, few in ``make test``, thousands in ``make test-all``.
"""

from __future__ import annotations

import bz2
import gzip
import io
import json
import lzma
import tempfile
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path
from typing import Any

import h5py
import nibabel as nib
import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image
from safetensors.torch import save

from common.adaptation.stream_state import cases_to_go
from common.checkpoints.store import load_state, read_checkpoint, state_of
from common.datasets import inference_list, labels_of, load_plan, modality_of, read_datalist
from common.datasets.check.facts import read_facts
from common.datasets.check.facts_cache import load_cached, save_cached, stamp
from common.datasets.raw.h5_arrays import read_h5_scan
from common.datasets.raw.label_volumes import read_grid, read_image, read_label
from common.datasets.raw.picture_lists import _read_list
from common.downloads.connection import ascii_url
from common.downloads.download import Patience, as_url
from common.errors import InputError
from common.evaluation.tables import read_rows
from common.pictures import read_label_picture, read_picture
from common.registration.field_file import read_field
from common.registry.fetch import read_index
from common.registry.lock import read_lock
from common.registry.verify import verify
from common.training.run_state import read_run_state

_KEYS = """
training validation test image label labels domain modality intensity scheme ct clip spacing channels classes
epoch run iteration best_metric inferer predicted version sha256 source $x @y é
"""
WORDS = st.sampled_from([*_KEYS.split(), "\x00", "\ud800"])
NUMBERS = st.one_of(st.integers(-(2**70), 2**70), st.floats(), st.booleans(), st.none())
VALUES = st.recursive(
    st.one_of(NUMBERS, WORDS, st.text(max_size=5)),
    lambda inner: st.one_of(st.lists(inner, max_size=4), st.dictionaries(WORDS, inner, max_size=4)),
    max_leaves=12,
)


def damaged(whole: bytes) -> st.SearchStrategy[bytes]:
    """A good file cut, with bytes changed, or with a piece put in; or bytes of no meaning."""
    place = st.integers(0, len(whole))
    changes = st.lists(st.tuples(st.integers(0, len(whole) - 1), st.integers(0, 255)), max_size=4)

    def changed(places: list[tuple[int, int]]) -> bytes:
        content = bytearray(whole)
        for at, byte in places:
            content[at] = byte
        return bytes(content)

    return st.one_of(
        changes.map(changed),
        place.map(lambda at: whole[:at]),
        st.tuples(place, st.binary(max_size=9)).map(lambda p: whole[: p[0]] + p[1] + whole[p[0] :]),
        st.binary(max_size=64),
    )


@contextmanager
def file_of(content: bytes, name: str) -> Iterator[Path]:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / name
        path.write_bytes(content)
        yield path


def read(reader: Callable[[Path], Any], content: bytes, name: str) -> None:
    """Read a file; only an InputError is permitted, and it names the file or its folder."""
    with file_of(content, name) as path:
        try:
            reader(path)
        except InputError as error:
            assert str(path.parent) in str(error) or "state of a stream" in str(error)  # noqa: PT017


def as_json(value: Any) -> bytes:
    return json.dumps(value).encode()


JSON_READERS = {
    "dataset.json": lambda p: (
        read_datalist(p.parent),
        inference_list(p.parent),
        labels_of(p.parent),
        modality_of(p.parent),
    ),
    "plan.json": lambda p: load_plan(p, {}),
    "method-zoo.lock": read_lock,
    "bundle_index.json": lambda p: read_index(str(p), Patience(attempts=1)),
}
GOOD = {
    "dataset.json": {
        "training": [{"image": "a", "label": "b"}] * 3,
        "labels": {"0": "b"},
        "modality": ["CT"],
    },
    "plan.json": {
        "intensity": [{"scheme": "zscore"}],
        "labels": {"1": "a"},
        "channels": 1,
        "spacing": [1, 1, 1],
    },
    "method-zoo.lock": {"toy": {"version": "0.1.0", "sha256": "0" * 64}},
    "bundle_index.json": {"toy_v0.1.0": {"source": "http://a/b.zip", "sha256": "0", "size": 1}},
}


@pytest.mark.parametrize("name", JSON_READERS)
@given(data=st.data())
def test_json(name, data):
    good = GOOD[name]
    key = data.draw(st.sampled_from([*good, "more"]))
    changed = st.one_of(VALUES, VALUES.map(lambda value: {**good, key: value})).map(as_json)
    read(JSON_READERS[name], data.draw(st.one_of(changed, damaged(as_json(good)))), name)


@pytest.mark.parametrize("name", JSON_READERS)
@pytest.mark.parametrize(
    "content",
    [
        b"[" * 100_000,
        b'{"a":' * 500 + b"1" + b"}" * 500,
        b"\xff\xfe",
        b"1" * 5000,
        b"NaN",
        b'{"training": NaN}',
    ],
)
def test_json_of_the_worst_kind(name, content):
    with file_of(content, name) as path, pytest.raises(InputError, match=r"."):
        JSON_READERS[name](path)


RUN = {"epoch": 3, "iteration": 9, "best_metric": 0.5, "best_metric_epoch": 2}


@cache
def checkpoint() -> bytes:
    return saved(
        {"network": {"w": torch.ones(2)}, "run": RUN, "inferer": {}, "domain": None, "predicted": []}
    )


def saved(value: Any, *, zipped: bool = True) -> bytes:
    file = io.BytesIO()
    torch.save(value, file, _use_new_zipfile_serialization=zipped)
    return file.getvalue()


def load(path: Path) -> None:
    load_state(torch.nn.Linear(2, 1), state_of(read_checkpoint(path), path), path, partial=True)


@pytest.mark.parametrize("reader", [load, read_run_state, lambda p: cases_to_go([], p, resume=True)])
@pytest.mark.parametrize("zipped", [True, False])
@given(data=st.data())
def test_checkpoints(reader, zipped, data):
    whole = checkpoint() if zipped else saved({"network": {"w": torch.ones(2)}}, zipped=False)
    read(reader, data.draw(damaged(whole)), "checkpoint.pt")


@pytest.mark.parametrize("reader", [load, read_run_state, lambda p: cases_to_go([], p, resume=True)])
@given(value=VALUES)
def test_checkpoints_of_anything(reader, value):
    read(
        reader, saved({"run": value, "predicted": value, "inferer": value, "domain": value}), "checkpoint.pt"
    )
    read(reader, saved(value), "checkpoint.pt")


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"run": {"epoch": -7, "iteration": 1, "best_metric": 0.1, "best_metric_epoch": 1}}, r"epoch = -7"),
        (
            {"run": {"epoch": 1, "iteration": 1.5, "best_metric": 0.1, "best_metric_epoch": 1}},
            "iteration = 1.5",
        ),
        ({"run": {"epoch": 1, "iteration": 1, "best_metric": float("nan"), "best_metric_epoch": 1}}, "nan"),
        ({"network": {"w": torch.tensor([1.0, float("nan")])}}, r"network\.w holds NaN"),
        (
            {"optimizer": {"state": {0: {"m": torch.tensor(float("inf"))}}}},
            r"optimizer\.state\.0\.m holds NaN",
        ),
    ],
)
def test_states_that_no_run_leaves(tmp_path, changed, words):
    torch.save({**torch.load(io.BytesIO(checkpoint())), **changed}, tmp_path / "c.pt")
    with pytest.raises(InputError, match=words):
        read_run_state(tmp_path / "c.pt")


def test_weights_that_are_not_finite_are_refused(tmp_path):
    network = torch.nn.Linear(1, 1)
    with pytest.raises(InputError, match="weight holds NaN"):
        load_state(network, {"weight": torch.full((1, 1), float("nan")), "bias": torch.zeros(1)}, "a.pt")


@given(content=damaged(save({"a": torch.ones(2), "b": torch.zeros(1, dtype=torch.int64)})))
def test_safetensors(content):
    read(load, content, "a.safetensors")


@cache
def nifti(shape: tuple[int, ...] = (3, 2, 2), intent: int = 0) -> bytes:
    image = nib.Nifti1Image(np.arange(np.prod(shape), dtype=np.int16).reshape(shape), np.eye(4))
    image.header.set_intent(intent)
    return image.to_bytes()


def facts_of(path: Path) -> None:
    read_facts([{"image": str(path), "label": str(path)}], cache=False)


VOLUME_READERS = [
    *(facts_of, read_field),
    lambda p: read_image(read_grid(p)),
    lambda p: read_label(p, highest=3),
]
SQUEEZED = {"a.nii": bytes, "a.nii.gz": gzip.compress, "a.nii.bz2": bz2.compress, "a.nii.xz": lzma.compress}


@pytest.mark.parametrize("reader", VOLUME_READERS)
@pytest.mark.parametrize("name", SQUEEZED)
@settings(suppress_health_check=[HealthCheck.too_slow])
@given(data=st.data())
def test_volumes(reader, name, data):
    whole = nifti((2, 2, 2, 1, 3), 1007) if reader is read_field else nifti()
    squeeze = SQUEEZED[name]
    read(reader, data.draw(st.one_of(damaged(squeeze(whole)), damaged(whole).map(squeeze))), name)


@pytest.mark.parametrize("name", ["a.nii", "a.nii.gz", "a.nii.bz2"])
def test_a_volume_that_claims_30000_cubed_is_a_finding(tmp_path, name):
    header = nib.Nifti1Header()
    header.set_data_dtype(np.int16)
    header.set_data_shape((30000, 30000, 30000))
    header["magic"], header["vox_offset"] = b"n+1", 352
    (tmp_path / name).write_bytes(SQUEEZED[name](header.binaryblock + bytes(4 + 1000)))
    (found,) = read_facts([{"image": str(tmp_path / name)}], cache=False)
    assert found.image.error


def pixels(kind: str) -> bytes:
    file = io.BytesIO()
    Image.new("RGB", (4, 3), (9, 8, 7)).save(file, kind)
    return file.getvalue()


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "TIFF", "BMP"])
@given(data=st.data())
def test_pictures(kind, data):
    content = data.draw(damaged(pixels(kind)))
    for reader in (read_picture, read_label_picture, facts_of):
        read(reader, content, f"a.{kind.lower()}")


@given(content=st.one_of(damaged(b"epoch,seconds,loss\n1,2.5,\n2,3,0.1\n"), st.text().map(str.encode)))
def test_tables(content):
    read(lambda p: read_rows(p, needed=("epoch", "seconds")), content, "metrics.csv")


@given(content=st.one_of(damaged(b"image,mask\na.png,b.png\n"), st.binary(max_size=64)))
def test_lists(content):
    read(_read_list, content, "REFUGE.csv")


@cache
def scan() -> bytes:
    file = io.BytesIO()
    with h5py.File(file, "w") as h5:
        h5["image"], h5["label"] = np.zeros((2, 2, 88), np.float32), np.zeros((2, 2, 88), np.uint8)
    return file.getvalue()


@given(data=st.data())
def test_h5(data):
    read(lambda p: read_h5_scan(p, lambda key, array: None), data.draw(damaged(scan())), "mri_norm2.h5")


@cache
def packed(method: int) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", method) as archive:
        archive.writestr("toy/configs/metadata.json", '{"version": "0.1.0"}')
        archive.writestr("toy/models/plan.json", '{"intensity": "$x"}')
    return file.getvalue()


METHODS = [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA]


@pytest.mark.parametrize("method", METHODS)
@given(data=st.data())
def test_zips(method, data):
    read(verify, data.draw(damaged(packed(method))), "toy_v0.1.0.zip")


@given(
    url=st.one_of(
        st.text(), st.text().map("http://müller.example/{}".format), st.text().map("http://{}/".format)
    )
)
def test_urls(url):
    for reader in (as_url, ascii_url):
        with suppress(InputError):
            assert reader(url).isascii() or reader is as_url


def test_a_url_with_umlauts_is_one():
    assert ascii_url("http://müller.example/größe.zip?a=ö") == (
        "http://xn--mller-kva.example/gr%C3%B6%C3%9Fe.zip?a=%C3%B6"
    )
    with pytest.raises(InputError, match="is no URL"):
        ascii_url("http://a/\ud800")


@given(data=st.data())
def test_a_damaged_cache_is_ignored(data):
    with tempfile.TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", folder)
        image = Path(folder) / "a.nii"
        image.write_bytes(nifti())
        facts = {"image": {"files": [str(image)]}}
        save_cached((str(image),), (), stamp((str(image),), ()), facts)
        (entry,) = Path(folder).rglob("*.json")
        entry.write_bytes(data.draw(damaged(entry.read_bytes())))
        assert load_cached((str(image),), ()) in (None, {"image": {"files": (str(image),)}})
