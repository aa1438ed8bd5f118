"""Preprocessing, windows and the way back: segrap2023/docs/method.md#preprocessing, #inference."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from monai.data import MetaTensor
from monai.transforms import Orientationd
from scipy.ndimage import zoom

import common  # noqa: F401 (makes bundles importable)
from common.errors import InputError
from common.inference.decision import DecideOnOwnGridd
from segrap2023.decision import Likeliestd
from segrap2023.preparation import BodyBoxd, CropToBodyd, ResampleWholed, body_mask
from segrap2023.windows import StrideWindowInferer, starts, window_weights

OBLIQUE = np.array([[-1.9, 0.1, 0, 5], [0.1, 2.0, 0, 7], [0, 0, 3.3, 9], [0, 0, 0, 1]])


def case() -> dict:
    """A body in air with a few labelled blocks, 1.9 x 2 x 3.3 mm."""
    label = torch.zeros(1, 30, 26, 11)
    label[0, 8:20, 6:20, 3:9], label[0, 20:24, 6:20, 3:9] = 1, 2
    ct = torch.full((2, 30, 26, 11), -1000.0)
    ct[:, 4:27, 3:24, 1:] = 40
    ct[:, 0, 0, 0] = 500  # outside the body
    image = MetaTensor(ct, affine=OBLIQUE, meta={"filename_or_obj": "a.nii.gz"})
    return {"image": image, "label": MetaTensor(label, affine=OBLIQUE)}


def prepared(spacing) -> dict:
    steps = [
        Orientationd(["image", "label"], axcodes="SPL", labels=None),
        ResampleWholed("image", spacing, mode="cubic"),
        BodyBoxd("image"),
        ResampleWholed("label", spacing, mode="nearest"),
        CropToBodyd("label"),
    ]
    found = case()
    for step in steps:
        found = step(found)
    return found


@pytest.mark.parametrize("spacing", [[3.0, 1.0, 1.0], [1.1, 0.7, 0.9]])
def test_labels_come_back_to_their_places(spacing):
    found = prepared(spacing)
    assert found["image"].shape[1:] == found["label"].shape[1:]
    assert np.allclose(found["image"].affine, found["label"].affine)
    assert np.allclose(found["image"].pixdim, spacing, rtol=0.05)
    found["pred"] = torch.as_tensor(found["label"]).to(torch.uint8)
    back = DecideOnOwnGridd("pred", "image")(found)["pred"]
    assert np.allclose(back.affine, OBLIQUE)
    assert np.array_equal(np.asarray(back), np.asarray(case()["label"]))


def test_the_whole_extent_is_resampled():
    """As scipy's zoom with a grid of voxels that have an extent, edge values going on outside."""
    values = np.random.default_rng(0).normal(size=(7, 9, 8)).astype(np.float32)
    image = MetaTensor(torch.from_numpy(values)[None], affine=np.diag([2.0, 1.0, 1.5, 1.0]))
    found = ResampleWholed("image", [1.0, 1.5, 1.5], mode="cubic")({"image": image})["image"]
    assert found.shape == (1, 14, 6, 8)
    expected = zoom(values, (2, 6 / 9, 1), order=3, mode="nearest", grid_mode=True)
    np.testing.assert_allclose(np.asarray(found)[0], expected, atol=1e-4)


def test_the_body_is_the_largest_component_in_the_first_ct():
    ct = torch.full((1, 5, 6, 6), -1000.0)
    ct[0, 1:4, 1:4, 1:4], ct[0, 0, 5, 5] = 0.0, 0.0
    mask = body_mask(ct)
    assert int(mask.sum()) == 27
    ct[0, 4, 4, 4] = 0.0  # touches a corner
    assert int(body_mask(ct).sum()) == 28
    assert body_mask(torch.full((1, 2, 2, 2), -1000.0)).all()
    image = torch.cat([ct, torch.zeros_like(ct)])
    found = BodyBoxd("image")({"image": MetaTensor(image, affine=np.eye(4))})
    assert found["image"].shape == (2, 4, 4, 4)


def test_windows_follow_one_another_and_the_last_moves_back():
    assert starts(96, 32, 32) == [0, 32, 64]
    assert starts(100, 32, 32) == [0, 32, 64, 68]
    assert starts(32, 32, 32) == [0]
    assert starts(40, 32, 16) == [0, 8]
    weights = window_weights([8, 16, 4])
    assert weights.shape == (8, 16, 4)
    assert torch.equal(weights, weights.flip(0, 1, 2))
    assert 0 < weights.min() < 1e-6, "no floor"
    line = window_weights([17, 1, 1])[:, 0, 0]  # the middle at 8, deviation 17 / 8
    assert float(line[8 + 2] / line[8]) == pytest.approx(np.exp(-0.5 * (2 / (17 / 8)) ** 2), rel=1e-5)


def network(x):
    """Three logits of each voxel that depend on its neighbours in the window."""
    smooth = torch.nn.functional.avg_pool3d(x, 3, 1, 1)
    return torch.cat([x[:, :1], smooth[:, :1] * 2, x[:, 1:] - smooth[:, 1:]], dim=1)


@pytest.mark.parametrize("stride", [1.0, 0.5])
@pytest.mark.parametrize("sides", [(16, 21, 30), (5, 8, 40)])
def test_streamed_labels_are_those_of_the_probabilities(sides, stride):
    image = torch.randn(1, 2, *sides, generator=torch.Generator().manual_seed(0))
    settings = {"stride": stride, "sw_batch_size": 3}
    probabilities = StrideWindowInferer([8, 16, 16], **settings)(image, network)
    assert probabilities.shape == (1, 3, *sides)
    torch.testing.assert_close(probabilities.sum(dim=1), torch.ones(1, *sides))
    labels = StrideWindowInferer([8, 16, 16], classes=True, **settings)(image, network)
    assert labels.dtype == torch.uint8
    assert torch.equal(labels[0], Likeliestd("pred")({"pred": probabilities[0]})["pred"])


def test_the_mirror_image_is_seen_with_left_and_right_exchanged():
    """A scan and its mirror image get the same classes, but for the side; one window lies alike on both."""

    def sided(x):
        across = torch.linspace(-1, 1, x.shape[-1]).expand_as(x[:, :1])
        return torch.cat([x[:, :1], x[:, 1:] * across, across], dim=1)

    image = torch.randn(1, 2, 8, 8, 16, generator=torch.Generator().manual_seed(0))
    both = StrideWindowInferer([8, 8, 16], pairs=[(1, 2)])
    found = both(image, sided)
    torch.testing.assert_close(both(image.flip(-1), sided), found.flip(-1)[:, [0, 2, 1]])
    assert not torch.allclose(found, StrideWindowInferer([8, 8, 16])(image, sided), atol=0.01)


def test_one_window_is_the_network_itself_on_a_reflected_image():
    image = torch.randn(1, 2, 6, 8, 8, generator=torch.Generator().manual_seed(0))
    found = StrideWindowInferer([32, 32, 32])(image, network)
    padded = torch.nn.functional.pad(image, (0, 0, 0, 0, 1, 1), mode="reflect")
    torch.testing.assert_close(found, network(padded).softmax(dim=1)[:, :, 1:7])


def test_bad_strides_are_refused():
    with pytest.raises(InputError, match="stride = 0; expected a share"):
        StrideWindowInferer([8, 8, 8], stride=0)
