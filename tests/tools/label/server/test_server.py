"""MONAI Label's own server and its own client on packed bundles (``make test-label``).

A bundle's tests share one server, and later ones build on what earlier ones left there.
"""

from __future__ import annotations

import hashlib
import json
import re
import shutil
import time
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from PIL import Image

pytest.importorskip("monailabel", reason="MONAI Label is not in this environment: make test-label")

pytestmark = pytest.mark.full

TRAIN_S = 900  # an epoch on a busy machine


@pytest.fixture
def client(server, tmp_path):
    return server.client(tmp_path)


def images_in(folder: Path) -> list[Path]:
    return sorted(file for file in folder.iterdir() if file.name.endswith((".nii.gz", ".png", ".jpg")))


def name_of(file: Path) -> str:
    """As the server calls an image."""
    return file.name.split(".")[0]


def bundle_config(server) -> dict:
    return json.loads((server.model / "configs" / "inference.json").read_text())


def names(channel_def: dict[str, str]) -> dict[str, int]:
    return {name.lower(): int(c) for c, name in channel_def.items() if name.lower() != "background"}


def of_bundle_run(server, scan: Path, folder: Path):
    """The mask that ``monai.bundle run`` writes for a scan with the weights that the server has now."""
    config = server.model / "configs" / "inference.json"
    words = ["--config_file", config, "--dataset_dir", scan, "--output_dir", folder]
    server.shell.python("-m", "monai.bundle", "run", *words).ok()
    return nib.load(folder / scan.name.replace(".nii.gz", "_seg.nii.gz"))


def assert_same_mask(server, client, scan: Path, folder: Path) -> None:
    file, result = client.infer(server.bundle.name, scan.name.removesuffix(".nii.gz"), {})
    ours, theirs = nib.load(file), of_bundle_run(server, scan, folder)
    np.testing.assert_array_equal(np.asarray(ours.dataobj), np.asarray(theirs.dataobj))
    assert ours.shape == nib.load(scan).shape
    np.testing.assert_allclose(ours.affine, theirs.affine, atol=1e-4)
    np.testing.assert_allclose(ours.affine, nib.load(scan).affine, atol=1e-4)
    assert len(np.unique(np.asarray(ours.dataobj))) > 1, "an empty mask would prove nothing"
    assert result["latencies"]


def train(client, name: str, **params) -> dict:
    """Train as Slicer's button does, and wait until it is done."""
    client.train_start(name, {"max_epochs": 1, "tracking": "None", **params})
    end = time.monotonic() + TRAIN_S
    while (status := client.train_status())["status"] in ("SUBMITTED", "RUNNING"):
        assert time.monotonic() < end, status
        time.sleep(1)
    return status


def save_labels(client, trained, scans: Path, count: int) -> list[str]:
    cases = sorted(trained.phantom.glob("labels*/*"))[:count]
    for label in cases:
        assert (scans / label.name).is_file()
        client.save_label(name_of(label), str(label), tag="final", params={})
    return [name_of(label) for label in cases]


def test_info_names_model_labels_and_trainer(server, client):
    info = client.info()
    bundle = server.bundle
    model = info["models"][bundle.name]
    assert model["version"] == bundle.metadata["version"]
    assert model["labels"] == names(bundle.output_format["channel_def"])
    assert model["dimension"] == len(bundle.input_format["spatial_shape"])
    assert bundle.name in info["trainers"]
    assert info["datastore"]["total"] == len(images_in(server.scans))


@pytest.mark.parametrize("which", ["*test*", "oblique*"])
def test_mask_is_that_of_bundle_run(volumes, server, client, which, tmp_path):
    """Voxel for voxel, on the scan's own grid, even with oblique axes."""
    assert_same_mask(server, client, sorted(server.scans.glob(f"{which}.nii.gz"))[0], tmp_path / "out")


def test_masks_of_pictures_are_those_of_bundle_run(pictures, server, client, tmp_path):
    """Pixel for pixel, one request after another: what a stream has learnt is kept between requests."""
    files = images_in(server.scans)[-4:]
    assert [file.name for file in files[-2:]] == ["z_wide.png", "z_z_tall.jpg"]
    before = server.log.read_text()
    (tmp_path / "stream").mkdir()
    for file in files:
        shutil.copy2(file, tmp_path / "stream")
    config = server.model / "configs" / "inference.json"
    words = ["--config_file", config, "--dataset_dir", tmp_path / "stream", "--output_dir", tmp_path / "out"]
    server.shell.python("-m", "monai.bundle", "run", *words).ok()
    for file in files:
        answer, result = client.infer(server.bundle.name, file.stem, {})
        assert str(answer).endswith(".png"), "a JPEG would blur class numbers"
        ours = np.asarray(Image.open(answer))
        theirs = np.asarray(Image.open(tmp_path / "out" / f"{file.stem}_seg.png"))
        assert ours.shape == theirs.shape == np.asarray(Image.open(file)).shape[:2]
        np.testing.assert_array_equal(ours, theirs)
        assert len(np.unique(ours)) > 1, "an empty mask would prove nothing"
        assert result["latencies"]
    if "stream_inferer" in bundle_config(server):
        seen = re.findall(r"Inferer:: .*'images': (\d+)", server.log.read_text()[len(before) :])
        assert [int(images) for images in seen] == [0, 1, 2, 3], (
            "the server logs the inferer before each image"
        )


