"""The folder that MONAI Label runs: its app ``monaibundle``, and packed bundles in ``model/``."""

from __future__ import annotations

import hashlib
import json
import shutil
import sys
import tempfile
import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from common.bundles import bundle_folder, bundle_names, parse_config
from common.checkpoints.store import require_weights
from common.datasets import class_names, inference_list
from common.datasets.plan.plan_file import read_plan
from common.errors import InputError
from common.files import write_json, write_text
from common.registry.pack import pack

__all__ = ["fill_scans", "fit_to_weights", "make_app"]

_APP = Path("monailabel") / "sample-apps" / "monaibundle"
_PACKED = ".packed"  # in a model's folder: SHA-256 of the zip that it was unpacked from


def make_app(folder: Path, models: Sequence[str]) -> list[str]:
    """Put MONAI Label's bundle app into a folder, and the models into its ``model/``.

    A model that was unpacked before stays as it is, with all that was trained on it in Slicer, until
    the bundle in the checkout changes; its folder is then moved to ``model_previous/``.

    Args:
        folder: of the app; made if absent.
        models: names of bundles; all that have weights if empty.

    Returns:
        What was done, one line for each model.

    Raises:
        InputError: MONAI Label is not installed, no such bundle, one that segments no images, or no weights.
    """
    source = Path(sys.prefix) / _APP
    if not source.is_dir():
        raise InputError(f"{source}: not there; expected MONAI Label in this environment: make label")
    shown = [name for name in bundle_names() if _segments(name)]
    names = list(models) or [name for name in shown if _weights(name).is_file()] or shown
    for name in names:
        if not _segments(name):
            raise InputError(f"{name}: segments no images; expected one of: {', '.join(shown)}")
        require_weights(_weights(name), bundle=name)
    shutil.copytree(source, folder, dirs_exist_ok=True, ignore=shutil.ignore_patterns("__pycache__"))
    return [_put(folder, name) for name in names]


def _segments(name: str) -> bool:
    """Whether a bundle predicts label maps, which is what MONAI Label shows; an unknown name is an error."""
    file = bundle_folder(name) / "configs" / "metadata.json"
    outputs = json.loads(file.read_text(encoding="utf-8"))["network_data_format"]["outputs"]
    return outputs["pred"]["format"] == "segmentation"


def _weights(name: str) -> Path:
    return bundle_folder(name) / "models" / "model.pt"


def _put(app: Path, name: str) -> str:
    target = app / "model" / name
    target.parent.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(dir=app) as temporary:
        path = pack(name, temporary)
        digest = hashlib.sha256(path.read_bytes()).hexdigest()
        mark = target / _PACKED
        if mark.is_file() and mark.read_text(encoding="utf-8") == digest:
            return f"{name}: as it was left in {target}"
        with zipfile.ZipFile(path) as archive:
            archive.extractall(temporary)
        fresh = Path(temporary) / name
        fit_to_weights(fresh)
        write_text(fresh / _PACKED, digest)
        moved = _move_aside(target)
        fresh.rename(target)
    return f"{name}: unpacked to {target}" + (f"; the one before is {moved}" if moved else "")


def _move_aside(target: Path) -> Path | None:
    if not target.exists():
        return None
    previous = target.parents[1] / "model_previous" / target.name
    shutil.rmtree(previous, ignore_errors=True)
    previous.parent.mkdir(exist_ok=True)
    return target.rename(previous)


def fit_to_weights(bundle: Path) -> None:
    """Write the class and channel counts that the weights were trained with into the unpacked configs.

    On the command line they are options (``--num_classes 5``, or ``--plan published`` for imported weights,
    which have no plan), which MONAI Label does not hand over.

    Raises:
        InputError: the plan beside the weights is none, or has a value that is not allowed.
    """
    plan_file = bundle / "models" / "plan.json"
    plan = read_plan(plan_file) if plan_file.is_file() else {}
    counts = {"in_channels": plan.get("channels"), "num_classes": plan.get("classes")}
    counts = {key: value for key, value in counts.items() if value is not None}
    for file in sorted((bundle / "configs").glob("*.json")):
        config: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
        if file.stem == "inference" and not plan and "plan" in config:
            config["plan"]["published"] = True  # as --plan published: the weights were imported
        if file.stem == "metadata":
            _describe(config["network_data_format"], plan)
        else:
            config |= {key: value for key, value in counts.items() if key in config}
        write_json(file, config)


def _describe(formats: dict[str, Any], plan: dict[str, Any]) -> None:
    image, pred = formats["inputs"]["image"], formats["outputs"]["pred"]
    image["num_channels"] = plan.get("channels") or image["num_channels"]
    classes = plan.get("classes")
    if classes and plan.get("labels") and "channel_def" in pred:
        names = {0: "background"} | class_names(plan, classes)
        missing = len(pred["channel_def"]) - pred["num_channels"]  # nested classes: the background's channel
        pred |= {
            "num_channels": classes - missing,
            "channel_def": {str(c): name for c, name in names.items()},
        }


def fill_scans(folder: Path, name: str) -> None:
    """Copy the test scans of a bundle's phantom into a folder that does not exist yet."""
    cases = inference_list(parse_config(name).get_parsed_content("dataset_dir"))
    partial = folder.with_name(f".{folder.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    for case in cases:
        files = [case["image"]] if isinstance(case["image"], str) else case["image"]
        for file in files:
            shutil.copy2(file, partial)
    partial.rename(folder)
