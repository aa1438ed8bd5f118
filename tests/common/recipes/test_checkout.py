"""Files written from recipes: what is written, which differences are found, and the command."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from common.errors import InputError
from common.recipes.checkout import (
    ROOT,
    bundles_with_recipe,
    configs_as_text,
    differences,
    lists_as_text,
    write,
)

METADATA = {
    "version": "0.1.0",
    "task": "Segmentation of toys",
    "network_data_format": {
        "inputs": {"image": {"format": "rgb", "spatial_shape": [8, 8]}},
        "outputs": {"pred": {"format": "segmentation"}},
    },
    "monai_version": "{pin:monai}",
}


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """Two bundles, no part, nothing written yet."""
    for name in ("one", "two"):
        folder = tmp_path / "bundles" / name
        folder.mkdir(parents=True)
        recipe = {"both": {"name": "{bundle}"}, "paper": {"epochs": 3}, "metadata": METADATA}
        (folder / "recipe.json").write_text(json.dumps(recipe))
    (tmp_path / "requirements.txt").write_text("monai==1.6.1   # bundles\n")
    (tmp_path / "README.md").write_text("<!-- bundles -->\n<!-- /bundles -->\n")
    return tmp_path


def texts_of(root: Path) -> dict[Path, str]:
    texts: dict[Path, str] = {}
    for name in bundles_with_recipe(root):
        texts |= configs_as_text(name, root, root)
    return texts | lists_as_text(texts, root)


def test_everything_is_written_and_then_nothing_differs(checkout):
    texts = texts_of(checkout)
    assert sorted(str(file.relative_to(checkout)) for file in write(texts)) == [
        "README.md",
        "bundle_index.json",
        *[f"bundles/one/configs/{kind}.json" for kind in ("inference", "metadata", "paper", "train")],
        *[f"bundles/two/configs/{kind}.json" for kind in ("inference", "metadata", "paper", "train")],
    ]
    written = json.loads((checkout / "bundles/two/configs/metadata.json").read_text())
    assert written["monai_version"] == "1.6.1"
    assert (checkout / "bundles/two/configs/train.json").read_text() == '{"name": "two"}\n'
    assert differences(texts, checkout) == []
    assert write(texts) == []


def test_a_new_pin_changes_the_metadata_of_all(checkout):
    write(texts_of(checkout))
    (checkout / "requirements.txt").write_text("monai==1.7.0\n")
    found = differences(texts_of(checkout), checkout)
    said = 'configs/metadata.json: monai_version is "1.6.1", expected "1.7.0"'
    assert found == [f"bundles/{name}/recipe.json: {said}" for name in ("one", "two")]


@pytest.mark.parametrize(
    ("file", "text", "said"),
    [
        ("bundles/one/configs/paper.json", '{"epochs": 4}\n', "configs/paper.json: epochs is 4, expected 3"),
        ("bundles/one/configs/paper.json", '{"epochs":3}\n', "configs/paper.json: is laid out otherwise"),
        ("bundles/one/configs/paper.json", "{", "configs/paper.json: is not JSON"),
        ("bundles/one/configs/paper.json", None, "configs/paper.json: the file is missing"),
        ("bundles/one/configs/old.json", "{}", "has no section for configs/old.json"),
    ],
)
def test_a_config_that_differs_is_reported_with_its_recipe(checkout, file, text, said):
    texts = texts_of(checkout)
    write(texts)
    (checkout / file).unlink(missing_ok=True)
    if text is not None:
        (checkout / file).write_text(text)
    (found,) = differences(texts, checkout)
    assert found.startswith(f"bundles/one/recipe.json: {said}")


def test_lists_that_differ(checkout):
    texts = texts_of(checkout)
    write(texts)
    (checkout / "bundle_index.json").write_text("{}\n")
    (checkout / "README.md").write_text("<!-- bundles -->\nmine\n<!-- /bundles -->\n")
    index, page = differences(texts, checkout)
    assert index.startswith("bundle_index.json: one_v0.1.0 is missing")
    assert page == "README.md: the table of bundles is not what their metadata give"


def test_lists_keep_bundles_that_are_not_written_now(checkout):
    write(texts_of(checkout))
    texts = configs_as_text("two", checkout, checkout)
    assert '"one_v0.1.0"' in lists_as_text(texts, checkout)[checkout / "bundle_index.json"]


def test_a_bundle_without_recipe(checkout):
    with pytest.raises(InputError, match="bundle three: has no recipe; there are: one, two"):
        configs_as_text("three", checkout, checkout)


def run(folder: Path, *words: str) -> subprocess.CompletedProcess:
    """The command of a copied checkout, so that it does not write into this one."""
    command = [sys.executable, "-m", "common.recipes", *words]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True)


@pytest.fixture
def copied(checkout: Path) -> Path:
    """As ``checkout``, with the code that writes it."""
    for file in [
        *ROOT.glob("common/*.py"),
        *ROOT.glob("common/recipes/*.py"),
        *ROOT.glob("common/registry/*.py"),
    ]:
        target = checkout / file.relative_to(ROOT)
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(file.read_text())
    return checkout


def test_the_command_writes_and_checks(copied):
    written = run(copied, "one")
    assert written.returncode == 0, written.stderr
    assert "bundles/one/configs/train.json" in written.stdout.split()
    assert "bundle_index.json" in written.stdout.split()
    assert "bundles/two" not in written.stdout
    missing = run(copied, "--check")
    assert missing.returncode == 1
    assert missing.stderr.startswith(
        "error: bundles/two/recipe.json: configs/train.json: the file is missing ("
    )
    assert missing.stderr.endswith("; run  make configs\n")
    assert missing.stderr.count("\n") == 1
    assert run(copied).returncode == 0
    checked = run(copied, "--check")
    assert (checked.returncode, checked.stdout, checked.stderr) == (0, "", "")
    unknown = run(copied, "three")
    assert unknown.stderr == "error: bundle three: has no recipe; there are: one, two\n"


def test_the_command_needs_neither_torch_nor_monai():
    code = "import sys, common.recipes.__main__; print({'torch', 'monai', 'numpy'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert done.stdout == "set()\n", done.stderr
