"""The runs that tests of a bundle share: a quick training, an unpacked copy, a place for another run."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from filelock import FileLock

from common.bundles import parse_config
from tests.contract.bundle import Run, Shell
from tests.seconds import of_all_tests

MakeRun = Callable[..., Run]


@pytest.fixture(scope="session")
def shared(tmp_path_factory) -> Path:
    """A folder of this session that all pytest-xdist workers see."""
    base = tmp_path_factory.getbasetemp()
    folder = (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "contract shared"
    folder.mkdir(exist_ok=True)
    return folder


@pytest.fixture(scope="session")
def home(shared) -> Path:
    """One home for all commands: matplotlib's font cache takes seconds to build."""
    folder = shared / "home"
    folder.mkdir(exist_ok=True)
    return folder


@pytest.fixture(scope="session")
def shell(shared, home) -> Shell:
    """Runs commands from a folder unrelated to the checkout."""
    folder = shared / "elsewhere"
    folder.mkdir(exist_ok=True)
    return Shell(folder, home)


@pytest.fixture(scope="session")
def trained(bundle, shared, shell) -> Run:
    """The quick training, run once for all tests and workers: read-only, write elsewhere."""
    run = Run(bundle, shared / f"{bundle.name} trained", shared / f"{bundle.name} phantom")
    done = shared / f"{bundle.name}.done"
    with FileLock(shared / f"{bundle.name}.lock"):
        if not done.exists():
            with of_all_tests():
                told = shell.run([bundle.config_file("train")], run.train_overrides).ok()
            (run.folder / "stderr.txt").write_text(told.err)
            done.touch()
    return run


@pytest.fixture
def make_run(bundle, tmp_path, trained) -> MakeRun:
    """A place for another run on the same phantom; ``weights=True`` copies the quick training's weights
    there.
    """

    def make(name: str = "a run", *, weights: bool = False) -> Run:
        run = Run(bundle, tmp_path / name, trained.phantom)
        if weights:
            run.ckpt_dir.mkdir(parents=True)
            for file in ("model.pt", "plan.json"):
                if file == "model.pt" or bundle.has_plan:
                    shutil.copy2(trained.ckpt_dir / file, run.ckpt_dir / file)
        return run

    return make


@pytest.fixture(scope="session")
def unpacked(bundle, shared, trained) -> Path:
    """The bundle as a user has it: its own copy of ``common``, weights in models/, no checkout around.

    The weights are the quick training's, or new ones if that had a narrow network.
    """
    folder = shared / "unpacked" / bundle.name
    with FileLock(shared / f"{bundle.name}.unpacked.lock"):
        if not folder.exists():
            leave_out = shutil.ignore_patterns("eval", "data", "models", "__pycache__")
            folder.parent.mkdir(exist_ok=True)
            half = (
                shared / f"{bundle.name} partial"
            )  # its own: another process may be unpacking another bundle
            shutil.copytree(bundle.root / "configs", half / "configs")
            shutil.copytree(bundle.root / bundle.name, half / bundle.name, ignore=leave_out)
            shutil.copytree(
                bundle.root / "common", half / "common", ignore=shutil.ignore_patterns("__pycache__")
            )
            (half / "models").mkdir()
            if bundle.network:  # the bundle's own configs, which do not refer to it
                torch.manual_seed(0)
                full = parse_config(bundle.name).get_parsed_content("network_def")
                torch.save(full.state_dict(), half / "models" / "model.pt")
            else:
                shutil.copy2(trained.weights, half / "models" / "model.pt")
            if bundle.has_plan:
                shutil.copy2(trained.ckpt_dir / "plan.json", half / "models" / "plan.json")
            half.rename(folder)
    return folder
