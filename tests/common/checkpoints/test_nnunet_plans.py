"""``plans.pkl`` gives its numbers and runs nothing."""

from __future__ import annotations

import collections
import os
import pickle
import random
import struct

import numpy as np
import pytest

from common.checkpoints.nnunet_plans import read_nnunet_plans
from common.checkpoints.plain_pickle import read_plain_pickle
from common.errors import InputError
from tests.common.checkpoints.nnunet_folder import plans, write_plans


@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
def test_spacing_patch_and_intensities_of_a_stage(tmp_path, protocol):
    file = write_plans(tmp_path / "plans.pkl", protocol)
    ct = {"scheme": "ct", "clip": [-73.0, 304.0], "mean": 104.5, "sd": 75.25}
    shared = {"intensity": [ct], "num_classes": 4, "turned": [2, 0, 1]}
    fine = {"spacing": [0.78, 0.7825, 0.78], "patch_size": [96, 160, 128], **shared}
    assert read_nnunet_plans(file) == fine
    assert read_nnunet_plans(file, "3d_cascade_fullres") == fine
    coarse = read_nnunet_plans(file, "3d_lowres")
    assert coarse == {"spacing": [1.99] * 3, "patch_size": [128] * 3, **shared}


def test_anything_but_ct_is_scored_by_its_own_values(tmp_path):
    mr = {"modalities": {0: "T1", 1: "CT"}, "normalization_schemes": {0: "nonCT", 1: "nonCT"}}
    file = write_plans(tmp_path / "plans.pkl", num_modalities=2, **mr)
    assert read_nnunet_plans(file)["intensity"] == [{"scheme": "zscore"}] * 2


@pytest.mark.parametrize(
    "changed",
    [
        {"plans_per_stage": {}},
        {"num_modalities": 2},
        {"transpose_forward": [0, 0, 1]},
        {"plans_per_stage": {0: {"current_spacing": [1, 0, 1], "patch_size": [8, 8, 8]}}},
        {"plans_per_stage": {0: {"current_spacing": [1, 1], "patch_size": [8, 8]}}},
        {"plans_per_stage": {0: {"current_spacing": [1, float("nan"), 1], "patch_size": [8, 8, 8]}}},
    ],
)
def test_plan_that_cannot_be_used(tmp_path, changed):
    file = write_plans(tmp_path / "plans.pkl", **changed)
    with pytest.raises(InputError, match=r"plans\.pkl: is no plan of nnU-Net version 1"):
        read_nnunet_plans(file)


def test_arrays_of_any_order(tmp_path):
    values = {
        "fortran": np.asfortranarray(np.arange(6.0).reshape(2, 3)),
        "big endian": np.arange(3, dtype=">i4"),
        "bool": np.array([True, False]),
        "number": np.array(7, dtype=np.uint8),
        "empty": np.zeros((0, 3)),
        "set": {1, 2},
        "nested": ([np.float32(0.5)], frozenset(["a"]), None, b"bytes"),
    }
    for protocol in (2, 4, 5):
        (tmp_path / "a.pkl").write_bytes(pickle.dumps(values, protocol=protocol))
        read = read_plain_pickle(tmp_path / "a.pkl")
        assert read.keys() == values.keys()
        for key in ("fortran", "big endian", "bool", "number", "empty"):
            np.testing.assert_array_equal(read[key], values[key])
        assert (read["set"], read["nested"]) == (values["set"], values["nested"])


class Runs:
    """Unpickled by Python, this makes a folder."""

    def __init__(self, path):
        self.path = str(path)

    def __reduce__(self):
        return os.mkdir, (self.path,)


def test_pickle_that_runs_code_is_refused(tmp_path):
    for number, content in enumerate([Runs(tmp_path / "ran"), {"num_classes": Runs(tmp_path / "ran")}]):
        file = tmp_path / f"{number}.pkl"
        file.write_bytes(pickle.dumps(content))
        with pytest.raises(InputError, match=r"holds a Python object \(\w+\.mkdir\).*Nothing in it was run"):
            read_plain_pickle(file)
    assert not (tmp_path / "ran").exists()
    pickle.loads(file.read_bytes())
    assert (tmp_path / "ran").exists(), "the file is what it claims to be"


@pytest.mark.parametrize(
    "content",
    [
        pickle.dumps(np.array([object()], dtype=object)),
        pickle.dumps(np.array(["text"])),
        pickle.dumps(collections.defaultdict(list)),
        pickle.dumps(np.ndarray),
        pickle.dumps(np.dtype("f8")),
        pickle.dumps(len),
        b"\x80\x02Pfile\n.",  # an object kept elsewhere
        b"\x80\x02(S'id'\nios\nsystem\n.",  # the old instruction that calls
        b"\x80\x04r" + struct.pack("<I", 1 << 31) + b".",  # fills the memory
        b"\x80\x02cnumpy.core.multiarray\n_reconstruct\n)R.",  # an array without numbers
        b"\x80\x02cnumpy\nndarray\n}S'a'\nS'b'\nsb.",  # changes what stands for an array
        b"",
        b"Dear all",
        pickle.dumps([1] * 100)[:50],
    ],
)
def test_anything_else_is_refused(tmp_path, content):
    (tmp_path / "a.pkl").write_bytes(content)
    with pytest.raises(InputError, match=r"a\.pkl: "):
        read_plain_pickle(tmp_path / "a.pkl")


def test_missing_file(tmp_path):
    with pytest.raises(InputError, match=r"a\.pkl: cannot be read \(No such file"):
        read_plain_pickle(tmp_path / "a.pkl")


def test_damaged_files_end_in_one_line(tmp_path):
    """Bytes changed at random: a value, or the error for users, and nothing else."""
    rng, file = random.Random(0), tmp_path / "a.pkl"
    whole = pickle.dumps(plans(list_of_npz_files=[]), protocol=2)
    refused = 0
    for _ in range(300):
        content = bytearray(whole)
        for _ in range(rng.randint(1, 4)):
            content[rng.randrange(len(content))] = rng.randrange(256)
        file.write_bytes(content)
        try:
            read_nnunet_plans(file)
        except InputError:
            refused += 1
    assert 100 < refused < 300
