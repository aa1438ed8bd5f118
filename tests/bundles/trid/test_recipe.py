"""paper.json matches trid/docs/method.md#recipe."""

from __future__ import annotations

import pytest

from common.bundles import parse_config


@pytest.fixture(scope="module")
def recipe():
    import json

    from common.bundles import bundle_folder

    overlay = json.loads((bundle_folder("trid") / "configs" / "paper.json").read_text())
    parser = parse_config("trid", "train", **{"datalist": {"training": [], "validation": []}})
    for key, value in overlay.items():
        parser[key] = value
    return parser


def test_optimiser_and_schedule(recipe):
    recipe["train#trainer"] = {"max_epochs": 100}
    optimizer = recipe.get_parsed_content("optimizer")
    (group,) = optimizer.param_groups
    assert (group["lr"], group["momentum"], group["weight_decay"]) == (1e-3, 0.99, 5e-4)
    assert not group["nesterov"]
    schedule = recipe.get_parsed_content("lr_scheduler")
    rates = []
    for _ in range(100):
        rates.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        schedule.step()
    assert rates == pytest.approx([1e-3 * (1 - epoch / 100) ** 0.9 for epoch in range(100)])


def test_sizes(recipe):
    assert recipe["image_size"] == [512, 512]
    assert (recipe["epochs"], recipe["batch_size"]) == (100, 8)
    assert recipe["intensity"] == "zscore"
    assert recipe["keep"] == "lowest_loss"
    assert recipe["iterations_per_epoch"] is None  # one pass over the pooled sources


@pytest.mark.parametrize("joint", [True, False])
def test_masks_are_augmented_with_the_pictures_by_default(recipe, joint):
    recipe["augment_mask"] = joint
    transforms = recipe.get_parsed_content("augmentation", instantiate=True)
    spatial, brightness = transforms[:3], transforms[3:]
    expected = ("image", "label") if joint else ("image",)
    assert all(tuple(transform.keys) == expected for transform in spatial)
    assert all(tuple(transform.keys) == ("image",) for transform in brightness)
