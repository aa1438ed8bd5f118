"""Pictures show the data: contours in their colours, on the labels, right side up."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from matplotlib import colormaps
from monai.data import MetaTensor
from monai.transforms import Orientation
from PIL import Image

from common.evaluation.drawing.curves import draw_curves
from common.evaluation.drawing.overlays import draw_slices


def pixels_of(path, colour) -> np.ndarray:
    """(row, column) of the pixels close to a colour."""
    rgb = np.asarray(Image.open(path).convert("RGB")).astype(int)
    return np.argwhere(np.abs(rgb - np.round(np.array(colour) * 255)).sum(-1) < 30)


@pytest.fixture
def scan() -> tuple[MetaTensor, MetaTensor]:
    """RAS; class 1 lies on the patient's right, in front."""
    affine = torch.diag(torch.tensor([2.0, 2, 5, 1]))
    label = torch.zeros(1, 40, 40, 12)
    label[:, 28:35, 28:36, 2:10] = 1
    return MetaTensor(torch.rand(1, 40, 40, 12), affine=affine), MetaTensor(label, affine=affine)


@pytest.mark.parametrize("axcodes", ["RAS", "LPS", "SPL"])
def test_right_of_the_patient_is_left_in_the_picture_and_front_is_up(tmp_path, scan, axcodes):
    image, label = (Orientation(axcodes=axcodes, labels=None)(volume) for volume in scan)
    draw_slices(image, {"prediction": label}, {1: "liver"}, tmp_path / "p.png")
    width, height = Image.open(tmp_path / "p.png").size
    found = pixels_of(tmp_path / "p.png", colormaps["tab20"].colors[0])
    first_column = found[found[:, 1] < width * 0.22]
    assert len(first_column) > 20
    assert first_column[:, 1].mean() < width * 0.1
    assert first_column[:, 0].mean() < height * 0.5


def test_every_class_has_its_colour(tmp_path, scan):
    image, label = scan
    second = label.clone()
    second[:, 5:15, 10:20, 2:10] = 3
    draw_slices(image, {"reference": label, "prediction": second}, {1: "a", 3: "b"}, tmp_path / "p.png")
    assert len(pixels_of(tmp_path / "p.png", colormaps["tab20"].colors[2])) > 20


def test_probabilities_have_a_row_of_their_own(tmp_path, scan):
    """Strong colours where they are high, below the contours; the image shows through where they are low."""
    image, label = scan
    probability = torch.zeros_like(label)
    probability[:, 5:15, 10:20, 2:10] = 1
    draw_slices(image, {"prediction": label}, {1: "liver"}, tmp_path / "alone.png")
    draw_slices(
        image, {"prediction": label}, {1: "liver"}, tmp_path / "p.png", shades={"boundary": probability}
    )
    height = Image.open(tmp_path / "p.png").size[1]
    assert height > 1.5 * Image.open(tmp_path / "alone.png").size[1]
    found = pixels_of(tmp_path / "p.png", colormaps["autumn"](1.0)[:3])
    assert len(found) > 200
    assert found[:, 0].min() > height / 2


def test_empty_prediction_is_drawn(tmp_path, scan):
    image, label = scan
    draw_slices(image, {"prediction": torch.zeros_like(label)}, {}, tmp_path / "p.png")
    assert (tmp_path / "p.png").stat().st_size > 5000


def test_curves_with_gaps(tmp_path):
    rows = [{"epoch": 1, "loss": 1.0}, {"epoch": 2, "loss": 0.5, "dice": 0.4}]
    draw_curves(rows, tmp_path / "c.png", {"loss": ["loss"], "dice": ["dice", "dice_liver"]})
    assert len(pixels_of(tmp_path / "c.png", (0, 0, 0))) > 20
