"""A bundle under test, and its commands: run in a fresh process, from another folder, with nothing set."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import torch

from tests.contract.warm import WarmPython

ROOT = Path(__file__).resolve().parents[2]
NAMES = sorted(path.parents[1].name for path in ROOT.glob("bundles/*/configs/metadata.json"))
#: Words after ``python`` for a run on two processes.
TORCHRUN = (
    *("-m", "torch.distributed.run", "--standalone", "--nproc_per_node", 2),
    *("-m", "monai.bundle", "run"),
)

#: PyTorch's own threads may print this when one of several processes has finished and exits: seen twice in
#: some forty runs on two loaded cores, with complete results.  Such a run is repeated once.
ABORTED_AT_EXIT = "terminate called without an active exception"

Overrides = Mapping[str, Any]


@dataclass(frozen=True)
class Bundle:
    """One folder below ``bundles/``; ``quick`` makes its runs tiny (tests/bundles/NAME/quick.json)."""

    name: str

    @property
    def root(self) -> Path:
        return ROOT / "bundles" / self.name

    def config_file(self, kind: str) -> Path:
        return self.root / "configs" / f"{kind}.json"

    def config(self, kind: str) -> dict[str, Any]:
        return json.loads(self.config_file(kind).read_text())

    @cached_property
    def metadata(self) -> dict[str, Any]:
        return self.config("metadata")

    @cached_property
    def quick(self) -> dict[str, dict[str, Any]]:
        return json.loads((ROOT / "tests" / "bundles" / self.name / "quick.json").read_text())

    @property
    def network(self) -> dict[str, Any]:
        """Overrides that make a large network narrow, for runs that do not depend on its width."""
        return self.quick.get("network", {})

    def parse(self, kind: str = "inference", **overrides: Any) -> Any:
        """The config of a quick run, before anything is instantiated."""
        from common.bundles import parse_config

        return parse_config(self.name, kind, **self.network, **overrides)

    def build_network(self) -> torch.nn.Module:
        """The network of quick runs, with new weights."""
        return self.parse().get_parsed_content("network_def")

    @property
    def configs(self) -> set[str]:
        return {path.stem for path in (self.root / "configs").iterdir()}

    @property
    def input_format(self) -> dict[str, Any]:
        return self.metadata["network_data_format"]["inputs"]["image"]

    @property
    def output_format(self) -> dict[str, Any]:
        return self.metadata["network_data_format"]["outputs"]["pred"]

    @property
    def dims(self) -> int:
        return len(self.input_format["spatial_shape"])

    @property
    def classes(self) -> int:
        """Values of the label map that is written, background included."""
        return len(self.output_format["channel_def"])

    @property
    def scored(self) -> set[str]:
        """Names of the classes that an evaluation scores, or of the regions that metadata.json lists."""
        classes = set(self.output_format["channel_def"].values()) - {"background"}
        return set(self.metadata.get("scored", classes))

    @property
    def is_nested(self) -> bool:
        """Whether it has sigmoid channels of nested classes, without the background."""
        return self.output_format["num_channels"] == self.classes - 1

    @property
    def suffix(self) -> str:
        """File ending of the phantom's images and of the predictions."""
        return ".nii.gz" if self.dims == 3 else ".png"

    @property
    def kind(self) -> str:
        """Its task, a word from metadata.json; ``contract/kinds`` has a file for each."""
        return self.metadata["kind"]

    @property
    def segments(self) -> bool:
        """Whether it predicts label maps (else: signals, fields, ...)."""
        return self.kind == "segmentation"

    @property
    def exports_torchscript(self) -> bool:
        return "torchscript" not in self.metadata.get("export", {})

    @property
    def draws(self) -> bool:
        """Whether its training draws random numbers."""
        return "seed" in self.config("train")

    @property
    def key_metric(self) -> str:
        """The metric that decides which validation is best."""
        (name,) = self.config("train")["validate"]["key_metric"]
        return name

    @property
    def case_keys(self) -> tuple[str, ...]:
        """Keys of a training case's files: image and label, unless quick.json says otherwise."""
        return tuple(self.quick.get("case_keys", ("image", "label")))

    @property
    def has_plan(self) -> bool:
        """Whether training plans the preprocessing and saves the plan beside the weights."""
        return "plan" in self.config("train")

    @property
    def learns(self) -> bool:
        """Whether the network has trainable weights; an operator has at most buffers."""
        return "optimizer" in self.config("train")

    @property
    def iterations_per_epoch(self) -> int:
        """Iterations per epoch of the quick training; unless train.json says, its few cases are one batch."""
        return self.quick["train"].get("iterations_per_epoch", 1)


def files_of(entry: str | list[str], folder: Path) -> list[Path]:
    """The files of one key of a case, which has one for each channel or one for all."""
    return [folder / file for file in ([entry] if isinstance(entry, str) else entry)]


