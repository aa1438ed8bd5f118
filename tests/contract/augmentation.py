"""The random transforms of a published recipe: their order, how often each acts, and on what.

A bundle's ``test_augmentation.py`` has one table for each config, transcribed from its method page.  Each
transform of the built config draws 4000 times, and the share of draws in which it acts is compared within
four standard deviations (0.02 at a probability of 0.1).  Then it runs until it has changed something, and the
keys that it changed are compared.
"""

from __future__ import annotations

import json
import math
from collections import Counter

import numpy as np
import pytest
import torch
from monai.transforms import Compose, OneOf, RandFlipd, RandGaussianNoised, RandRotate90d

from common.bundles import bundle_folder, parse_config
from common.transforms.blur import RandChannelBlurd
from common.transforms.channel_intensity import (
    RandChannelContrastd,
    RandChannelGammad,
    RandChannelScaled,
)
from common.transforms.low_resolution import RandLowResolutiond
from common.transforms.per_channel import RandPerChanneld
from common.transforms.picture_augmentation import RandDeformPictured
from common.transforms.spatial import RandRotateScaled

DRAWS = 4000


def recipe(name: str, config: str, **settings):
    """``config`` on train.json, with other settings, nothing built yet."""
    parser = parse_config(name, "train")
    for key, value in json.loads((bundle_folder(name) / "configs" / f"{config}.json").read_text()).items():
        if not key.startswith("+") and not key.startswith("dataset_dir"):
            parser[key.replace("#", "::")] = value
    for key, value in settings.items():
        parser[key] = value
    return parser


def within(share: float, draws: int) -> float:
    return 4 * math.sqrt(share * (1 - share) / draws)


def acts(transform, channels: int, shape: tuple[int, ...]) -> bool:
    """Whether it acts at its next draw."""
    if isinstance(transform, RandPerChanneld):
        transform.randomize(channels)
        return transform.drawn[0] is not None
    if isinstance(transform, RandDeformPictured):
        transform.randomize(shape)
        return not transform.drawn.is_identity
    transform.randomize(None)
    return (
        transform.matrix is not None if isinstance(transform, RandRotateScaled) else transform._do_transform
    )


def changed(transform, case: dict[str, torch.Tensor]) -> set[str]:
    """The keys that it changes where it acts."""
    for _ in range(400):
        result = transform({key: value.clone() for key, value in case.items()})
        differing = {
            key
            for key, value in case.items()
            if result[key].shape != value.shape or not torch.equal(torch.as_tensor(result[key]), value)
        }
        if differing:
            return differing
    return set()


