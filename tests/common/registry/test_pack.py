"""The content of a zip, its reproducibility, and the guard between versions of common."""

from __future__ import annotations

import ast
import json
import os
import re
import subprocess
import sys
import zipfile

import pytest

from common.checkpoints.stamp import Stamp, plan_digest
from common.errors import InputError
from common.registry.archive import unpack
from common.registry.index import index
from common.registry.pack import pack
from common.registry.verify import verify
from tests.common.checkpoints.test_state_file import Evil
from tests.common.registry import toy
from tests.contract.bundle import ROOT


def test_zip_holds_the_bundle_and_nothing_else(tmp_path):
    path = pack("toy", tmp_path / "dist", root=toy.checkout(tmp_path))
    assert path.name == "toy_v0.1.0.zip"
    with zipfile.ZipFile(path) as archive:
        assert archive.namelist() == [
            "toy/LICENSE",
            "toy/common/__init__.py",
            "toy/common/blocks/__init__.py",
            "toy/configs/inference.json",
            "toy/configs/metadata.json",
            "toy/docs/README.md",
            "toy/docs/method.md",
            "toy/docs/preview.png",
            "toy/models/model.pt",
            "toy/models/plan.json",
            "toy/toy/__init__.py",
            "toy/toy/_packed.py",
        ]
    assert os.listdir(path.parent) == [path.name]


def test_same_files_same_bytes(tmp_path):
    """Wherever they lie, whenever and with whatever mode they were written."""
    first = pack("toy", tmp_path / "dist", root=toy.checkout(tmp_path / "one"))
    other = toy.checkout(tmp_path / "two")
    for file in other.rglob("*"):
        os.utime(file, (1e9, 1e9))
        if file.is_file():
            file.chmod(0o600)
    second = pack("toy", tmp_path / "dist 2", root=other)
    assert first.read_bytes() == second.read_bytes()
    with zipfile.ZipFile(first) as archive:  # nothing of today, of the machine, or of its zlib
        kinds = {(m.date_time, m.external_attr >> 16, m.compress_type) for m in archive.infolist()}
    assert kinds == {((1980, 1, 1, 0, 0, 0), 0o100644, zipfile.ZIP_STORED)}
    plan = other / "bundles/toy/models/plan.json"
    plan.write_text(f"{plan.read_text()} ")
    assert pack("toy", tmp_path / "dist 2", root=other).read_bytes() != first.read_bytes()


@pytest.mark.always
def test_real_bundles(bundle, tmp_path):
    """Every module of common travels but those that make bundles; none that travels needs one of these."""
    name = bundle.name
    path = pack(name, tmp_path)
    assert path.read_bytes() == pack(name, tmp_path / "again").read_bytes()
    with zipfile.ZipFile(path) as archive:
        held = set(archive.namelist())
        sources = [archive.read(file).decode() for file in held if file.endswith(".py")]
        init = archive.read(f"{name}/common/__init__.py")
    modules = {f"{name}/{file.relative_to(ROOT).as_posix()}" for file in (ROOT / "common").rglob("*.py")}
    left_out = r"/common/(new|recipes|registry)/|recipe\.json|\.pyc|/data/|/eval/|checkpoint\.pt"
    assert {file for file in modules if not re.search(left_out, file)} <= held
    assert not [file for file in held if re.search(left_out, file)]
    needed = re.compile(r"^\s*(from|import) common\.(new|recipes|registry)", re.M)
    assert not [text for text in sources if needed.search(text)]
    assert init == (ROOT / "common/__init__.py").read_bytes()


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda b: (b / "LICENSE").unlink(), "LICENSE: there is no such file"),
        (lambda b: (b / "toy/__init__.py").unlink(), "a Python package of its own name"),
        (lambda b: (b / "configs/metadata.json").write_text("{"), "metadata.json: is not JSON"),
        (
            lambda b: (b / "configs/metadata.json").write_text('{"version": "1"}'),
            'version "1" in metadata.json; expected three numbers',
        ),
        (
            lambda b: (b / "configs/metadata.json").write_text('{"version": "0.2.0", "changelog": {}}'),
            "version 0.2.0 has no entry in changelog",
        ),
    ],
)
def test_incomplete_bundle(spoil, message, tmp_path):
    root = toy.checkout(tmp_path)
    spoil(root / "bundles/toy")
    with pytest.raises(InputError, match=message):
        pack("toy", tmp_path / "dist", root=root)
    assert not (tmp_path / "dist").exists() or not os.listdir(tmp_path / "dist")


