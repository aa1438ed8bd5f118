"""nnU-Net's crops: how often each voxel is met, where the chosen voxel ends up, what lies beyond a border."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest
import torch
from monai.data import DataLoader, Dataset, MetaTensor
from monai.transforms import Compose

from common.bundles import bundle_folder, parse_config
from common.transforms.batch_position import ByBatchPosition
from common.transforms.nnunet_crops import ForegroundVoxelsd, RandNnUNetCropd, enlarged_size
from common.transforms.spatial import RandRotateScaled, rotation_range

SMALL, CROP, PATCH = (9, 14, 17), [8, 11, 12], [5, 6, 6]


def numbered(shape=SMALL) -> torch.Tensor:
    """Each voxel holds its own number, from 1 on; 0 is beyond the border."""
    return torch.arange(1.0, 1 + math.prod(shape)).reshape(1, *shape)


def crop(on_foreground=False, keys=("image",), crop_size=CROP, patch_size=PATCH) -> RandNnUNetCropd:
    return RandNnUNetCropd(
        list(keys), crop_size=crop_size, patch_size=patch_size, on_foreground=on_foreground
    )


def centre(volume: torch.Tensor, patch_size=PATCH) -> torch.Tensor:
    """The final patch where nothing is turned or scaled."""
    return RandRotateScaled("image", patch_size=patch_size, prob_rotate=0, prob_scale=0)({"image": volume})[
        "image"
    ]


def test_foreground_needs_the_voxels_that_were_stored():
    """Else a misspelt key would crop anywhere, without a word."""
    case = {"image": numbered(), "label_voxels": {}}
    with pytest.raises(KeyError, match="labl_voxels"):
        RandNnUNetCropd("image", crop_size=CROP, patch_size=PATCH, on_foreground=True, voxels="labl_voxels")(
            case
        )
    assert "label_voxels" not in crop(on_foreground=True)(case), (
        "a case without foreground is cropped anywhere"
    )


@pytest.mark.parametrize(
    ("patch", "in_plane", "expected"),
    [
        ([48, 192, 192], True, [48, 225, 225]),
        ([128, 128, 128], False, [205, 205, 205]),
        ([160, 128, 112], False, [238, 196, 208]),
    ],
)
def test_crop_sizes_of_nnunet(patch, in_plane, expected):
    """Those of cotr and kits21, and one with three different sides."""
    assert enlarged_size(patch, rotation_range(in_plane), in_plane) == expected


@pytest.mark.parametrize(
    ("shape", "size", "patch"),
    [(SMALL, CROP, PATCH), ((4, 14, 30), [8, 11, 13], [5, 6, 6])],
    ids=["larger", "thinner"],
)
def test_each_voxel_is_met_as_often_as_by_nnunets_rule(shape, size, patch):
    """The rule written out once more, axis by axis; within 0.03, four standard deviations of 4000 draws.

    Faces among them: with crops inside the volume these would be met in no draw at all.
    """
    step, draws = crop(crop_size=size, patch_size=patch).set_random_state(0), 4000
    met = torch.zeros(1 + math.prod(shape))
    for _ in range(draws):
        patch_of = centre(step({"image": numbered(shape)})["image"], patch)
        met[patch_of.long().unique()] += 1
    met = met[1:].reshape(shape).numpy() / draws

    rate = np.ones(shape)
    for axis, (side, c, p) in enumerate(zip(shape, size, patch, strict=True)):
        pad = max(c - p, c - side)
        corners = np.arange(-((pad + 1) // 2), side - c + pad // 2 + pad % 2 + 1) + (c - p) // 2
        along = [np.mean((corners <= x) & (x < corners + p)) for x in range(side)]
        rate *= np.reshape(along, [-1 if i == axis else 1 for i in range(3)])
    assert np.abs(met - rate).max() < 0.03
    for axis in range(3):
        for face in (0, -1):
            expected = float(np.take(rate, face, axis).mean())
            assert float(np.take(met, face, axis).mean()) == pytest.approx(expected, rel=0.15)
            assert expected > 0


def foreground(shape=SMALL) -> torch.Tensor:
    """Much of class 1, one voxel each of 2 and 3, in corners."""
    label = torch.zeros(1, *shape, dtype=torch.uint8)
    label[0, 2:7, 3:12, 3:12] = 1
    label[0, 0, 0, 0] = 2
    label[0, -1, -1, -1] = 3
    return label


def test_the_chosen_voxel_is_in_every_patch():
    """At its middle, or nearer the low border where the crop was moved; classes are drawn alike."""
    step = crop(on_foreground=True, keys=("image", "label")).set_random_state(0)
    case = ForegroundVoxelsd("label")({"image": numbered(), "label": foreground()})
    middles, classes, draws = 0, [], 900
    for _ in range(draws):
        result = step(case)
        assert set(result) == {"image", "label"}
        patch, voxel = centre(result["image"]), step.voxel
        (at,) = (patch[0] == numbered()[0][tuple(voxel)]).nonzero().tolist()
        middle = [c // 2 - (c - p) // 2 for c, p in zip(CROP, PATCH, strict=True)]
        moved = [start == first for start, (first, _) in zip(step.start, step.bounds(SMALL), strict=True)]
        assert all(a == m or (near and a < m) for a, m, near in zip(at, middle, moved, strict=True))
        middles += at == middle
        classes.append(int(foreground()[0][tuple(voxel)]))
    assert np.bincount(classes)[1:] / draws == pytest.approx([1 / 3] * 3, abs=0.06)
    assert 0.3 < middles / draws < 1
    assert 0 not in classes


def test_a_turned_patch_keeps_the_voxel_as_often_as_by_nnunets_rule():
    """Turned and scaled each in a fifth of the draws; beside the rule in a few lines, within 0.02."""
    shape, patch, draws = (12, 40, 40), [6, 20, 20], 3000
    size = enlarged_size(patch, rotation_range(True), True)
    step = RandNnUNetCropd("image", crop_size=size, patch_size=patch, on_foreground=True)
    turn = RandRotateScaled(
        "image", patch_size=patch, angles=rotation_range(True), in_plane=True, prob_rotate=0.5, prob_scale=0.5
    )
    step.set_random_state(0), turn.set_random_state(1)
    label = torch.zeros(1, *shape, dtype=torch.uint8)
    label[0, 6, :3, :] = 1
    stored = ForegroundVoxelsd("label")({"label": label})["label_voxels"]
    kept = 0
    for _ in range(draws):
        step.randomize(shape, stored)
        turn.randomize()
        inside = np.subtract(step.voxel, step.start) - (np.array(size) - 1) / 2
        back = inside if turn.matrix is None else np.linalg.inv(turn.matrix) @ inside
        kept += bool(np.all(np.abs(back[1:]) <= np.array(patch[1:]) / 2))

    random, expected = np.random.default_rng(2), 0
    for _ in range(draws):
        row, column = random.integers(3), random.integers(40)
        low = -((size[1] - patch[1] + 1) // 2)
        y, x = (at - max(at - size[1] // 2, low) - (size[1] - 1) / 2 for at in (row, column))
        if random.random() < 0.5:
            angle = random.uniform(-math.pi, math.pi)
            y, x = y * math.cos(angle) - x * math.sin(angle), y * math.sin(angle) + x * math.cos(angle)
        if random.random() < 0.5:
            scale = random.uniform(0.7, 1) if random.random() < 0.5 else random.uniform(1, 1.4)
            y, x = y / scale, x / scale
        expected += max(abs(y), abs(x)) <= patch[1] / 2
    assert 0.5 < expected / draws < 0.99
    assert kept / draws == pytest.approx(expected / draws, abs=0.02)


def test_cuts_all_keys_at_one_place_and_pads_with_zeros():
    step = crop(keys=("image", "label"))
    step.set_random_state(4)
    image = MetaTensor(numbered(), meta={"filename_or_obj": "a"})
    for _ in range(20):
        result = step({"image": image, "label": image.as_tensor().int(), "other": 1})
        assert torch.equal(result["image"].as_tensor().int(), result["label"])
        wide = torch.nn.functional.pad(image.as_tensor(), [20] * 6)
        there = [slice(20 + start, 20 + start + size) for start, size in zip(step.start, CROP, strict=True)]
        assert torch.equal(result["image"].as_tensor(), wide[(slice(None), *there)])
    assert result["image"].meta["filename_or_obj"] == "a"
    assert result["other"] == 1


def test_stored_voxels():
    """All of a small class; 10,000 of a larger one, a hundredth of a very large one; the same every time."""
    label = torch.zeros(1, 130, 120, 110, dtype=torch.uint8)
    label[0, :100] = 1
    label[0, 100:110] = 2
    label[0, 120, :5, 0] = 4
    once, again = (ForegroundVoxelsd("label")({"label": label})["label_voxels"] for _ in range(2))
    assert {value: len(voxels) for value, voxels in once.items()} == {1: 13_200, 2: 10_000, 4: 5}
    for value, voxels in once.items():
        assert np.array_equal(voxels, again[value])
        assert len(np.unique(voxels, axis=0)) == len(voxels)
        assert set(label[0][tuple(voxels.T)].tolist()) == {value}
    assert abs(once[2][:, 1].mean() - 59.5) < 2, "from all over the class"


def test_a_case_without_foreground_is_cropped_anywhere():
    step = crop(on_foreground=True, keys=("image", "label")).set_random_state(0)
    case = ForegroundVoxelsd("label")({"image": numbered(), "label": torch.zeros(1, *SMALL)})
    starts = set()
    for _ in range(200):
        step(case)
        starts.add(tuple(step.start))
    assert len(starts) > 100


@pytest.mark.parametrize("workers", [0, 2])
def test_forced_by_place_in_the_batch(workers):
    label = torch.zeros(1, 40, 40, 40)
    label[0, 20, 21, 22] = 1
    options = {"crop_size": [5, 5, 5], "patch_size": [3, 3, 3]}
    both = ByBatchPosition(
        RandNnUNetCropd("label", **options),
        RandNnUNetCropd("label", on_foreground=True, **options),
        batch_size=2,
        share=0.33,
    )
    data = Dataset([{"label": label}] * 12, Compose([ForegroundVoxelsd("label"), both]))
    torch.manual_seed(0)
    for batch in DataLoader(data, batch_size=2, num_workers=workers):
        assert [bool(one.any()) for one in batch["label"]] == [False, True]


def paper(name: str, **settings):
    """The bundle's paper.json on train.json, with other settings."""
    parser = parse_config(name, "train")
    for key, value in json.loads((bundle_folder(name) / "configs" / "paper.json").read_text()).items():
        if not key.startswith("+"):
            parser[key.replace("#", "::")] = value
    for key, value in settings.items():
        parser[key] = value
    return parser


