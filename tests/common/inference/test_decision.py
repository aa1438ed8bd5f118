"""Probabilities brought to a scan's own grid, and what is chosen there."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
import torch
from monai.data import MetaTensor
from monai.transforms import CenterSpatialCropd, Compose, Invertd, Orientation, Orientationd, Spacingd
from scipy.ndimage import map_coordinates

from benchmarks.speed.memory import peak_bytes
from common.errors import InputError
from common.inference import votes
from common.inference.decision import (
    DecideOnOwnGridd,
    Vote,
    decide_on_own_grid,
    exceeded_half,
    likeliest,
    mean_on_own_grid,
)
from common.inference.own_grid import OwnGrid, own_grid
from common.transforms.planned import label_steps
from tests.common.inference.scans import affine_of, preprocessing, scan

SHAPE = (13, 16, 11)
SCANS = {
    "flipped": affine_of("LPS", SHAPE, (2.0, 2.0, 3.0)),
    "permuted": affine_of("AIL", SHAPE, (1.0, 2.5, 2.0)),
    "oblique": affine_of("PIR", SHAPE, (2.0, 1.6, 3.0), turned=(12, -7, 25)),
    "sheared": affine_of("RAS", SHAPE, (2.0, 1.5, 2.5), shear=0.2),
}
PLANS = {"finer": (1.7, 1.2, 1.4), "coarser": (4.0, 3.0, 2.9), "slices": (6.1, 1.5, 1.3)}


def softmax(image: torch.Tensor, classes: int, seed: int = 0) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return (2 * torch.randn((classes, *image.shape[1:]), generator=generator)).softmax(0)


def places(grid: OwnGrid) -> np.ndarray:
    """Positions of the scan's voxels on the network's grid: (3, *T)."""
    index = np.stack(np.meshgrid(*map(np.arange, grid.shape), [1.0], indexing="ij"))[..., 0]
    return np.einsum("ij,j...->i...", grid.matrix, index)[:3]


def whole_volumes(scores: torch.Tensor, grid: OwnGrid) -> np.ndarray:
    """Every channel interpolated to all the scan's voxels, by SciPy in float64: (K, *T)."""
    at = places(grid)
    for axis in grid.nearest:
        at[axis] = np.round(np.clip(at[axis], 0, scores.shape[1 + axis] - 1))
    return np.stack([map_coordinates(s.double().numpy(), at, order=1, mode="nearest") for s in scores])


def assert_equal_but_for_rounding(found: np.ndarray, expected: np.ndarray, doubtful: np.ndarray) -> None:
    """``doubtful``: where float32 may decide differently from float64."""
    assert doubtful.mean() < 0.001
    assert np.array_equal(found[~doubtful], expected[~doubtful])


@pytest.mark.parametrize("plan", PLANS)
@pytest.mark.parametrize("name", SCANS)
def test_classes_equal_those_from_whole_volumes(name, plan):
    image = preprocessing(PLANS[plan])({"image": scan(SHAPE, SCANS[name])})["image"]
    scores, grid = softmax(image, 5), own_grid(image)
    assert grid.nearest == ({0} if plan == "slices" else set())
    volumes = whole_volumes(scores, grid)
    found = decide_on_own_grid(scores, grid)
    assert found.dtype == torch.uint8
    first, second = np.sort(volumes, axis=0)[[-1, -2]]
    assert_equal_but_for_rounding(found.numpy(), volumes.argmax(0), first - second < 1e-6)
    assert len(np.unique(found)) == 5


@pytest.mark.parametrize("name", SCANS)
def test_classes_equal_those_from_inverting_all_channels(name):
    """With MONAI's ``Invertd``, all channels in memory at once."""
    steps = Compose(
        [
            Orientationd("image", axcodes="SPL", labels=None),
            Spacingd("image", pixdim=(1.7, 1.2, 1.4), mode="bilinear"),
        ]
    )
    image = steps({"image": scan(SHAPE, SCANS[name])})["image"]
    scores = softmax(image, 4)
    back = Invertd("pred", transform=steps, orig_keys="image", nearest_interp=False)
    theirs = back({"image": image, "pred": MetaTensor(scores)})["pred"]
    ours = DecideOnOwnGridd("pred")({"image": image, "pred": MetaTensor(scores)})["pred"]
    first, second = theirs.as_tensor().sort(0).values[[-1, -2]]
    assert_equal_but_for_rounding(
        ours[0].numpy(), theirs.as_tensor().argmax(0).numpy(), (first - second < 1e-5).numpy()
    )
    np.testing.assert_allclose(ours.affine, theirs.affine, atol=1e-9)
    assert ours.applied_operations == theirs.applied_operations == []
    assert ours.meta["filename_or_obj"] == "a scan.nii.gz"


