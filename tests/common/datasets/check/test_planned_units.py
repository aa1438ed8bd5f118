"""A scan in other units than the training's is named before it is predicted."""

from __future__ import annotations

import re

import nibabel as nib
import numpy as np
import pytest

from common.datasets import images_to_predict


def ct(low: float, high: float) -> list[dict]:
    return [{"scheme": "ct", "clip": [low, high], "mean": (low + high) / 2, "sd": 50.0}]


HU, STORED, WINDOW = ct(15, 304), ct(1010, 1390), ct(60, 200)
OTHER = [{"scheme": "zscore"}]


def write(folder, name: str, low: int, high: int) -> None:
    voxels = np.random.default_rng(0).integers(low, high, (5, 6, 7)).astype(np.int16)
    voxels[0, 0, :2] = low, high
    nib.save(nib.Nifti1Image(voxels, np.eye(4)), folder / f"{name}.nii.gz")


@pytest.mark.parametrize(
    ("low", "high", "intensity", "says"),
    [
        (0, 900, HU, "has values 0 to 900; expected CT in HU"),  # MR
        (0, 2400, HU, "subtract the offset"),
        (
            -1024,
            1500,
            STORED,
            r"expected CT stored as HU \+ 1024.*\(structures from 1010 to 1390\)\. Predict the",
        ),
        (-150, 1500, HU, None),
        (0, 2400, STORED, None),
        (0, 255, WINDOW, None),
        (0, 900, OTHER, None),
        (0, 900, None, None),
    ],
)
def test_scans_in_other_units(tmp_path, caplog, low, high, intensity, says):
    write(tmp_path, "a", -300 if intensity is HU else 0, 1500)
    write(tmp_path, "b", low, high)
    plan = None if intensity is None else {"intensity": intensity}
    cases = images_to_predict(tmp_path, channels=1, plan=plan)
    assert len(cases) == 2, "it is predicted all the same"
    if says is None:
        assert not caplog.records
        return
    (record,) = caplog.records
    assert "b.nii.gz" in record.message
    assert "(1 of 2 scans)" in record.message
    assert record.message.count("\n") == 0
    assert re.search(says, record.message)


@pytest.mark.parametrize(("modality", "told"), [("CT", 1), ("MR", 0)])
def test_a_scan_is_held_against_its_own_modality(tmp_path, caplog, modality, told):
    write(tmp_path, "a", 0, 900)
    plan = {"intensity": {"CT": HU, "MR": OTHER}}
    assert images_to_predict(tmp_path, channels=1, plan=plan, modality=modality)
    assert len(caplog.records) == told
