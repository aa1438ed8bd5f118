"""Where a scan's voxels lie on a network's grid, according to MONAI's records."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from monai.data import MetaTensor
from monai.transforms import (
    BorderPadd,
    CenterSpatialCropd,
    Compose,
    CropForegroundd,
    DivisiblePadd,
    Invertd,
    Orientationd,
    Spacingd,
    SpatialPadd,
    Transposed,
    Zoomd,
)

from common.inference.own_grid import own_grid
from common.transforms.planned import planned_spacing
from tests.common.inference.scans import affine_of

SHAPE = (14, 17, 19)
SPACE = Spacingd("image", pixdim=(1.3, 2.1, 1.9), mode="bilinear")
STEPS = {
    "turned": [Orientationd("image", axcodes="SPL", labels=None)],
    "resampled": [SPACE],
    "padded": [BorderPadd("image", spatial_border=(2, 0, 3)), SPACE],
    "cropped": [CenterSpatialCropd("image", roi_size=(9, 11, 16)), SPACE],
    "cropped to what is there": [
        CropForegroundd("image", "image", select_fn=lambda x: x > 4, margin=9),
        SPACE,
    ],
    "transposed": [SPACE, Transposed("image", (0, 3, 1, 2))],
    "all": [
        SpatialPadd("image", spatial_size=(20, 17, 22), method="end"),
        Orientationd("image", axcodes="PIR", labels=None),
        SPACE,
        DivisiblePadd("image", k=4),
        CenterSpatialCropd("image", roi_size=(12, 12, 12)),
    ],
}
AFFINES = {
    "RAS": affine_of("RAS", SHAPE, (1.0, 2.0, 3.0)),
    "LPI": affine_of("LPI", SHAPE, (1.0, 2.0, 3.0)),
    "SPL": affine_of("SPL", SHAPE, (2.0, 1.0, 1.5)),
    "oblique": affine_of("AIL", SHAPE, (2.0, 1.0, 1.5), turned=(12, -7, 25)),
    "sheared": affine_of("RAS", SHAPE, (2.0, 1.0, 1.5), shear=0.2),
}


def numbered(affine: np.ndarray) -> MetaTensor:
    """Each voxel's own index and a 1, which linear interpolation carries along exactly."""
    index = np.stack(np.meshgrid(*map(np.arange, SHAPE), indexing="ij"))
    values = torch.from_numpy(np.concatenate([index, np.ones((1, *SHAPE))]).astype(np.float32))
    return MetaTensor(values, affine=torch.tensor(affine))


@pytest.mark.parametrize("affine", AFFINES)
@pytest.mark.parametrize("steps", STEPS)
def test_voxels_are_where_their_numbers_went(steps, affine):
    """An image of voxel numbers goes through the steps; their inverse matrix predicts its values."""
    image = Compose(STEPS[steps])({"image": numbered(AFFINES[affine])})["image"]
    grid = own_grid(image)
    assert grid.shape == SHAPE
    np.testing.assert_allclose(grid.affine, AFFINES[affine], atol=1e-9)
    at = np.stack(np.meshgrid(*map(np.arange, image.shape[1:]), [1.0], indexing="ij"))[..., 0]
    expected = np.einsum("ij,j...->i...", np.linalg.inv(grid.matrix), at)[:3]
    # Beyond the outermost centres MONAI repeats the edge, of scan or crop, or pads with zeros.
    held = image[:3].numpy()
    whole = image[3].numpy() > 1 - 1e-5
    inside = whole.copy()
    for values, place in zip(held, expected, strict=True):
        inside &= (place > values[whole].min()) & (place < values[whole].max())
    assert inside.sum() > 100
    np.testing.assert_allclose(held[:, inside], expected[:, inside], atol=2e-4)


def test_grid_equals_invertds():
    steps = Compose(STEPS["all"])
    image = steps({"image": numbered(AFFINES["oblique"])})["image"]
    data = {"image": image, "pred": MetaTensor(image.as_tensor()[:1])}
    theirs = Invertd("pred", transform=steps, orig_keys="image")(data)["pred"]
    grid = own_grid(image)
    assert theirs.shape[1:] == grid.shape
    np.testing.assert_allclose(theirs.affine, grid.affine, atol=1e-9)


def test_reading_changes_nothing():
    image = Compose(STEPS["all"])({"image": numbered(AFFINES["LPI"])})["image"]
    records, affine = len(image.applied_operations), image.affine.clone()
    own_grid(image)
    assert len(image.applied_operations) == records
    assert torch.equal(image.affine, affine)


@pytest.mark.parametrize("axcodes", ["SPL", "PLS"])
def test_axis_of_nearest_slices(axcodes):
    """Where the plan's coarsest axis was resampled by nearest neighbour, and not where it was left alone."""
    spacing = [1.0, 1.0, 1.0]
    spacing[axcodes.index("S")] = 5.0
    steps = [Orientationd("image", axcodes=axcodes, labels=None), planned_spacing("image", spacing)]
    for across, expected in ((3.0, {axcodes.index("S")}), (5.0, set())):
        affine = affine_of("LPS", SHAPE, (2.0, 2.0, across))
        image = Compose(steps)({"image": numbered(affine)})["image"]
        assert own_grid(image).nearest == expected


def test_axis_of_nearest_slices_after_a_transposition():
    steps = [planned_spacing("image", (1.0, 1.0, 5.0)), Transposed("image", (0, 3, 1, 2))]
    image = Compose(steps)({"image": numbered(affine_of("RAS", SHAPE, (2.0, 2.0, 3.0)))})["image"]
    assert own_grid(image).nearest == {0}


def test_untouched_image():
    grid = own_grid(numbered(AFFINES["oblique"]))
    assert grid.shape == SHAPE
    assert np.array_equal(grid.matrix, np.eye(4))


@pytest.mark.parametrize("step", [Zoomd("image", zoom=1.2)])
def test_step_that_is_not_known_is_named(step):
    image = Compose([step])({"image": numbered(AFFINES["RAS"])})["image"]
    with pytest.raises(ValueError, match=r"Zoom.*expected orientation, spacing, padding"):
        own_grid(image)
