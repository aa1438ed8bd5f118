"""The 2D recipe: slices as training items, prediction slice by slice, and its config through the commands."""

from __future__ import annotations

import json

import nibabel as nib
import numpy as np
import pytest
import torch
from monai.data import MetaTensor
from nibabel.orientations import axcodes2ornt, inv_ornt_aff, ornt_transform
from scipy import ndimage

import common  # noqa: F401 (makes bundles importable)
from common.transforms.slices import TakeSliced, slices_of
from mcnet_plus.slices import ResizedSliceInferer, ZoomNearestd
from tests.contract.bundle import ROOT, Bundle, Run, Shell
from tests.contract.test_training import rows_of

MCNET = Bundle("mcnet_plus")


@pytest.mark.parametrize("axcodes", ["RAS", "SPL", "PSR"])
def test_slices_are_counted_from_foot_to_head(axcodes, tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    turn = ornt_transform(axcodes2ornt("RAS"), axcodes2ornt(tuple(axcodes)))
    shape = (4, 5, 6)
    stored = tuple(np.array(shape)[np.argsort(turn[:, 0])])
    nib.save(nib.Nifti1Image(np.zeros(stored), inv_ornt_aff(turn, shape)), tmp_path / "a.nii.gz")
    case = {"image": str(tmp_path / "a.nii.gz"), "label": "a_label.nii.gz"}
    items = slices_of([case])
    assert [item["slice"] for item in items] == list(range(6))
    assert all(item["label"] == "a_label.nii.gz" for item in items)


def test_slices_with_and_without_a_label():
    volume = torch.arange(24.0).reshape(1, 2, 3, 4)
    take = TakeSliced(["image", "label"], allow_missing_keys=True)
    both = take({"image": volume, "label": volume + 100, "slice": 2})
    assert torch.equal(both["image"], volume[..., 2])
    assert torch.equal(both["label"], volume[..., 2] + 100)
    assert set(take({"image": volume, "slice": 0})) == {"image"}


@pytest.mark.parametrize(
    ("shape", "size"), [((216, 256), (256, 256)), ((232, 17), (40, 33)), ((5, 1), (3, 4))]
)
def test_resizing_is_scipys(shape, size):
    """mcnet_plus/docs/method.md#slice-by-slice: corner on corner."""
    picture = np.arange(np.prod(shape), dtype=np.float64).reshape(shape)
    expected = ndimage.zoom(picture, [new / old for new, old in zip(size, shape, strict=True)], order=0)
    label = torch.from_numpy(picture)[None]
    zoom = ZoomNearestd(["image", "label"], size, allow_missing_keys=True)
    zoomed = zoom({"image": MetaTensor(label, meta={"filename_or_obj": "a"}), "label": label})
    assert torch.equal(zoomed["label"][0], torch.from_numpy(expected))
    assert torch.equal(torch.as_tensor(zoomed["image"][0]), zoomed["label"][0])
    assert zoomed["image"].meta["filename_or_obj"] == "a"
    assert set(zoom({"image": label})) == {"image"}


def test_slice_by_slice_prediction_has_the_volumes_grid():
    """A network that returns its input's sign gets every voxel back in place, although it works at another
    size, twice as large between the corners.
    """
    volume = torch.randn(1, 1, 16, 20, 3)
    sizes = []

    def network(x):
        sizes.append(tuple(x.shape))
        return torch.cat([-x, x], dim=1)

    probability = ResizedSliceInferer((31, 39), batch_size=2)(volume, network)
    assert probability.shape == (1, 2, 16, 20, 3)
    assert sizes == [(2, 1, 31, 39), (1, 1, 31, 39)]
    assert torch.equal(probability.argmax(1, keepdim=True), (volume > 0).long())
    torch.testing.assert_close(probability.sum(1), torch.ones(1, 16, 20, 3))


@pytest.mark.full
def test_train_evaluate_and_predict_in_2d(tmp_path):
    """acdc.json on top of train.json, of train.json with evaluate.json, and of inference.json."""
    run = Run(MCNET, tmp_path / "a run", tmp_path / "phantom")
    shell, acdc = Shell(ROOT, tmp_path), MCNET.config_file("acdc")
    overrides = {**run.base, **run.data, **MCNET.quick["acdc"], "num_classes": 2}
    shell.run([MCNET.config_file("train"), acdc], overrides).ok()
    (row,) = rows_of(run)
    assert float(row["loss"]) > 0
    assert row["dice"]

    shell.run([MCNET.config_file("train"), acdc, MCNET.config_file("evaluate")], overrides).ok()
    assert (run.output_dir / "evaluation_cases.csv").is_file()

    network = {key: overrides[key] for key in ("patch_size", "num_classes")}
    shell.run([MCNET.config_file("inference"), acdc], {**run.base, **run.data, **network}).ok()
    for case in json.loads((run.phantom / "dataset.json").read_text())["test"]:
        scan = nib.load(run.phantom / case["image"])
        name = case["image"].rsplit("/", 1)[-1].replace(".nii.gz", "_seg.nii.gz")
        mask = nib.load(run.output_dir / name)
        assert mask.shape == scan.shape
        np.testing.assert_allclose(mask.affine, scan.affine, atol=1e-4)
