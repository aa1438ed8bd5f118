"""Back to a scan's own grid: ours against MONAI's ``Invertd``, in time and in memory.

    python -m benchmarks.speed.own_grid            # a scan of 160 x 160 x 60 voxels, 14 and 55 classes
    python -m benchmarks.speed.own_grid --quick    # a small one: does it run?

Four ways from the network's probabilities to a label map: ``Invertd`` on labels by nearest neighbour; ours on
labels; ``Invertd`` on all class maps, linear, and then the likeliest class; ours on probabilities.  The last
two have to agree but for rounding.  Peak memory is beyond the network's output, the result included, in
volumes of the scan's size in float32.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from monai.data import MetaTensor
from monai.transforms import Compose, Invertd, Orientationd, Spacingd
from torch import Tensor

from benchmarks.speed.alone import Setting
from benchmarks.speed.memory import peak_bytes
from common.inference.decision import DecideOnOwnGridd

__all__ = ["main", "ways"]

SHAPE, CLASSES = (160, 160, 60), (14, 55)
QUICK, QUICK_CLASSES = (48, 40, 24), (5,)
SPACING, PLAN = (0.9, 0.9, 3.0), (3.0, 1.2, 1.2)  # mm: of the scan (R, A, S), of the network (S, P, L)
LARGEST_SHARE = 1e-4  # of voxels that may differ, by rounding


def ways(shape: Sequence[int], classes: int) -> dict[str, Callable[[], Tensor]]:
    """The four ways, on one prediction of round organs with blurred edges."""
    steps = Compose(
        [
            Orientationd("image", axcodes="SPL", labels=None),
            Spacingd("image", pixdim=PLAN, mode="bilinear"),
        ]
    )
    affine = torch.diag(torch.tensor([*SPACING, 1.0], dtype=torch.float64))
    image = steps({"image": MetaTensor(torch.zeros((1, *shape)), affine=affine)})["image"]
    probabilities = _organs(image.shape[1:], classes)
    linear, nearest = (
        Invertd("pred", transform=steps, orig_keys="image", nearest_interp=yes) for yes in (False, True)
    )

    def case(pred: Tensor) -> dict[str, Any]:
        return {"image": image, "pred": MetaTensor(pred)}

    def found(data: Mapping[Any, Any]) -> Tensor:
        return data["pred"].as_tensor()

    return {
        "Invertd, labels": lambda: found(nearest(case(probabilities.argmax(0, keepdim=True).float()))),
        "ours, labels": lambda: found(DecideOnOwnGridd("pred", resample="labels")(case(probabilities))),
        "Invertd, all class maps": lambda: found(linear(case(probabilities))).argmax(0, keepdim=True),
        "ours, probabilities": lambda: found(DecideOnOwnGridd("pred")(case(probabilities))),
    }


def _organs(sides: Sequence[int], classes: int) -> Tensor:
    """Probabilities (K, *sides): a ball for each class but the background."""
    rng = np.random.RandomState(0)
    axes = torch.meshgrid(*[torch.linspace(0, 1, n) for n in sides], indexing="ij")
    scores = torch.zeros((classes, *sides))
    for score in scores[1:]:
        radius = rng.uniform(0.05, 0.12)
        distance = sum((axis - rng.uniform(0.2, 0.8)) ** 2 for axis in axes) ** 0.5
        score.copy_((radius - distance) * 200)
    return scores.softmax(0)


def main(arguments: list[str] | None = None) -> None:
    """Measure all ways, alternating; print the medians; fail where the exact ones disagree."""
    setting = Setting.of_command("benchmarks.speed.own_grid", __doc__, arguments)
    shape, counts = (QUICK, QUICK_CLASSES) if setting.quick else (SHAPE, CLASSES)
    rows = [row for classes in counts for row in _measured(shape, classes, setting)]
    setting.write(rows)


def _measured(shape: Sequence[int], classes: int, setting: Setting) -> list[dict[str, Any]]:
    calls = ways(shape, classes)
    seconds = setting.medians(calls)
    _check(calls["ours, probabilities"](), calls["Invertd, all class maps"]())
    size, volume = " x ".join(map(str, shape)), 4 * int(np.prod(shape))
    rows = [
        {
            "size": size,
            "classes": classes,
            "way": way,
            "seconds": seconds[way],
            "peak_volumes": peak_bytes(call, warm_up=False) / volume,
        }
        for way, call in calls.items()
    ]
    for row in rows:
        what = f"{size}, {classes} classes, {row['way']}"
        print(f"{what}: {row['seconds']:.3g} s, {row['peak_volumes']:.3g} volumes")
    return rows


def _check(ours: Tensor, theirs: Tensor) -> None:
    share = float((ours != theirs).float().mean())
    if share > LARGEST_SHARE:
        raise SystemExit(f"{share:.1e} of the voxels differ; expected {LARGEST_SHARE:.0e} at the most")


if __name__ == "__main__":
    main()
