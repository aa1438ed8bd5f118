"""Bundles that segment: a label map for every image, on that image's own grid, in its own format."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from PIL import Image

from tests.contract.bundle import TORCHRUN, Bundle, Run, config_words, located, words_of

RUNS = {
    "inference": "test_one_mask_per_case_on_its_own_grid",
    "evaluate": "test_evaluation_writes_both_tables",
}
SHARED = {"num_classes"}
TAKES_DROPOUT = True


def check_channels(bundle: Bundle) -> None:
    """Values of the label map; nested channels have none for the background."""
    assert bundle.output_format["channel_def"]["0"] == "background"
    assert bundle.output_format["num_channels"] == bundle.classes - bundle.is_nested


def prediction_of(run: Run, image) -> Path:
    suffix = run.bundle.suffix
    return run.output_dir / image.name.replace(suffix, f"_{postfix_of(run.bundle)}{suffix}")


def postfix_of(bundle: Bundle) -> str:
    return bundle.config("inference")["output_postfix"]


def first_file(image: str | list[str]) -> str:
    """Of the files that hold an image's channels."""
    return image if isinstance(image, str) else image[0]


def grid_of(file) -> tuple[tuple[int, ...], np.ndarray, np.ndarray]:
    """Shape (without channels), affine and values of an image file."""
    if file.suffix == ".png":
        values = np.asarray(Image.open(file))
        return values.shape[:2], np.eye(4), values
    image = nib.load(file)
    return image.shape, image.affine, np.asanyarray(image.dataobj)


@pytest.mark.always
def test_one_mask_per_case_on_its_own_grid(bundle, make_run, shell):
    run = make_run(weights=True)
    shell.run([bundle.config_file("inference")], run.inference_overrides).ok()
    listed = json.loads((run.phantom / "dataset.json").read_text())["test"]
    assert len(list(run.output_dir.glob(f"*_{postfix_of(bundle)}{bundle.suffix}"))) == len(listed) > 1
    for case in listed:
        image = run.phantom / first_file(case["image"])
        shape, affine, _ = grid_of(image)
        mask_shape, mask_affine, values = grid_of(prediction_of(run, image))
        assert mask_shape == shape
        np.testing.assert_allclose(mask_affine, affine, atol=1e-4)
        assert values.dtype == np.uint8
        assert values.max() < bundle.classes
    assert (run.output_dir / "preview_inference.png").is_file()


@pytest.mark.full
def test_image_smaller_than_the_patch(volumes, make_run, shell, tmp_path):
    """It is padded inside and cropped back to its own shape."""
    run = make_run(weights=True)
    small = tmp_path / "small.nii.gz"
    channels = volumes.input_format["num_channels"]
    shape = (9, 7, 5) if channels == 1 else (9, 7, 5, channels)
    voxels = np.random.default_rng(0).integers(-200, 300, shape).astype(np.int16)
    nib.save(nib.Nifti1Image(voxels, np.diag([4.5, 4.5, 6, 1])), small)
    shell.run([volumes.config_file("inference")], {**run.base, "dataset_dir": small}).ok()
    assert nib.load(prediction_of(run, small)).shape == (9, 7, 5)


@pytest.mark.always
def test_evaluation_writes_both_tables(bundle, make_run, shell):
    """A row for every case and class; the summary's last row is over the classes."""
    run = make_run(weights=True)
    plan = (run.ckpt_dir / "plan.json").read_bytes()
    files = [bundle.config_file("train"), bundle.config_file("evaluate")]
    told = shell.run(files, run.train_overrides).ok()
    tables = {}
    for part in ("cases", "summary"):
        with open(run.output_dir / f"evaluation_{part}.csv", newline="") as file:
            tables[part] = list(csv.DictReader(file))
    classes = len(bundle.scored)
    listed = json.loads((run.phantom / "dataset.json").read_text())["test"]
    assert len(tables["cases"]) == classes * len(listed)
    assert {row["name"] for row in tables["cases"]} == bundle.scored
    names = [row["name"] for row in tables["summary"]]
    assert set(names[:classes]) == bundle.scored
    assert all(name.startswith(("mean of ", "mean over ")) for name in names[classes:]), (
        "a paper's own mean may come first"
    )
    assert all(0 <= float(row["dice"]) <= 1 for row in tables["cases"] if row["dice"])
    assert tables["summary"][-1]["name"] == "mean over classes"
    assert "mean over classes" in told.out
    assert not (run.ckpt_dir / "checkpoint.pt").exists(), "an evaluation trains nothing"
    assert (run.ckpt_dir / "plan.json").read_bytes() == plan


@pytest.mark.full
@pytest.mark.parametrize("cases", [3, pytest.param(1, marks=pytest.mark.sample)])
def test_two_processes_evaluate_as_one(bundle, make_run, shell, cases):
    """Three cases, and one case, on two processes: exactly the same tables."""
    one, two = make_run("one", weights=True), make_run("two", weights=True)
    lists = json.loads((one.phantom / "dataset.json").read_text())
    labelled = [case for name in ("training", "test") for case in lists[name] if "label" in case]
    listed = labelled[:cases]
    assert len(listed) == cases
    for case in listed:
        case.update({key: located(case[key], one.phantom) for key in ("image", "label")})
    extra = one.folder.parent / "overlay.json"
    extra.write_text(json.dumps({"validate#dataset#data": listed}))
    files = [bundle.config_file(kind) for kind in ("train", "multi_gpu_train", "evaluate")]
    shell.run([files[0], files[2], extra], one.train_overrides).ok()
    overrides = words_of({**two.train_overrides, "device": "$torch.device('cpu')"})
    told = shell.python(*TORCHRUN, *config_words([*files, extra]), *overrides).ok()
    assert told.out.count("mean over classes") == 1, "one process speaks"
    for part in ("cases", "summary"):
        file = f"evaluation_{part}.csv"
        assert (two.output_dir / file).read_text() == (one.output_dir / file).read_text(), part
