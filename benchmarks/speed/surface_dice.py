"""KiTS21's six numbers of one case, ours against MONAI's on the same masks: time, and that they are equal.

    python -m benchmarks.speed.surface_dice            # a CT of 512 x 512 x 100 voxels
    python -m benchmarks.speed.surface_dice --quick    # a small one: does it run?

Two pairs of label maps: a prediction near its reference, and the same with one stray piece in a far corner,
which makes the box of both masks as large as the volume.  MONAI's way is ``compute_dice`` and
``compute_surface_dice(use_subvoxels=True)`` on the three nested regions of the whole volume.
"""

from __future__ import annotations

import importlib
import statistics
import warnings
from collections.abc import Callable, Sequence

import numpy as np
import torch
from monai.metrics import compute_dice, compute_surface_dice

import common  # noqa: F401 (puts the bundles on sys.path)
from benchmarks.speed.alone import Setting

metrics = importlib.import_module("kits21.metrics")  # once common has made it findable
regions = importlib.import_module("kits21.regions")

__all__ = ["label_pair", "main", "monai_scores", "our_scores"]

SHAPE, SPACING = (100, 512, 512), (3.0, 0.78, 0.78)  # z, y, x
QUICK = (40, 96, 96)
# Of the volume's extent: centre and half axes of both kidneys, and on them a tumor and a cyst.
SOLIDS = (
    ((0.5, 0.55, 0.32), (0.24, 0.11, 0.085), 1),
    ((0.5, 0.55, 0.68), (0.24, 0.11, 0.085), 1),
    ((0.42, 0.5, 0.27), (0.1, 0.07, 0.06), 2),
    ((0.6, 0.62, 0.72), (0.07, 0.05, 0.04), 3),
)
LARGEST_DIFFERENCE = 1e-6  # MONAI sums areas in float32


def label_pair(shape: Sequence[int], *, stray: bool) -> tuple[np.ndarray, np.ndarray]:
    """Reference and prediction (Z, Y, X) uint8; the prediction's solids are moved and grown a little."""
    rng = np.random.RandomState(0)
    axes = [(np.arange(n, dtype=np.float32) + 0.5) / n for n in shape]
    grid = np.meshgrid(*axes, indexing="ij", sparse=True)
    labels = []
    for error in (0.0, 1.0):
        label = np.zeros(shape, np.uint8)
        for centre, radii, value in SOLIDS:
            moved = np.array(centre) + error * rng.uniform(-0.004, 0.004, 3)
            grown = np.array(radii) * (1 + error * rng.uniform(-0.04, 0.04, 3))
            level = sum(((g - c) / r) ** 2 for g, c, r in zip(grid, moved, grown, strict=True))
            label[level < 1] = value
        labels.append(label)
    if stray:
        labels[1][2:5, 3:8, 4:9] = 2
    return labels[0], labels[1]


def our_scores(reference: np.ndarray, prediction: np.ndarray) -> list[float]:
    """The six numbers by the bundle."""
    return list(metrics.score_case(prediction, reference, SPACING).values())


def monai_scores(reference: np.ndarray, prediction: np.ndarray) -> list[float]:
    """The six numbers by MONAI, no region being empty."""
    masks = [torch.from_numpy(regions.region_masks(label))[None] for label in (prediction, reference)]
    tolerances = [region.tolerance for region in regions.REGIONS]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        overlap = compute_dice(*masks, include_background=True)
        surface = compute_surface_dice(
            *masks, tolerances, include_background=True, spacing=SPACING, use_subvoxels=True
        )
    return [*overlap[0].tolist(), *surface[0].tolist()]


def main(arguments: list[str] | None = None) -> None:
    """Measure both, alternating, print the medians and the largest difference; fail if they differ."""
    setting = Setting.of_command("benchmarks.speed.surface_dice", __doc__, arguments)
    shape = QUICK if setting.quick else SHAPE
    size = " x ".join(str(n) for n in reversed(shape))
    rows = []
    for what, stray in (("near", False), ("with a stray piece", True)):
        row = {
            "what": what,
            "size": size,
            **_measured(label_pair(shape, stray=stray), setting.repeats, setting.clock),
        }
        rows.append(row)
        print(
            f"{size}, {what}: MONAI {row['monai_seconds']:.3g} s, ours {row['our_seconds']:.3g} s, "
            f"ratio {row['our_seconds'] / row['monai_seconds']:.3f}, "
            f"largest difference {row['largest_difference']:.1e}"
        )
    setting.write(rows)
    if not all(row["largest_difference"] <= LARGEST_DIFFERENCE for row in rows):
        raise SystemExit(f"the values differ by more than {LARGEST_DIFFERENCE}")


def _measured(
    pair: tuple[np.ndarray, np.ndarray], repeats: int, clock: Callable[[], float]
) -> dict[str, float | list[float]]:
    ways = {"monai": monai_scores, "our": our_scores}
    seconds: dict[str, list[float]] = {way: [] for way in ways}
    values: dict[str, list[float]] = {}
    for _ in range(repeats):
        for way, scores in ways.items():
            began = clock()
            values[way] = scores(*pair)
            seconds[way].append(clock() - began)
    difference = max(abs(a - b) for a, b in zip(values["our"], values["monai"], strict=True))
    return {
        **{f"{way}_seconds": statistics.median(spent) for way, spent in seconds.items()},
        "largest_difference": difference,
        "values": values["our"],
    }


if __name__ == "__main__":
    main()
