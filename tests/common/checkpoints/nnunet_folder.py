"""A model folder as nnU-Net version 1 writes it, with everything that its plan is pickled with."""

from __future__ import annotations

import pickle
from collections import OrderedDict
from pathlib import Path
from typing import Any

import numpy as np


def plans(**changed: Any) -> dict[str, Any]:
    """Of two stages, CT; axes turned so that the slices come first."""

    def stage(spacing, patch):
        return {
            "batch_size": 2,
            "num_pool_per_axis": [5, 5, 5],
            "patch_size": np.array(patch),
            "median_patient_size_in_voxels": np.array([128, 256, 256]),
            "current_spacing": np.array(spacing),
            "original_spacing": np.array([0.78, 0.78, 0.78]),
            "do_dummy_2D_data_aug": False,
            "pool_op_kernel_sizes": [[2, 2, 2]] * 5,
            "conv_kernel_sizes": [[3, 3, 3]] * 6,
        }

    intensities = {
        "mean": np.float64(104.5),
        "sd": np.float32(75.25),
        "median": 100.0,
        "mn": np.float64(-200),
        "mx": np.float64(900),
        "percentile_00_5": np.float64(-73.0),
        "percentile_99_5": np.float64(304.0),
        "local_props": OrderedDict(case_00000={"mean": np.float64(1)}),
    }
    return {
        "num_stages": 2,
        "num_modalities": 1,
        "modalities": {0: "CT"},
        "normalization_schemes": OrderedDict([(0, "CT")]),
        "dataset_properties": {
            "all_sizes": [(1, 2, 3)],
            "all_spacings": [np.array([3.0, 0.8, 0.8])],
            "all_classes": np.arange(1, 4),
            "size_reductions": OrderedDict(case_00000=np.float64(0.5)),
            "intensityproperties": OrderedDict([(0, intensities)]),
        },
        "original_spacings": [np.array([0.8, 0.8, 3.0])],
        "list_of_npz_files": ["/home/somebody/case_00000.npz"],
        "num_classes": 3,
        "all_classes": [1, 2, 3],
        "transpose_forward": [2, 0, 1],
        "transpose_backward": [1, 2, 0],
        "use_mask_for_norm": OrderedDict([(0, False)]),
        "keep_only_largest_region": None,
        "min_size_per_class": None,
        "plans_per_stage": OrderedDict(
            [
                (0, stage([1.99, 1.99, 1.99], [128, 128, 128])),
                (1, stage([0.78, 0.7825, 0.78], [96, 160, 128])),
            ]
        ),
        **changed,
    }


def write_plans(path: Path, protocol: int = 4, **changed: Any) -> Path:
    """``plans.pkl``; old NumPy's names of modules, which these files have."""
    content = pickle.dumps(plans(**changed), protocol=protocol)
    path.parent.mkdir(parents=True, exist_ok=True)
    if protocol < 4:
        content = content.replace(b"cnumpy._core.multiarray\n", b"cnumpy.core.multiarray\n")
    path.write_bytes(content)
    return path