@pytest.mark.parametrize("name", ["cotr", "kits21"])
def test_the_recipes_patches_reach_every_border(name):
    """And the second of every batch has foreground."""
    recipe = paper(name, patch_size=[6, 8, 8])
    assert recipe.get_parsed_content("crop_size") == enlarged_size([6, 8, 8], [math.pi / 6] * 3, False)
    steps = [recipe.get_parsed_content(key) for key in ("voxels", "crop")]
    shape = (20, 24, 24)
    label = torch.zeros(1, *shape, dtype=torch.uint8)
    label[0, 9, 11, 13] = 3
    image = numbered(shape)
    case = {"image": image, "label": label, "coarse_mask": label, "coarse_label": label}
    case = steps[0](case)
    met = torch.zeros(1 + math.prod(shape), dtype=torch.bool)
    steps[1].set_random_state(0)
    for i in range(600):
        result = steps[1](case)
        met[centre(result["image"], [6, 8, 8]).long()] = True
        assert i % 2 == 0 or (centre(result["label"], [6, 8, 8]) == 3).any()
    met = met[1:].reshape(shape)
    for axis in range(3):
        assert met.select(axis, 0).float().mean() > 0.5
        assert met.select(axis, -1).float().mean() > 0.5


def test_the_coarse_stage_draws_different_patches_of_small_scans():
    """Of a scan larger than the patch and smaller than its crop; the second of a batch has foreground."""
    size = [8, 8, 8]
    recipe = paper("kits21", coarse_patch_size=size)
    shape = (11, 10, 9)
    assert recipe.get_parsed_content("coarse_crop_size") == [12, 12, 12]
    label = torch.zeros(1, *shape, dtype=torch.uint8)
    label[0, 10, 9, 8] = 1
    case = {"coarse_image": numbered(shape), "coarse_label": label, "label": label}
    case = recipe.get_parsed_content("voxels")(case)
    step = recipe.get_parsed_content("coarse_crop").set_random_state(0)
    patches = []
    for i in range(60):
        result = step(case)
        patches.append(tuple(centre(result["coarse_image"], size).flatten().tolist()))
        assert i % 2 == 0 or centre(result["coarse_label"], size).any()
    assert len(set(patches[::2])) > 12, "of the 24 places"
