"""Fields in millimetres mean the same on every grid, and ITK can read their files."""

from __future__ import annotations

import nibabel as nib
import numpy as np
import pytest
import torch

from common.errors import InputError
from common.registration.field_file import read_field, write_field
from common.registration.warp import warp
from common.registration.world import (
    displacement_in_mm,
    displacement_in_voxels,
    resample_field,
    warp_in_world,
)

#: Anisotropic with flipped axes; permuted; tilted.
AFFINES = {
    "flipped": [[-2.0, 0, 0, 30], [0, 1.5, 0, -20], [0, 0, -4.0, 11], [0, 0, 0, 1]],
    "permuted": [[0, 0, 3.0, -9], [-1.5, 0, 0, 14], [0, 2.0, 0, 2], [0, 0, 0, 1]],
    "tilted": [[1.9, -0.6, 0.1, -9], [0.5, 1.4, -0.9, 4], [0.2, 0.4, 3.0, 2], [0, 0, 0, 1]],
}
SHAPE = (11, 12, 9)


def affine_of(name):
    return torch.tensor(AFFINES[name], dtype=torch.float64)


def smooth(seed=0):
    """An image (1, 1, *SHAPE) whose values are a linear function of its voxels."""
    axes = torch.meshgrid(*[torch.arange(n).double() for n in SHAPE], indexing="ij")
    weights = torch.rand(3, generator=torch.Generator().manual_seed(seed)).double()
    return sum(w * a for w, a in zip(weights, axes, strict=True))[None, None]


@pytest.mark.parametrize("name", AFFINES)
def test_round_trip(name):
    field = torch.randn(2, 3, *SHAPE).double()
    torch.testing.assert_close(
        displacement_in_voxels(displacement_in_mm(field, affine_of(name)), affine_of(name)), field
    )


@pytest.mark.parametrize("name", AFFINES)
def test_one_voxel_is_a_column_of_the_affine(name):
    field = torch.zeros(1, 3, *SHAPE)
    field[:, 1] = 1
    world = displacement_in_mm(field, affine_of(name))
    assert world[0, :, 3, 4, 5].tolist() == pytest.approx(affine_of(name)[:3, 1].tolist())


@pytest.mark.parametrize("name", AFFINES)
def test_on_one_grid_it_is_the_warp_in_voxels(name):
    image = torch.randn(1, 2, *SHAPE).double()
    field = torch.randn(1, 3, *SHAPE).double()
    found = warp_in_world(image, affine_of(name), displacement_in_mm(field, affine_of(name)), affine_of(name))
    torch.testing.assert_close(found, warp(image, field))
    assert torch.equal(warp_in_world(image, affine_of(name), 0 * field, affine_of(name)), image)


@pytest.mark.parametrize("fixed", AFFINES)
@pytest.mark.parametrize("moving", AFFINES)
def test_between_any_two_grids_a_point_moves_as_written(fixed, moving):
    """An image of its own world coordinates returns p + u(p)."""
    grid = torch.stack(torch.meshgrid(*[torch.arange(60.0).double() - 20 for _ in range(3)], indexing="ij"))
    shifted = affine_of(moving).clone()
    shifted[:3, 3] -= shifted[:3, :3] @ torch.full((3,), 20.0).double()
    world_of = torch.einsum("ij,j...->i...", affine_of(moving)[:3, :3], grid)
    world_of = (world_of + affine_of(moving)[:3, 3].reshape(3, 1, 1, 1))[None]
    here = torch.stack(torch.meshgrid(*[torch.arange(3.0).double() for _ in range(3)], indexing="ij"))[None]
    p = displacement_in_mm(here, affine_of(fixed)) + affine_of(fixed)[:3, 3].reshape(1, 3, 1, 1, 1)
    u = torch.randn(1, 3, 3, 3, 3, generator=torch.Generator().manual_seed(0)).double()
    found = warp_in_world(world_of, shifted, u, affine_of(fixed))
    seen = found.abs().sum(1, keepdim=True) > 0
    assert seen.float().mean() > 0.2
    torch.testing.assert_close(found * seen, (p + u) * seen)


@pytest.mark.parametrize("name", AFFINES)
def test_field_on_a_finer_grid(name):
    """At half the spacing the field keeps its values in mm and is linear in between."""
    affine = affine_of(name)
    fine = affine.clone()
    fine[:3, :3] /= 2
    field = smooth().expand(1, 3, *SHAPE)
    found = resample_field(field, affine, tuple(2 * n - 1 for n in SHAPE), fine)
    torch.testing.assert_close(found[..., ::2, ::2, ::2], field)
    torch.testing.assert_close(found[..., 1::2, :, :], (found[..., :-2:2, :, :] + found[..., 2::2, :, :]) / 2)


@pytest.mark.parametrize("name", AFFINES)
def test_file(name, tmp_path):
    """Five axes, intent 1007, components along L, P, S: each point goes where ITK would take it."""
    world = np.random.default_rng(0).normal(size=(*SHAPE, 3))
    write_field(tmp_path / "u.nii.gz", world, np.array(AFFINES[name]))
    nifti = nib.load(tmp_path / "u.nii.gz")
    assert nifti.shape == (*SHAPE, 1, 3)
    assert nifti.header.get_intent()[0] == "vector"
    assert nifti.header.get_xyzt_units()[0] == "mm"
    np.testing.assert_allclose(nifti.affine, AFFINES[name], atol=1e-5)
    stored = np.asarray(nifti.dataobj)[:, :, :, 0]
    np.testing.assert_allclose(stored, world * (-1, -1, 1), atol=1e-6)
    found, affine = read_field(tmp_path / "u.nii.gz")
    np.testing.assert_allclose(found, world, atol=1e-6)
    np.testing.assert_allclose(affine, AFFINES[name], atol=1e-5)


def test_file_without_vectors_is_refused(tmp_path):
    nib.save(nib.Nifti1Image(np.zeros((4, 4, 4, 3), np.float32), np.eye(4)), tmp_path / "x.nii.gz")
    with pytest.raises(InputError, match="expected a field"):
        read_field(tmp_path / "x.nii.gz")
    with pytest.raises(ValueError, match=r"expected \(X, Y, Z, 3\)"):
        write_field(tmp_path / "y.nii.gz", np.zeros((3, 4, 4, 4)), np.eye(4))
    assert not (tmp_path / "y.nii.gz").exists()
