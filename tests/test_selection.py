"""Which bundles run the full set, on a made-up checkout whose files change."""

from __future__ import annotations

import json
import subprocess

import pytest

from tests.selection import ESTIMATE, REACHES_ALL, changed_since, samples, select, traits

#: Name -> kind, dimensions, paradigm, what its package imports.
BUNDLES = {
    "liver": ("segmentation", 3, "supervised", "common.losses.dice"),
    "heart": ("segmentation", 3, "supervised", "common.losses.dice"),
    "retina": ("segmentation", 2, "supervised", "common.losses.dice"),
    "brain": ("registration", 3, "unsupervised", "common.warp"),
}


def git(root, *words):
    identity = ("-c", "user.name=Nobody", "-c", "user.email=nobody@example.org")
    command = ["git", *identity, *words]
    return subprocess.run(command, cwd=root, capture_output=True, text=True, check=True).stdout.strip()


def write(root, path, text):
    file = root / path
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text)


@pytest.fixture
def root(tmp_path):
    """Four bundles over two modules, all committed and recorded as passed."""
    write(tmp_path, "common/__init__.py", "")
    write(tmp_path, "common/losses/__init__.py", "")
    write(tmp_path, "common/losses/dice.py", "from common.tensors import ratio\n")
    write(tmp_path, "common/tensors.py", "")
    write(tmp_path, "common/warp.py", "")
    write(tmp_path, "common/alone.py", "")
    for name, (kind, dims, paradigm, imported) in BUNDLES.items():
        image = {"spatial_shape": ["n"] * dims}
        metadata = {"kind": kind, "paradigm": paradigm}
        metadata["network_data_format"] = {"inputs": {"image": image}}
        write(tmp_path, f"bundles/{name}/configs/metadata.json", json.dumps(metadata))
        write(tmp_path, f"bundles/{name}/{name}/__init__.py", "")
        write(tmp_path, f"bundles/{name}/{name}/network.py", f"import {imported}\n")
        write(tmp_path, f"tests/bundles/{name}/quick.json", "{}")
    git(tmp_path, "init", "-q")
    git(tmp_path, "add", ".")
    git(tmp_path, "commit", "-qm", "all of it")
    write(tmp_path, "tests/last_full.txt", git(tmp_path, "rev-parse", "HEAD") + "\n")
    return tmp_path


def test_nothing_changed(root):
    selection = select(root, {})
    assert not selection.full
    assert not selection.left_out
    assert selection.lines()[0].startswith("full set: of no bundle")


@pytest.mark.parametrize("path", ["bundles/heart/heart/network.py", "tests/bundles/heart/quick.json"])
def test_own_files(root, path):
    write(root, path, '"""Changed."""')
    assert select(root, {}).full == {"heart": "its own files"}


def test_committed_and_new_files_count(root):
    write(root, "bundles/heart/heart/network.py", "import common.warp\n")
    git(root, "commit", "-qam", "a change")
    write(root, "bundles/liver/liver/new.py", "")
    assert set(select(root, {}).full) == {"heart", "liver"}


def test_a_deleted_file(root):
    (root / "bundles/heart/heart/network.py").unlink()
    assert set(select(root, {}).full) == {"heart"}


def test_through_common_one_bundle_represents_each_paradigm(root):
    """The cheaper of the two that segment volumes; imports are followed through a second module."""
    write(root, "common/tensors.py", "ratio = 1\n")
    selection = select(root, {"liver": 100, "heart": 50})
    assert set(selection.full) == {"heart", "retina"}
    assert selection.left_out == {"liver": "others stand for it"}
    assert "  left out: liver, others stand for it" in selection.lines()


def test_names_in_a_config_reach_too(root):
    write(root, "bundles/brain/configs/train.json", '{"loss": {"_target_": "common.alone.Loss"}}')
    git(root, "add", ".")
    git(root, "commit", "-qm", "a config")
    write(root, "tests/last_full.txt", git(root, "rev-parse", "HEAD"))
    write(root, "common/alone.py", "changed = True\n")
    assert set(select(root, {}).full) == {"brain"}


def test_a_module_that_no_bundle_reaches(root):
    write(root, "common/alone.py", "changed = True\n")
    assert not select(root, {}).full


