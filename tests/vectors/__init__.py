"""Reference vectors: numbers that the authors' own code computes, and how tests compare with them.

A vector is ``<name>.json`` (every entry of the published state dict, how the network was built) and
``<name>.npz`` (inputs ``in/*``, outputs ``out/*``).  Weights are not stored: they follow from key
and shape (``fill``).  The environment variable ``VECTORS_DIR`` names another folder, with the same vectors
for other weights and inputs.

A bundle adds a few lines:

    def test_network():
        vector = load("cotr")
        network = CoTr(out_channels=12, axis_order="published").eval()
        network.load_state_dict(from_authors(vector.state))
        vector.compare({"ds2": network(vector.inputs["x"])})
"""

from __future__ import annotations

import json
import os
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

RTOL = 1e-4  # float32, sums in another order


def folder() -> Path:
    return Path(os.environ.get("VECTORS_DIR") or Path(__file__).parent)


def fill(key: str, shape: tuple[int, ...], dtype: str, salt: str = "") -> np.ndarray:
    """The weights of one entry, from its key: the same on every machine."""
    noise = np.random.RandomState(zlib.crc32((salt + key).encode())).standard_normal(shape)
    leaf = key.rsplit(".", 1)[-1]
    if leaf == "running_var":
        value = 0.75 + 0.25 * np.abs(noise)
    elif leaf == "running_mean":
        value = 0.1 * noise
    elif len(shape) >= 2:
        value = noise / np.sqrt(max(int(np.prod(shape[1:])), 1))
    elif leaf == "bias" or not shape:
        value = 0.1 * noise
    else:  # one-dimensional weights: norms, scales
        value = 1.0 + 0.1 * noise
    return np.asarray(value, dtype=dtype)


@dataclass(frozen=True)
class Vector:
    name: str
    state: dict[str, Tensor]  # integer entries (counters, index buffers) are the network's own
    inputs: dict[str, Tensor]
    outputs: dict[str, Tensor]
    info: dict

    def compare(self, computed: Mapping[str, Tensor], rtol: float = RTOL) -> None:
        """Check that every stored output is computed, within rtol of its largest value."""
        assert set(computed) == set(self.outputs), f"{self.name}: outputs are {sorted(self.outputs)}"
        for key, expected in self.outputs.items():
            actual = computed[key].detach()
            assert actual.shape == expected.shape, f"{self.name}/{key}: {actual.shape}, not {expected.shape}"
            error = (actual.double() - expected.double()).abs().max() / expected.double().abs().max()
            assert error <= rtol, f"{self.name}/{key}: relative error {error:.2e} above {rtol:.0e}"


def load(name: str) -> Vector:
    info = json.loads((folder() / f"{name}.json").read_text())
    with np.load(folder() / f"{name}.npz") as arrays:
        tensors = {key: torch.from_numpy(np.array(arrays[key], order="C")) for key in arrays.files}
    state = {
        e["key"]: torch.from_numpy(fill(e["key"], tuple(e["shape"]), e["dtype"], info.get("salt", "")))
        for e in info["state"]
        if e["dtype"].startswith("float")
    }
    return Vector(
        name=name,
        state=state,
        inputs={k[3:]: v for k, v in tensors.items() if k.startswith("in/")},
        outputs={k[4:]: v for k, v in tensors.items() if k.startswith("out/")},
        info=info,
    )
