"""Order, rates and ranges of the random transforms: banet_abdomen/docs/method.md#augmentation."""

from __future__ import annotations

import pytest

from tests.contract.augmentation import (
    INTENSITY,
    MIRRORS,
    SPATIAL,
    check_nnunet_ranges,
    compare,
    recipe,
    volumes,
)

MR_PATCH = [64, 160, 224]


def test_augmentation():
    transforms = recipe("banet_abdomen", "paper", patch_size=[4, 7, 8]).get_parsed_content("augmentation")
    compare(transforms, [SPATIAL, *INTENSITY, *MIRRORS], volumes())


@pytest.mark.parametrize(("settings", "in_plane"), [({}, False), ({"published_patch": MR_PATCH}, True)])
def test_ranges(settings, in_plane):
    """MR's patch is more than three times as long as deep."""
    transforms = recipe("banet_abdomen", "paper", **settings).get_parsed_content("augmentation")
    check_nnunet_ranges(transforms, in_plane=in_plane)
