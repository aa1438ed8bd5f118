"""The published recipe starts on tiny copies of its data sets' real layouts, with their numbers and pairs."""

from __future__ import annotations

import itertools
import json

import nibabel as nib
import numpy as np
import pytest
import torch
from monai.bundle import ConfigParser
from monai.data import MetaTensor

import common  # noqa: F401 (makes bundles importable)
from common.bundles import parse_config
from common.datasets.lists.case_list import CaseList
from common.datasets.raw.prepare import prepare
from common.errors import InputError
from common.training.numbers import line_of_numbers
from easr_dcn.data import pair_datalist, pairs_to_register
from easr_dcn.grid import CropOrPadd
from easr_dcn.sampling import RandomPartners
from tests.bundles.few_labels import TINY
from tests.common.datasets.raw_registration import (
    write_acdc_pairs,
    write_hippocampus,
    write_mmwhs,
    write_oasis,
)
from tests.contract.bundle import ROOT, Bundle, Run, Shell
from tests.contract.test_training import rows_of

BUNDLE = Bundle("easr_dcn")
CUT = {"grid": [16, 16, 16]}


def line_of_start(overlay, raw, dataset, tmp_path, **overrides):
    """Prepare a raw data set, train one step by the recipe and the overlay; what it says it trains on."""
    prepare(dataset, raw, tmp_path / dataset)
    run = Run(BUNDLE, tmp_path / "a run", tmp_path / dataset)
    files = [BUNDLE.config_file(kind) for kind in ("train", "paper", overlay)]
    told = (
        Shell(ROOT, tmp_path).run(files, {**run.places, **TINY, "dataset_dir": run.phantom, **overrides}).ok()
    )
    (row,) = rows_of(run)
    assert float(row["loss"]) > 0
    assert run.weights.is_file()
    (line,) = [line for line in told.out.splitlines() if line.startswith("training on ")]
    return line


@pytest.mark.full
def test_oasis(tmp_path):
    line = line_of_start("oasis", write_oasis(tmp_path / "raw"), "oasis", tmp_path)
    assert line == "training on 77421 pairs of 394 scans, keeping the last weights"
    test = pair_datalist(tmp_path / "oasis", holdout=0, pairing="neighbours")["test"]
    assert len(test) == 19
    assert all(one["fixed"] == other["moving"] for one, other in itertools.pairwise(test))
    assert [case["moving"] for case in pairs_to_register(tmp_path / "oasis", pairing="neighbours")] == [
        case["moving"] for case in test
    ]


@pytest.mark.full
def test_acdc(tmp_path):
    line = line_of_start("acdc", write_acdc_pairs(tmp_path / "raw"), "acdc_pairs", tmp_path, **CUT)
    assert line == "training on 100 pairs of 200 scans, keeping the last weights"
    lists = pair_datalist(tmp_path / "acdc_pairs", holdout=0, pairing="patients")
    patients = [
        tuple(case[role].split("/")[-1][:10] for role in ("moving", "fixed")) for case in lists["test"]
    ]
    assert len(patients) == 100, "both directions"
    assert all(one == other for one, other in patients)
    assert len({case["moving"] for case in lists["test"]}) == 100


@pytest.mark.full
def test_hippocampus(tmp_path):
    line = line_of_start("hippocampus", write_hippocampus(tmp_path / "raw"), "hippocampus", tmp_path, **CUT)
    assert line == "training on 21528 pairs of 208 scans, keeping the last weights"
    assert len(pair_datalist(tmp_path / "hippocampus", holdout=0, pairing="neighbours")["test"]) == 51


@pytest.mark.full
def test_mmwhs(tmp_path):
    line = line_of_start("mmwhs", write_mmwhs(tmp_path / "raw"), "mmwhs_ct", tmp_path, **CUT)
    assert line == "training on 120 pairs of 16 scans, keeping the last weights"
    assert len(pair_datalist(tmp_path / "mmwhs_ct", holdout=0, pairing="neighbours")["test"]) == 3


def first_pair(folder, overlay, section):
    """What the network gets of a list's first pair by the recipe's own transforms."""
    files = [BUNDLE.config_file(kind) for kind in ("train", "paper", overlay)]
    config = ConfigParser(ConfigParser.load_config_files(files))
    config["dataset_dir"] = str(folder)
    transforms = config.get_parsed_content("validate#preprocessing")
    return transforms(config.get_parsed_content("datalist")[section][0])


def test_hearts_are_cut_about_their_label_in_training_and_the_middle_in_test(tmp_path):
    """acdc.json: 1.5 x 1.5 x 3.15 mm, 128 x 128 x 32, on both scans and labels."""
    prepare("acdc_pairs", write_acdc_pairs(tmp_path / "raw", [1, 101]), tmp_path / "out", partial=True)
    train, test = (first_pair(tmp_path / "out", "acdc", section) for section in ("training", "test"))
    for case in (train, test):
        assert case["image"].shape == case["label"].shape == (2, 128, 128, 32)
        assert np.allclose(case["image"].pixdim, [1.5, 1.5, 3.15])
        assert 0 == case["image"].amin() < case["image"].amax() == 1
        assert case["label"].amax() == 3
    for case, place in ((train, [-8.25, -11.25, 25.0]), (test, [-16.5, -15.0, 25.0])):
        voxel = torch.linalg.solve(case["image"].affine, torch.tensor([*place, 1.0], dtype=torch.float64))
        assert (voxel[:3] - torch.tensor([64, 64, 16])).abs().max() <= 1.01


