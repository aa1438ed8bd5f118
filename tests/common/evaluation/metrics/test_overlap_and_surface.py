"""The four metrics against their definitions written out voxel by voxel."""

from __future__ import annotations

import itertools
import math
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from ignite.engine import Engine
from monai.data import MetaTensor
from monai.handlers import IgniteMetricHandler, from_engine

from common.evaluation.metrics.overlap_and_surface import (
    AverageSurfaceDistance,
    DiceCoefficient,
    EmptyPrediction,
    JaccardIndex,
    PooledHausdorffDistance95,
)
from common.evaluation.tables import CaseTable

METRICS = (DiceCoefficient, JaccardIndex, PooledHausdorffDistance95, AverageSurfaceDistance)


def brute_surface(mask):
    """Voxels of the mask with a face on the background or the volume's border."""
    points = []
    for index in np.argwhere(mask):
        for axis, step in itertools.product(range(mask.ndim), (-1, 1)):
            other = index.copy()
            other[axis] += step
            outside = other[axis] < 0 or other[axis] >= mask.shape[axis]
            if outside or not mask[tuple(other)]:
                points.append(index)
                break
    return np.array(points, float)


def brute_force(pred, truth, spacing):
    a, b = (brute_surface(mask) * spacing for mask in (pred, truth))
    distances = np.linalg.norm(a[:, None] - b[None], axis=-1)
    there, back = distances.min(axis=1), distances.min(axis=0)
    ordered = np.sort(np.concatenate([there, back]))
    rank = 0.95 * (len(ordered) - 1)
    low, high = ordered[math.floor(rank)], ordered[math.ceil(rank)]
    both, either = (pred & truth).sum(), (pred | truth).sum()
    return (
        2 * both / (pred.sum() + truth.sum()),
        both / either,
        low + (high - low) * (rank - math.floor(rank)),
        there.mean(),
    )


def blobs(shape, seed):
    """Two ragged, partly overlapping masks that touch the volume's border."""
    rng = np.random.default_rng(seed)
    grid = np.indices(shape) - rng.uniform(0.3, 0.7, (len(shape), *[1] * len(shape))) * np.reshape(
        shape, (-1, *[1] * len(shape))
    )
    near = np.sqrt((grid**2).sum(axis=0)) < 0.4 * max(shape)
    return [near & (rng.random(shape) < share) for share in (0.9, 0.7)]


def values(metric, pred, truth, spacing=None):
    """(K - 1,) for the last case that the metric has seen."""
    label = torch.from_numpy(truth.astype(np.int64))[None, None]
    if spacing is not None:
        label = MetaTensor(label, affine=torch.diag(torch.tensor([*spacing, 1.0])))
    metric(torch.from_numpy(pred.astype(np.int64))[None, None], label)
    row = metric.get_buffer()[-1]
    return row.tolist()


@pytest.mark.parametrize("shape", [(9, 7, 6), (5, 12, 4), (11, 8)])
@pytest.mark.parametrize("seed", range(4))
def test_equal_to_the_definition(shape, seed):
    pred, truth = blobs(shape, seed)
    expected = brute_force(pred, truth, np.ones(len(shape)))
    for metric, value in zip(METRICS, expected, strict=True):
        assert values(metric(2), pred, truth) == [pytest.approx(value, abs=1e-12)]


def test_millimetres_by_the_affine():
    pred, truth = blobs((8, 7, 6), 5)
    spacing = (0.5, 2.0, 3.0)
    expected = brute_force(pred, truth, np.array(spacing))
    in_voxels = brute_force(pred, truth, np.ones(3))
    for metric, value, voxels in zip(METRICS[2:], expected[2:], in_voxels[2:], strict=True):
        assert values(metric(2, in_mm=True), pred, truth, spacing) == [pytest.approx(value)]
        assert values(metric(2), pred, truth, spacing) == [pytest.approx(voxels)]


def test_one_direction_and_both():
    """A distant speck counts in the pooled percentile, and in the average only from its own side."""
    truth = np.zeros((30, 5, 5), bool)
    truth[2:5, 1:4, 1:4] = True
    pred = truth.copy()
    pred[28, 2, 2] = True
    surface = 26  # all of 27 voxels but the middle one
    assert values(AverageSurfaceDistance(2), pred, truth) == [pytest.approx(24 / (surface + 1))]
    assert values(AverageSurfaceDistance(2), truth, pred) == [0.0]
    assert values(PooledHausdorffDistance95(2), pred, truth) == [0.0]  # 1 of 53
    pred[20:, 2, 2] = True
    distances = [0.0] * 2 * surface + [float(x - 4) for x in range(20, 30)]
    assert values(PooledHausdorffDistance95(2), pred, truth) == [pytest.approx(np.percentile(distances, 95))]


def test_empty_masks():
    some, none = np.ones((3, 3, 3), bool), np.zeros((3, 3, 3), bool)
    for metric in METRICS:
        assert values(metric(2), none, some) == [0.0]
        assert math.isnan(values(metric(2), none, none)[0])
    for metric in METRICS[:2]:
        assert values(metric(2), some, none) == [0.0]
    for metric in METRICS[2:]:
        assert math.isnan(values(metric(2), some, none)[0])
    counted = EmptyPrediction(2)
    for pred, truth in ((none, some), (some, some), (none, none), (some, none)):
        values(counted, pred, truth)
    assert counted.get_buffer().ravel().tolist() == [1.0, 0.0, 0.0, 0.0]
    assert float(counted.aggregate()) == 0.25


def test_classes_are_independent():
    rng = np.random.default_rng(0)
    pred, truth = rng.integers(0, 3, (2, 6, 5, 4))
    for index, metric in enumerate(METRICS):
        expected = [brute_force(pred == c, truth == c, np.ones(3))[index] for c in (1, 2)]
        assert values(metric(3), pred, truth) == pytest.approx(expected)


def test_in_an_evaluation_with_its_table(tmp_path, capsys):
    """As evaluate.json uses them: metric handlers of an engine, and the table of its cases."""
    pairs = [blobs((7, 6, 5), seed) for seed in range(3)]
    pairs.append((np.zeros_like(pairs[0][1]), pairs[0][1]))

    def step(engine, cases):
        index = cases[0]["number"]
        pred, truth = (torch.from_numpy(mask.astype(np.int64))[None] for mask in pairs[index])
        image = SimpleNamespace(meta={"filename_or_obj": f"/d/{index}.nii.gz"})
        return [{"image": image, "pred": pred, "label": truth}]

    engine = Engine(step)
    engine.state.metric_details = {}
    names = ("dice", "jaccard", "hd95", "asd", "empty")
    for name, metric in zip(names, (*METRICS, EmptyPrediction), strict=True):
        IgniteMetricHandler(metric_fn=metric(2), output_transform=from_engine(["pred", "label"])).attach(
            engine, name
        )
    CaseTable(tmp_path, {1: "left atrium"}).attach(engine)
    engine.run([[{"number": index}] for index in range(4)])
    expected = np.array([brute_force(*pair, np.ones(3)) for pair in pairs[:3]] + [[0.0] * 4])
    assert [engine.state.metrics[name] for name in names[:4]] == pytest.approx(expected.mean(axis=0).tolist())
    assert engine.state.metrics["empty"] == 0.25
    assert "left atrium" in capsys.readouterr().out
