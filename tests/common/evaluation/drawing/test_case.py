"""A colour picture is drawn as stored, with contours where the labels are."""

import numpy as np
import pytest
import torch
from matplotlib import colormaps
from monai.data import MetaTensor
from PIL import Image

from common.evaluation.drawing.case import draw_case
from tests.common.evaluation.drawing.test_overlays import pixels_of

RIM, CUP = colormaps["tab20"].colors[:2]


@pytest.fixture
def picture(tmp_path):
    """Wide and reddish, with a blue square in the upper left corner."""
    colours = np.full((60, 100, 3), (200, 120, 90), np.uint8)
    colours[5:20, 5:20] = (20, 20, 250)
    Image.fromarray(colours).save(tmp_path / "eye.png")
    image = MetaTensor(torch.zeros(3, 32, 32))
    image.meta["filename_or_obj"] = str(tmp_path / "eye.png")
    return image


def label_map():
    label = torch.zeros(1, 32, 32)
    label[:, 4:14, 18:30] = 1  # above, to the right
    label[:, 6:10, 20:26] = 2
    return label


@pytest.mark.parametrize("form", ["label map", "nested channels", "columns first"])
def test_contours_lie_on_the_picture(tmp_path, picture, form):
    label = label_map()
    if form == "nested channels":
        label = torch.cat([label >= 1, label >= 2]).to(torch.uint8)
    if form == "columns first":
        label = label.transpose(1, 2)
    path = tmp_path / "p.png"
    draw_case(
        picture, {"prediction": label}, {1: "rim", 2: "cup"}, path, columns_first=form == "columns first"
    )
    square = pixels_of(path, np.array((20, 20, 250)) / 255)
    first, second = (square[square[:, 1] < square[:, 1].mean()], square[square[:, 1] > square[:, 1].mean()])
    assert len(first) > 50
    assert len(second) > 50, "both columns show the picture"
    width = Image.open(path).size[0]
    for colour in (RIM, CUP):
        found = pixels_of(path, colour)
        found = found[found[:, 1] < 0.85 * width]  # without the legend
        assert len(found) > 20
        assert found[:, 0].mean() < square[:, 0].max() + 40
        assert found[:, 1].mean() > second[:, 1].max()


def test_nothing_found(tmp_path, picture):
    draw_case(picture, {"prediction": torch.zeros(1, 8, 8)}, {}, tmp_path / "p.png")
    assert Image.open(tmp_path / "p.png").size[0] > 300
