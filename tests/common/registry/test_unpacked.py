"""A bundle from ``get``: every command of MONAI in a fresh process, with no checkout and no other package.

Only the packages named in metadata.json, and what pip installs for them, can be imported.
"""

from __future__ import annotations

import ast
import json
import os
import re
import shutil
import sys
from dataclasses import dataclass
from importlib import metadata as installed
from pathlib import Path

import pytest
import torch

from common.bundles import parse_config
from common.checkpoints.store import save_state
from common.files import write_json
from common.registry.fetch import get
from common.registry.index import index
from common.registry.pack import pack
from tests.common.downloads.servers import HubHandler, Server, serving
from tests.contract.bundle import ROOT, Bundle, Shell, Told, words_of
from tests.contract.test_network import shape_of

pytestmark = pytest.mark.full


@dataclass(frozen=True)
class Published:
    """A bundle with weights on a local server, and the folder that ``get`` made of it."""

    bundle: Bundle
    folder: Path
    server: Server

    @property
    def unpacked(self) -> Path:
        return self.folder / "bundles" / self.bundle.name


def quick_plan(bundle: Bundle) -> dict:
    """What training would have planned, with coarse voxels and no mirroring: a run of seconds."""
    plan = bundle.config("inference")["plan"]["default"]
    coarse = {"spacing": [9.0] * bundle.dims, "mirror_axes": []}
    return {
        **plan,
        **{key: value for key, value in coarse.items() if key in plan},
        **{key: bundle.quick["train"][key] for key in plan if key in bundle.quick["train"]},
    }


@pytest.fixture(scope="module")
def published(bundle, tmp_path_factory):
    folder = tmp_path_factory.mktemp("published")
    root = folder / "checkout"
    leave_out = shutil.ignore_patterns("data", "eval", "models", "common", "__pycache__")
    shutil.copytree(bundle.root, root / "bundles" / bundle.name, ignore=leave_out)
    (root / "common").symlink_to(ROOT / "common")
    models = root / "bundles" / bundle.name / "models"
    if "plan" in bundle.config("inference"):
        write_json(models / "plan.json", quick_plan(bundle))
    torch.manual_seed(0)
    network = parse_config(bundle.name).get_parsed_content("network_def")
    save_state(network, models / "model.pt")
    pack(bundle.name, folder / "dist", root=root)
    with serving(folder / "dist") as server:
        index(folder / "dist", server.url, org="zoo")
        get(bundle.name, server.url, bundle_dir=folder / "bundles")
        shutil.rmtree(root)
        yield Published(bundle, folder, server)


def packages_of(names: set[str]) -> set[str]:
    """Distributions that pip installs for these, all of them in lower case."""
    todo, found = {re.sub(r"[-_.]+", "-", name).lower() for name in names}, set()
    while todo:
        name = todo.pop()
        found.add(name)
        try:
            requirements = installed.requires(name) or []
        except installed.PackageNotFoundError:  # for another platform
            continue
        needed = {re.match(r"[\w.-]+", one).group() for one in requirements if "extra ==" not in one}
        todo |= {re.sub(r"[-_.]+", "-", one).lower() for one in needed} - found
    return found


def refused_modules(bundle: Bundle) -> list[str]:
    named = packages_of({"torch", "monai", "numpy", *bundle.metadata["required_packages_version"]})
    return sorted(
        module
        for module, owners in installed.packages_distributions().items()
        if not {re.sub(r"[-_.]+", "-", owner).lower() for owner in owners} & named
        and module not in sys.stdlib_module_names
    )


@dataclass(frozen=True)
class Hermit:
    """Runs commands on an unpacked bundle, and asserts that each used the bundle's own ``common``."""

    published: Published
    home: Path

    def python(self, *words, cwd: Path, on_path: bool) -> Told:
        site = self.home / "site"
        site.mkdir(exist_ok=True)
        shutil.copy2(Path(__file__).with_name("hermetic.py"), site / "sitecustomize.py")
        bundle = self.published.bundle
        settings = {"bundle": bundle.name, "modules": refused_modules(bundle)}
        (site / "refused.json").write_text(json.dumps(settings))
        path = f"{site}{os.pathsep}{self.published.unpacked}" if on_path else site
        told = Shell(cwd, self.home).python(*words, path=path, fresh=True).ok()
        origins = json.loads((site / "origins.json").read_text())
        root = self.published.unpacked
        assert origins == {
            "common": str(root / "common" / "__init__.py"),
            bundle.name: str(root / bundle.name / "__init__.py"),
        }
        return told

    def monai(self, command, *words, **config) -> Told:
        configs = {
            "meta_file": self.published.unpacked / "configs" / "metadata.json",
            "config_file": self.published.unpacked / "configs" / "inference.json",
        }
        return self.python(
            "-m", "monai.bundle", command, *words, *words_of(configs | config), cwd=self.home, on_path=True
        )


@pytest.fixture
def hermit(published, tmp_path):
    return Hermit(published, tmp_path)


def test_refuses_what_is_not_named(published):
    """Without refused modules the tests below would prove nothing."""
    refused = refused_modules(published.bundle)
    assert {"pytest", "hypothesis"} <= set(refused)
    assert not {"torch", "monai", "numpy", "sympy", "common"} & set(refused)


# Imports that no bundle declares: neither training nor prediction needs them.
OPTIONAL = {
    "h5py": "h5_arrays.py",  # prepare la2018; the message says how to install it
    "onnxruntime": "zoo_steps.py",  # verify-bundle asks for it before it begins
    "triton": "triton.py",  # kernels for GPUs; PyTorch for CUDA brings it
}