@pytest.mark.parametrize("name", SCANS)
def test_ties_go_to_the_first_class(name):
    """Of two channels equal everywhere, the later is never chosen; nothing else changes."""
    image = preprocessing((1.7, 1.2, 1.4))({"image": scan(SHAPE, SCANS[name])})["image"]
    scores, grid = softmax(image, 3), own_grid(image)
    twice = torch.cat([scores, scores[1:2]])
    assert torch.equal(decide_on_own_grid(twice, grid), decide_on_own_grid(scores, grid))
    level = torch.full_like(scores, 1 / 3)
    assert not decide_on_own_grid(level, grid).any()


@pytest.mark.parametrize("name", SCANS)
def test_each_region_is_where_it_exceeds_one_half(name):
    image = preprocessing((1.7, 1.2, 1.4))({"image": scan(SHAPE, SCANS[name])})["image"]
    scores = torch.rand((3, *image.shape[1:]), generator=torch.Generator().manual_seed(0))
    volumes = whole_volumes(scores, own_grid(image))
    found = DecideOnOwnGridd("pred", regions=True)({"image": image, "pred": scores})["pred"]
    assert found.shape == (3, *SHAPE)
    assert found.dtype == torch.uint8
    assert_equal_but_for_rounding(found.numpy(), volumes > 0.5, np.abs(volumes - 0.5) < 1e-6)
    assert (found[2] > found[1]).any(), "regions need not be nested"


@pytest.mark.parametrize("name", SCANS)
def test_exactly_one_half_does_not_count(name):
    """Next to a region whose surface is everywhere."""
    image = preprocessing((1.7, 1.2, 1.4))({"image": scan(SHAPE, SCANS[name])})["image"]
    scores = torch.rand((2, *image.shape[1:]), generator=torch.Generator().manual_seed(0))
    scores[1] = 0.5
    found = decide_on_own_grid(scores, own_grid(image), exceeded_half)
    assert set(found.unique().tolist()) == {0, 1}


def test_many_classes_and_regions_do_not_overflow():
    grid = OwnGrid(shape=(4, 4, 4), affine=np.eye(4), matrix=np.eye(4))
    last = torch.zeros((300, 4, 4, 4))
    last[299] = 1
    assert (decide_on_own_grid(last, grid) == 299).all()
    assert (decide_on_own_grid(last[-20:], grid, exceeded_half) == 2**19).all()
    assert likeliest(last[:256]).dtype == torch.uint8


@pytest.mark.parametrize("name", SCANS)
def test_labels_equal_those_from_invertd(name):
    steps = preprocessing((1.7, 1.2, 1.4))
    image = steps({"image": scan(SHAPE, SCANS[name])})["image"]
    scores = softmax(image, 4)
    chosen = MetaTensor(scores.argmax(0, keepdim=True).float())
    theirs = Invertd("pred", transform=steps, orig_keys="image")({"image": image, "pred": chosen})["pred"]
    ours = DecideOnOwnGridd("pred", resample="labels")({"image": image, "pred": scores})["pred"]
    midway = (np.abs(places(own_grid(image)) % 1 - 0.5) < 1e-3).any(axis=0)  # may go to either voxel
    assert midway.mean() < 0.3
    assert np.array_equal(ours[0].numpy()[~midway], theirs[0].numpy()[~midway])


def test_scan_already_on_the_networks_grid():
    """Nothing is resampled: the network's choice stands, voxel for voxel."""
    image = Orientation("SPL", labels=None)(scan(SHAPE, SCANS["oblique"]))
    scores = softmax(image, 6)
    found = DecideOnOwnGridd("pred")({"image": image, "pred": scores})["pred"]
    back = Orientation("PIR", labels=None)(MetaTensor(scores.argmax(0)[None], affine=image.affine))
    assert torch.equal(found[0].long(), back.as_tensor()[0])


