"""Probabilities of other programs: read from files on any grid, and written for others."""

from __future__ import annotations

import nibabel as nib
import numpy as np
import pytest
import torch
from monai.data import MetaTensor

from common.errors import InputError
from common.inference.decision import DecideOnOwnGridd, decide_on_own_grid
from common.inference.further_probabilities import FurtherProbabilitiesd, read_vote
from common.inference.own_grid import own_grid
from common.inference.saved_probabilities import SaveProbabilitiesd
from tests.common.inference.scans import affine_of, preprocessing, scan

SHAPE = (12, 14, 10)


@pytest.fixture
def case():
    scanned = scan(SHAPE, affine_of("PIR", SHAPE, (2.0, 1.6, 3.0), turned=(12, -7, 25)))
    image = preprocessing((2.5, 1.5, 2.0))({"image": scanned})["image"]
    generator = torch.Generator().manual_seed(0)
    pred = (2 * torch.randn((3, *image.shape[1:]), generator=generator)).softmax(0)
    return {"image": image, "pred": MetaTensor(pred, meta=image.meta), "output_name": "A/a scan"}


def saved(case, folder, **options):
    SaveProbabilitiesd("pred", output_dir=folder, **options)(case)
    return folder / "A" / "a scan_probabilities.nii.gz"


def test_written_probabilities_are_those_that_are_decided_on(case, tmp_path):
    image = nib.load(saved(case, tmp_path))
    values = image.get_fdata()
    assert image.shape == (*SHAPE, 3)
    assert image.get_data_dtype() == np.uint16
    np.testing.assert_allclose(values.sum(-1), 1, atol=1e-4)
    decided = DecideOnOwnGridd("pred")(case)["pred"]
    np.testing.assert_allclose(image.affine, decided.affine, atol=1e-5)
    ranked = np.sort(values, axis=-1)
    clear = ranked[..., -1] - ranked[..., -2] > 1e-4
    assert clear.mean() > 0.99
    assert np.array_equal(values.argmax(-1)[clear], np.asarray(decided[0])[clear])


def test_nothing_is_written_or_read_unless_asked(case, tmp_path):
    assert not saved(case, tmp_path, active=False).exists()
    assert "further" not in FurtherProbabilitiesd("pred", None)(case)


def test_own_probabilities_read_back_change_nothing(case, tmp_path):
    """The file lies on the scan's grid: a mean with it decides as the network alone but for 16-bit steps."""
    saved(case, tmp_path)
    alone = DecideOnOwnGridd("pred")(case)["pred"]
    both = FurtherProbabilitiesd("pred", tmp_path)(case)
    assert len(both["further"]) == 1
    found = DecideOnOwnGridd("pred")(both)["pred"]
    assert (found != alone).float().mean() < 0.001


def test_the_mean_over_network_and_folders(case, tmp_path):
    """Two programs that are sure of class 2 overrule the network; one does nearly, with the weight 1 each."""
    sure = np.zeros((*SHAPE, 3), np.float32)
    sure[..., 2] = 1
    affine = own_grid(case["image"]).affine
    for folder in ("one", "two"):
        (tmp_path / folder / "A").mkdir(parents=True)
        nib.save(nib.Nifti1Image(sure, affine), tmp_path / folder / "A" / "a scan.nii.gz")
    both = FurtherProbabilitiesd("pred", [tmp_path / "one", tmp_path / "two"])(case)
    assert (DecideOnOwnGridd("pred")(both)["pred"] == 2).all()
    one = FurtherProbabilitiesd("pred", tmp_path / "one")(case)
    mean = decide_on_own_grid(torch.as_tensor(case["pred"]), own_grid(case["image"]), further=one["further"])
    assert torch.equal(torch.as_tensor(DecideOnOwnGridd("pred")(one)["pred"][0]), mean)


def test_a_file_on_another_grid_lies_where_its_affine_says(case, tmp_path):
    """A volume of doubled resolution that begins elsewhere, and holds a slope along the patient's left."""
    grid = own_grid(case["image"])
    affine = np.diag([1.0, 1.0, 1.5, 1.0])
    affine[:3, 3] = grid.affine[:3, :3] @ np.array(SHAPE) / 2 + grid.affine[:3, 3] - 40
    left = affine[0, 3] + np.arange(80.0)
    first = np.broadcast_to(((left - left[0]) / 80)[:, None, None], (80, 80, 60)).astype(np.float32)
    nib.save(nib.Nifti1Image(np.stack([first, 1 - first], -1), affine), tmp_path / "a.nii.gz")
    vote = read_vote(tmp_path / "a.nii.gz", grid, channels=2)
    found = decide_on_own_grid(vote.probabilities, grid_of(vote))
    at = np.stack(np.meshgrid(*map(np.arange, SHAPE), indexing="ij"), -1) @ grid.affine[:3, :3].T
    world = (at + grid.affine[:3, 3])[..., 0]
    clear = np.abs(world - left[40]) > 1e-3
    assert np.array_equal(found.numpy()[clear] == 1, (world < left[40])[clear])


def grid_of(vote):
    return vote.grid


def test_files_that_cannot_be_used(case, tmp_path):
    with pytest.raises(InputError, match=r"nowhere: there is no such folder; correct --further_prob"):
        FurtherProbabilitiesd("pred", tmp_path / "nowhere")
    read = FurtherProbabilitiesd("pred", str(tmp_path))
    with pytest.raises(
        InputError, match=r"A/a scan.nii.gz: there is no such file; expected the probabilities of"
    ):
        read(case)
    (tmp_path / "A").mkdir()
    file = tmp_path / "A" / "a scan.nii.gz"
    nib.save(nib.Nifti1Image(np.zeros((*SHAPE, 2), np.float32), np.eye(4)), file)
    with pytest.raises(InputError, match=r"has the shape 12 x 14 x 10 x 2; .* the network's 3 channels"):
        read(case)
    for value in (-2.0, 7.5, np.nan):
        nib.save(nib.Nifti1Image(np.full((*SHAPE, 3), value, np.float32), np.eye(4)), file)
        with pytest.raises(
            InputError, match=rf"a scan.nii.gz: holds values from {value:g} to {value:g}; exp"
        ):
            read(case)
    file.write_bytes(b"no image")
    with pytest.raises(InputError, match=r"a scan.nii.gz: cannot be read as NIfTI"):
        read(case)
