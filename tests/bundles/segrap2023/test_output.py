"""What a prediction writes, and refinement: segrap2023/docs/method.md#files, #refinement."""

from __future__ import annotations

import logging
import tracemalloc

import itk
import nibabel as nib
import numpy as np
import pytest
import torch
from monai.data import MetaTensor

import common  # noqa: F401 (makes bundles importable)
from common.checkpoints.store import save_state
from common.datasets.raw.segrap_classes import GTVS, expand
from common.errors import InputError
from common.files import write_json
from segrap2023.network import UNet3D
from segrap2023.output import SaveStructuresd
from segrap2023.page import draw_page
from segrap2023.refinement import NoteFilesd, RefineStructuresd, refined

AFFINE = np.array([[0, -0.5, 0, 3], [0.6, 0, 0, -7], [0, 0, 3.0, 9], [0, 0, 0, 1]])


def predicted(folder, seed: int = 0, classes: int = 55) -> dict:
    label = np.random.default_rng(seed).integers(0, classes, (7, 6, 5)).astype(np.uint8)
    meta = {"filename_or_obj": str(folder / "segrap_0001_native.nii.gz")}
    pred = MetaTensor(torch.from_numpy(label)[None], affine=AFFINE, meta=meta)
    return {"pred": pred, "output_name": "segrap_0001"}


def test_both_files(tmp_path):
    case = predicted(tmp_path)
    label = np.asarray(case["pred"])[0].copy()
    result = SaveStructuresd("pred", output_dir=tmp_path / "out")(case)
    assert sorted(file.name for file in (tmp_path / "out").iterdir()) == [
        "segrap_0001.mha",
        "segrap_0001_organs.nii.gz",
    ]
    stack = itk.array_from_image(itk.imread(str(tmp_path / "out" / "segrap_0001.mha")))
    assert np.array_equal(stack, expand(label).transpose(0, 3, 2, 1))
    stored = nib.load(tmp_path / "out" / "segrap_0001_organs.nii.gz")
    assert np.array_equal(np.asarray(stored.dataobj), label)
    assert np.allclose(stored.affine, AFFINE)
    assert result["pred"].meta["saved_to"].endswith("segrap_0001_organs.nii.gz")


def test_masks_are_in_memory_once(tmp_path):
    step = SaveStructuresd("pred", output_dir=tmp_path)
    step(predicted(tmp_path))  # so that libraries are there
    case = predicted(tmp_path)
    case["pred"] = MetaTensor(case["pred"].repeat(1, 10, 10, 10), affine=AFFINE, meta=case["pred"].meta)
    tracemalloc.start()
    step(case)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 1.5 * 45 * case["pred"].numel()


def test_chosen_structures_alone(tmp_path):
    case = predicted(tmp_path)
    label = np.asarray(case["pred"])[0].copy()
    names = ["Parotid_L", "TemporalLobe_R"]
    SaveStructuresd("pred", output_dir=tmp_path / "out", structures=names)(case)
    written = sorted((tmp_path / "out").rglob("*.*"))
    assert [file.name for file in written] == ["Parotid_L.nii.gz", "TemporalLobe_R.nii.gz"]
    assert {file.parent.name for file in written} == {"segrap_0001"}
    for name, classes in (("Parotid_L", [40]), ("TemporalLobe_R", [5, 7])):
        stored = nib.load(tmp_path / "out" / "segrap_0001" / f"{name}.nii.gz")
        assert np.array_equal(np.asarray(stored.dataobj), np.isin(label, classes))


def test_the_other_task_is_not_overwritten(tmp_path):
    SaveStructuresd("pred", output_dir=tmp_path)(predicted(tmp_path))
    before = {file.name: file.read_bytes() for file in tmp_path.iterdir()}
    tumours = SaveStructuresd("pred", output_dir=tmp_path, task="tumours", output_postfix="tumours")
    with pytest.raises(InputError, match=r"segrap_0001.mha: holds 45 structures, not these 2 .*--output_dir"):
        tumours(predicted(tmp_path, classes=3))
    assert before == {file.name: file.read_bytes() for file in tmp_path.iterdir()}
    SaveStructuresd("pred", output_dir=tmp_path)(predicted(tmp_path, seed=1))  # the same task again
    assert (tmp_path / "segrap_0001.mha").read_bytes() != before["segrap_0001.mha"]


def test_a_wrong_name_lists_the_right_ones():
    with pytest.raises(InputError, match=r"'Brainstem' is none; expected of: Brain, BrainStem, .*, Trachea"):
        SaveStructuresd("pred", output_dir=".", structures=["Parotid_L", "Brainstem"])
    with pytest.raises(InputError, match="'Brain' is none; expected of: GTVp, GTVnd"):
        SaveStructuresd("pred", output_dir=".", structures="Brain", task="tumours")


@pytest.mark.parametrize("wrong", [3, ["Brain", 3]])
def test_what_is_no_name_is_refused(wrong):
    with pytest.raises(InputError, match="structures: 3 is none; expected of: Brain"):
        SaveStructuresd("pred", output_dir=".", structures=wrong)