def test_every_import_is_of_a_named_package(published):
    """Also the imports that the commands below do not reach."""
    refused, found = set(refused_modules(published.bundle)), set()
    for file in published.unpacked.rglob("*.py"):
        names = set()
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.Import):
                names |= {alias.name.partition(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom):
                names.add((node.module or "").partition(".")[0])
        found |= {name for name in names if not file.name.endswith(OPTIONAL.get(name, "."))}
    assert "torch" in found
    assert not found & refused, "name these packages in metadata.json, required_packages_version"


def test_run(published, hermit):
    """``cd cotr && python -m monai.bundle run --config_file configs/inference.json``, nothing set."""
    quick = published.bundle.quick
    places = {"dataset_dir#folder": hermit.home / "phantom", "output_dir": hermit.home / "eval"}
    words = ("-m", "monai.bundle", "run", "--config_file", "configs/inference.json")
    overrides = words_of({**places, **quick["data"]})
    hermit.python(*words, *overrides, cwd=published.unpacked, on_path=False)
    listed = json.loads((hermit.home / "phantom" / "dataset.json").read_text())["test"]
    postfix = published.bundle.config("inference")["output_postfix"]
    written = list((hermit.home / "eval").glob(f"*_{postfix}.*"))
    assert len(written) == len(listed) >= quick["data"]["dataset_dir#test"]


@pytest.mark.sample
def test_load(published, hermit):
    code = (
        "import sys, torch, monai.bundle\n"
        "name, folder, target = sys.argv[1:]\n"
        "network = monai.bundle.load(name, bundle_dir=folder, workflow_type='inference', source='github')\n"
        "torch.save(network.state_dict(), target)\n"
    )
    words = (published.bundle.name, published.unpacked.parent, hermit.home / "loaded.pt")
    hermit.python("-c", code, *words, cwd=hermit.home, on_path=True)
    loaded = torch.load(hermit.home / "loaded.pt", weights_only=True)
    saved = torch.load(published.unpacked / "models" / "model.pt", weights_only=True)
    assert loaded.keys() == saved.keys()
    assert all(torch.equal(loaded[key], saved[key]) for key in saved)


@pytest.mark.sample
def test_verify_net_in_out(published, hermit):
    told = hermit.monai("verify_net_in_out", "network_def")
    assert "is verified with no error" in told.out + told.err


@pytest.mark.sample
def test_ckpt_export(scriptable, published, hermit):
    weights, target = published.unpacked / "models" / "model.pt", hermit.home / "model.ts"
    hermit.monai("ckpt_export", "network_def", filepath=target, ckpt_file=weights)
    network = parse_config(published.bundle.name).get_parsed_content("network_def").eval()
    network.load_state_dict(torch.load(weights, weights_only=True))
    shape = shape_of(published.bundle.input_format, n=1)
    x = torch.randn(1, published.bundle.input_format["num_channels"], *shape)
    with torch.no_grad():
        torch.testing.assert_close(torch.jit.load(target).eval()(x), network(x), rtol=1e-5, atol=1e-5)


def same_files(one: Path, other: Path) -> bool:
    def files(folder: Path) -> dict[str, bytes]:
        shown = (p for p in folder.rglob("*") if p.is_file() and p.suffix != ".pyc")
        relative = {p.relative_to(folder).as_posix(): p for p in shown}
        return {name: p.read_bytes() for name, p in relative.items() if not name.startswith(".cache/")}

    return files(one) == files(other)


@pytest.mark.sample
def test_stock_client_by_url(published, tmp_path):
    """The command that the catalogue shows."""
    entries = json.loads((published.folder / "dist" / "bundle_index.json").read_text())
    name, (entry,) = published.bundle.name, entries.values()
    words = ("download", "--name", name, "--url", entry["source"], "--bundle_dir", tmp_path / "bundles")
    Shell(tmp_path, tmp_path).python("-m", "monai.bundle", *words).ok()
    assert same_files(tmp_path / "bundles" / name, published.unpacked)


@pytest.mark.sample
def test_stock_client_by_huggingface_protocol(published, tmp_path, monkeypatch):
    """With the real huggingface_hub, by version and by the newest tag."""
    pytest.importorskip("huggingface_hub")
    name, version = published.bundle.name, published.bundle.metadata["version"]
    with serving(published.folder / "dist" / "hf", HubHandler) as hub:
        settings = f"HF_ENDPOINT={hub.url}", "HF_HUB_DISABLE_XET=1"
        code = (
            "import os, runpy, sys\n"
            "os.environ.update(word.split('=', 1) for word in sys.argv[1:3])\n"
            "sys.argv[:3] = ['monai.bundle']\n"
            "runpy.run_module('monai.bundle', run_name='__main__')\n"
        )
        options = {"name": name, "source": "huggingface_hub", "repo": f"zoo/{name}", "bundle_dir": tmp_path}
        words = words_of(options | {"version": version})
        Shell(tmp_path, tmp_path).python("-c", code, *settings, "download", *words, fresh=True).ok()
        assert same_files(tmp_path / name, published.unpacked)
        asked = [line for line in hub.seen if "/resolve/" in line]
        assert f"GET /api/models/zoo/{name}/revision/{version}" in hub.seen
        assert any(line.endswith("models/model.pt") for line in asked)
