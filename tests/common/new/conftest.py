"""A copy of the checkout, for bundles to be written into."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from common.recipes.checkout import ROOT

#: Ignored by git, or not needed by a new bundle.
LEFT_OUT = (
    ".git",
    ".venv*",
    "__pycache__",
    ".pytest_cache",
    ".ruff_cache",
    "dist",
    "label",
    "*.npz",
)


def copy_of_checkout(target: Path) -> Path:
    """With its links, without files that runs have left in the bundles."""

    def left_out(folder: str, names: list[str]) -> set[str]:
        found = shutil.ignore_patterns(*LEFT_OUT)(folder, names)
        is_bundle = Path(folder).parent == ROOT / "bundles"
        return found | ({"models", "eval", "data"} & set(names) if is_bundle else set())

    return Path(shutil.copytree(ROOT, target, symlinks=True, ignore=left_out))


@pytest.fixture(scope="session")
def checkout(tmp_path_factory) -> Path:
    """One for the session; tests that write into it use their own bundle names."""
    return copy_of_checkout(tmp_path_factory.mktemp("a checkout") / "zoo")
