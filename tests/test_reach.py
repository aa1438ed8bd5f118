"""What a bundle reaches: imports of every form, lazy names of packages, dotted names in configs and cards."""

from __future__ import annotations

import pytest

from tests.reach import Reach

FILES = {
    "common/__init__.py": "",
    "common/data/__init__.py": '_HOME = {"read": "lists.read", "check": "checks"}\n',
    "common/data/__main__.py": "from common import command",
    "common/data/lists/__init__.py": "",
    "common/data/lists/read.py": "",
    "common/data/checks.py": "from common.data import read\n",
    "common/command.py": "",
    "common/page.html": "",
    "common/inner.py": "def late():\n    from common.data.lists import read\n",
    "common/prose.py": '"""See common.command and `common.inner`."""\n',
    "common/named.py": 'TARGET = "common.inner.late"\n',
    "tests/contract/test_all.py": "import common.command\n",
    "bundles/toy/toy/__init__.py": "",
}


@pytest.fixture
def root(tmp_path):
    for path, text in FILES.items():
        file = tmp_path / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
    return tmp_path


def reached(root, path, text):
    """Modules of ``common`` reached by a bundle with one more file."""
    file = root / "bundles" / "toy" / path
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text)
    return {name.removeprefix("common.") for name in Reach(root).of_bundle("toy")} - {"common"}


READ = {"data", "data.__main__", "command", "data.lists", "data.lists.read"}


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("import os\n", set()),
        ("import common.command\n", {"command"}),
        ("from common import command\n", {"command"}),
        ("from common.data import read\n", READ),
        ("from common.data import check\n", READ | {"data.checks"}),
        ("import common.inner\n", READ | {"inner"}),
        ("import common.prose\n", {"prose"}),
        ("import common.named\n", READ | {"named", "inner"}),
    ],
)
def test_imports(root, text, found):
    assert reached(root, "toy/network.py", text) == found


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ("configs/train.json", '{"data": {"_target_": "common.inner.late"}}'),
        ("configs/train.json", '{"data": "$common.inner.late(@cases)"}'),
        ("docs/README.md", "    python -m common.inner DIR\n"),
    ],
)
def test_names(root, path, text):
    assert reached(root, path, text) == READ | {"inner"}


def test_what_the_tests_of_every_bundle_name(root):
    reach = Reach(root, [root / "tests/contract/test_all.py"])
    assert reach.of_bundle("toy") == {"common", "common.command"}


def test_a_file_that_is_not_python_belongs_to_its_package(root):
    reach = Reach(root)
    assert reach.modules_of("common/command.py") == {"common.command"}
    assert "common" in reach.modules_of("common/page.html")
