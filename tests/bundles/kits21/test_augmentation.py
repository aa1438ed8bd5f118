"""Order, rates and ranges of the random transforms: kits21/docs/method.md#recipe."""

from __future__ import annotations

from monai.transforms import RandFlipd

from common.transforms.spatial import RandRotateScaled
from kits21.rough_mask import RandRoughMaskd
from tests.contract.augmentation import INTENSITY, check_nnunet_ranges, compare, recipe, volumes


def test_augmentation():
    """Both stages; the coarse view is drawn for anew (bundles/kits21, ``coarse_augmentation``)."""
    config = recipe("kits21", "paper", patch_size=[4, 7, 8], coarse_patch_size=[4, 7, 8])
    steps = config.get_parsed_content("augmentation")
    assert set(steps) == {"fine", "coarse", "both", "mask"}
    case = volumes()
    case["coarse_mask"] = case["label"] > 1
    (fine,), (coarse,), (rough,) = steps["fine"], steps["coarse"], steps["mask"]
    changed = 1 - 0.8 * 0.8
    compare([fine], [(RandRotateScaled, {key: changed for key in case})], case)
    coarse_case = {"coarse_image": case["image"], "coarse_label": case["label"]}
    compare([coarse], [(RandRotateScaled, {key: changed for key in coarse_case})], coarse_case)
    flips = [(RandFlipd, {key: 0.5 for key in case})] * 3
    compare(steps["both"], [*INTENSITY, *flips], case)
    assert type(rough) is RandRoughMaskd
    assert (rough.prob, rough.radius, rough.prob_removal) == (0.4, (1.0, 8.0), 0.0)
    order = config["train::random_transforms"].replace("::", "#")
    assert order.index("#fine") < order.index("#both") < order.index("#mask"), "rough after mirroring"


def test_ranges():
    transforms = recipe("kits21", "paper").get_parsed_content("augmentation")
    check_nnunet_ranges([*transforms["fine"], *transforms["both"]], in_plane=False)