PLAN = {"intensity": [{"scheme": "zscore"}], "labels": {}, "spacing": [1, 1, 1]}
STAMP = Stamp("a run", plan_digest(PLAN))
WRONG_MODELS = {
    "another plan": (
        toy.weights(STAMP),
        json.dumps({**PLAN, "spacing": [2, 1, 1]}),
        "plan.json is another plan",
    ),
    "no plan": (toy.weights(STAMP), None, "plan.json is not there"),
    "no weights": (b"weights " * 2000, json.dumps(PLAN), "not a PyTorch checkpoint"),
    "code": (toy.saved({"weight": Evil()}), json.dumps(PLAN), r"posix.getcwd\) that could run code"),
}


@pytest.mark.parametrize("kind", WRONG_MODELS)
def test_weights_that_are_none_or_have_a_foreign_plan_are_neither_packed_nor_verified(kind, tmp_path):
    weights, plan, message = WRONG_MODELS[kind]
    root = toy.checkout(tmp_path)
    models = root / "bundles/toy/models"
    good = pack("toy", tmp_path / "dist", root=root)
    (models / "model.pt").write_bytes(weights)
    (models / "plan.json").unlink()
    if plan is not None:
        (models / "plan.json").write_text(plan)
    with pytest.raises(InputError, match=message):
        pack("toy", tmp_path / "new", root=root)
    assert not (tmp_path / "new").exists()
    new = {"toy/models/model.pt": weights} | ({"toy/models/plan.json": plan} if plan is not None else {})
    old = {"toy/models/model.pt", "toy/models/plan.json"}
    toy.rewrite(good, lambda members: [*(one for one in members if one[0] not in old), *new.items()])
    with pytest.raises(InputError, match=rf"toy_v0\.1\.0\.zip: toy/models/model\.pt: .*{message}"):
        verify(good)


def test_weights_with_their_plan_are_packed_and_verified(tmp_path):
    root = toy.checkout(tmp_path)
    (root / "bundles/toy/models/model.pt").write_bytes(toy.weights(STAMP))
    (root / "bundles/toy/models/plan.json").write_text(json.dumps(PLAN))
    verify(pack("toy", tmp_path / "dist", root=root))


def test_folds_are_packed_where_there_are_no_other_weights(tmp_path):
    """As prediction takes them; each with its plan, and nothing else that a training leaves."""
    root = toy.checkout(tmp_path)
    models = root / "bundles/toy/models"
    for fold in ("fold_0", "fold_1", "fold_1_previous"):
        (models / fold).mkdir()
        (models / fold / "model.pt").write_bytes(toy.weights(STAMP))
        (models / fold / "plan.json").write_text(json.dumps(PLAN))
        (models / fold / "checkpoint.pt").write_bytes(b"a training's")
    folds = [f"toy/models/fold_{k}/{file}" for k in range(2) for file in ("model.pt", "plan.json")]

    def packed(folder):
        path = pack("toy", tmp_path / folder, root=root)
        verify(path)
        with zipfile.ZipFile(path) as archive:
            return path, [name for name in archive.namelist() if name.startswith("toy/models/")]

    assert packed("whole")[1] == ["toy/models/model.pt", "toy/models/plan.json"]
    for file in ("model.pt", "plan.json"):
        (models / file).unlink()
    path, held = packed("folds")
    assert held == folds
    assert index(path.parent, "https://example.org")["toy_v0.1.0"]["weights"] is True
    other = json.dumps({**PLAN, "spacing": [2, 1, 1]})
    toy.rewrite(path, lambda members: [(n, other if n == folds[3] else content) for n, content in members])
    with pytest.raises(InputError, match=r"toy/models/fold_1/model\.pt: .*plan.json is another plan"):
        verify(path)
    (models / "fold_1" / "plan.json").write_text(other)
    with pytest.raises(InputError, match=r"fold_1/model\.pt: .*plan.json is another plan"):
        pack("toy", tmp_path / "new", root=root)


