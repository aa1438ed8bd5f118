"""Boundary targets of BA-Net's patches: ours against an erosion by SciPy for each label.

    python -m benchmarks.speed.boundary_targets            # the two published patches
    python -m benchmarks.speed.boundary_targets --quick    # a small one: does it run?

The definition takes, for every label value but the last, the union of what lies above it and the union's
erosion by a full 3 x 3 x 3 neighbourhood.  Ours seeks the smallest neighbour once for all labels.  Both must
give the same boundaries.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import torch
from scipy.ndimage import binary_erosion

from benchmarks.speed.alone import Setting
from common.transforms.boundary import inner_boundary

__all__ = ["eroded", "label_map", "main"]

PATCHES = {"abdomen": ((64, 160, 160), 16), "kidney": ((160, 128, 112), 5)}  # voxels, classes
QUICK = {"quick": ((24, 32, 32), 5)}


def label_map(shape: Sequence[int], classes: int) -> np.ndarray:
    """Balls that touch and overlap, one for each class but the background; uint8."""
    rng = np.random.RandomState(0)
    axes = np.meshgrid(*[np.linspace(0, 1, n) for n in shape], indexing="ij", sparse=True)
    label = np.zeros(shape, np.uint8)
    for value in range(1, classes):
        centre, radius = rng.uniform(0.2, 0.8, 3), rng.uniform(0.08, 0.2)
        label[sum((axis - c) ** 2 for axis, c in zip(axes, centre, strict=True)) < radius**2] = value
    return label


def eroded(label: np.ndarray) -> np.ndarray:
    """The boundaries by their definition, one erosion a label."""
    boundary, cube = np.zeros(label.shape, bool), np.ones((3,) * label.ndim, bool)
    for value in np.unique(label)[:-1]:
        union = label > value
        boundary |= union & ~binary_erosion(union, cube, border_value=1)
    return boundary


def main(arguments: list[str] | None = None) -> None:
    """Measure both, alternating, and print the medians; fail where a voxel differs."""
    setting = Setting.of_command("benchmarks.speed.boundary_targets", __doc__, arguments)
    rows = []
    for name, (shape, classes) in (QUICK if setting.quick else PATCHES).items():
        label = label_map(shape, classes)
        patch = torch.from_numpy(label)[None, None]
        calls: dict[str, Callable[[], object]] = {
            "scipy": lambda label=label: eroded(label),
            "ours": lambda patch=patch: inner_boundary(patch),
        }
        if not np.array_equal(inner_boundary(patch)[0, 0].numpy(), eroded(label)):
            raise SystemExit(f"{name}: the boundaries differ; expected the same ones")
        seconds = setting.medians(calls)
        size = " x ".join(map(str, shape))
        row = {"patch": name, "size": size, "classes": classes, **seconds}
        rows.append({**row, "ratio": seconds["ours"] / seconds["scipy"]})
        print(
            f"{name}, {size}, {classes} classes: SciPy {seconds['scipy']:.3g} s, "
            f"ours {seconds['ours']:.3g} s, ratio {rows[-1]['ratio']:.3f}"
        )
    setting.write(rows)


if __name__ == "__main__":
    main()