def test_beyond_a_crop_is_background():
    steps = Compose([CenterSpatialCropd("image", roi_size=(5, 6, 7))])
    image = steps({"image": scan(SHAPE, SCANS["flipped"])})["image"]
    scores = torch.zeros((2, *image.shape[1:]))
    scores[1] = 1
    for resample in ("probabilities", "labels"):
        found = DecideOnOwnGridd("pred", resample=resample)({"image": image, "pred": scores})["pred"]
        assert found.shape == (1, *SHAPE)
        assert int(found.sum()) == 5 * 6 * 7


def test_half_precision_and_strides():
    image = preprocessing((1.7, 1.2, 1.4))({"image": scan(SHAPE, SCANS["permuted"])})["image"]
    scores, grid = softmax(image, 4), own_grid(image)
    half = scores.half()
    assert torch.equal(decide_on_own_grid(half, grid), decide_on_own_grid(half.float(), grid))
    strided = scores.permute(1, 2, 3, 0).contiguous().permute(3, 0, 1, 2)
    assert torch.equal(decide_on_own_grid(strided, grid), decide_on_own_grid(scores, grid))


# -- The score of a perfect prediction -----------------------------------------------------------------------


def ball(radius: float, spacing, centre) -> torch.Tensor:
    """Mask (1, R, A, S) of a ball in mm."""
    sides = [round(2 * (radius + 8) / s) for s in spacing]
    places = [np.arange(n) * s - n * s / 2 - c for n, s, c in zip(sides, spacing, centre, strict=True)]
    grid = np.meshgrid(*places, indexing="ij", sparse=True)
    return torch.from_numpy((sum(x**2 for x in grid) < radius**2)[None].astype(np.float32))


def dice_of_a_perfect_prediction(radius, spacing, plan, centre, *, soft, regions, resample) -> float:
    mask = ball(radius, spacing, centre)
    label = MetaTensor(mask, affine=torch.diag(torch.tensor([*spacing, 1.0])).double())
    image = preprocessing(plan)({"image": label.clone()})["image"]
    turned = Orientation("SPL", labels=None)(label.clone())
    share = label_steps(plan)(turned).as_tensor().clamp(0, 1)
    share = share if soft else (share >= 0.5).float()
    scores = share if regions else torch.cat([1 - share, share])
    decide = DecideOnOwnGridd("pred", regions=regions, resample=resample)
    found = decide({"image": image, "pred": scores})["pred"].as_tensor()
    return float(2 * (found * mask).sum() / (found.sum() + mask.sum()))


CEILINGS = {  # radius, scan (R, A, S), plan (S, P, L) in mm; a bound that labels alone do not reach
    "organ": (12, (0.9, 0.9, 3.0), (3.0, 0.76, 0.76), 0.999),
    "tumor": (6, (0.8, 0.8, 1.0), (0.78, 0.78, 0.78), 0.99),
}


@pytest.mark.parametrize("soft", [True, False], ids=["shares", "one-hot"])
@pytest.mark.parametrize("regions", [False, True], ids=["classes", "regions"])
@pytest.mark.parametrize("case", CEILINGS)
def test_ceiling_of_a_perfect_prediction(case, regions, soft):
    radius, spacing, plan, bound = CEILINGS[case]
    centres = np.random.RandomState(0).uniform(-0.5, 0.5, (4, 3))
    scores = {
        resample: [
            dice_of_a_perfect_prediction(
                radius, spacing, plan, centre, soft=soft, regions=regions, resample=resample
            )
            for centre in centres
        ]
        for resample in ("probabilities", "labels")
    }
    assert min(scores["probabilities"]) > bound
    assert max(scores["labels"]) < bound


# -- What it costs ------------------------------------------------------------------------------------------


CHANNELS = {"3 classes": (3, likeliest), "55 classes": (55, likeliest), "7 regions": (7, exceeded_half)}


