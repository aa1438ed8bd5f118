"""What inference.json writes: structures, and on request the probability of a boundary."""

from __future__ import annotations

import json

import nibabel as nib
import numpy as np
import pytest
import torch
from PIL import Image

from common.bundles import parse_config
from common.errors import InputError
from tests.contract.bundle import Bundle, Run, as_text

BUNDLE = Bundle("banet_kidney")
PLAN = {
    "spacing": [2.0, 2.0, 2.0],
    "intensity": [{"scheme": "zscore"}],
    "labels": {"1": "renal vein", "2": "kidney", "3": "renal artery", "4": "tumor"},
    "patch_size": [32, 32, 32],
    "mirror_axes": [0],
}


@pytest.fixture(scope="module")
def run(tmp_path_factory) -> Run:
    """An oblique scan, and untrained weights."""
    folder = tmp_path_factory.mktemp("a run")
    run = Run(BUNDLE, folder, folder / "scans")
    for place in (run.phantom, run.ckpt_dir):
        place.mkdir()
    affine = np.array([[0, -1.5, 0.2, 7], [1.4, 0, 0, -3], [0, 0.2, 2.5, 5], [0, 0, 0, 1]])
    voxels = np.random.default_rng(0).integers(-100, 300, (30, 26, 14)).astype(np.int16)
    nib.save(nib.Nifti1Image(voxels, affine), run.phantom / "scan.nii.gz")
    torch.manual_seed(0)
    torch.save(BUNDLE.build_network().state_dict(), run.weights)
    (run.ckpt_dir / "plan.json").write_text(json.dumps(PLAN))
    return run


def predict(run: Run, folder, **settings) -> None:
    overrides = {**run.base, "dataset_dir": run.phantom, "output_dir": folder, **settings}
    parse_config(BUNDLE.name, "inference", **as_text(overrides)).get_parsed_content("evaluator").run()


def test_boundaries_are_a_second_file_on_the_scans_own_grid(run, tmp_path):
    for name, boundaries in (("alone", False), ("both", True)):
        predict(run, tmp_path / name, boundaries=boundaries)
    assert {path.name for path in (tmp_path / "alone").glob("*.nii.gz")} == {"scan_seg.nii.gz"}
    scan = nib.load(run.phantom / "scan.nii.gz")
    mask, again, boundary = (
        nib.load(tmp_path / place)
        for place in ("alone/scan_seg.nii.gz", "both/scan_seg.nii.gz", "both/scan_boundary.nii.gz")
    )
    assert np.array_equal(np.asarray(mask.dataobj), np.asarray(again.dataobj))
    assert boundary.shape == scan.shape
    assert boundary.get_data_dtype() == np.float32
    np.testing.assert_allclose(boundary.affine, scan.affine, atol=1e-4)
    values = np.asarray(boundary.dataobj)
    assert 0 <= values.min() < values.max() <= 1
    heights = [Image.open(tmp_path / name / "preview_inference.png").size[1] for name in ("alone", "both")]
    assert heights[1] > 1.5 * heights[0], "structures above, boundary below"


def other_network(run: Run, folder, network: dict, state: dict, plan: dict) -> Run:
    """A run with another network's weights on the same scans."""
    other = Run(BUNDLE, folder, run.phantom)
    other.ckpt_dir.mkdir()
    (other.ckpt_dir / "plan.json").write_text(json.dumps(plan))
    torch.save(state, other.weights)
    return other


def test_only_the_largest_component_is_kept_unless_asked(run, tmp_path):
    """Two structures that touch, and a smaller one apart, each by its intensity."""
    voxels = np.zeros((24, 24, 24), np.int16)
    voxels[2:10, 2:10, 2:10], voxels[10:14, 2:10, 2:10], voxels[18:22, 18:22, 4:9] = 200, 100, 400
    (tmp_path / "scans").mkdir()
    nib.save(nib.Nifti1Image(voxels, np.diag([2.0, 2, 2, 1])), tmp_path / "scans" / "scan.nii.gz")
    network = {"_target_": "tests.contract.stand_in.BandNetwork", "in_channels": 1, "out_channels": 5}
    scheme = {"scheme": "ct", "clip": [-1000, 1000], "mean": 0.0, "sd": 100.0}
    plan = PLAN | {"intensity": [scheme]}
    other = other_network(run, tmp_path, network, {"centres": torch.arange(5.0)}, plan)
    found = {}
    for largest in (True, False):
        folder = tmp_path / str(largest)
        overrides = {"network_def": network, "ckpt_dir": other.ckpt_dir, "output_dir": folder}
        overrides |= {"dataset_dir": tmp_path / "scans", "largest_component": largest}
        parse_config(BUNDLE.name, **as_text(overrides)).get_parsed_content("evaluator").run()
        found[largest] = np.asarray(nib.load(folder / "scan_seg.nii.gz").dataobj)
    assert np.array_equal(found[False], voxels // 100)
    assert np.array_equal(found[True], np.where(voxels == 400, 0, voxels // 100))


def test_a_network_without_a_boundary_decoder_is_refused(run, tmp_path):
    network = {
        "_target_": "monai.networks.nets.UNet",
        "spatial_dims": 3,
        "in_channels": 1,
        "out_channels": 5,
        "channels": [4, 8],
        "strides": [2],
    }
    built = parse_config(BUNDLE.name, network_def=network).get_parsed_content("network_def")
    other = other_network(run, tmp_path, network, built.state_dict(), PLAN)
    places = {**other.places, "dataset_dir": run.phantom}
    config = parse_config(BUNDLE.name, "inference", **as_text(places), network_def=network, boundaries=True)
    with pytest.raises(InputError, match="no boundary decoder"):
        config.get_parsed_content("evaluator").run()
