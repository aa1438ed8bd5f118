"""What phantoms with several domains share: lists, files, one eye per case and domain."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from common.errors import InputError
from common.phantoms import fundus, polyp

MAKE = {"fundus": fundus.make, "polyp": polyp.make}
DOMAINS = {"fundus": "ABCDE", "polyp": "ABCD"}
FEW = {"training": 2, "validation": 1, "test": 2, "size": 48}


@pytest.fixture(scope="module", params=list(MAKE))
def made(request, tmp_path_factory):
    folder = MAKE[request.param](tmp_path_factory.mktemp("data") / "phantom", source="B", **FEW)
    return request.param, Path(folder)


def lists_of(folder):
    dataset = json.loads(Path(folder, "dataset.json").read_text())
    return {section: dataset[section] for section in ("training", "validation", "test")}


def pixels(folder, entry, key="image"):
    return np.asarray(Image.open(Path(folder, entry[key])))


def test_source_trains_and_the_others_stream_in_order(made):
    name, folder = made
    lists = lists_of(folder)
    assert [entry["domain"] for entry in lists["training"]] == ["B", "B"]
    assert [entry["domain"] for entry in lists["validation"]] == ["B"]
    others = DOMAINS[name].replace("B", "")
    assert [entry["domain"] for entry in lists["test"]] == [d for d in others for _ in range(2)]


def test_files(made):
    name, folder = made
    for entries in lists_of(folder).values():
        for entry in entries:
            image, label = pixels(folder, entry), pixels(folder, entry, "label")
            assert image.dtype == label.dtype == np.uint8
            assert image.shape == (*label.shape, 3)
            assert set(np.unique(label)) == set(range(3 if name == "fundus" else 2))


def test_a_domain_has_the_same_pictures_as_source_and_as_target(made, tmp_path):
    name, folder = made
    other = MAKE[name](tmp_path / "other", source=["A", "C"], **FEW)
    ours = [e for e in lists_of(folder)["training"]]
    theirs = [e for e in lists_of(other)["test"] if e["domain"] == "B"]
    for one, same in zip(ours, theirs, strict=True):
        assert np.array_equal(pixels(folder, one), pixels(other, same))
    assert [e["domain"] for e in lists_of(other)["training"]] == ["A", "C", "A", "C"]


def test_other_seed_and_other_cases_differ(made, tmp_path):
    name, folder = made
    other = MAKE[name](tmp_path / "other", source="B", **{**FEW, "seed": 1})
    found = [
        pixels(root, e).tobytes() for root in (folder, other) for s in lists_of(root).values() for e in s
    ]
    assert len(set(found)) == len(found)


def test_domains_differ_in_tone_and_light(made, tmp_path):
    """After a z-score per channel (which undoes gains), domains differ more than the cases within them."""
    name, _ = made
    folder = MAKE[name](tmp_path / "a", **{**FEW, "training": 6, "test": 6})
    tones = {}
    for entries in lists_of(folder).values():
        for entry in entries:
            flat = pixels(folder, entry).reshape(-1, 3).astype(float)
            flat = (flat - flat.mean(0)) / flat.std(0)
            corr = np.corrcoef(flat.T)
            skew = (flat**3).mean(0)
            tones.setdefault(entry["domain"], []).append([*skew, corr[0, 1], corr[0, 2], corr[1, 2]])
    means = np.array([np.mean(rows, axis=0) for rows in tones.values()])
    within = np.mean([np.std(rows, axis=0) for rows in tones.values()], axis=0)
    assert (means.std(axis=0) / within).max() > 1


@pytest.mark.parametrize(
    ("argument", "value"),
    [("size", 8), ("size", 60.5), ("seed", -1), ("source", "Z"), ("source", []), ("source", ["A", "Z"]),
     ("training", -1), ("test", 1.5)],
)  # fmt: skip
def test_bad_arguments(tmp_path, argument, value):
    for make in MAKE.values():
        with pytest.raises(InputError, match=argument) as error:
            make(tmp_path / "a", **{argument: value})
        assert "\n" not in str(error.value)
        assert not (tmp_path / "a").exists()


def test_import_and_reuse_are_cheap(made):
    name, folder = made
    code = (
        f"import sys; from common.phantoms import {name};"
        f"{name}.make({str(folder)!r}, source='B', **{FEW!r});"
        "print([m for m in ('scipy', 'torch', 'monai', 'PIL') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
    assert "making" not in done.stderr
