"""CoTr on real hospital scans, if available (skipped otherwise).

``REAL_DATA`` names a folder with ``la2018`` (Decathlon style: 40 training and 6 test scans of the left
atrium) and ``ct`` (three CT volumes without labels); by default ``shared/data`` beside the checkout.
"""

from __future__ import annotations

import os
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from tests.contract.bundle import ROOT, Bundle, Run, Shell

DATA = Path(os.environ.get("REAL_DATA") or ROOT.parent / "shared" / "data")
COTR = Bundle("cotr")
COARSE = {"num_classes": 2, "spacing": [5.0, 5.0, 5.0]}

pytestmark = [
    pytest.mark.release,
    pytest.mark.skipif(not (DATA / "la2018").is_dir(), reason=f"no real scans in {DATA}"),
]


@pytest.fixture(scope="module")
def run(tmp_path_factory) -> Run:
    folder = tmp_path_factory.mktemp("real scans")
    run = Run(COTR, folder / "a run", folder)
    settings = {**run.base, **COTR.quick["train"], **COARSE, "val_interval": 2}
    Shell(ROOT, folder).run([COTR.config_file("train")], {"dataset_dir": DATA / "la2018", **settings}).ok()
    return run


def predict(run: Run, images: Path, output: Path) -> None:
    settings = {**run.base, "dataset_dir": images, "output_dir": output, "num_classes": 2}
    Shell(ROOT, run.phantom).run([COTR.config_file("inference")], settings).ok()


def assert_masks_fit(images: list[Path], output: Path) -> None:
    masks = sorted(output.glob("*_seg.nii.gz"))
    assert [m.name for m in masks] == sorted(i.name.replace(".nii.gz", "_seg.nii.gz") for i in images)
    for image, mask in zip(sorted(images), masks, strict=True):
        scan, predicted = nib.load(image), nib.load(mask)
        assert predicted.shape == scan.shape
        assert np.allclose(predicted.affine, scan.affine, atol=1e-4)
        assert set(np.unique(np.asarray(predicted.dataobj))) <= {0, 1}


def test_masks_of_the_test_scans_are_on_their_grids(run, tmp_path):
    predict(run, DATA / "la2018", tmp_path)
    assert_masks_fit(list((DATA / "la2018" / "imagesTs").glob("*.nii.gz")), tmp_path)
    assert (tmp_path / "preview_inference.png").is_file()


def test_a_folder_of_scans_without_a_list(run, tmp_path):
    predict(run, DATA / "ct", tmp_path)
    assert_masks_fit(list((DATA / "ct").glob("*.nii.gz")), tmp_path)