def volumes(channels: int = 1, shape=(4, 7, 8)) -> dict[str, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    image = torch.rand(channels, *shape, generator=generator)
    return {"image": image, "label": (image[:1] * 3).to(torch.uint8)}


def both(share: float) -> dict[str, float]:
    return {"image": share, "label": share}


#: K 6 of nnU-Net's list: of one channel, so that a channel's own half of the chances is in it.
INTENSITY = [
    (RandGaussianNoised, {"image": 0.1}),
    (RandChannelBlurd, {"image": 0.2 * 0.5}),
    (RandChannelScaled, {"image": 0.15}),
    (RandChannelContrastd, {"image": 0.15}),
    (RandLowResolutiond, {"image": 0.25 * 0.5}),
    (RandChannelGammad, {"image": 0.1}),
    (RandChannelGammad, {"image": 0.3}),
]
MIRRORS = [(RandFlipd, both(0.5))] * 3
SPATIAL = (RandRotateScaled, both(1 - 0.8 * 0.8))
PICTURES = [
    (RandDeformPictured, both(1 - 0.9**3)),
    (RandFlipd, both(0.5)),
    (RandFlipd, both(0.5)),
    (RandChannelScaled, {"image": 0.15}),
    (RandGaussianNoised, {"image": 0.15}),
]


def compare(transforms, table, case) -> None:
    assert [type(transform) for transform in transforms] == [kind for kind, _ in table]
    for transform, (kind, expected) in zip(transforms, table, strict=True):
        transform.set_random_state(seed=0)
        (probability,) = set(expected.values())
        channels, *shape = case[min(expected)].shape
        found = sum(acts(transform, channels, tuple(shape)) for _ in range(DRAWS)) / DRAWS
        assert found == pytest.approx(probability, abs=within(probability, DRAWS)), kind.__name__
        assert changed(transform, case) == set(expected), kind.__name__


def nnunet_ranges(transforms) -> dict[str, tuple]:
    """Ranges of what is drawn, by transform."""
    spatial, noise, blur, factor, contrast, low, inverted, gamma = transforms[:8]
    return {
        "angles": tuple(spatial.angles),
        "scale": tuple(spatial.scale),
        "noise": (noise.rand_gaussian_noise.std, noise.rand_gaussian_noise.sample_std),
        "blur": blur.sigma,
        "factor": factor.factor,
        "contrast": contrast.factor,
        "low": (low.zoom, low.in_plane),
        "gamma": (
            (inverted.gamma, inverted.invert),
            (gamma.gamma, gamma.invert),
            inverted.retain_stats,
            gamma.retain_stats,
        ),
    }


def check_nnunet_ranges(transforms, in_plane: bool) -> None:
    """At the published patch: an anisotropic one is augmented in its plane, by angles up to 180 degrees."""
    assert nnunet_ranges(transforms) == {
        "angles": (math.pi, 0, 0) if in_plane else (math.pi / 6,) * 3,
        "scale": (0.7, 1.4),
        "noise": (0.1, True),
        "blur": (0.5, 1.0),
        "factor": (0.75, 1.25),
        "contrast": (0.75, 1.25),
        "low": ((0.5, 1.0), in_plane),
        "gamma": (((0.7, 1.5), True), ((0.7, 1.5), False), True, True),
    }
    assert transforms[0].in_plane is in_plane


def check_pictures(name: str) -> None:
    """The recipe that trid and the source networks of vptta and grata share."""
    transforms = recipe(name, "paper", augment_mask=True).get_parsed_content("augmentation")
    case = {**volumes(3, (12, 14)), "label": volumes(1, (12, 14))["label"]}
    compare(transforms, PICTURES, case)
    factor = transforms[3]
    assert factor.factor == (0.7, 1.5)
    draws = []
    for _ in range(1000):
        factor.randomize(3)
        draws += [value for value in factor.drawn if value is not None]
    assert np.mean(np.array(draws) < 1) == pytest.approx(0.375, abs=0.07), "plain uniform"
    assert len(set(draws)) == len(draws), "each channel its own"


def check_turns_and_flips(name: str) -> None:
    """k uniform in 0..3, then always one flip, of axis 0 or 1, both alike: eight outcomes in all."""
    transforms = recipe(name, "paper").get_parsed_content("augmentation")
    assert [type(t) for t in transforms] == [RandRotate90d, OneOf]
    step = Compose(transforms)
    step.set_random_state(seed=0)
    image = torch.arange(2 * 2 * 3.0).reshape(1, 2, 2, 3)
    outcomes: Counter = Counter()
    draws = 240
    for _ in range(draws):
        result = step({"image": image, "label": image})
        assert torch.equal(torch.as_tensor(result["image"]), torch.as_tensor(result["label"]))
        outcomes[tuple(torch.as_tensor(result["image"]).flatten().tolist())] += 1
    expected: Counter = Counter()
    for k in range(4):
        for axis in (1, 2):
            expected[tuple(image.rot90(k, (1, 2)).flip(axis).flatten().tolist())] += 1 / 8
    tolerance = within(1 / 8, draws)
    assert {key: n / draws for key, n in outcomes.items()} == pytest.approx(dict(expected), abs=tolerance)
