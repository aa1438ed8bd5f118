"""Pictures of more classes than others have: segrap2023/docs/method.md#pictures."""

from __future__ import annotations

import warnings

import numpy as np
import torch
from monai.data import MetaTensor
from PIL import Image

import common  # noqa: F401 (makes bundles importable)
from common.evaluation.drawing.curves import draw_curves
from common.evaluation.drawing.overlays import draw_slices

NAMES = {value: f"TemporalLobe_L+Hippocampus_{value}" for value in range(1, 55)}


def test_the_legend_of_54_classes_leaves_room_for_the_slices(tmp_path):
    values = np.kron(np.arange(56).reshape(8, 7, 1) % 55, np.ones((6, 6, 4)))
    label = MetaTensor(torch.from_numpy(values)[None].float(), affine=np.diag([-2.0, 2.0, 3.0, 1.0]))
    with warnings.catch_warnings():
        warnings.filterwarnings("error", message=".*axes sizes collapsed.*")
        draw_slices(label, {"prediction": label}, NAMES, tmp_path / "preview.png")
        rows = [{"epoch": epoch, **dict.fromkeys(NAMES.values(), 0.5)} for epoch in (1, 2)]
        draw_curves(rows, tmp_path / "curves.png", {"dice": list(NAMES.values())})
    width, height = Image.open(tmp_path / "preview.png").size
    assert width / height < 6
