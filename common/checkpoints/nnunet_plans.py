"""What nnU-Net version 1 writes beside its weights: spacing, patch and intensities, from ``plans.pkl``.

The file is a pickle; it is read by :mod:`common.checkpoints.plain_pickle`, which runs nothing of it.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from common.checkpoints.plain_pickle import read_plain_pickle
from common.errors import InputError

__all__ = ["CONFIGURATIONS", "read_nnunet_plans"]

#: Names of nnU-Net's configurations, as its folders have them.
CONFIGURATIONS = ("3d_lowres", "3d_fullres", "3d_cascade_fullres")
_CT = ("CT", "ct")


def read_nnunet_plans(path: str | Path, configuration: str = "3d_fullres") -> dict[str, Any]:
    """The part of a plan that inference needs.

    Args:
        path: ``plans.pkl``.
        configuration: one of :data:`CONFIGURATIONS`; of a plan with two stages the first is "3d_lowres".

    Returns:
        ``spacing`` (mm) and ``patch_size`` (voxels) in the order of the network's axes, which is the order of
        the stored arrays, (z, y, x), unless the plan turns them; ``intensity`` per channel as in
        ``plan.json``: ``{"scheme": "ct", "clip": [0.5 and 99.5 percentile], "mean", "sd"}`` or
        ``{"scheme": "zscore"}``; ``num_classes`` with background; ``turned``, the order of the stored axes
        in the network's.

    Raises:
        InputError: no such file, or not such a plan; no code of the file has run.
    """
    if configuration not in CONFIGURATIONS:
        raise InputError(f"{configuration}: expected one of {', '.join(CONFIGURATIONS)}")
    held = read_plain_pickle(path)
    try:
        stages = held["plans_per_stage"]
        stage = stages[min(stages) if configuration == "3d_lowres" else max(stages)]
        plan = {
            "spacing": [_above_zero(mm) for mm in stage["current_spacing"]],
            "patch_size": [int(_above_zero(side)) for side in stage["patch_size"]],
            "intensity": [_intensity(held, channel) for channel in range(int(held["num_modalities"]))],
            "num_classes": int(held["num_classes"]) + 1,
            "turned": [int(axis) for axis in held.get("transpose_forward", (0, 1, 2))],
        }
        if not len(plan["spacing"]) == len(plan["patch_size"]) == 3 or sorted(plan["turned"]) != [0, 1, 2]:
            raise ValueError("not of three axes")
    except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError) as error:
        raise InputError(
            f"{path}: is no plan of nnU-Net version 1 ({type(error).__name__}: {error}); expected the "
            "plans.pkl that lies beside the weights"
        ) from error
    return plan


def _above_zero(value: Any) -> float:
    number = float(value)
    if not 0 < number < math.inf:
        raise ValueError(f"{number} where a length belongs")
    return round(number, 4)


def _intensity(plan: Mapping[str, Any], channel: int) -> dict[str, Any]:
    scheme = plan.get("normalization_schemes", plan["modalities"])[channel]
    if scheme not in _CT:
        return {"scheme": "zscore"}
    found = plan["dataset_properties"]["intensityproperties"][channel]
    clip = [float(found["percentile_00_5"]), float(found["percentile_99_5"])]
    mean, sd = float(found["mean"]), _above_zero(found["sd"])
    if not (clip[0] < clip[1] and math.isfinite(mean)):
        raise ValueError(f"intensities from {clip[0]} to {clip[1]}, mean {mean}")
    return {"scheme": "ct", "clip": clip, "mean": mean, "sd": sd}
