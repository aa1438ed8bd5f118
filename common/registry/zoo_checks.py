"""The checks of the model zoo's ``verify_bundle.py``, run on bundles as users get them.

Every check runs MONAI's own command where there is one, in a fresh process, in an empty folder, with
the root of the unpacked bundle as its only path.  The checks work on a temporary copy: nothing
is written into the bundle's folder, and a bundle without weights is checked with untrained ones.

A network that cannot be exported says so in ``configs/metadata.json``, with the reason:
``"export": {"torchscript": "why not", "onnx": "why not"}``; without TorchScript ``torch.export`` must work.
"""

from __future__ import annotations

import importlib.util
import json
import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Container, Iterator
from dataclasses import dataclass
from pathlib import Path
from shutil import copytree, ignore_patterns
from typing import Any

from common.bundles import bundle_in
from common.errors import InputError
from common.registry.archive import unpack
from common.registry.entries import key_of, split_key
from common.registry.pack import pack
from common.registry.verify import verify

__all__ = ["Finding", "check_bundle", "require_packages"]

_STEPS = Path(__file__).with_name("zoo_steps.py")
_SCHEMA = Path(__file__).with_name("meta_schema_20240725.json")
_FILES = ("LICENSE", "configs/metadata.json", "configs/inference.json", "configs/train.json")
_EXPORTS = ("torchscript", "onnx")
_PACKAGES = ("jsonschema", "onnx", "onnxscript", "onnxruntime")


class _FailedError(Exception):
    """A check failed; the message says why."""


@dataclass(frozen=True)
class Finding:
    """The outcome of one check on one bundle: ``result`` is "good", "exempt" or "FAILED"."""

    bundle: str
    check: str
    result: str
    seconds: float
    remark: str

    @property
    def row(self) -> tuple[str, str, str, str, str]:
        """For a table."""
        return self.bundle, self.check, self.result, f"{self.seconds:.0f} s", self.remark


def require_packages() -> None:
    """Make sure that the packages which only the checks need are installed.

    Raises:
        InputError: names what is not installed.
    """
    lacking = [name for name in _PACKAGES if importlib.util.find_spec(name) is None]
    if lacking:
        raise InputError(
            f"verify-bundle: needs {', '.join(lacking)}; pip install -r requirements-test.txt, or make verify"
        )


def check_bundle(
    source: str | Path, *, only: Container[str] | None = None, say: Callable[[str], None] = lambda _: None
) -> list[Finding]:
    """Run every check on one bundle; a failed one does not keep the others from running.

    Args:
        source: name of a bundle of this checkout (it is packed and unpacked), a zip, or a bundle's folder.
        only: names of the checks to run; by default all.
        say: told the name of each check before it runs.

    Raises:
        InputError: there is no such bundle, or it cannot be packed or unpacked.
    """
    with tempfile.TemporaryDirectory(prefix="verify_") as folder:
        root = _unpacked(source, Path(folder))
        bundle = _Bundle(bundle_in(root), root, Path(folder))
        return [
            _finding(bundle, name, check, say)
            for name, check in _checks(bundle)
            if only is None or name in only
        ]


def _unpacked(source: str | Path, folder: Path) -> Path:
    given = Path(source)
    if given.is_dir():
        root = folder / "bundles" / given.resolve().name
        copytree(given, root, ignore=ignore_patterns("data", "eval", "__pycache__", ".*", "checkpoint*.pt"))
        return root
    file = given if given.suffix == ".zip" else pack(str(source), folder / "dist")
    verify(file)
    name = split_key(file.stem)[0]
    unpack(file, folder / "bundles", name)
    return folder / "bundles" / name


