import numpy as np
import pytest
import torch

from common.evaluation.metrics.nested import EMPTY_DISTANCE, NestedDice, NestedSurfaceDistance
from common.evaluation.metrics.structure import EMeasure, SMeasure, e_measure, s_measure


def square(low, high, size=20):
    mask = torch.zeros(1, size, size, dtype=torch.uint8)
    mask[:, low:high, low:high] = 1
    return mask


def values(metric, pred, label):
    metric([pred], [label])
    return metric.get_buffer()[0].tolist()


def test_dice_by_hand():
    label = square(4, 12) + square(6, 8)
    pred = torch.cat([square(4, 12), square(6, 10)])
    disc, cup = values(NestedDice(3), pred, label)
    assert disc == 1
    assert cup == pytest.approx(2 * 4 / (16 + 4))


def test_dice_counts_a_cup_outside_the_disc():
    """Channels are scored separately, as published, not as the written label map."""
    label = square(4, 12) + square(6, 8)
    pred = torch.cat([square(4, 12), square(6, 8) | square(16, 18)])
    assert values(NestedDice(3), pred, label)[1] == pytest.approx(2 * 4 / (8 + 4))


def test_dice_of_nothing_is_one():
    assert values(NestedDice(2), square(0, 0), square(0, 0)) == [1]
    assert values(NestedDice(2), square(0, 3), square(0, 0))[0] < 1e-6


def test_distance_is_directed_and_in_pixels():
    small, large = square(8, 12), square(2, 18)
    outwards = values(NestedSurfaceDistance(2), small, large)[0]
    inwards = values(NestedSurfaceDistance(2), large, small)[0]
    assert outwards == pytest.approx(6)
    assert inwards > 6.3  # the corners are farther away
    assert values(NestedSurfaceDistance(2), small, small) == [0]


@pytest.mark.parametrize("pred", [square(0, 0), square(0, 20)])
def test_distance_of_nothing_and_of_everything(pred):
    assert values(NestedSurfaceDistance(2), pred, square(3, 9)) == [EMPTY_DISTANCE]
    assert values(NestedSurfaceDistance(2), square(3, 9), pred) == [EMPTY_DISTANCE]


def test_different_number_of_channels():
    with pytest.raises(ValueError, match="expected 2"):
        NestedDice(3)([square(1, 3)], [square(1, 3)])


def test_perfect_prediction():
    truth = square(4, 12)[0].numpy()
    assert e_measure(truth, truth) == pytest.approx(1, abs=0.01)
    assert s_measure(truth, truth) == pytest.approx(1, abs=0.02)


def test_measures_fall_with_the_error():
    truth = square(4, 12)[0].numpy()
    shifted = [square(4 + d, 12 + d)[0].numpy() for d in range(5)]
    for measure in (e_measure, s_measure):
        scores = [measure(pred, truth) for pred in shifted]
        assert scores == sorted(scores, reverse=True)
        assert scores[-1] < scores[0] - 0.2


def test_e_measure_by_hand():
    truth, pred = np.array([[1.0, 0.0]]), np.array([[0.0, 1.0]])
    assert e_measure(pred, truth) == pytest.approx(0, abs=1e-6)  # aligned: -1 everywhere
    # Two of four right: deviations 1/2 and 3/4 or 1/4, in the order of the pixels.
    truth, pred = np.array([[1.0, 1.0, 0.0, 0.0]]), np.array([[1.0, 0.0, 0.0, 0.0]])
    others = [2 * sign * 0.125 / (0.0625 + 0.25) for sign in (-1, 1, 1)]
    aligned = np.array([2 * 0.75 * 0.5 / (0.75**2 + 0.5**2), *others])
    assert e_measure(pred, truth) == pytest.approx(((aligned + 1) ** 2 / 4).sum() / 3, abs=1e-6)


def test_empty_and_full_references():
    empty, full, some = np.zeros((4, 4)), np.ones((4, 4)), square(1, 3, 4)[0].numpy()
    assert e_measure(empty, empty) == pytest.approx(0)  # an empty map counts as full, as published
    assert e_measure(empty, full) == pytest.approx(16 / 15, abs=1e-6)  # W * H - 1, as published
    assert e_measure(empty, some) == pytest.approx(0.25 * 16 / 15, abs=1e-6)
    assert e_measure(some, empty) == pytest.approx(12 / 15, abs=1e-6)
    assert s_measure(some, empty) == pytest.approx(12 / 16)
    assert s_measure(some, full) == pytest.approx(4 / 16)


def test_object_part_by_hand():
    """alpha = 1: half of the truth found, nothing else: O(fg) = 2m / (m^2 + 1 + sd) with m = sd = 1/2."""
    truth = np.zeros((4, 4))
    truth[:, :2] = 1
    pred = np.zeros((4, 4))
    pred[:, :1] = 1
    assert s_measure(pred, truth, alpha=1.0) == pytest.approx(0.5 * (1 / (0.25 + 1 + 0.5)) + 0.5 * 1)


def test_as_metrics():
    pred, label = torch.cat([square(4, 12), square(6, 10)]), square(4, 12) + square(6, 10)
    for metric in (EMeasure(3), SMeasure(3)):
        assert values(metric, pred, label) == pytest.approx([1, 1], abs=0.05)


def test_s_measure_is_not_cut_at_zero():
    """A map that is everywhere the opposite: quadrants have negative covariance."""
    truth = np.indices((6, 6)).sum(axis=0) % 2.0
    assert s_measure(1 - truth, truth) < 0
