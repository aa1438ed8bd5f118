"""The phantom of brain pairs: its field is the true one and never folds, and not moving is no solution."""

from __future__ import annotations

import json

import nibabel as nib
import numpy as np
import pytest
import torch

from common.errors import InputError
from common.phantoms import brain_pair
from common.phantoms.brain_pair.brain import LABELS, Brain, Deformation
from common.registration.field_file import read_field
from common.registration.jacobian import jacobian_determinant
from common.registration.world import displacement_in_voxels, warp_in_world


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("pairs") / "phantom"


@pytest.fixture(scope="module")
def pairs(folder):
    brain_pair.make(folder, training=2, validation=1, test=1)
    dataset = json.loads((folder / "dataset.json").read_text())
    found = []
    for entry in dataset["training"] + dataset["validation"] + dataset["test"]:
        case = {}
        for key in ("moving", "fixed", "moving_label", "fixed_label"):
            nifti = nib.load(folder / entry[key])
            case[key] = torch.from_numpy(np.asarray(nifti.dataobj).copy())[None, None]
            case["affine"] = torch.from_numpy(nifti.affine)
        field, affine = read_field(folder / entry["field"])
        assert np.allclose(affine, case["affine"], atol=1e-4)
        case["field"] = torch.from_numpy(field).movedim(-1, 0)[None].float()
        found.append(case)
    return found


def dice(one, other):
    values = range(1, len(LABELS))
    return np.mean(
        [2 * ((one == v) & (other == v)).sum() / ((one == v).sum() + (other == v).sum()) for v in values]
    )


def correlation(one, other):
    return np.corrcoef(one.flatten(), other.flatten())[0, 1]


def test_the_field_takes_moving_to_fixed(pairs):
    """Images and labels; without it neither fits."""
    for case in pairs:
        how = (case["affine"], case["field"], case["affine"])
        warped = warp_in_world(case["moving"], *how)
        labels = warp_in_world(case["moving_label"], *how, mode="nearest")
        assert correlation(warped, case["fixed"]) > 0.985
        assert correlation(case["moving"], case["fixed"]) < 0.98
        assert dice(labels, case["fixed_label"]) > dice(case["moving_label"], case["fixed_label"]) + 0.08


def test_the_inverse_direction_is_worse_than_no_field(pairs):
    case = pairs[0]
    warped = warp_in_world(case["moving"], case["affine"], -case["field"], case["affine"])
    assert correlation(warped, case["fixed"]) < correlation(case["moving"], case["fixed"])


def test_values(pairs):
    for case in pairs:
        for role in ("moving", "fixed"):
            image, label = case[role], case[f"{role}_label"]
            assert image.dtype == torch.float32
            assert 0.7 < image.max() <= 1
            assert torch.allclose(255 * image, (255 * image).round(), atol=1e-3)
            assert 0.6 < (image == 0).float().mean() < 0.8
            assert label.unique().tolist() == list(LABELS)
            means = [image[label == v].mean() for v in (3, 1, 2)]
            assert means[0] + 0.15 < means[1] < means[2] - 0.1, "ventricles, cortex, white matter"
            rim = torch.ones_like(label[0, 0], dtype=torch.bool)
            rim[1:-1, 1:-1, 1:-1] = False
            assert not image[0, 0][rim].any(), "the brain lies within the volume"


def test_the_field_does_not_fold(pairs):
    for case in pairs:
        assert jacobian_determinant(displacement_in_voxels(case["field"], case["affine"])).min() > 0.05


def test_slopes_of_a_deformation_stay_below_one():
    for seed in range(20):
        waves = Deformation(40.0, np.random.default_rng(seed)).waves
        slopes = np.linalg.norm(waves.vectors, axis=1) * np.linalg.norm(waves.amplitudes, axis=1)
        assert slopes.sum() <= 0.9 + 1e-9


def test_left_and_right_hold_the_same_nuclei():
    brain = Brain(np.random.default_rng(0))
    points = np.random.default_rng(1).uniform(-40, 40, (2000, 3))
    inner = np.isin(brain.tissue(points), (3, 4, 5, 6))
    mirrored = np.isin(brain.tissue(points * (-1, 1, 1)), (3, 4, 5, 6))
    assert inner.sum() > 50
    assert (inner == mirrored).mean() > 0.98  # the outline above is not symmetric


def test_equal_arguments_make_equal_files(folder, pairs, tmp_path):
    brain_pair.make(tmp_path / "again", training=1, validation=0, test=0)
    name = "imagesTr/brain_pair_training_000_fixed.nii.gz"
    again, first = (np.asarray(nib.load(f / name).dataobj) for f in (tmp_path / "again", folder))
    assert np.array_equal(again, first)


@pytest.mark.parametrize(
    "wrong",
    [
        {"shape": (4, 4, 4)},
        {"spacing": (1, 1)},
        {"deformation_mm": -1},
        {"seed": -1},
        {"shape": (999, 999, 999)},
    ],
)
def test_arguments_out_of_range(tmp_path, wrong):
    with pytest.raises(InputError, match=f"brain_pair: {next(iter(wrong))}"):
        brain_pair.make(tmp_path / "x", **wrong)
