"""Data sets that are measured from recordings and pictures, and bases in files."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from scipy.io import savemat, wavfile
from scipy.sparse import csc_array

from common.blocks.sensing import basis_matrix
from common.errors import InputError
from divsbl.bases import basis_of
from divsbl.data import measured_datalist
from divsbl.real_signals import make, read_photograph, read_recording

M, N = 24, 64
SETTINGS = {"length": N, "measurements": M, "snr_db": 20.0, "repetitions": 2, "basis": "dct"}


def write_clip(path: Path, *, seed: int = 0, samples: int = N) -> None:
    noise = np.random.default_rng(seed).integers(-30000, 30000, samples)
    wavfile.write(path, 8000, noise.astype(np.int16))


@pytest.mark.parametrize("kind", [np.uint8, np.int16, np.int32, np.float32])
def test_recording_of_any_depth(tmp_path, kind):
    """The first channel's first samples, in -1..1."""
    sound = np.sin(np.arange(100) / 7) * 0.7
    full = 1 if kind == np.float32 else 127 if kind == np.uint8 else np.iinfo(kind).max
    offset = 128 if kind == np.uint8 else 0
    stored = np.stack([full * sound + offset, np.full(100, offset)], 1).astype(kind)
    wavfile.write(tmp_path / "clip.wav", 8000, stored)
    found = read_recording(tmp_path / "clip.wav", N)
    np.testing.assert_allclose(found, sound[:N], atol=1 / 64 if kind == np.uint8 else 1e-4)


def test_recording_that_cannot_be_used(tmp_path):
    write_clip(tmp_path / "short.wav", samples=N - 1)
    wavfile.write(tmp_path / "silent.wav", 8000, np.zeros(N, np.int16))
    (tmp_path / "broken.wav").write_bytes(b"RIFF but no more")
    says = {"short": "has 63 samples; expected 64", "silent": "silent", "broken": "cannot be read"}
    for name, words in says.items():
        with pytest.raises(InputError, match=words) as caught:
            read_recording(tmp_path / f"{name}.wav", N)
        assert f"{name}.wav" in str(caught.value)


def test_photograph_is_grey_and_square(tmp_path):
    """One of the right size is taken as it is, colours by their luminance; a ramp that shrinks stays one."""
    values = np.random.default_rng(0).integers(0, 256, (N, N)).astype(np.uint8)
    Image.fromarray(values).save(tmp_path / "same.png")
    np.testing.assert_array_equal(read_photograph(tmp_path / "same.png", N), values)
    colours = np.stack([values, np.zeros_like(values), np.zeros_like(values)], -1)
    Image.fromarray(colours).save(tmp_path / "red.png")
    np.testing.assert_allclose(read_photograph(tmp_path / "red.png", N), 0.299 * values, atol=0.51)
    ramp = np.tile(np.linspace(0, 255, 4 * N).round().astype(np.uint8), (2 * N, 1))
    Image.fromarray(ramp).save(tmp_path / "ramp.png")
    expected = (np.arange(N) * 4 + 1.5) * 255 / (4 * N - 1)
    found = read_photograph(tmp_path / "ramp.png", N)
    assert found.shape == (N, N)
    np.testing.assert_allclose(found[:, 2:-2], np.tile(expected, (N, 1))[:, 2:-2], atol=1.1)
    Image.fromarray(np.full((N, N), 7, np.uint8)).save(tmp_path / "plain.png")
    with pytest.raises(InputError, match="has the value 7 everywhere"):
        read_photograph(tmp_path / "plain.png", N)


def test_recordings_become_a_data_set(tmp_path):
    """Each clip is measured so often in each list; what is there is used while nothing changes."""
    clips = tmp_path / "clips"
    clips.mkdir()
    for seed, name in enumerate(["a.wav", "b.WAV"]):
        write_clip(clips / name, seed=seed)
    (clips / "notes.txt").write_text("no clip")
    folder = make(tmp_path / "measured", source=clips, kind="audio", **SETTINGS)
    lists = measured_datalist(folder, measurements=M, length=N)
    assert {section: len(cases) for section, cases in lists.items()} == dict.fromkeys(lists, 4)
    names = [Path(case["image"]).stem for case in lists["training"]]
    assert names == ["a_training_00", "a_training_01", "b_training_00", "b_training_01"]
    truths = [np.load(case["label"]) for case in lists["training"]]
    np.testing.assert_array_equal(truths[0], truths[1])
    np.testing.assert_array_equal(truths[2], read_recording(clips / "b.WAV", N))
    measured = [np.load(case["image"]) for cases in lists.values() for case in cases]
    assert len({float(one[0]) for one in measured}) == 12, "each with an operator and noise of its own"

    made = (tmp_path / "measured" / "dataset.json").stat().st_mtime_ns
    make(folder, source=clips, kind="audio", **SETTINGS)
    assert (tmp_path / "measured" / "dataset.json").stat().st_mtime_ns == made
    write_clip(clips / "a.wav", seed=5)
    make(folder, source=clips, kind="audio", **SETTINGS)
    changed = np.load(lists["training"][0]["label"])
    np.testing.assert_array_equal(changed, read_recording(clips / "a.wav", N))


