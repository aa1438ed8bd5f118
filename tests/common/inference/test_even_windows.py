"""nnU-Net's windows, and the likeliest class with and without a volume of each class."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from monai.data import MetaTensor
from scipy.ndimage import gaussian_filter
from torch import nn

from common.errors import InputError
from common.inference.even_windows import EvenWindowInferer, Windows, even_starts, gaussian_weights
from common.inference.streamed_argmax import streamed_argmax


@pytest.fixture
def network():
    torch.manual_seed(0)
    return nn.Conv3d(2, 5, 3, padding=1).eval()


@pytest.fixture
def image():
    return torch.rand(1, 2, 11, 23, 9, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize(
    ("side", "patch", "expected"),
    [
        (8, 8, [0]),
        (9, 8, [0, 1]),
        (12, 8, [0, 4]),
        (13, 8, [0, 2, 5]),
        (21, 8, [0, 3, 6, 10, 13]),
    ],
)
def test_windows_are_evenly_spaced(side, patch, expected):
    """MONAI's would start at 0, 4, 8, 12, 13 in the last row."""
    assert even_starts(side, patch) == expected


def test_weights_are_a_blurred_impulse():
    impulse = np.zeros((6, 9))
    impulse[3, 4] = 1
    expected = gaussian_filter(impulse, [6 / 8, 9 / 8], mode="constant")
    expected /= expected.max()
    found = gaussian_weights((6, 9))
    assert found.numpy()[expected > 0] == pytest.approx(expected[expected > 0], rel=1e-5)
    assert found.min() > 0
    assert gaussian_weights((96, 96)).min() > 0


def test_one_window_is_not_weighted(network, image):
    with torch.no_grad():
        (only,) = Windows(image, network, (11, 23, 9))
        torch.testing.assert_close(only[1], network(image)[0].softmax(0))


def test_probabilities_are_the_weighted_mean(network, image):
    patch = (8, 8, 8)
    with torch.no_grad():
        found = EvenWindowInferer(patch, sw_batch_size=3)(image, network)
        total, weight = torch.zeros_like(found), torch.zeros(11, 23, 9)
        for z in even_starts(11, 8):
            for y in even_starts(23, 8):
                for x in even_starts(9, 8):
                    at = (slice(z, z + 8), slice(y, y + 8), slice(x, x + 8))
                    view = image[(slice(None), slice(None), *at)]
                    total[(slice(None), slice(None), *at)] += network(view).softmax(1) * gaussian_weights(
                        patch
                    )
                    weight[at] += gaussian_weights(patch)
    torch.testing.assert_close(found, total / weight)
    torch.testing.assert_close(found.sum(1), torch.ones(1, 11, 23, 9))


def test_small_images_are_padded_on_both_sides(network):
    image = torch.rand(1, 2, 3, 5, 8)
    padded = nn.functional.pad(image, (0, 0, 1, 2, 2, 3))
    with torch.no_grad():
        expected = network(padded).softmax(1)[:, :, 2:5, 1:6]
        torch.testing.assert_close(EvenWindowInferer((8, 8, 8))(image, network), expected)
        assert torch.equal(streamed_argmax(image, network, (8, 8, 8))[0], expected.argmax(1).byte())


def test_metadata_of_the_image_stay_with_its_probabilities(network, image):
    affine = torch.diag(torch.tensor([2.0, 3, 4, 1]))
    found = EvenWindowInferer([8, 8, 8])(MetaTensor(image, affine=affine), network)
    assert torch.equal(found.affine, affine.to(found.affine))
    assert torch.equal(found.as_tensor(), EvenWindowInferer([8, 8, 8])(image, network))


def test_a_step_beyond_the_patch_is_refused():
    with pytest.raises(InputError, match=r"step = 1\.5; expected a share of the patch"):
        EvenWindowInferer((8, 8, 8), step=1.5)


@pytest.mark.parametrize("patch", [(8, 8, 8), (11, 4, 9), (4, 16, 4), (11, 23, 4)])
@pytest.mark.parametrize("mirror_axes", [(), (0, 2)])
def test_streaming_chooses_what_the_whole_volume_would(network, image, patch, mirror_axes):
    options = {"sw_batch_size": 2, "mirror_axes": mirror_axes}
    with torch.no_grad():
        whole = EvenWindowInferer(patch, **options)(image, network)
        streamed = streamed_argmax(image, network, patch, **options)
    assert streamed.dtype == torch.uint8
    assert torch.equal(streamed[0].long(), whole.argmax(1))


def test_streaming_in_two_dimensions(image):
    torch.manual_seed(0)
    network = nn.Conv2d(2, 300, 3, padding=1).eval()
    with torch.no_grad():
        whole = EvenWindowInferer((6, 6))(image[:, :, :, :, 0], network)
        streamed = streamed_argmax(image[:, :, :, :, 0], network, (6, 6))
    assert streamed.dtype == torch.int32
    assert torch.equal(streamed[0].long(), whole.argmax(1))
