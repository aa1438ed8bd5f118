"""Codings of optic disc and cup are told apart by their values."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image, ImageFilter

from common.datasets.raw.disc_codings import CODINGS, coding_of, decode

VALUES = {"OPTIC": (255, 128, 0), "RIGA+": (0, 255, 128), "MRNet": (0, 127, 255)}


def eye(cup_radius, shift=0, size=120):
    """A disc of radius 40 with a cup, both round."""
    y, x = np.mgrid[:size, :size] - size / 2
    label = (np.hypot(x, y) < 40).astype(np.uint8)
    label[np.hypot(x - shift, y) < cup_radius] = 2
    return label


@pytest.mark.parametrize("coding", CODINGS)
@pytest.mark.parametrize(("radius", "shift"), [(8, 0), (8, 20), (20, 18), (37, 2)])
def test_each_coding_is_known_and_read(coding, radius, shift):
    label = eye(radius, shift)
    mask = np.array(VALUES[coding], np.uint8)[label]
    assert coding_of(mask) == coding
    assert np.array_equal(decode(mask, coding), label)


@pytest.mark.parametrize("coding", ["RIGA+", "MRNet"])
def test_blurred_edges_do_not_change_the_coding(coding):
    """Between 0 and 255 an edge passes 128, which is what the other coding has outside."""
    mask = Image.fromarray(np.array(VALUES[coding], np.uint8)[eye(16)]).filter(ImageFilter.GaussianBlur(1))
    assert coding_of(np.asarray(mask)) == coding


def test_a_disc_without_cup():
    assert coding_of(np.array(VALUES["RIGA+"])[eye(0)]) == "RIGA+"
    assert coding_of(np.array(VALUES["MRNet"])[eye(0)]) == "MRNet"


def test_a_grey_border_is_no_coding():
    assert coding_of(np.full((8, 8), 90)) is None
