"""No folder of ``common`` imports one above it; the floors, from the ground up, are listed here once."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
COMMON = ROOT / "common"

#: A folder may import only from the floors below its own.  A module at the top of
#: ``common`` counts as a folder.
FLOORS = (
    ("errors", "processes", "tensors"),
    ("disk", "leftovers"),
    ("commands", "config_walk", "files", "folder_lock", "json_file"),
    ("config_booleans", "downloads", "file_cache", "schema"),
    ("bundles",),
    ("checkpoints", "kernels", "nifti", "pictures"),
    ("blocks", "losses"),
    ("datasets", "networks", "registration"),
    ("evaluation", "phantoms", "transforms"),
    ("inference", "training"),
    ("adaptation",),
    ("preflight", "registry"),
    ("recipes",),
    ("new",),
)


def folder_of(module: str) -> str | None:
    """``tensors`` for ``common.tensors.plain``; None for anything outside ``common``."""
    head, _, rest = module.partition(".")
    return rest.split(".")[0] or None if head == "common" else None


def imported(file: Path) -> set[str]:
    """The folders of ``common`` that a file imports, wherever in it."""
    modules = []
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Import):
            modules += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module:
            modules += [f"{node.module}.{alias.name}" for alias in node.names]
    return {folder for module in modules if (folder := folder_of(module))} - {"bundle_root", "__version__"}


def folders() -> set[str]:
    return {path.stem for path in COMMON.iterdir() if path.suffix == ".py" or path.is_dir()} - {
        "__init__",
        "__pycache__",
    }


def test_every_folder_is_on_one_floor():
    listed = [name for floor in FLOORS for name in floor]
    assert len(listed) == len(set(listed))
    assert set(listed) == folders()


@pytest.mark.parametrize("folder", sorted(folders()))
def test_imports_go_down(folder):
    level = {name: number for number, floor in enumerate(FLOORS) for name in floor}
    files = (
        [COMMON / f"{folder}.py"] if (COMMON / f"{folder}.py").is_file() else (COMMON / folder).rglob("*.py")
    )
    upward = [
        f"{file.relative_to(ROOT)} imports common.{other}"
        for file in files
        for other in imported(file) - {folder}
        if level[other] >= level[folder]
    ]
    assert not upward


def test_common_imports_no_bundle_and_bundles_no_other_bundle():
    names = {path.name for path in (ROOT / "bundles").iterdir() if path.is_dir()}
    trees = {"common": COMMON} | {name: ROOT / "bundles" / name / name for name in names}
    for owner, tree in trees.items():
        for file in tree.rglob("*.py"):
            heads = set()
            for node in ast.walk(ast.parse(file.read_text())):
                if isinstance(node, ast.Import):
                    heads |= {alias.name.split(".")[0] for alias in node.names}
                elif isinstance(node, ast.ImportFrom) and node.module:
                    heads.add(node.module.split(".")[0])
            assert not heads & (names - {owner}), f"{file.relative_to(ROOT)} imports another bundle"