@pytest.mark.parametrize(
    ("channels", "shear"), [*((name, 0.0) for name in CHANNELS), ("3 classes", 0.02)], ids=str
)
def test_memory_is_below_two_volumes(channels, shear):
    """In the worst case, where every slab must be interpolated (the first few); result included."""
    shape, net = (32, 40, 36), (42, 35, 40)
    matrix = np.diag([*[(m - 1) / (n - 1) for m, n in zip(net, shape, strict=True)], 1.0])
    matrix[0, 1] = shear
    grid = OwnGrid(shape=shape, affine=np.eye(4), matrix=matrix)
    number, rule = CHANNELS[channels]
    scores = torch.zeros((number, *net))
    scores[:, :9] = torch.rand((number, 9, *net[1:]), generator=torch.Generator().manual_seed(0))
    peak = peak_bytes(lambda: decide_on_own_grid(scores, grid, rule), warm_up=False)
    assert peak < 2 * 4 * np.prod(shape), f"{peak / np.prod(shape):.2f} bytes a voxel"


def test_unknown_mode_is_an_error():
    with pytest.raises(InputError, match="resample = 'label'; expected one of: probabilities, labels"):
        DecideOnOwnGridd("pred", resample="label")


def test_input_is_left_unchanged():
    image = preprocessing((1.7, 1.2, 1.4))({"image": scan(SHAPE, SCANS["oblique"])})["image"]
    scores = softmax(image, 3)
    before, records = scores.clone(), len(image.applied_operations)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = DecideOnOwnGridd("pred")({"image": image, "pred": MetaTensor(scores)})["pred"]
    assert torch.equal(scores, before)
    assert len(image.applied_operations) == records
    assert found.meta is not image.meta


def tilted_plane(side: int) -> tuple[torch.Tensor, OwnGrid]:
    """Two classes with one oblique surface between them, on a grid half a voxel off the scan's."""
    axis = torch.arange(side, dtype=torch.float32)
    distance = axis[:, None, None] + 0.6 * axis[:, None] + 0.3 * axis - 0.95 * side
    scores = torch.stack([-distance, distance]).softmax(0)
    matrix = np.eye(4)
    matrix[:3, 3] = 0.5
    return scores, OwnGrid(shape=(side,) * 3, affine=np.eye(4), matrix=matrix, nearest=frozenset())


def test_only_the_cells_that_a_surface_cuts_are_interpolated():
    scores, grid = tilted_plane(40)
    points = 0

    def rule(probabilities):
        nonlocal points
        points += probabilities.shape[1] if probabilities.ndim == 2 else 0
        return likeliest(probabilities)

    decide_on_own_grid(scores, grid, rule)
    assert 1000 < points < 0.15 * 40**3


def test_large_scans_are_handled_in_small_parts(monkeypatch):
    """Whatever is handled at once has an upper limit, and the limits change no voxel."""
    scores, grid = tilted_plane(40)
    expected = decide_on_own_grid(scores, grid)
    monkeypatch.setattr(votes, "_SLAB_VOXELS", 12_000)
    monkeypatch.setattr(votes, "_NUMBERS", 50)
    _, large = tilted_plane(100)
    slabs = [np.prod([part.stop - part.start for part in slab]) for slab in votes.slabs_of(large)]
    assert max(slabs) <= 12_000
    largest = 0

    def rule(probabilities):
        nonlocal largest
        largest = max(largest, probabilities.numel() if probabilities.ndim == 2 else 0)
        return likeliest(probabilities)

    assert torch.equal(decide_on_own_grid(scores, grid, rule), expected)
    assert 0 < largest <= 50


def test_the_outermost_voxels_reach_half_a_voxel_beyond_their_centres():
    """Of a crop: what lies further outside is background, on coarser and finer scans alike."""
    matrix = np.diag([0.25, 0.25, 0.25, 1.0])
    matrix[:3, 3] = -1.0
    grid = OwnGrid(shape=(24,) * 3, affine=np.eye(4), matrix=matrix, nearest=frozenset())
    scores = torch.stack([torch.zeros(4, 4, 4), torch.ones(4, 4, 4)])
    found = decide_on_own_grid(scores, grid).bool().numpy()
    at = places(grid)
    inside = ((at >= -0.5) & (at <= 3.5)).all(0)
    assert np.array_equal(found, inside)


