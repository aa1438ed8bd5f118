"""The files of a bundle, and the rules for its name."""

from __future__ import annotations

import re

import pytest

from tests.contract.bundle import NAMES, ROOT
from tests.contract.kinds import kind_of

REQUIRED = (
    "LICENSE",
    "configs/metadata.json",
    "configs/train.json",
    "configs/inference.json",
    "configs/evaluate.json",
    "configs/paper.json",
    "configs/multi_gpu_train.json",
    "docs/README.md",
    "docs/data_license.txt",
)

# Which test runs each config; contract/kinds has this for inference and evaluate.  A new config must be run
# somewhere and named here or, if it is one bundle's own, under "configs" in that bundle's quick.json.
MET_IN = {
    "metadata": "test_metadata.py::test_fits_the_schema",
    "train": "test_training.py::test_first_run_leaves_all_that_the_card_promises",
    "paper": "test_training.py::test_paper_recipe_trains_through_every_augmentation",
    "multi_gpu_train": "test_training.py::test_two_processes_end_with_equal_weights",
}


def test_there_are_bundles():
    """A glob that finds nothing would make the whole contract pass.

    A folder with a training or an inference config is a bundle; one without is an unfinished bundle.
    """
    kinds = ("train", "inference")
    folders = {path.parents[1].name for kind in kinds for path in ROOT.glob(f"bundles/*/configs/{kind}.json")}
    assert folders
    assert set(NAMES) == folders


@pytest.mark.always
@pytest.mark.parametrize("file", REQUIRED)
def test_required_file(bundle, file):
    assert (bundle.root / file).read_text().strip()


@pytest.mark.always
def test_licence_is_one_that_tools_recognise(bundle):
    """``push_to_hf_hub`` looks for these words."""
    assert re.search(r"Apache License\s+Version 2\.0|MIT License", (bundle.root / "LICENSE").read_text())


@pytest.mark.always
def test_package_has_the_bundles_name(bundle):
    """So that many bundles can be loaded in one process."""
    assert (bundle.root / bundle.name / "__init__.py").is_file()
    assert (bundle.root / bundle.name / "network.py").is_file()
    packages = {path.parent.name for path in bundle.root.glob("*/__init__.py")}
    assert packages == {bundle.name, "common"}


@pytest.mark.always
def test_name(bundle):
    """MONAI cuts names at ``_v`` and modules cannot have a hyphen."""
    assert re.fullmatch(r"[a-z][a-z0-9_]*", bundle.name)
    assert "_v" not in bundle.name


@pytest.mark.always
def test_every_config_is_run_by_a_test(bundle):
    own = {kind: f"../bundles/{bundle.name}/{test}" for kind, test in bundle.quick.get("configs", {}).items()}
    of_kind = {config: f"kinds/{bundle.kind}.py::{test}" for config, test in kind_of(bundle).RUNS.items()}
    met_in = MET_IN | of_kind | own
    assert bundle.configs == set(met_in), "name the new config here, with the test that runs it"
    for kind, test in met_in.items():
        file, function = test.split("::")
        source = (ROOT / "tests" / "contract" / file).read_text()
        body = re.search(rf"^def {function}\(.*?(?=^def |^@|\Z)", source, re.M | re.S)
        assert body is not None, test
        assert f'"{kind}"' in body.group() or (kind == "train" and "trained" in body.group()), test
