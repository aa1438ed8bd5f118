"""Miniature checkouts, and the zips and folders made from them."""

from __future__ import annotations

import io
import json
import struct
import warnings
import zipfile
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from common.checkpoints.stamp import Stamp, stamped
from common.registry.index import index
from common.registry.pack import pack

CARD = """# {name}

Finds *things* in **scans**; see [the paper](https://example.org/paper) and [data](data_license.txt).

![What it finds](preview.png)

![[a](preview.png)](https://onload=alert(1)//)

How: [the method](method.md#steps-and-sizes), the [table](#what-it-finds),
[organs](../../organs/docs/README.md).

## What it finds

| predictor | Dice |
|---|---|
| `a | b` <script>alert(1)</script> | 0.5 |

    python -m monai.bundle run --config_file bundles/{name}/configs/train.json

- one item
  that goes on
- another
"""

METHOD = """# {name}: the method as built

The [card](README.md) says how to run it.

## Steps and sizes

| step | size |
|:--|--:|
| one | 8 |

![What it finds](./preview.png)
"""

INIT = '''"""A toy."""

from __future__ import annotations

from common.blocks import VERSION_OF_BLOCKS
'''


def png(width: int, height: int) -> bytes:
    """A blue picture."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">2I5B", width, height, 8, 2, 0, 0, 0)
    rows = zlib.compress((b"\0" + b"\x20\x60\xa0" * width) * height)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", rows) + chunk(b"IEND", b"")


def metadata(version: str = "0.1.0", **changed: Any) -> dict[str, Any]:
    image = {"format": "hounsfield", "modality": changed.pop("modality", "CT")}
    image["spatial_shape"] = ["8*n"] * changed.pop("dimensions", 3)
    return {
        "version": version,
        "changelog": {version: "first"},
        "name": "A toy",
        "task": "Organ segmentation in CT",
        "references": ["Nobody N. Toys. 2020"],
        "network_data_format": {
            "inputs": {"image": image},
            "outputs": {"pred": {"format": "segmentation"}},
        },
        **changed,
    }


def checkout(root: Path, *names: str, common: str = "0.1.0", **changed: Any) -> Path:
    """A checkout with these bundles; ``changed`` goes into their metadata."""
    blocks = f'VERSION_OF_BLOCKS = "{common}"\n'
    files: dict[str, str | bytes] = {
        "common/__init__.py": f'__version__ = "{common}"\n',
        "common/blocks/__init__.py": blocks,
        "common/blocks/__pycache__/cached.pyc": b"cache",
        "common/recipes/parts/run.json": "{}",
        "common/registry/__init__.py": "",
    }
    for name in names or ("toy",):
        files |= {f"bundles/{name}/{file}": content for file, content in _bundle(name, changed).items()}
    for file, content in files.items():
        path = root / file
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return root


def weights(stamp: Stamp | None = None, text: bytes = b"weights ") -> bytes:
    """A state dict of one tensor, whose bytes are the text over and over."""
    state: Mapping[str, Any] = {"weight": torch.frombuffer(bytearray(text * 2000), dtype=torch.uint8)}
    return saved(state if stamp is None else stamped(state, stamp))


def saved(value: Any) -> bytes:
    """As ``torch.save`` writes it."""
    written = io.BytesIO()
    torch.save(value, written)
    return written.getvalue()


def _bundle(name: str, changed: dict[str, Any]) -> dict[str, str | bytes]:
    return {
        "LICENSE": "Apache License\nVersion 2.0\n",
        "recipe.json": "{}",
        "configs/metadata.json": json.dumps(metadata(**changed)),
        "configs/inference.json": "{}",
        "docs/README.md": CARD.format(name=name),
        "docs/method.md": METHOD.format(name=name),
        "docs/preview.png": png(64, 36),
        f"{name}/__init__.py": INIT,
        "models/model.pt": weights(),
        "models/plan.json": '{"intensity": [{"scheme": "zscore"}], "labels": {}}',
        "models/checkpoint.pt": b"optimizer",
        "models/model_previous.pt": b"old",
        "data/case.nii": b"scan",
        "eval/metrics.csv": b"1",
    }


def dist(folder: Path, base_url: str, *names: str, **changed: Any) -> Path:
    """A served folder: packed and indexed."""
    root = checkout(folder / "checkout", *names, **changed)
    for name in names or ("toy",):
        pack(name, folder / "dist", root=root)
    index(folder / "dist", base_url)
    return folder / "dist"


def rewrite(path: Path, edit, compression: int = zipfile.ZIP_STORED) -> None:
    """Pass the members of a zip (name or ZipInfo, content) through ``edit`` and write them back."""
    with zipfile.ZipFile(path) as archive:
        members = [(info.filename, archive.read(info)) for info in archive.infolist()]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # names that occur twice
        with zipfile.ZipFile(path, "w", compression) as archive:
            for name, content in edit(members):
                archive.writestr(name, content)