def test_crops_of_the_hippocampus_are_padded_on_all_sides(tmp_path):
    prepare("hippocampus", write_hippocampus(tmp_path / "raw", 10), tmp_path / "out")
    case = first_pair(tmp_path / "out", "hippocampus", "training")
    assert case["image"].shape == (2, 64, 64, 64)
    for i in (0, 1):
        places = (case["image"][i] > 0).nonzero()
        middle = (places.amin(0) + places.amax(0) + 1) / 2
        assert (middle - 32).abs().max() <= 1, "scans of other origins lie on each other"


def test_hounsfield_units_are_cut_at_0_and_2048():
    config = parse_config("easr_dcn", "mmwhs")
    scaling = config.get_parsed_content("scaling")
    volume = MetaTensor(torch.tensor([-1000.0, 0, 512, 2048, 3000]).reshape(1, 5, 1, 1))
    found = scaling({"moving": volume, "fixed": volume})
    assert found["moving"].flatten().tolist() == found["fixed"].flatten().tolist() == [0, 0, 0.25, 1, 1]


@pytest.mark.parametrize("size", [[4, 9, 6], [6, 4, 12]])
def test_crop_or_pad(size):
    """About a place if the case has one, else the middle; voxels keep their places in the world."""
    affine = torch.diag(torch.tensor([2.0, -1.0, 3.0, 1.0], dtype=torch.float64))
    affine[:3, 3] = torch.tensor([5.0, 6.0, 7.0])
    image = MetaTensor(torch.arange(1.0, 6 * 7 * 8 + 1).reshape(1, 6, 7, 8), affine=affine)
    for case, voxel in (({}, (3, 3, 4)), ({"centre": [7.0, 4.0, 22.0]}, (1, 2, 5))):
        found = CropOrPadd("fixed", size=size)({"fixed": image, **case})
        assert "centre" not in found
        cut = found["fixed"]
        assert cut.shape[1:] == tuple(size)
        at = tuple(n // 2 for n in size)
        assert cut[(0, *at)] == image[(0, *voxel)]
        world = [
            one.affine @ torch.tensor([*place, 1.0]).double() for one, place in ((cut, at), (image, voxel))
        ]
        torch.testing.assert_close(*world)
    same = CropOrPadd("fixed", size=None)({"fixed": image, "centre": [0, 0, 0]})
    assert same["fixed"] is image
    assert "centre" not in same


def scans(tmp_path, count):
    places = [f"training[{number}]" for number in range(count)]
    pairs = [(i, j) for i in range(count) for j in range(i + 1, count)]
    cases = [{"moving": i, "fixed": j} for i, j in pairs]
    return pairs, CaseList(cases, tmp_path, [f"{places[i]} onto {places[j]}" for i, j in pairs])


def test_a_pass_takes_every_scan_once_with_a_random_partner(tmp_path):
    pairs, cases = scans(tmp_path, 5)
    listed = CaseList([{"moving": "a", "fixed": "b"}], tmp_path, ["training[5]"])
    sampler = RandomPartners(cases + listed)
    assert len(sampler) == 6
    torch.manual_seed(0)
    passes = [list(sampler) for _ in range(400)]
    assert all(one.count(len(pairs)) == 1 for one in passes), "a listed pair is its own"
    met = np.zeros((5, 5))
    for one in passes:
        drawn = [pairs[number] for number in one if number < len(pairs)]
        assert len(drawn) == 5
        assert {scan for pair in drawn for scan in pair} == set(range(5)), "every scan is met"
        for i, j in drawn:
            met[i, j] += 1
    expected = 400 * 5 / 10
    assert np.abs(met[np.triu_indices(5, 1)] - expected).max() < 0.25 * expected
    assert passes[0] != passes[1]
    assert len(list(RandomPartners(cases, num_samples=2))) == len(RandomPartners(cases, num_samples=2)) == 2


def test_pairs_are_made_within_a_fold_and_within_the_rest(tmp_path):
    """Nine scans in three folds; the atlas is the first scan that is trained on."""
    entries = [{"image": f"{number}.nii.gz"} for number in range(9)]
    for entry in entries:
        nib.save(
            nib.Nifti1Image(np.eye(4, dtype=np.float32)[..., None], np.eye(4)), tmp_path / entry["image"]
        )
    (tmp_path / "dataset.json").write_text(json.dumps({"training": entries}))
    held = []
    for fold in range(3):
        lists = pair_datalist(tmp_path, fold=fold, folds=3)
        trained = {pair[role] for pair in lists["training"] for role in ("moving", "fixed")}
        (atlas,) = {pair["fixed"] for pair in lists["validation"]}
        moved = [pair["moving"] for pair in lists["validation"]]
        assert len(trained) == 6
        assert len(lists["training"]) == 15
        assert atlas == min(trained)
        assert len(moved) == 3
        assert not trained & {*moved}
        held += moved
    assert len({*held}) == 9


def test_unknown_pairing_is_refused(tmp_path):
    (tmp_path / "dataset.json").write_text(json.dumps({"training": [{"image": "a.nii.gz"}]}))
    for function in (pair_datalist, pairs_to_register):
        with pytest.raises(InputError, match="--pairing both; expected one of: atlas"):
            function(tmp_path, pairing="both")


def test_pairs_and_their_scans_are_counted(tmp_path):
    _, cases = scans(tmp_path, 5)
    assert line_of_numbers(cases, [], "last") == "training on 10 pairs of 5 scans, keeping the last weights"
    listed = [{"moving": "a", "fixed": "b"}]
    assert line_of_numbers(cases, listed, "best").endswith("5 scans, choosing weights on 1 pair of 2 scans")