@dataclass(frozen=True)
class _Bundle:
    name: str
    root: Path
    folder: Path  # all that the checks write lies here

    @property
    def metadata(self) -> dict[str, Any]:
        try:
            return json.loads((self.root / "configs" / "metadata.json").read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise _FailedError(f"configs/metadata.json: {error}") from error

    @property
    def weights(self) -> Path:
        return self.root / "models" / "model.pt"

    def run(self, *words: str | Path) -> str:
        """Run ``python words`` as a user without a checkout does; the last line of its output."""
        elsewhere = self.folder / "elsewhere"
        elsewhere.mkdir(exist_ok=True)
        environment = {
            **{key: value for key, value in os.environ.items() if not key.startswith("COMMON_")},
            "PYTHONPATH": str(self.root),
            "XDG_CACHE_HOME": str(self.folder / "cache"),
            "PYTHONDONTWRITEBYTECODE": "1",
        }
        done = subprocess.run(
            [sys.executable, *map(str, words)],
            check=False,
            cwd=elsewhere,
            env=environment,
            capture_output=True,
            text=True,
        )
        if done.returncode:
            raise _FailedError(_cause(done.stderr) or f"ended with exit code {done.returncode}")
        return next(reversed(done.stdout.splitlines()), "")  # what a step prints last, perhaps nothing

    def step(self, name: str, *words: str | Path) -> str:
        return self.run("-P", _STEPS, name, self.root, *words)

    def monai(self, command: str, *words: str | Path, config: bool = True) -> str:
        configs = self.root / "configs"
        words = (*words, "--meta_file", configs / "metadata.json")
        if config:
            words = (*words, "--config_file", configs / "inference.json")
        return self.run("-m", "monai.bundle", command, *words)


def _cause(stderr: str) -> str:
    """The line of an error output that names the error."""
    lines = [line.strip() for line in re.split(r"[\r\n]+", stderr) if line.strip()]
    # Torch's own exceptions have a module's path and names of every kind (GuardOnDataDependentSymNode).
    named = [line for line in lines if re.match(r"error: |[\w.]*(Error|Exception)\b|torch(\.\w+)+: ", line)]
    return next(iter([*named[::-1], *lines[::-1]]), "")[:300]


def _finding(bundle: _Bundle, name: str, check: Callable[[_Bundle], str], say: Callable) -> Finding:
    say(f"{bundle.name}: {name}")
    start = time.monotonic()
    try:
        result, remark = "good", check(bundle)
        if remark.startswith(_EXEMPT):
            result, remark = "exempt", remark.removeprefix(_EXEMPT)
    except (_FailedError, InputError) as error:
        result, remark = "FAILED", str(error)
    return Finding(bundle.name, name, result, time.monotonic() - start, remark)


def _checks(bundle: _Bundle) -> Iterator[tuple[str, Callable[[_Bundle], str]]]:
    yield "files", _files
    yield "version", _version
    yield "metadata", _metadata
    yield "weights", _weights
    yield "properties for training", lambda b: b.step("properties", "train")
    yield "properties for inference", lambda b: b.step("properties", "inference")
    yield "data shape", _data_shape
    yield "TorchScript", _torchscript
    if "torchscript" in _exemptions(bundle):
        yield "torch.export", lambda b: b.step("torch_export", b.weights)
    yield "ONNX", _onnx


def _files(bundle: _Bundle) -> str:
    lacking = [file for file in _FILES if not (bundle.root / file).is_file()]
    if lacking:
        raise _FailedError(f"there is no {', no '.join(lacking)}")
    return ""


def _version(bundle: _Bundle) -> str:
    metadata = bundle.metadata
    version, changelog = str(metadata.get("version")), metadata.get("changelog", {})
    key_of(bundle.name, version)
    if not changelog.get(version):
        raise _FailedError(f"metadata.json: version {version} has no entry in changelog")
    return version


def _metadata(bundle: _Bundle) -> str:
    bundle.monai("verify_metadata", "--filepath", _SCHEMA, config=False)
    wrong = [key for key in _exemptions(bundle) if key not in _EXPORTS]
    if wrong:
        raise _FailedError(f"metadata.json: export has {', '.join(wrong)}; it may have {', '.join(_EXPORTS)}")
    unfounded = [key for key, reason in _exemptions(bundle).items() if not str(reason).strip()]
    if unfounded:
        raise _FailedError(f"metadata.json: export#{unfounded[0]} gives no reason")
    return ""


def _weights(bundle: _Bundle) -> str:
    """Loading them into the network is part of the checks of exports."""
    if bundle.weights.is_file():
        return "models/model.pt of the bundle"
    bundle.weights.parent.mkdir(exist_ok=True)
    bundle.step("make_weights", bundle.weights)
    return "no models/model.pt: untrained weights, made for this check"


def _data_shape(bundle: _Bundle) -> str:
    bundle.monai("verify_net_in_out", "network_def")
    return ""


#: Begins the remark of a check that does not apply.
_EXEMPT = "exempt: "


def _exemptions(bundle: _Bundle) -> dict[str, str]:
    try:
        return dict(bundle.metadata.get("export", {}))
    except _FailedError:  # the check of the metadata says so
        return {}


def _torchscript(bundle: _Bundle) -> str:
    return _exported(bundle, "torchscript", "ckpt_export", bundle.folder / "model.ts")


def _onnx(bundle: _Bundle) -> str:
    return _exported(bundle, "onnx", "onnx_export", bundle.folder / "model.onnx")


def _exported(bundle: _Bundle, kind: str, command: str, target: Path) -> str:
    reason = _exemptions(bundle).get(kind)
    if reason:
        return f"{_EXEMPT}{reason}"
    bundle.monai(command, "network_def", "--filepath", target, "--ckpt_file", bundle.weights)
    return bundle.step(kind, bundle.weights, target)