def test_each_training_that_a_prediction_averages_is_packed(tmp_path):
    """Those that inference.json names, whole or in folds; no other folder of models/."""
    root = toy.checkout(tmp_path)
    bundle = root / "bundles/toy"
    (bundle / "configs/inference.json").write_text('{"settings": {"first": {}, "low": {}, "joint": {}}}')
    for place in ("low/fold_0", "low/fold_1", "joint", "joint/unfinished", "low_previous", "tried"):
        folder = bundle / "models" / place
        folder.mkdir(parents=True)
        (folder / "model.pt").write_bytes(toy.weights(STAMP))
        (folder / "plan.json").write_text(json.dumps(PLAN))
        (folder / "checkpoint.pt").write_bytes(b"a training's")
    path = pack("toy", tmp_path / "dist", root=root)
    verify(path)
    with zipfile.ZipFile(path) as archive:
        held = {name.removeprefix("toy/models/") for name in archive.namelist() if "/models/" in name}
    places = ("", "joint/", "low/fold_0/", "low/fold_1/")
    assert held == {f"{place}{file}" for place in places for file in ("model.pt", "plan.json")}

    other = json.dumps({**PLAN, "spacing": [2, 1, 1]})
    spoilt = "toy/models/low/fold_1/plan.json"
    toy.rewrite(path, lambda members: [(n, other if n == spoilt else content) for n, content in members])
    with pytest.raises(InputError, match=r"toy/models/low/fold_1/model\.pt: .*plan.json is another plan"):
        verify(path)
    (bundle / "models/low/fold_0/plan.json").write_text(other)
    with pytest.raises(InputError, match=r"low/fold_0/model\.pt: .*plan.json is another plan"):
        pack("toy", tmp_path / "new", root=root)


def test_unknown_bundle(tmp_path):
    with pytest.raises(InputError, match=r"bundle toys: unknown; expected one of: toy"):
        pack("toys", tmp_path / "dist", root=toy.checkout(tmp_path))


def test_guard_comes_before_the_first_import(tmp_path):
    path = pack("toy", tmp_path, root=toy.checkout(tmp_path))
    with zipfile.ZipFile(path) as archive:
        init = archive.read("toy/toy/__init__.py").decode()
    assert ast.get_docstring(ast.parse(init)) == "A toy."
    imports = [node.module for node in ast.parse(init).body if isinstance(node, ast.ImportFrom)]
    assert imports == ["__future__", "toy", "common.blocks"]


def import_both(tmp_path, *versions):
    """Two unpacked bundles in one process, both on the path, as in MONAI Label."""
    for name, version in zip(("first", "second"), versions, strict=True):
        root = toy.checkout(tmp_path / name, name, common=version)
        unpack(pack(name, tmp_path / "dist", root=root), tmp_path / "bundles", name)
    code = "import first, second; print(first.VERSION_OF_BLOCKS, second.VERSION_OF_BLOCKS)"
    path = os.pathsep.join(str(tmp_path / "bundles" / name) for name in ("first", "second"))
    return subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, env={"PYTHONPATH": path}, capture_output=True, text=True
    )


def test_two_bundles_with_one_common_share_a_process(tmp_path):
    done = import_both(tmp_path, "0.1.0", "0.1.0")
    assert (done.returncode, done.stdout) == (0, "0.1.0 0.1.0\n"), done.stderr


def test_two_bundles_with_different_commons_do_not(tmp_path):
    done = import_both(tmp_path, "0.1.0", "0.2.0")
    assert done.returncode != 0
    assert done.stderr.splitlines()[-1].startswith(
        "ImportError: second was packed with common 0.2.0, but this process already uses common 0.1.0 from "
        f"{tmp_path}/bundles/first/common/__init__.py"
    )


def test_foreign_module_called_common(tmp_path):
    root = toy.checkout(tmp_path)
    unpack(pack("toy", tmp_path / "dist", root=root), tmp_path / "bundles", "toy")
    (tmp_path / "strange").mkdir()
    (tmp_path / "strange/common.py").write_text("")
    path = f"{tmp_path}/strange:{tmp_path}/bundles/toy"
    done = subprocess.run(
        [sys.executable, "-c", "import toy"],
        cwd=tmp_path / "dist",
        env={"PYTHONPATH": path},
        capture_output=True,
        text=True,
    )
    assert "already uses common (of somebody else) from" in done.stderr