def test_a_changed_bundle_represents_the_others(root):
    write(root, "common/tensors.py", "ratio = 1\n")
    write(root, "bundles/liver/liver/network.py", "import common.losses.dice as dice\n")
    selection = select(root, {"liver": 100, "heart": 50})
    assert selection.full["liver"] == "its own files"
    assert set(selection.full) == {"liver", "retina"}
    assert set(selection.left_out) == {"heart"}


def test_budget(root):
    """The cheapest first, and what exceeds it is reported; changed bundles do not count towards it."""
    write(root, "common/__init__.py", "changed = True\n")
    selection = select(root, {"heart": 50, "retina": 40, "brain": 60, "liver": 70}, budget=100)
    assert set(selection.full) == {"heart", "retina"}
    assert selection.left_out == {"brain": "beyond the budget", "liver": "others stand for it"}
    write(root, "bundles/brain/brain/network.py", "import common.warp as warp\n")
    assert set(select(root, {}, budget=ESTIMATE).full) == {"brain", "heart"}


def test_parts_of_recipes_are_traits(root):
    """Bundles of one paradigm that share no part each represent themselves."""
    for name, parts in {"heart": ["run", "crops"], "liver": ["run", "slices"]}.items():
        write(root, f"bundles/{name}/recipe.json", json.dumps({"on": parts}))
    git(root, "add", ".")
    git(root, "commit", "-qm", "recipes")
    write(root, "tests/last_full.txt", git(root, "rev-parse", "HEAD"))
    assert traits(root, "heart") == {("segmentation", 3, word) for word in ("supervised", "run", "crops")}
    write(root, "common/losses/dice.py", "changed = True\n")
    assert set(select(root, {}).full) == {"heart", "liver", "retina"}


def test_configs_that_a_part_has_changed_are_not_a_bundles_own(root):
    """Otherwise a handler added to one part would run everything for all bundles."""
    for name in ("heart", "liver"):
        write(root, f"bundles/{name}/recipe.json", '{"on": ["run"]}')
        write(root, f"bundles/{name}/configs/train.json", "{}")
    git(root, "add", ".")
    git(root, "commit", "-qm", "recipes")
    write(root, "tests/last_full.txt", git(root, "rev-parse", "HEAD"))
    for name in ("heart", "liver"):
        write(root, f"bundles/{name}/configs/train.json", '{"epochs": 2}')
    selection = select(root, {})
    assert set(selection.full) == {"heart"}
    assert set(selection.left_out) == {"liver"}


@pytest.mark.parametrize("commit", ["", "0123456789012345678901234567890123456789", "no commit"])
def test_commit_that_git_does_not_know(root, commit):
    write(root, "tests/last_full.txt", commit)
    assert changed_since(root, commit) is None
    assert set(select(root, {}).full) == set(BUNDLES)


def test_without_git(root, monkeypatch):
    monkeypatch.setenv("PATH", "")
    assert set(select(root, {}).full) == set(BUNDLES)


@pytest.mark.parametrize("path", REACHES_ALL)
def test_files_that_reach_every_bundle(root, path):
    file = {"tests/contract/": "tests/contract/test_files.py", "requirements": "requirements-test.txt"}
    write(root, file.get(path, path), "changed")
    assert set(select(root, {}).full) == {"heart", "retina", "brain"}


def test_samples_are_the_cheapest_of_each_kind_and_number_of_dimensions(root):
    assert samples(root, BUNDLES, {"liver": 1, "brain": 2}) == {"liver", "retina", "brain"}
    assert samples(root, BUNDLES, {"heart": 1, "liver": 2}) == {"heart", "retina", "brain"}
    assert samples(root, ["heart"], {}) == {"heart"}


def test_a_recipes_table_asks_for_no_full_set(root):
    write(root, "tests/bundles/liver/recipe.json", "{}")
    assert not select(root, {}).full


def test_tests_of_no_bundle_mirror_the_tree(root):
    write(root, "common/losses/new.py", "")
    selection = select(root, {})
    assert selection.concerns("tests/common/losses/test_dice.py")
    assert not selection.concerns("tests/common/transforms/test_losses.py")
    write(root, "tests/benchmarks/test_commands.py", "")
    assert select(root, {}).concerns("tests/benchmarks/test_commands.py")
    write(root, "tests/last_full.txt", "")
    assert select(root, {}).concerns("tests/common/transforms/test_losses.py")
