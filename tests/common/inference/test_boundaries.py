"""The probability of a boundary, from windows to a case's own key."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.ndimage import map_coordinates
from torch import nn

from common.errors import InputError
from common.inference.boundaries import BoundaryWindowInferer, OnOwnGridd, SplitBoundaryd
from common.inference.even_windows import EvenWindowInferer
from common.inference.own_grid import own_grid
from common.networks.boundary_unet.network import BoundaryUNet
from tests.common.inference.scans import affine_of, preprocessing, scan

SETTINGS = {"sw_batch_size": 3, "mirror_axes": [0, 2]}


@pytest.fixture(scope="module")
def network() -> nn.Module:
    torch.manual_seed(0)
    return BoundaryUNet(1, 3, widths=(4, 6, 8)).eval()


class Boundary(nn.Module):
    """The probability of a boundary as logits, for an inferer that takes a softmax."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        boundary = self.network.with_boundary(x)[:, -1:]
        return torch.cat([1 - boundary, boundary], dim=1).log()


@torch.no_grad()
def test_each_channel_is_averaged_over_windows_and_mirrored_views(network):
    image = torch.randn(2, 1, 20, 24, 18)
    inferer = BoundaryWindowInferer([16, 16, 16], boundaries=True, **SETTINGS)
    found = inferer(image, network)
    plain = EvenWindowInferer([16, 16, 16], **SETTINGS)
    torch.testing.assert_close(found[:, :3], plain(image, network))
    torch.testing.assert_close(found[:, 3:], plain(image, Boundary(network))[:, 1:])
    assert found[:, 3:].std() > 0.01
    torch.testing.assert_close(inferer(image, nn.ModuleDict({"module": network})), found)


@torch.no_grad()
def test_classes_alone_of_any_network(network):
    image = torch.randn(1, 1, 24, 16, 16)
    found = BoundaryWindowInferer([16, 16, 16], overlap=0.25, **SETTINGS)(image, network)
    torch.testing.assert_close(found, EvenWindowInferer([16, 16, 16], step=0.75, **SETTINGS)(image, network))
    assert BoundaryWindowInferer([16, 16, 16])(image, nn.Conv3d(1, 2, 1)).shape[1] == 2


@torch.no_grad()
def test_certain_heads_stay_finite():
    class Certain(nn.Module):
        def with_boundary(self, x: torch.Tensor) -> torch.Tensor:
            return torch.cat([200 * x, -200 * x, (x > 0).float()], dim=1)

    image = torch.ones(1, 1, 4, 4, 4)
    image[..., 2:] = -1
    found = BoundaryWindowInferer([4, 4, 4], boundaries=True)(image, Certain())
    assert found[0, :, 0, 0].tolist() == [[1, 1, 0, 0], [0, 0, 1, 1], [1, 1, 0, 0]]


def test_a_network_without_a_boundary_decoder_is_refused():
    with pytest.raises(InputError, match="has no boundary decoder; leave --boundaries out"):
        BoundaryWindowInferer([4, 4, 4], boundaries=True)(torch.ones(1, 1, 4, 4, 4), nn.Conv3d(1, 2, 1))


def test_the_boundary_gets_a_key_of_its_own():
    both = torch.arange(4.0).reshape(4, 1, 1, 1)
    split = SplitBoundaryd("pred", classes=3)({"pred": both})
    assert split["pred"].flatten().tolist() == [0, 1, 2]
    assert split["boundary"].flatten().tolist() == [3]
    assert SplitBoundaryd("pred", classes=4)({"pred": both}).keys() == {"pred"}


@pytest.mark.parametrize("spacing", [(1.7, 1.2, 1.4), (4.0, 3.0, 2.9)])
def test_probabilities_on_the_scans_own_grid(spacing):
    """As SciPy interpolates them, with the scan's affine; none beyond the network's grid."""
    shape = (13, 16, 11)
    affine = affine_of("PIR", shape, (2.0, 1.6, 3.0), turned=(12, -7, 25))
    image = preprocessing(spacing)({"image": scan(shape, affine)})["image"]
    probability = torch.rand(2, *image.shape[1:], generator=torch.Generator().manual_seed(0))
    found = OnOwnGridd(["boundary", "absent"], allow_missing_keys=True)(
        {"image": image, "boundary": probability}
    )["boundary"]
    np.testing.assert_allclose(found.affine, affine, atol=1e-5)
    index = np.stack(np.meshgrid(*map(np.arange, shape), [1.0], indexing="ij"))[..., 0]
    at = np.einsum("ij,j...->i...", own_grid(image).matrix, index)[:3]
    expected = np.stack([map_coordinates(one.double(), at, order=1, mode="nearest") for one in probability])
    sides = np.array(image.shape[1:]).reshape(3, 1, 1, 1)
    reached = ((at > -0.501) & (at < sides - 0.499)).all(0)
    np.testing.assert_allclose(found.numpy(), expected * reached, atol=1e-5)
