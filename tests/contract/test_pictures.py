"""Pictures of any size, shape and mode: predictions lie on them, or one line says what cannot be done."""

from __future__ import annotations

import itertools
import json

import numpy as np
import pytest
import torch
from PIL import Image

from tests.contract.bundle import ROOT

GREY = (40, 130, 220)  # intensities of the classes; the stand-in's thresholds lie half way between them
SIZES = {"square": (96, 96), "wide": (60, 170), "tall": (150, 64), "small": (19, 23)}  # height, width
#: Format of the picture -> file name and how it is saved.
KINDS = {
    "rgb": ("rgb.png", lambda p: p),
    "jpeg": ("jpeg.jpg", lambda p: p),
    "grey": ("grey.png", lambda p: p.convert("L")),
    "rgba": ("rgba.png", lambda p: p.convert("RGBA")),
    "palette": ("palette.png", lambda p: p.quantize(8)),
}


def truth(height: int, width: int, classes: int) -> np.ndarray:
    """A rectangle at the upper left and, within it to the right, the next class: no symmetry."""
    label = np.zeros((height, width), np.uint8)
    label[height // 10 : height // 2, width // 10 : int(0.7 * width)] = 1
    if classes > 2:
        label[height // 5 : int(0.4 * height), int(0.4 * width) : int(0.65 * width)] = 2
    return label


def picture_of(label: np.ndarray) -> Image.Image:
    return Image.fromarray(np.repeat(np.asarray(GREY, np.uint8)[label][..., None], 3, axis=-1))


@pytest.fixture(scope="module")
def predicted(pictures, shell, tmp_path_factory):
    """All pictures through the bundle's own inference.json, with a network whose output is known."""
    bundle = pictures
    folder = tmp_path_factory.mktemp("pictures of") / "my pictures"
    for part in ("scans", "models"):
        (folder / part).mkdir(parents=True)
    classes = bundle.classes
    for name, size in SIZES.items():
        picture_of(truth(*size, classes)).save(folder / "scans" / f"{name}.png")
    for file, convert in KINDS.values():
        picture = convert(picture_of(truth(90, 120, classes)))
        picture.save(folder / "scans" / file, **({"quality": 95} if file.endswith("jpg") else {}))
    turned = picture_of(np.rot90(truth(90, 120, classes)))  # EXIF shows it as if it were not
    exif = turned.getexif()
    exif[274] = 6
    turned.save(folder / "scans" / "exif.jpg", exif=exif, quality=95)
    read = bundle.config("inference")["plan"]["default"]
    channels = bundle.input_format["num_channels"]
    settings = {
        "intensity": [{"scheme": "as_is"}] * channels,
        "labels": {str(c): f"region {c}" for c in range(1, classes)},
        "image_size": [128, 160],
    }
    plan = {key: settings.get(key, value) for key, value in read.items()}
    (folder / "models" / "plan.json").write_text(json.dumps(plan))
    thresholds = [(low + high) / 2 for low, high in itertools.pairwise(GREY)][: classes - 1]
    torch.save({"thresholds": torch.tensor(thresholds)}, folder / "models" / "model.pt")
    stand_in = {
        "_target_": "tests.contract.stand_in.NestedBandNetwork",
        "in_channels": "@in_channels",
        "out_channels": "$@num_classes - 1",
    }
    overrides = {
        "dataset_dir": folder / "scans",
        "output_dir": folder / "eval",
        "ckpt_dir": folder / "models",
        "network_def": stand_in,
        **bundle.quick.get("plain_inference", {}),
    }
    shell.run([bundle.config_file("inference")], overrides, path=ROOT).ok()
    return folder


def agreement(mask: np.ndarray, label: np.ndarray) -> float:
    return float((mask == label).mean())


@pytest.mark.always
@pytest.mark.parametrize("name", [*SIZES, *KINDS, "exif"])
def test_prediction_lies_on_the_picture(bundle, predicted, name):
    size = SIZES.get(name, (90, 120))
    label = truth(*size, bundle.classes)
    with Image.open(predicted / "eval" / f"{name}_seg.png") as file:
        mask = np.asarray(file)
    assert mask.dtype == np.uint8
    assert mask.shape == label.shape
    assert set(np.unique(mask)) <= set(range(bundle.classes))
    assert agreement(mask, label) > (0.93 if name == "small" else 0.97)
    for wrong in (label[::-1], label[:, ::-1], label[::-1, ::-1]):
        assert agreement(mask, wrong) < 0.9


def cmyk(path):
    picture_of(truth(40, 50, 2)).convert("CMYK").save(path.with_suffix(".jpg"))
    path.unlink()


def deep(path):
    Image.fromarray(np.full((40, 50), 3000, np.uint16)).save(path)


def truncated(path):
    picture = np.random.default_rng(0).integers(0, 256, (60, 60, 3)).astype(np.uint8)
    Image.fromarray(picture).save(path)
    path.write_bytes(path.read_bytes()[:-2000])


def not_an_image(path):
    path.write_text("This is a letter.")


@pytest.mark.full
@pytest.mark.parametrize(
    ("spoil", "says"),
    [(cmyk, "CMYK"), (deep, "more than 8 bits"), (truncated, "truncated"), (not_an_image, "not an image")],
)
def test_picture_that_cannot_be_predicted(pictures, spoil, says, make_run, shell, tmp_path):
    run = make_run(weights=True)
    folder = tmp_path / "my pictures"
    folder.mkdir()
    picture_of(truth(40, 50, 2)).save(folder / "a.png")
    picture_of(truth(40, 50, 2)).save(folder / "c.png")
    spoil(folder / "c.png")
    told = shell.run([pictures.config_file("inference")], {**run.base, "dataset_dir": folder})
    error = told.error()
    assert "c.jpg" in error or "c.png" in error
    assert says in error
    assert not list(run.output_dir.glob("*"))


@pytest.fixture
def data_set(pictures, tmp_path):
    """A tiny labelled data set of the user's own, without domains."""
    root = tmp_path / "own data"
    root.mkdir()
    cases = {}
    for name in "abc":
        label = truth(40, 50, pictures.classes)
        picture_of(label).save(root / f"{name}.png")
        Image.fromarray(label).save(root / f"{name}_label.png")
        cases[name] = {"image": f"{name}.png", "label": f"{name}_label.png"}
    lists = {"training": [cases["a"]], "validation": [cases["b"]], "test": [cases["c"]]}
    labels = pictures.output_format["channel_def"]
    (root / "dataset.json").write_text(json.dumps({"labels": labels, **lists}))
    return root


@pytest.mark.full
def test_label_outside_the_classes(pictures, data_set, make_run, shell):
    run = make_run()
    values = np.zeros((40, 50), np.uint8)
    values[5:20] = 255
    Image.fromarray(values).save(data_set / "a_label.png")
    overrides = {**run.base, **pictures.quick["train"], "dataset_dir": data_set}
    error = shell.run([pictures.config_file("train")], overrides).error()
    assert "a_label.png" in error
    assert "255" in error
    assert not run.weights.exists()
    assert not (run.ckpt_dir / "plan.json").exists()


@pytest.mark.full
def test_own_data_trains(pictures, data_set, make_run, shell):
    """No phantom and no domains: the card's second command."""
    run = make_run()
    overrides = {**run.base, **pictures.quick["train"], "epochs": 1, "dataset_dir": data_set}
    shell.run([pictures.config_file("train")], overrides).ok()
    assert run.weights.is_file()
