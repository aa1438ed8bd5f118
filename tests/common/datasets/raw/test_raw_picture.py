"""Pictures of a raw data set: depth, channels, raters and boxes reach the folder as they are."""

from __future__ import annotations

import numpy as np
import pytest
from monai.transforms import LoadImage

from common.datasets.raw.raw_picture import RawPicture, write_picture


def drawn(*shape, dtype=np.uint16):
    return np.random.default_rng(0).integers(0, np.iinfo(dtype).max, shape).astype(dtype)


def written(tmp_path, raw, **options):
    return write_picture(tmp_path, "Tr", "a", raw, **{"keep_label": True, **options})


def loaded(tmp_path, names):
    """(H, W) or (C, H, W), as MONAI reads them."""
    one = isinstance(names, str)
    image = LoadImage(image_only=True, dtype=None)(
        [str(tmp_path / name) for name in ([names] if one else names)]
    )
    return np.swapaxes(image.numpy(), -1, -2)


def test_sixteen_bits_are_kept(tmp_path):
    image = drawn(5, 7)
    entry = written(tmp_path, RawPicture(image=image, label=None))
    assert entry == {"image": "imagesTr/a.png"}
    assert np.array_equal(loaded(tmp_path, entry["image"]), image)


@pytest.mark.parametrize(("channels", "dtype"), [(3, np.uint16), (2, np.uint8), (5, np.uint16)])
def test_channels_that_no_png_holds_are_files_of_their_own(tmp_path, channels, dtype):
    """MONAI stacks a list of files as channels."""
    image = drawn(5, 7, channels, dtype=dtype)
    entry = written(tmp_path, RawPicture(image=image, label=None))
    assert entry["image"] == [f"imagesTr/a_{channel:04d}.png" for channel in range(channels)]
    assert np.array_equal(loaded(tmp_path, entry["image"]), np.moveaxis(image, -1, 0))


def test_raters_boxes_and_further_keys(tmp_path):
    labels = {key: drawn(5, 7, dtype=np.uint8) for key in ("label", "label_2")}
    raw = RawPicture(
        image=drawn(5, 7, 3, dtype=np.uint8),
        label=labels["label"],
        further_labels={"label_2": labels["label_2"]},
        boxes=np.array([[1.0, 0, 6, 3]]),
        box_labels=np.array([2]),
        further={"class": "drusen"},
    )
    entry = written(tmp_path, raw)
    assert entry == {
        "image": "imagesTr/a.png",
        "label": "labelsTr/a.png",
        "label_2": "label_2Tr/a.png",
        "boxes": [[1, 0, 6, 3]],
        "box_labels": [2],
        "class": "drusen",
    }
    assert all(np.array_equal(loaded(tmp_path, entry[key]), label) for key, label in labels.items())
    assert written(tmp_path, raw, keep_label=False) == {"image": "imagesTr/a.png", "class": "drusen"}


BAD = {
    "need uint8|is float64; need one of uint8": {"image": np.zeros((4, 4))},
    "need .H, W. or .H, W, C.": {"image": np.zeros(4, np.uint8)},
    "need the same H, W": {"label": np.zeros((4, 5), np.uint8)},
    "label_2 .4, 5. on an image": {"further_labels": {"label_2": np.zeros((4, 5), np.uint8)}},
    "need both or neither": {"boxes": np.zeros((1, 4))},
    "need .N, 4. and .N,.": {"boxes": np.zeros((1, 6)), "box_labels": np.zeros(1)},
    "upper left corner first": {"boxes": np.array([[3, 0, 1, 2]]), "box_labels": np.zeros(1)},
}


@pytest.mark.parametrize(("told", "fields"), BAD.items())
def test_arrays_that_do_not_fit_are_refused(told, fields):
    with pytest.raises(ValueError, match=told):
        RawPicture(**{"image": np.zeros((4, 4), np.uint8), "label": None, **fields})
