"""Order, rates and ranges of the random transforms: banet_kidney/docs/method.md#augmentation."""

from __future__ import annotations

from tests.contract.augmentation import (
    INTENSITY,
    MIRRORS,
    SPATIAL,
    check_nnunet_ranges,
    compare,
    recipe,
    volumes,
)


def test_augmentation():
    transforms = recipe("banet_kidney", "paper", patch_size=[4, 7, 8]).get_parsed_content("augmentation")
    compare(transforms, [SPATIAL, *INTENSITY, *MIRRORS], volumes())


def test_ranges():
    check_nnunet_ranges(recipe("banet_kidney", "paper").get_parsed_content("augmentation"), in_plane=False)
