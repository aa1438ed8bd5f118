"""Deformable attention: what holds for any weights (cotr/docs/method.md#how-to-know-it-works)."""

from __future__ import annotations

import pytest
import torch

from common.blocks.deformable import (
    AXIS_ORDERS,
    DeformableAttention3d,
    DeformableEncoderLayer,
    reference_points,
)

SHAPES = [[4, 6, 8], [2, 3, 4]]
TOKENS = 4 * 6 * 8 + 2 * 3 * 4


def _attention(axis_order: str = "paper", **options) -> DeformableAttention3d:
    return DeformableAttention3d(24, heads=6, levels=2, points=4, axis_order=axis_order, **options)


def _reference(axis_order: str = "paper") -> torch.Tensor:
    return reference_points(SHAPES, AXIS_ORDERS[axis_order], torch.device("cpu"))[None, :, None, :]


def _identity_on_own_level(axis_order: str) -> tuple[torch.Tensor, torch.Tensor]:
    """Offsets 0, all weight on the first level, identity projections: the attention's output."""
    attention = _attention(axis_order)
    with torch.no_grad():
        attention.sampling_offsets.bias.zero_()
        attention.attention_weights.bias.view(6, 2, 4)[:, 0] = 50.0
        for projection in (attention.value_proj, attention.output_proj):
            projection.weight.copy_(torch.eye(24))
    value = torch.randn(1, TOKENS, 24, generator=torch.Generator().manual_seed(0))
    own = slice(0, 4 * 6 * 8)
    with torch.no_grad():
        output = attention(value[:, own], _reference(axis_order)[:, own], value, SHAPES)
    return output, value[:, own]


def test_fresh_attention_is_uniform_on_its_grid():
    attention = _attention()
    query = torch.randn(2, 5, 24)
    offsets = attention.sampling_offsets(query).view(2, 5, 6, 2, 4, 3)
    weights = attention.attention_weights(query).view(2, 5, 6, 8).softmax(-1)
    assert torch.equal(weights, torch.full_like(weights, 1 / 8))
    torch.testing.assert_close(offsets[0, 0, 0, 0, 2], torch.tensor([3.0, 0, 0]), rtol=0, atol=1e-6)
    torch.testing.assert_close(offsets[1, 3, 1, 1, 0], torch.tensor([2 / 3, 0.5774, 1]), rtol=0, atol=1e-4)
    torch.testing.assert_close(offsets[0, 1, 3, 0, 3], torch.tensor([-4.0, 0, 0]), rtol=0, atol=1e-5)


def test_grid_axes_give_the_directions_of_transdodnet():
    """(sin t cos t, cos t, sin t sin t): head 0 points along the second component."""
    attention = DeformableAttention3d(24, heads=8, levels=3, points=4, grid_axes=(1, 0, 2))
    grid = attention.sampling_offsets.bias.view(8, 3, 4, 3)
    torch.testing.assert_close(grid[0, 1, 1], torch.tensor([0.0, 2, 0]), rtol=0, atol=1e-6)


def test_a_token_samples_around_its_own_voxel():
    output, value = _identity_on_own_level("paper")
    torch.testing.assert_close(output, value, rtol=1e-5, atol=1e-5)


def test_published_order_samples_elsewhere_on_maps_that_are_not_cubes():
    output, value = _identity_on_own_level("published")
    assert (output - value).abs().max() > 0.5


@pytest.mark.parametrize("axis_order", ["paper", "published"])
def test_one_layer_is_local(axis_order):
    """A value changes the output only where one of at most 8 points x 8 corners is its voxel."""
    attention = _attention(axis_order)
    value = torch.randn(1, TOKENS, 24)
    query = torch.randn(1, TOKENS, 24)
    changed = value.clone()
    changed[0, 100] += 1
    with torch.no_grad():
        before, after = (attention(query, _reference(axis_order), v, SHAPES) for v in (value, changed))
    touched = int(((before - after).abs().amax(-1) > 1e-6).sum())
    assert 0 < touched <= TOKENS // 2


def test_fixed_offset_units_replace_the_level_sizes():
    """TransDoDNet's published code divides by constants: twice the unit is half the step."""
    sizes = [
        _attention(offset_units=units)._offset_units(SHAPES, torch.zeros(1)) for units in ((64, 32), (32, 16))
    ]
    assert torch.equal(sizes[0], 2 * sizes[1])
    assert sizes[0].flatten().tolist() == [64.0] * 3 + [32.0] * 3


def test_custom_level_sizes_follow_the_axis_order():
    for order, expected in (("paper", [8.0, 6, 4]), ("published", [4.0, 8, 6])):
        assert _attention(order)._offset_units(SHAPES, torch.zeros(1))[0, 0].tolist() == expected


def test_errors_name_the_given_values():
    with pytest.raises(ValueError, match="channels=25 is no multiple of heads=6"):
        DeformableAttention3d(25, heads=6, levels=2, points=4)
    with pytest.raises(ValueError, match=r"'zyx'.*paper.*published"):
        _attention("zyx")
    with pytest.raises(ValueError, match="1 offset_units for levels=2"):
        _attention(offset_units=(64,))


def test_residual_scale_weighs_the_input():
    """DeepNorm: LN(a x + sub(x)) tends to LN(x) as a grows."""
    torch.manual_seed(0)
    x, position = torch.randn(1, TOKENS, 24), torch.zeros(1, TOKENS, 24)
    outputs = []
    for scale in (1.0, 1e4):
        torch.manual_seed(1)
        layer = DeformableEncoderLayer(_attention(), 24, feedforward=48, residual_scale=scale).eval()
        with torch.no_grad():
            outputs.append(layer(x, position, _reference(), SHAPES))
    normalised = torch.nn.functional.layer_norm(x, (24,))
    torch.testing.assert_close(outputs[1], normalised, rtol=0, atol=1e-2)
    assert (outputs[0] - normalised).abs().max() > 0.1
