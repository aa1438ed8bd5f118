"""The image grid and PNG writer for MONAI Label's server where the usual packages cannot be imported."""

import importlib.util

import pytest
import torch
from PIL import Image

from tests.contract.bundle import ROOT

FILE = ROOT / "tools" / "label" / "stand_in" / "torchvision" / "utils.py"


@pytest.fixture(scope="module")
def utils():
    spec = importlib.util.spec_from_file_location("stand_in_utils", FILE)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_five_pictures_in_rows_of_three(utils):
    pictures = torch.arange(1.0, 6).reshape(5, 1, 1, 1).expand(5, 1, 2, 4)
    grid = utils.make_grid(pictures, nrow=3, padding=1, pad_value=9)
    expected = torch.tensor(
        [
            [9.0] * 16,
            *[[9, 1, 1, 1, 1, 9, 2, 2, 2, 2, 9, 3, 3, 3, 3, 9]] * 2,
            [9.0] * 16,
            *[[9, 4, 4, 4, 4, 9, 5, 5, 5, 5, 9, 9, 9, 9, 9, 9]] * 2,
            [9.0] * 16,
        ]
    )
    assert torch.equal(grid, expected.expand(3, -1, -1))


def test_values_are_scaled_over_all_pictures_or_each(utils):
    pictures = torch.tensor([0.0, 2, 4, 8]).reshape(2, 1, 1, 2)
    inside = (..., 0, slice(None))
    both = utils.make_grid(pictures, padding=0, normalize=True)[inside]
    assert both[0].tolist() == [0, 0.25, 0.5, 1]
    each = utils.make_grid(pictures, padding=0, normalize=True, scale_each=True)[inside]
    assert each[0].tolist() == [0, 1, 0, 1]
    clipped = utils.make_grid(pictures, padding=0, normalize=True, value_range=(2, 4))[inside]
    assert clipped[0].tolist() == [0, 0, 1, 1]
    assert pictures.max() == 8, "the input stays"


def test_one_picture_comes_back_without_padding(utils):
    assert utils.make_grid(torch.zeros(2, 3)).shape == (3, 2, 3)
    assert utils.make_grid([torch.zeros(3, 2, 3)]).shape == (3, 2, 3)


def test_png_holds_the_colours(utils, tmp_path):
    picture = torch.tensor([[[0.0, 1.0]], [[0.5, 2.0]], [[-1.0, 0.25]]])
    utils.save_image(picture, tmp_path / "a.png")
    with Image.open(tmp_path / "a.png") as image:
        assert image.size == (2, 1)
        assert [image.getpixel((x, 0)) for x in (0, 1)] == [(0, 128, 0), (255, 255, 64)]