def test_operator_for_all_pictures(tmp_path):
    """It is not scaled, and the data set names it once; labels are the pictures themselves."""
    rng = np.random.default_rng(0)
    for name in "xy":
        Image.fromarray(rng.integers(0, 256, (N, N)).astype(np.uint8)).save(tmp_path / f"{name}.png")
    settings = SETTINGS | {"basis": "haar", "repetitions": 1, "shared_operator": True}
    make(tmp_path / "one", source=tmp_path / "x.png", kind="picture", **settings)
    description = json.loads((tmp_path / "one" / "dataset.json").read_text())
    assert description["operator"] == "operator.npy"
    assert description["basis"] == "haar"
    (case,) = description["training"]
    assert "operator" not in case
    norms = np.linalg.norm(np.load(tmp_path / "one" / "operator.npy"), axis=0)
    assert norms.std() > 0.1
    with Image.open(tmp_path / "one" / case["label"]) as label, Image.open(tmp_path / "x.png") as given:
        np.testing.assert_array_equal(np.asarray(label), np.asarray(given))


def test_source_that_cannot_be_used(tmp_path):
    (tmp_path / "empty").mkdir()
    for name in ("a.png", "a.bmp"):
        Image.new("L", (N, N), 3).save(tmp_path / name)
    says = {
        None: r"no source; expected .*\.wav: give --dataset_dir#source PATH",
        tmp_path / "nowhere": "nowhere: no such file or folder",
        tmp_path / "empty": "nothing to measure",
        tmp_path / "a.png": "nothing to measure",
    }
    for source, words in says.items():
        with pytest.raises(InputError, match=words):
            make(tmp_path / "measured", source=source, kind="audio", **SETTINGS)
    with pytest.raises(InputError, match="two files are called a"):
        make(tmp_path / "measured", source=tmp_path, kind="picture", **SETTINGS)
    assert not (tmp_path / "measured").exists()


@pytest.mark.parametrize("suffix", [".npy", ".csv", ".mat", "sparse.mat"])
def test_basis_from_a_file(tmp_path, suffix):
    """Its rows are the atoms, so a signal is its transpose times coefficients."""
    psi = basis_matrix("daubechies2", N)
    atoms, path = psi.T.numpy(), tmp_path / f"wavelets{suffix}"
    if suffix == ".npy":
        np.save(path, atoms)
    elif suffix == ".csv":
        np.savetxt(path, atoms, delimiter=",")
    else:
        savemat(path, {"ww": csc_array(atoms) if "sparse" in suffix else atoms})
    torch.testing.assert_close(basis_of(path, N), psi)
    torch.testing.assert_close(basis_of("daubechies2", N), psi)


def test_basis_that_cannot_be_used(tmp_path):
    np.save(tmp_path / "skew.npy", np.eye(N) + 0.1)
    np.save(tmp_path / "small.npy", np.eye(8))
    savemat(tmp_path / "two.mat", {"a": np.eye(N), "b": np.eye(N)})
    (tmp_path / "broken.mat").write_bytes(b"nothing of MATLAB's" * 20)
    says = {
        "skew.npy": "off by .* expected an orthonormal matrix",
        "small.npy": r"has the shape \(8, 8\); expected \(64, 64\)",
        "two.mat": "holds a, b; expected one matrix",
        "broken.mat": "cannot be read",
    }
    for name, words in says.items():
        with pytest.raises(InputError, match=words):
            basis_of(tmp_path / name, N)
    with pytest.raises(InputError, match="basis = 'fourier'; expected one of identity, dct"):
        basis_of("fourier", N)
    with pytest.raises(InputError, match="even length"):
        basis_of("haar", 81)