def test_pictures_too():
    """Two axes instead of three."""
    steps = Compose([Spacingd("image", pixdim=(1.7, 1.2), mode="bilinear")])
    picture = MetaTensor(torch.rand(1, 13, 16), affine=torch.diag(torch.tensor([2.0, 1.5, 1.0])))
    image = steps({"image": picture})["image"]
    scores = softmax(image, 4)
    back = Invertd("pred", transform=steps, orig_keys="image", nearest_interp=False)
    theirs = back({"image": image, "pred": MetaTensor(scores)})["pred"].as_tensor()
    ours = DecideOnOwnGridd("pred")({"image": image, "pred": MetaTensor(scores)})["pred"]
    first, second = theirs.sort(0).values[[-1, -2]]
    doubtful = (first - second < 1e-4).numpy()
    assert np.array_equal(ours[0].numpy()[~doubtful], theirs.argmax(0).numpy()[~doubtful])
    assert doubtful.mean() < 0.02


@pytest.mark.parametrize("rule", [likeliest, exceeded_half])
@pytest.mark.parametrize("name", ["flipped", "sheared"])
def test_the_mean_of_several_grids_equals_that_of_whole_volumes(name, rule):
    scanned = scan(SHAPE, SCANS[name])
    images = [preprocessing(spacing)({"image": scanned})["image"] for spacing in PLANS.values()]
    grids = [own_grid(image) for image in images]
    scores = [softmax(image, 4, seed) for seed, image in enumerate(images)]
    weights = [1.0, 2.0, 0.5]
    votes = [Vote(*one) for one in zip(scores, grids, weights, strict=True)]
    whole = [whole_volumes(*one) * weight for *one, weight in zip(scores, grids, weights, strict=True)]
    mean = np.sum(whole, axis=0) / sum(weights)
    found = decide_on_own_grid(scores[0], grids[0], rule, further=votes[1:]).numpy()
    if rule is likeliest:
        ranked = np.sort(mean, axis=0)
        assert_equal_but_for_rounding(found, mean.argmax(0), ranked[-1] - ranked[-2] < 1e-5)
    else:
        expected = sum((channel > 0.5).astype(int) << r for r, channel in enumerate(mean))
        assert_equal_but_for_rounding(found, expected, (np.abs(mean - 0.5) < 1e-5).any(0))
    collected = np.zeros((4, *grids[0].shape))
    for voxels, values in mean_on_own_grid(scores[0], grids[0], further=votes[1:]):
        collected[(slice(None), *voxels)] = values.numpy()
    np.testing.assert_allclose(collected, mean, atol=1e-5)


def test_votes_that_agree_change_nothing():
    """One network twice, with whatever weight, and in either order."""
    scores, grid = tilted_plane(20)
    expected = decide_on_own_grid(scores, grid)
    assert torch.equal(decide_on_own_grid(scores, grid, further=[Vote(scores, grid)]), expected)
    other = Vote(1 - scores, grid, 0.5)
    assert torch.equal(decide_on_own_grid(scores, grid, further=[other]), expected)
    assert not torch.equal(decide_on_own_grid(scores, grid, further=[Vote(1 - scores, grid, 2.0)]), expected)


def test_a_grid_that_does_not_reach_votes_for_the_background():
    scores, grid = tilted_plane(20)
    foreground = torch.stack([torch.full(scores.shape[1:], 0.4), torch.full(scores.shape[1:], 0.6)])
    half = Vote(foreground[:, :10], grid)
    found = decide_on_own_grid(foreground, grid, further=[half])
    reached = decide_on_own_grid(half.probabilities, grid) == 1
    assert reached.any()
    assert not reached.all()
    assert torch.equal(found == 1, reached)
    regions = decide_on_own_grid(
        foreground[1:], grid, exceeded_half, further=[Vote(half.probabilities[1:], grid)]
    )
    assert torch.equal(regions == 1, reached)


def test_votes_that_cannot_be_averaged():
    scores, grid = tilted_plane(20)
    with pytest.raises(InputError, match='resample = "labels" with several networks'):
        decide_on_own_grid(scores, grid, resample="labels", further=[Vote(scores, grid)])
    with pytest.raises(ValueError, match=r"a vote of 3 channels .* expected 2 "):
        decide_on_own_grid(scores, grid, further=[Vote(torch.cat([scores, scores[:1]]), grid)])
