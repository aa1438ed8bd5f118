"""Raw downloads of public data sets: read, checked, and written completely or not at all."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import h5py
import nibabel as nib
import numpy as np
import pytest

import common
from common.datasets import read_datalist
from common.datasets.raw.prepare import Reader, find_reader, known_datasets, prepare
from common.errors import InputError
from tests.common.datasets.raw_left_atrium import RawLeftAtrium

ROOT = Path(common.__file__).resolve().parents[1]


@pytest.fixture
def raw(tmp_path):
    return RawLeftAtrium(tmp_path / "raw data", training=3, test=2)


def make(raw, tmp_path, **options):
    return prepare("la2018", raw.root, tmp_path / "out", **{"partial": True, **options})


def test_the_whole_distribution(tmp_path):
    raw = RawLeftAtrium(tmp_path / "raw", training=80, test=20)
    target = tmp_path / "deep" / "la2018"
    assert prepare("la2018", raw.root, target) == {"training": 80, "test": 20}
    lists = read_datalist(target, holdout=0)
    for section, ids in (("training", raw.training), ("test", raw.test)):
        assert [Path(entry["image"]).name for entry in lists[section]] == [f"{i}.nii.gz" for i in ids]
    for entry, seed in ((lists["training"][7], 7), (lists["test"][3], 83)):
        expected = raw.arrays(seed)
        for key, array in expected.items():
            nifti = nib.load(entry[key])
            assert nifti.get_data_dtype() == array.dtype
            assert np.array_equal(np.asarray(nifti.dataobj), array)
            assert np.allclose(nifti.affine, np.diag([0.625, 0.625, 0.625, 1]))
    description = json.loads((target / "dataset.json").read_text())
    assert description["labels"] == {"0": "background", "1": "left atrium"}
    assert "assumed" in description["description"]
    assert [path.name for path in target.parent.iterdir()] == ["la2018"]


def test_a_scan_without_its_file(raw, tmp_path):
    raw.path(raw.test[0]).unlink()
    assert make(raw, tmp_path) == {"training": 3, "test": 1}
    whole = RawLeftAtrium(tmp_path / "whole", training=80, test=20)
    whole.path(whole.test[0]).unlink()
    with pytest.raises(InputError, match=r"UPT6DX9IQY9JAZ7HJKA7 is not there; 1 of the 100 published cases"):
        prepare("la2018", whole.root, tmp_path / "other")


def test_source_may_be_the_folder_with_the_lists(raw, tmp_path):
    assert prepare("la2018", raw.data, tmp_path / "out", partial=True) == {"training": 3, "test": 2}


def test_labelled_and_validation(raw, tmp_path):
    assert make(raw, tmp_path, labelled=1, validation=1) == {"training": 2, "validation": 1, "test": 2}
    dataset = json.loads((tmp_path / "out" / "dataset.json").read_text())
    assert ["label" in entry for entry in dataset["training"]] == [True, False]
    assert [entry["image"] for entry in dataset["validation"]] == [f"imagesTr/{raw.training[2]}.nii.gz"]
    assert all("label" in entry for entry in dataset["validation"] + dataset["test"])
    assert len(list((tmp_path / "out" / "labelsTr").iterdir())) == 2


def _transposed(raw, case):
    raw.write(case, **{key: array.transpose(2, 1, 0) for key, array in raw.arrays(0).items()})


def _without_label(raw, case):
    raw.write(case, image=raw.arrays(0)["image"])


def _float64_image(raw, case):
    raw.write(case, **raw.arrays(0) | {"image": raw.arrays(0)["image"].astype(np.float64)})


def _label_as_float(raw, case):
    raw.write(case, **raw.arrays(0) | {"label": raw.arrays(0)["label"].astype(np.float32)})


def _label_255(raw, case):
    raw.write(case, **raw.arrays(0) | {"label": raw.arrays(0)["label"] * 255})


def _label_empty(raw, case):
    raw.write(case, **raw.arrays(0) | {"label": np.zeros_like(raw.arrays(0)["label"])})


def _label_of_another(raw, case):
    raw.write(case, image=raw.arrays(0)["image"], label=raw.arrays(1)["label"])


def _nan(raw, case):
    arrays = raw.arrays(0)
    arrays["image"][1, 2, 3] = np.nan
    raw.write(case, **arrays)


def _cut_off(raw, case):
    whole = raw.path(case).read_bytes()
    raw.path(case).write_bytes(whole[: len(whole) // 2])


def _no_hdf5(raw, case):
    raw.path(case).write_text("<html>Not found</html>")


def _group(raw, case):
    with h5py.File(raw.path(case), "w") as file:
        file.create_group("image")
        file["label"] = raw.arrays(0)["label"]


BAD_FILES = {
    _transposed: r"image has shape \(88, 5, 6\); expected \(X, Y, 88\), .* another order",
    _without_label: r"no key 'label'; found \['image'\]",
    _float64_image: "image has dtype float64; expected float32",
    _label_as_float: "label has dtype float32; expected uint8",
    _label_255: r"label has values \[0, 255\]; expected both 0",
    _label_empty: r"label has values \[0\]; expected both 0",
    _label_of_another: r"label has shape \(7, 5, 88\), image \(6, 5, 88\)",
    _nan: "image has 1 voxels that are NaN",
    _cut_off: "cannot be read as HDF5",
    _no_hdf5: "cannot be read as HDF5",
    _group: "image is a group",
}


@pytest.mark.parametrize(
    ("spoil", "told"), BAD_FILES.items(), ids=lambda value: getattr(value, "__name__", "")
)
def test_bad_file(raw, tmp_path, spoil, told):
    spoil(raw, raw.training[1])
    with pytest.raises(InputError, match=told) as error:
        make(raw, tmp_path)
    assert str(raw.path(raw.training[1])) in str(error.value)
    assert "\n" not in str(error.value)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["raw data"]


def test_all_bad_files_are_named_in_one_run(raw, tmp_path):
    _label_255(raw, raw.training[0])
    _cut_off(raw, raw.test[1])
    with pytest.raises(InputError, match="1 more") as error:
        make(raw, tmp_path)
    assert all(str(raw.path(case)) in str(error.value) for case in (raw.training[0], raw.test[1]))


def _without_scans(raw):
    raw.scans.rename(raw.data / "elsewhere")


def _common_id(raw):
    raw.test.append(raw.training[0])
    raw.write_lists()


def _twice(raw):
    raw.training.append(raw.training[0])
    raw.write_lists()


def _other_order(raw):
    raw.training.reverse()
    raw.write_lists()


def _no_ids(raw):
    raw.test = []
    raw.write_lists()


def _id_without_folder(raw):
    raw.training.append("ABSENT")
    raw.write_lists()


BAD_LISTS = {
    _without_scans: r"neither '2018LA_Seg_Training Set' nor 'data/",
    _common_id: r"test\.list: names '06SR5RBREL16DQ6M8LWS', which the published list does not",
    _twice: r"train\.list: has 4 ids; expected the 80 published ids, once each and in their order",
    _other_order: r"train\.list: has 3 ids; expected the 80 published ids, once each and in their order",
    _no_ids: r"test\.list: has 0 ids; expected the 20 published ids",
    _id_without_folder: r"train\.list: names 'ABSENT', which the published list does not",
}


@pytest.mark.parametrize(
    ("spoil", "told"), BAD_LISTS.items(), ids=lambda value: getattr(value, "__name__", "")
)
def test_bad_lists(raw, tmp_path, spoil, told):
    spoil(raw)
    with pytest.raises(InputError, match=told) as error:
        make(raw, tmp_path)
    assert "\n" not in str(error.value)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["raw data"]


def test_a_partial_data_set_must_be_requested(raw, tmp_path):
    with pytest.raises(InputError, match=r"train\.list: has 3 ids; expected the 80 .* --partial true"):
        make(raw, tmp_path, partial=False)
    for name in ("train.list", "test.list"):
        (raw.data / name).unlink()
    with pytest.raises(InputError, match=r"95 of the 100 published cases .* --partial true"):
        make(raw, tmp_path, partial=False)
    assert make(raw, tmp_path) == {"training": 3, "test": 2}, "the lists are known"


@pytest.mark.parametrize("options", [{"labelled": 4}, {"labelled": -1}, {"labelled": 3, "validation": 1},
                                     {"validation": 3}, {"validation": 0.5}])  # fmt: skip
def test_bad_numbers(raw, tmp_path, options):
    with pytest.raises(InputError, match=r"--(labelled|validation)"):
        make(raw, tmp_path, **options)


def test_target_in_use_and_bad_source(raw, tmp_path):
    target = tmp_path / "out"
    target.mkdir()
    (target / "thesis.txt").write_text("years of work")
    with pytest.raises(InputError, match="not empty"):
        make(raw, tmp_path)
    assert [path.name for path in target.iterdir()] == ["thesis.txt"]
    with pytest.raises(InputError, match="--source"):
        prepare("la2018", tmp_path / "nowhere", tmp_path / "other")
    with pytest.raises(InputError, match=r"expected one of: .*la2018"):
        prepare("la2019", raw.root, tmp_path / "other")


def test_every_file_of_the_package_is_a_reader():
    folder = ROOT / "common" / "datasets" / "public"
    assert known_datasets() == sorted(path.stem for path in folder.glob("[!_]*.py"))


def test_the_command(raw, tmp_path, cache_home):
    """Prepared, then checked by the other command; from another folder, with an empty environment."""

    def run(*words):
        return subprocess.run(
            [sys.executable, "-m", "common.datasets", *words],
            cwd=tmp_path,
            env={"PYTHONPATH": str(ROOT), "XDG_CACHE_HOME": str(cache_home), "OMP_NUM_THREADS": "1"},
            capture_output=True,
            text=True,
        )

    options = ("--source", str(raw.root), "--target", "own data")
    refused = run("prepare", "la2018", *options)
    assert refused.returncode == 1
    assert refused.stderr.startswith("error: ")
    assert len(refused.stderr.splitlines()) == 1
    done = run("prepare", "la2018", *options, "--partial", "true")
    assert done.returncode == 0, done.stderr
    assert "dataset.json: 3 training, 2 test cases" in done.stdout
    assert "preparing" in done.stderr
    checked = run("check", "own data")
    assert checked.returncode == 0, checked.stdout + checked.stderr
    assert checked.stdout == "5 cases checked, nothing to repair\n"


REAL = Path(os.environ.get("REAL_DATA") or ROOT.parent / "shared" / "data") / "la2018"


@pytest.mark.skipif(not REAL.is_dir(), reason="real scans are not here")
def test_real_scans_round_trip(tmp_path):
    """Two real scans put into the public layout come out unchanged."""
    entry = read_datalist(REAL, holdout=0)["training"][0]
    image, label = (nib.load(entry[key]) for key in ("image", "label"))
    raw = RawLeftAtrium(tmp_path / "raw", training=1, test=1)
    raw.write(raw.training[0], image=image.get_fdata(dtype=np.float32), label=np.asarray(label.dataobj))
    make(raw, tmp_path)
    again = read_datalist(tmp_path / "out", holdout=0)["training"][0]
    assert np.array_equal(
        nib.load(again["image"]).get_fdata(dtype=np.float32), image.get_fdata(dtype=np.float32)
    )
    assert int(np.asarray(nib.load(again["label"]).dataobj).sum()) == 154296
    # mcnet_plus/docs/method.md#left-atrium
    assert np.allclose(nib.load(again["image"]).affine, image.affine)


def test_every_name_that_prepare_takes_is_a_data_set():
    """A helper beside the readers would be offered as one."""
    assert {"acdc", "bcv", "kits21", "la2018", "optic", "polyp", "prostate"} <= set(known_datasets())
    assert all(isinstance(find_reader(name), Reader) for name in known_datasets())