def test_other_labels_have_a_volume_for_each_class(tmp_path):
    case = predicted(tmp_path, classes=4)
    label = np.asarray(case["pred"])[0].copy()
    names = {1: "cord", 2: "lung", 3: "heart"}
    SaveStructuresd("pred", output_dir=tmp_path, names=names)(case)
    stack = itk.array_from_image(itk.imread(str(tmp_path / "segrap_0001.mha")))
    assert np.array_equal(stack, [(label == value).T for value in (1, 2, 3)])
    SaveStructuresd("pred", output_dir=tmp_path, names=names, structures="lung")(case)
    assert (tmp_path / "segrap_0001" / "lung.nii.gz").is_file()


def test_tumours(tmp_path):
    case = predicted(tmp_path, classes=3)
    label = np.asarray(case["pred"])[0].copy()
    SaveStructuresd("pred", output_dir=tmp_path, task="tumours", output_postfix="tumours")(case)
    stack = itk.array_from_image(itk.imread(str(tmp_path / "segrap_0001.mha")))
    assert np.array_equal(stack, expand(label, GTVS).transpose(0, 3, 2, 1))
    assert (tmp_path / "segrap_0001_tumours.nii.gz").is_file()


def test_a_page_with_every_structure(tmp_path):
    label = MetaTensor(torch.from_numpy(np.kron(np.arange(56).reshape(4, 7, 2) % 55, np.ones((5, 5, 2)))))
    label = MetaTensor(label[None], affine=np.diag([-2.0, 2.0, 3.0, 1.0]))
    draw_page(label * 5, label, label.flip(1), tmp_path / "page.png")
    assert (tmp_path / "page.png").stat().st_size > 50_000


def test_only_small_structures_change():
    label = np.zeros((12, 30, 30), np.uint8)
    label[2:8, 5:20, 5:20] = 1  # brain
    label[4:6, 10:12, 10:12] = 3  # chiasm
    label[1:3, 25:28, 25:28] = 40  # parotid
    seen = []

    def predict(box):
        seen.append(box)
        again = np.full_like(label, 2)  # says brain stem everywhere,
        again[4:7, 10:14, 10:12] = 3  # a larger chiasm,
        again[5, 9, 9] = 34  # and a pituitary
        return again[box]

    found = refined(label, predict, spacing=[3.0, 1.0, 1.0], margin_mm=3.0)
    assert seen == [(slice(3, 7), slice(7, 15), slice(7, 15))]
    expected = label.copy()
    expected[4:7, 10:14, 10:12], expected[5, 9, 9] = 3, 34
    assert np.array_equal(found, expected)
    assert not np.array_equal(label, expected), "a new array"
    label[4:6, 10:12, 10:12] = 1
    assert np.array_equal(refined(label, predict, spacing=[3.0, 1.0, 1.0], margin_mm=3.0), label)
    wide = []
    label[0, 0, 0] = 34
    refined(
        label, lambda box: wide.append(box) or label[box], spacing=[3, 1, 1], margin_mm=0, at_least=(4, 8, 8)
    )
    assert [part.stop - part.start for part in wide[0]] == [4, 8, 8]


def test_refinement_reads_the_scan_at_its_own_resolution(tmp_path, caplog):
    torch.manual_seed(0)
    scan = np.random.default_rng(0).normal(40, 20, (20, 18, 16)).astype(np.int16)
    files = [str(tmp_path / f"{kind}.nii.gz") for kind in ("native", "contrast")]
    for shift, file in enumerate(files):
        nib.save(nib.Nifti1Image(scan + shift, AFFINE), file)
    label = np.zeros(scan.shape, np.uint8)
    label[5:9, 5:9, 5:9] = 34
    pred = MetaTensor(torch.from_numpy(label)[None], affine=AFFINE, meta={"filename_or_obj": files[0]})
    case = NoteFilesd("image")({"image": files}) | {"pred": pred}
    network = UNet3D(widths=(2, 4, 4, 4), dropout=0.0)
    weights = tmp_path / "models" / "model.pt"
    with pytest.raises(InputError, match=r"model\.pt"):
        RefineStructuresd("pred", network, weights)
    save_state(network, weights)
    with pytest.raises(InputError, match=r"comes with no plan\.json"):
        RefineStructuresd("pred", network, weights)
    intensity = [{"scheme": "ct", "clip": [0, 80], "mean": 40, "sd": 20}] * 2
    write_json(
        weights.with_name("plan.json"), {"intensity": intensity, "labels": {}, "patch_size": [8, 8, 8]}
    )
    step = RefineStructuresd("pred", network, weights, margin_mm=1.0)
    with caplog.at_level(logging.INFO):
        after = np.asarray(step(dict(case))["pred"])
    assert np.allclose(step(dict(case))["pred"].affine, AFFINE)
    assert after.shape == (1, 20, 18, 16)
    assert not np.array_equal(after[0], label)
    assert f"refinement changed {int((after[0] != label).sum())} voxels" in caplog.text
    assert np.array_equal(after[0, :, :, 12:], label[:, :, 12:]), "far from the structure"
    with pytest.raises(InputError, match=r"refinement: a network of 3 classes; .* predict without --refiner"):
        RefineStructuresd("pred", network, weights, num_classes=3)
    other = UNet3D(widths=(2, 4, 4, 8), dropout=0.0)
    with pytest.raises(InputError, match="do not fit this network"):
        RefineStructuresd("pred", other, weights)
