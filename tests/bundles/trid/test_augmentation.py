"""Order, rates and ranges of the random transforms: trid/docs/method.md#recipe."""

from __future__ import annotations

from monai.transforms import RandFlipd, RandGaussianNoised

from common.transforms.blur import RandChannelBlurd
from common.transforms.channel_intensity import (
    RandChannelContrastd,
    RandChannelGammad,
    RandChannelOffsetd,
    RandChannelScaled,
)
from common.transforms.low_resolution import RandLowResolutiond
from common.transforms.picture_augmentation import RandDeformPictured
from tests.contract.augmentation import both, check_pictures, compare, recipe, volumes

PROSTATE = [
    (RandDeformPictured, both(1 - 0.8**3)),
    (RandGaussianNoised, {"image": 0.1}),
    (RandChannelBlurd, {"image": 0.2 * 0.5}),
    (RandChannelScaled, {"image": 0.15}),
    (RandChannelOffsetd, {"image": 0.15 * 0.5}),
    (RandChannelContrastd, {"image": 0.15}),
    (RandLowResolutiond, {"image": 0.25 * 0.5}),
    (RandChannelGammad, {"image": 0.15}),
    (RandFlipd, both(0.5)),
    (RandFlipd, both(0.5)),
]


def test_pictures():
    check_pictures("trid")


def test_prostate():
    transforms = recipe("trid", "prostate").get_parsed_content("augmentation")
    compare(transforms, PROSTATE, volumes(shape=(12, 14)))
