"""What nnU-Net planned for the 120 cases, as the organisers' plans.pkl has it; axes (z, y, x).

Source: segrap2023/docs/method.md#network.
"""

from __future__ import annotations

from typing import Any

from common.errors import InputError

__all__ = ["plan_of"]

_FLAT, _CUBE = [1, 3, 3], [3, 3, 3]
_PLANE, _ALL = [1, 2, 2], [2, 2, 2]
_FULL = [3.0, 0.542, 0.542]

#: Task and resolution -> spacing in mm, patch, kernels of each stage, strides between them.
_PLANS: dict[tuple[str, str], dict[str, Any]] = {
    ("organs", "full"): {
        "spacing": _FULL,
        "patch_size": [28, 224, 224],
        "kernels": [_FLAT, _FLAT, _CUBE, _CUBE, _CUBE, _CUBE],
        "strides": [_PLANE, _PLANE, _ALL, _ALL, _PLANE],
    },
    ("organs", "low"): {
        "spacing": [3.886, 1.956, 1.956],
        "patch_size": [64, 192, 160],
        "kernels": [_CUBE] * 6,
        "strides": [_ALL, _ALL, _ALL, _ALL, _PLANE],
    },
    ("tumours", "full"): {
        "spacing": _FULL,
        "patch_size": [28, 256, 256],
        "kernels": [_FLAT, _FLAT, _CUBE, _CUBE, _CUBE, _CUBE, _CUBE],
        "strides": [_PLANE, _PLANE, _ALL, _ALL, _PLANE, _PLANE],
    },
    ("tumours", "low"): {
        "spacing": [3.661, 1.843, 1.843],
        "patch_size": [64, 192, 192],
        "kernels": [_CUBE] * 6,
        "strides": [_ALL, _ALL, _ALL, _ALL, _PLANE],
    },
}
_WIDTHS = [32, 64, 128, 256, 320, 320, 320]


def plan_of(task: str, resolution: str) -> dict[str, Any]:
    """``spacing``, ``patch_size``, ``kernels``, ``strides`` and ``widths`` of a network.

    Args:
        task: "organs" or "tumours".
        resolution: "full" or "low".

    Raises:
        InputError: there is no such plan.
    """
    if (task, resolution) not in _PLANS:
        known = ", ".join(f"{one} at {other}" for one, other in _PLANS)
        raise InputError(f"nnunet.json: {task} at {resolution!r} resolution; expected one of: {known}")
    plan = _PLANS[task, resolution]
    return {**plan, "widths": _WIDTHS[: len(plan["kernels"])]}