def located(entry: str | list[str], folder: Path) -> str | list[str]:
    """The same as absolute paths."""
    files = [str(file) for file in files_of(entry, folder)]
    return files[0] if isinstance(entry, str) else files


@dataclass(frozen=True)
class Told:
    """Result of a finished command: exit code and both streams."""

    code: int
    out: str
    err: str

    def ok(self) -> Told:
        assert self.code == 0, self.err[-4000:]
        return self

    def error(self) -> str:
        """The last line, an error that a user can fix, perhaps with a second line that says how."""
        lines = re.split(r"[\r\n]+", self.err.strip())
        places = [i for i, line in enumerate(lines) if line.startswith("error: ")]
        assert self.code != 0, self.out[-2000:] + self.err[-2000:]
        assert "Traceback" not in self.err, self.err[-4000:]
        assert len(places) == 1, self.err[-4000:]
        assert len(lines) - places[0] <= 2, self.err[-4000:]
        return "\n".join(lines[places[0] :])


def told_by_fresh_python(
    words: list[str], folder: Path, environment: Mapping[str, str]
) -> tuple[int, str, str]:
    """Exit code and both streams of a separate interpreter."""
    command = [sys.executable, *words]

    def run() -> subprocess.CompletedProcess:
        return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True)

    done = run()
    if done.returncode and ABORTED_AT_EXIT in done.stderr:
        done = run()
    return done.returncode, done.stdout, done.stderr


@dataclass(frozen=True)
class Shell:
    """Runs commands from ``folder`` with only a home and the test machine's thread settings."""

    folder: Path
    home: Path

    def python(self, *words: Any, path: Path | None = None, fresh: bool = False) -> Told:
        """``python WORDS``, with ``path`` as PYTHONPATH.

        Always a separate process, forked from one that has imported the libraries but not the project
        (``warm.py``).  ``fresh`` starts an interpreter instead.
        """
        environment = {
            "HOME": str(self.home),
            "PATH": os.defpath,  # a C++ compiler called by name finds its parts through it
            "XDG_CACHE_HOME": str(self.home / ".cache"),
            "OMP_NUM_THREADS": "1",
            "OMP_WAIT_POLICY": "passive",
        }
        if path is not None:
            environment["PYTHONPATH"] = str(path)
        told = told_by_fresh_python if fresh or words[1] == TORCHRUN[1] else WarmPython.start().told
        return Told(*told([str(word) for word in words], self.folder, environment))

    def run(
        self, files: list[Path], overrides: Overrides, *, path: Path | None = None, fresh: bool = False
    ) -> Told:
        """``python -m monai.bundle run`` on configs; bundles need no ``path``, the tests' stand-ins do."""
        words = ("-m", "monai.bundle", "run", *config_words(files), *words_of(overrides))
        return self.python(*words, path=path, fresh=fresh)


def as_text(overrides: Overrides) -> dict[str, Any]:
    """Overrides for a call from Python, with paths as text."""
    return {key: str(value) if isinstance(value, Path) else value for key, value in overrides.items()}


def config_words(files: list[Path]) -> list[str]:
    names = [str(file) for file in files]
    return ["--config_file", names[0] if len(names) == 1 else str(names)]


def words_of(overrides: Overrides) -> list[str]:
    """``--key value``, as typed."""
    return [word for key, value in overrides.items() for word in (f"--{key}", str(value))]


@dataclass(frozen=True)
class Run:
    """Where one run of a bundle reads and writes; the name has a space, as users' folders do."""

    bundle: Bundle
    folder: Path
    phantom: Path

    @property
    def output_dir(self) -> Path:
        return self.folder / "eval"

    @property
    def ckpt_dir(self) -> Path:
        return self.folder / "models"

    @property
    def weights(self) -> Path:
        return self.ckpt_dir / "model.pt"

    @property
    def places(self) -> dict[str, Any]:
        return {"output_dir": self.output_dir, "ckpt_dir": self.ckpt_dir}

    @property
    def base(self) -> dict[str, Any]:
        """Overrides for every command of this run: its folders, and the bundle's network for quick runs."""
        return {**self.places, **self.bundle.network}

    @property
    def data(self) -> dict[str, Any]:
        return {"dataset_dir#folder": self.phantom, **self.bundle.quick["data"]}

    @property
    def train_overrides(self) -> dict[str, Any]:
        return {**self.base, **self.data, **self.bundle.quick["train"]}

    @property
    def full_network_overrides(self) -> dict[str, Any]:
        """Overrides for a quick training with the bundle's own network, or with one that a test gives."""
        return {k: v for k, v in self.train_overrides.items() if k not in self.bundle.network}

    @property
    def inference_overrides(self) -> dict[str, Any]:
        return {**self.base, **self.data, **self.bundle.quick.get("inference", {})}

    def written(self) -> set[str]:
        return {os.path.relpath(path, self.folder) for path in self.folder.rglob("*") if path.is_file()}
