"""Prostate scans of six sites, as distributed."""

from __future__ import annotations

import json
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from common.datasets import read_datalist
from common.datasets.public.prostate import CASES
from common.datasets.raw.prepare import prepare
from common.errors import InputError
from tests.common.datasets.raw_prostate import AFFINE, raw_prostate, scan_of, write

COUNTS = {site: len(numbers) for site, numbers in CASES.items()}


def make(tmp_path, raw=None, **options):
    raw = raw or raw_prostate(tmp_path / "raw")
    return prepare("prostate", raw, tmp_path / "out", **{"partial": True, **options})


def test_the_whole_distribution(tmp_path):
    numbers = make(tmp_path, raw_prostate(tmp_path / "raw", COUNTS), partial=False)
    assert numbers == {"training": 104, "test": 12}
    described = json.loads((tmp_path / "out" / "dataset.json").read_text())
    assert described["domains"] == ["RUNMC", "BMC", "I2CVB", "UCL", "BIDMC", "HK"]
    assert described["labels"] == {"0": "background", "1": "prostate"}
    lists = read_datalist(tmp_path / "out", holdout=0)
    assert {case["domain"] for case in lists["test"]} == {"HK"}
    counts = [sum(case["domain"] == site for cases in lists.values() for case in cases) for site in COUNTS]
    assert counts == [30, 30, 19, 13, 12, 12]
    assert sum(counts) == 116
    names = {Path(case["image"]).name for case in [*lists["training"], *lists["test"]]}
    assert {"UCL_Case37.nii.gz", "HK_Case49.nii.gz", "BIDMC_Case12.nii.gz", "UCL_Case01.nii.gz"} <= names
    assert "BIDMC_Case01.nii.gz" not in names


def test_a_scan_comes_out_unchanged_with_its_zones_merged(tmp_path):
    make(tmp_path)
    case = read_datalist(tmp_path / "out", holdout=0)["training"][1]
    assert Path(case["image"]).name == "RUNMC_Case01.nii.gz"
    image, label = scan_of(1)
    stored = {key: nib.load(case[key]) for key in ("image", "label")}
    assert np.array_equal(np.asarray(stored["image"].dataobj), image)
    assert stored["image"].get_data_dtype() == np.int16
    assert np.array_equal(np.asarray(stored["label"].dataobj), label > 0)
    for nifti in stored.values():
        np.testing.assert_allclose(nifti.affine, AFFINE, atol=1e-5)


def test_another_site_is_held_out(tmp_path):
    assert make(tmp_path, train_domains="HK") == {"training": 2, "test": 2}
    lists = read_datalist(tmp_path / "out", holdout=0)
    assert {case["domain"] for case in lists["test"]} == {"RUNMC"}


def _no_label(raw):
    (raw / "HK" / "Case39_segmentation.nii.gz").unlink()


def _no_scan(raw):
    (raw / "HK" / "Case39.nii.gz").unlink()


def _zone_7(raw):
    write(raw / "HK" / "Case39_segmentation.nii.gz", 7 * scan_of(1)[1])


def _empty(raw):
    write(raw / "HK" / "Case39_segmentation.nii.gz", 0 * scan_of(1)[1])


def _elsewhere(raw):
    write(raw / "HK" / "Case39_segmentation.nii.gz", scan_of(1)[1], AFFINE + np.eye(4)[:, [3, 0, 1, 2]])


def _smaller(raw):
    write(raw / "HK" / "Case39_segmentation.nii.gz", scan_of(1)[1][:-1])


def _nan(raw):
    image = scan_of(1)[0].astype(np.float32)
    image[1, 2, 3] = np.nan
    write(raw / "HK" / "Case39.nii.gz", image)


def _no_nifti(raw):
    (raw / "HK" / "Case39.nii.gz").write_text("<html>Not found</html>")


BAD = {
    _no_label: r"HK: Case39 has no label; expected Case39\.nii\.gz and Case39_segmentation",
    _no_scan: "HK: Case39 has no scan",
    _zone_7: r"Case39_segmentation.*values 0, 7, 14; expected whole numbers from 0 to 2",
    _empty: "Case39_segmentation.*is empty; expected a prostate",
    _elsewhere: "its affine puts voxels up to",
    _smaller: r"has the shape \(19, 18, 6\); expected \(20, 18, 6\)",
    _nan: "Case39.*1 voxels are NaN",
    _no_nifti: "Case39.*cannot be read as NIfTI",
}


@pytest.mark.parametrize(("spoil", "told"), BAD.items(), ids=lambda value: getattr(value, "__name__", ""))
def test_bad_raw_data_is_one_line_and_nothing_is_written(tmp_path, spoil, told):
    raw = raw_prostate(tmp_path / "raw")
    spoil(raw)
    with pytest.raises(InputError, match=told) as error:
        make(tmp_path, raw)
    assert "\n" not in str(error.value)
    assert [path.name for path in tmp_path.iterdir()] == ["raw"]


def test_older_copies_call_two_sites_isbi(tmp_path):
    raw = raw_prostate(
        tmp_path / "raw", {"RUNMC": 2, "BMC": 2, "HK": 1}, {"RUNMC": "ISBI", "BMC": "ISBI_1.5"}
    )
    assert make(tmp_path, raw) == {"training": 4, "test": 1}
    described = json.loads((tmp_path / "out" / "dataset.json").read_text())
    assert described["domains"] == ["RUNMC", "BMC", "HK"]
    assert described["training"][0]["image"].endswith("RUNMC_Case00.nii.gz")
    (raw / "BMC").mkdir()
    with pytest.raises(InputError, match=r"ISBI_1\.5: is the older name of BMC, whose folder is there too"):
        prepare("prostate", raw, tmp_path / "again", partial=True)


def test_scans_must_be_those_of_the_release(tmp_path):
    raw = raw_prostate(tmp_path / "raw", {"RUNMC": 2, "HK": 2})
    with pytest.raises(
        InputError, match=r"RUNMC: has 2 scans; expected 30, Case02 is missing.*--partial true"
    ):
        make(tmp_path, raw, partial=False)
    for name in ("Case50.nii.gz", "Case50_segmentation.nii.gz"):
        write(raw / "HK" / name, scan_of(1)[1])
    with pytest.raises(InputError, match=r"HK: has Case50, .* \(Case38 to Case49\): is it another data set"):
        make(tmp_path, raw)
    (tmp_path / "nothing").mkdir()
    with pytest.raises(InputError, match="no folder with scans; expected those of the sites, RUNMC, BMC"):
        make(tmp_path, tmp_path / "nothing")