def test_next_scan_to_label(server, client):
    sample = client.next_sample("first", {})
    assert (server.scans / Path(sample["path"]).name).is_file()


def test_training_with_a_bad_label_says_which_and_the_server_lives(
    volumes, server, client, trained, tmp_path
):
    (good,) = save_labels(client, trained, server.scans, 1)
    label = nib.load(next(trained.phantom.glob(f"labels*/{good}.nii.gz")))
    bad = np.asarray(label.dataobj).copy()
    bad[:3] = 99
    nib.save(nib.Nifti1Image(bad, label.affine), tmp_path / "bad.nii.gz")
    client.save_label(good, str(tmp_path / "bad.nii.gz"), tag="final", params={})
    before = server.weights.read_bytes()
    status = train(client, server.bundle.name)
    assert status["status"] == "ERROR"
    told = [line for line in status["details"] if line.startswith("error: ")]
    assert len(told) == 1, status["details"]
    assert f"{good}.nii.gz" in told[0]
    assert "99" in told[0]
    import requests

    url = f"{server.url}/train/{server.bundle.name}?run_sync=true"  # inside the server's own process
    words = {"json": {"max_epochs": 1, "tracking": "None"}, "headers": server.headers, "timeout": TRAIN_S}
    assert requests.post(url, **words).status_code == 500
    assert server.weights.read_bytes() == before
    assert client.info()["models"]


def test_training_on_saved_labels_changes_the_weights(bundle, server, client, trained, tmp_path):
    """From the existing weights, with their plan; afterwards the server predicts with the new ones."""
    saved = save_labels(client, trained, server.scans, 4)
    assert client.info()["datastore"]["completed"] == len(saved)
    plan = (server.model / "models" / "plan.json").read_bytes()
    before = hashlib.sha256(server.weights.read_bytes()).digest()
    status = train(client, server.bundle.name)
    assert status["status"] == "DONE", status["details"]
    assert hashlib.sha256(server.weights.read_bytes()).digest() != before
    previous = server.model / "models_previous" / "model.pt"
    assert hashlib.sha256(previous.read_bytes()).digest() == before
    assert (server.model / "models" / "plan.json").read_bytes() == plan
    assert not (server.model / "data").exists(), "a phantom was made for nothing"
    assert (server.model / "eval" / "preview.png").is_file()
    if bundle.dims == 3:
        scan = sorted(server.scans.glob("*test*.nii.gz"))[0]
        assert_same_mask(server, client, scan, tmp_path / "after")


def test_training_started_from_the_weights(server):
    """Its filters and matrices are close to the earlier ones; reinitialised, they would be twice their size
    away.

    How near depends on the training: MC-Net+'s moves by a tenth of their size.
    """
    import torch

    files = (server.model / folder / "model.pt" for folder in ("models", "models_previous"))
    new, old = (torch.load(file, weights_only=True) for file in files)
    drawn = [key for key, value in old.items() if value.ndim > 1]
    change = sum(float((new[key] - old[key]).double().pow(2).sum()) for key in drawn)
    size = sum(float(old[key].double().pow(2).sum()) for key in drawn)
    assert change < 0.5 * size


def test_restarted_server_uses_the_trained_weights(server, checkout):
    code = "import sys, pathlib; from tools.label.app import make_app; "
    code += "print(*make_app(pathlib.Path(sys.argv[1]), [sys.argv[2]]))"
    weights = server.weights.stat()
    told = server.shell.python("-c", code, server.app / "monaibundle", server.bundle.name, path=checkout).ok()
    assert "as it was left" in told.out
    assert server.weights.stat() == weights


def test_no_requests_to_other_hosts(server):
    """Nothing so far, training included, has contacted the proxy."""
    with pytest.raises(BlockingIOError):
        server.proxy.accept()


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["--models", "nobody"], "bundle nobody: unknown"),
        (["--models", "divsbl"], "divsbl: segments no images; expected one of: "),
        (["--studies", "nowhere"], "no such folder"),
        (["--port", "99999999"], "choose another with PORT"),
    ],
)
def test_bundles_that_cannot_be_served_are_one_line(checkout, shell, tmp_path, words, says):
    told = shell.python("-m", "tools.label", "--app", tmp_path / "label", *words, path=checkout)
    assert says in told.error()


def test_without_weights_it_says_train_first(checkout, shell, bundle, tmp_path):
    weights = checkout / "bundles" / bundle.name / "models" / "model.pt"
    hidden = weights.rename(tmp_path / "model.pt")
    try:
        told = shell.python("-m", "tools.label", "--app", tmp_path / "label", path=checkout)
    finally:
        hidden.rename(weights)
    assert "no weights yet. Train (python -m monai.bundle run" in told.error()


def test_plan_remembers_what_the_network_was_built_for(trained, segments):
    """``make label`` writes these counts into the configs that it serves."""
    plan = json.loads((trained.ckpt_dir / "plan.json").read_text())
    assert plan["channels"] == segments.input_format["num_channels"]
    assert plan["classes"] == segments.classes
