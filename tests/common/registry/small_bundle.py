"""A complete bundle of one convolution, to be verified intact or with one fault at a time."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from common.files import write_json, write_text

NETWORK = '''"""One convolution."""

import torch
from torch import nn


class Small(nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = nn.Conv3d(1, 2, 3, padding=1)

    def forward(self, x):
        y = self.layer(x)
        # more
        return y
'''
_SHARED = {
    "bundle_root": ".",
    "dataset_dir": ".",
    "device": "$torch.device('cpu')",
    "network_def": {"_target_": "small.network.Small"},
    "network": "$@network_def.to(@device)",
}
_DATA = {"_target_": "Dataset", "data": [{"image": 0}]}
INFERENCE = {
    **_SHARED,
    "dataset": _DATA,
    "inferer": {"_target_": "SimpleInferer"},
    "evaluator": {
        "_target_": "SupervisedEvaluator",
        "device": "@device",
        "val_data_loader": {"_target_": "DataLoader", "dataset": "@dataset"},
        "network": "@network",
        "inferer": "$monai.inferers.SimpleInferer()",
    },
}
TRAIN = {
    **_SHARED,
    "train": {
        "dataset": _DATA,
        "inferer": {"_target_": "SimpleInferer"},
        "trainer": {
            "_target_": "SupervisedTrainer",
            "device": "@device",
            "max_epochs": 1,
            "train_data_loader": {"_target_": "DataLoader", "dataset": "@train#dataset"},
            "network": "@network",
            "optimizer": "$torch.optim.SGD(@network.parameters(), lr=0.1)",
            "loss_function": "$torch.nn.MSELoss()",
            "inferer": "$monai.inferers.SimpleInferer()",
        },
    },
}


def _tensor(channels: int) -> dict[str, Any]:
    return {
        "type": "image",
        "format": "segmentation",
        "num_channels": channels,
        "spatial_shape": ["8*n"] * 3,
        "dtype": "float32",
        "value_range": [],
        "channel_def": {},
    }


METADATA = {
    "schema": "https://example.org/schema.json",
    "version": "0.1.0",
    "changelog": {"0.1.0": "first"},
    **{key: "1.0" for key in ("monai_version", "pytorch_version", "numpy_version")},
    "required_packages_version": {},
    **{key: "A test." for key in ("task", "description", "authors", "copyright")},
    "network_data_format": {"inputs": {"image": _tensor(1)}, "outputs": {"pred": _tensor(2)}},
}


def write_small_bundle(folder: Path) -> Path:
    """The bundle's folder."""
    files = {"LICENSE": "MIT License\n", "docs/README.md": "# Small\n", "small/__init__.py": '"""Small."""\n'}
    for file, text in (files | {"small/network.py": NETWORK}).items():
        write_text(folder / file, text)
    for kind, config in (("metadata", METADATA), ("inference", INFERENCE), ("train", TRAIN)):
        write_json(folder / "configs" / f"{kind}.json", config)
    return folder


def change_config(folder: Path, kind: str, edit) -> None:
    """Pass a config through ``edit``, which changes it in place."""
    path = folder / "configs" / f"{kind}.json"
    config = json.loads(path.read_text())
    edit(config)
    write_json(path, config)


def change_network(folder: Path, more: str) -> None:
    """Another line in the network's forward pass."""
    write_text(folder / "small" / "network.py", NETWORK.replace("# more", more))
