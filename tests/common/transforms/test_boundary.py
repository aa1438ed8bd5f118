"""Inner boundaries against the definition by nested unions and their erosions."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.ndimage import grey_erosion

from common.transforms.boundary import inner_boundary


def by_definition(label: np.ndarray) -> np.ndarray:
    """Each nested union less its erosion, one after the other; beyond the border nothing is eroded."""
    shells = np.zeros(label.shape, dtype=bool)
    for value in np.unique(label)[:-1]:
        union = label > value
        padded = np.pad(union, 1, constant_values=True)
        inner = grey_erosion(padded, size=(3,) * label.ndim)[(slice(1, -1),) * label.ndim]
        shells |= union & ~inner
    return shells


@pytest.mark.parametrize("shape", [(17, 19), (1, 5), (9, 11, 13)])
@pytest.mark.parametrize("values", [(0, 1), (0, 1, 2, 3), (2, 5, 7), (4,)])
def test_shells_of_nested_unions(shape, values):
    blocks = np.random.default_rng(0).choice(values, [side // 3 + 1 for side in shape])
    label = np.kron(blocks, np.ones([3] * len(shape), dtype=int))[tuple(map(slice, shape))]
    found = inner_boundary(torch.from_numpy(label)[None, None])
    assert found.dtype == torch.bool
    assert np.array_equal(found[0, 0].numpy(), by_definition(label))


def test_a_structure_cut_by_the_border_has_no_boundary_there():
    label = torch.zeros(1, 1, 6, 6)
    label[..., :4] = 1
    assert inner_boundary(label)[0, 0].nonzero()[:, 1].unique().tolist() == [3]
    assert not inner_boundary(torch.ones(1, 1, 6, 6)).any()


def test_touching_structures_have_their_boundary_on_the_larger_value():
    label = torch.tensor([0, 1, 1, 1, 2, 2, 2, 0]).expand(1, 1, 5, 8)
    assert inner_boundary(label)[0, 0, 2].tolist() == [False, True, False, False, True, False, True, False]


def test_other_shapes_are_refused():
    with pytest.raises(ValueError, match=r"two or three axes"):
        inner_boundary(torch.zeros(1, 6, 6))
