"""The commands in fresh processes, from another folder, with an otherwise empty environment."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

import common
from common.datasets.check.bundle_needs import BundleNeeds, needs_of
from common.errors import InputError

ROOT = Path(common.__file__).resolve().parents[1]


@pytest.fixture
def command(tmp_path, cache_home):
    def run(*words):
        return subprocess.run(
            [sys.executable, "-m", "common.datasets", *map(str, words)],
            cwd=tmp_path,
            env={"PYTHONPATH": str(ROOT), "XDG_CACHE_HOME": str(cache_home), "OMP_NUM_THREADS": "1"},
            capture_output=True,
            text=True,
        )

    return run


def test_list_then_check_then_repair(tiny, command):
    (tiny.root / "dataset.json").unlink()
    listed = command("list", tiny.root)
    assert listed.returncode == 0, listed.stderr
    assert "4 training and 1 test cases" in listed.stdout

    good = command("check", tiny.root, "--num_classes", 3, "--in_channels", 1)
    assert good.returncode == 0, good.stderr
    assert good.stdout == "5 cases checked, nothing to repair\n"

    label = tiny.label()
    label[0, 0, 0] = 255
    tiny.write("labelsTr/c1.nii.gz", label)
    (tiny.root / "imagesTr/c2.nii.gz").unlink()
    bad = command("check", tiny.root, "--num_classes", 3)
    assert bad.returncode == 1
    heading, *rows, total = bad.stdout.splitlines()
    assert heading.split() == ["case", "file", "key", "found", "expected", "how", "to", "repair"]
    assert [row.split()[1:3] for row in rows] == [
        ["training[1]", "labelsTr/c1.nii.gz"],
        ["training[2]", "imagesTr/c2.nii.gz"],
    ]
    assert total == "5 cases checked, 2 to repair, 0 to look at"

    (tiny.root / "imagesTr/c2.nii.gz").write_bytes((tiny.root / "imagesTr/c3.nii.gz").read_bytes())
    mapped = command("check", tiny.root, "--num_classes", 3, "--label_map", "{255: 0}")
    assert mapped.returncode == 0, mapped.stdout


def test_bad_input_is_one_line_and_exit_code_1(tmp_path, command):
    for words in (["check", tmp_path], ["list", tmp_path], ["check", tmp_path, "--bundle", "nonesuch"]):
        told = command(*words)
        assert told.returncode == 1
        assert told.stdout == ""
        assert told.stderr.startswith("error: ")
        assert len(told.stderr.splitlines()) == 1


@pytest.fixture
def metadata():
    return {
        "network_data_format": {
            "inputs": {"image": {"num_channels": 2, "spatial_shape": [48, "*", "*"]}},
            "outputs": {"pred": {"channel_def": {"0": "background", "1": "a", "2": "b"}}},
        }
    }


def test_needs_of_a_bundle_in_a_checkout_and_unpacked(tmp_path, metadata):
    for configs in (tmp_path / "checkout/bundles/one/configs", tmp_path / "unpacked/configs"):
        configs.mkdir(parents=True)
        (configs / "metadata.json").write_text(json.dumps(metadata))
    for package in ("common", "one"):
        (tmp_path / "unpacked" / package).mkdir()
        (tmp_path / "unpacked" / package / "__init__.py").touch()
    for root in (tmp_path / "checkout", tmp_path / "unpacked"):
        assert needs_of("one", root=root) == BundleNeeds(channels=2, classes=3, dims=3)
        with pytest.raises(InputError, match=r"unknown; expected one of: one$"):
            needs_of("two", root=root)


def test_metadata_without_formats_are_reported(tmp_path):
    (tmp_path / "configs").mkdir()
    (tmp_path / "one").mkdir()
    (tmp_path / "one/__init__.py").touch()
    for broken in ("{", "{}", '{"network_data_format": []}'):
        (tmp_path / "configs/metadata.json").write_text(broken)
        with pytest.raises(InputError, match="use --num_classes"):
            needs_of("one", root=tmp_path)


def test_importing_the_package_loads_no_reader():
    code = "import sys, common.datasets; print({'torch', 'monai', 'nibabel', 'numpy'} & set(sys.modules))"
    told = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert told.stdout == "set()\n", told.stderr


def test_every_public_name_resolves():
    import common.datasets

    assert all(hasattr(common.datasets, name) for name in common.datasets.__all__)
    with pytest.raises(AttributeError):
        common.datasets.nonesuch  # noqa: B018
