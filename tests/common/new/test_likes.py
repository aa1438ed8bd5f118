"""A new bundle like each existing one: its configs, metadata, network and code."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import jsonschema
import pytest

from common.new.gaps import gaps
from common.new.like import Like
from common.new.write import new_bundle
from common.recipes.checkout import ROOT, bundles_with_recipe, configs_as_text, differences

LIKES = bundles_with_recipe()


def new_name(like: str) -> str:
    """Name of the bundle that is like another."""
    return f"new{like}"


SCHEMA = json.loads((ROOT / "common" / "registry" / "meta_schema_20240725.json").read_text())

#: For each bundle and config its dangling references, and names of common that lead nowhere; for each bundle
#: its network's output.
LOOK = """
import json, re, sys
from pydoc import locate
import torch
from common.bundles import parse_config
from monai.bundle import ConfigParser

def strings(node):
    inner = node.values() if isinstance(node, dict) else node if isinstance(node, list) else ()
    return [node] if isinstance(node, str) else [text for one in inner for text in strings(one)]

def broken(folder, kinds):
    parser = ConfigParser()
    parser.read_config([f"{folder}/configs/{kind}.json" for kind in kinds])
    refs = {ref for text in strings(parser.get()) for ref in re.findall(r"@([A-Za-z_][\\w#]*)", text)}
    names = {name for text in strings(parser.get()) for name in re.findall(r"\\bcommon(?:\\.\\w+)+", text)}
    return sorted(ref for ref in refs if ref not in parser) + sorted(n for n in names if locate(n) is None)

found = {}
for name in sys.argv[1:]:
    folder = f"bundles/{name}"
    runs = [["train"], ["inference"], *(["train", kind] for kind in ("evaluate", "paper", "multi_gpu_train"))]
    inputs = json.load(open(f"{folder}/configs/metadata.json"))["network_data_format"]["inputs"]["image"]
    size = [eval(str(one), {"n": 1}) for one in inputs["spatial_shape"]]
    parser = parse_config(name)
    network = parser.get_parsed_content("network_def").eval()
    with torch.no_grad():
        pred = network(torch.rand(1, inputs["num_channels"], *size))
    train = parse_config(name, "train")
    built = [key for key in ("loss", "consistency", "optimizer") if key in train]
    for key in built:
        train.get_parsed_content(key)
    found[name] = [{str(kinds): broken(folder, kinds) for kinds in runs}, list(pred.shape), built]
print(json.dumps(found))
"""


@pytest.fixture(scope="module")
def written(checkout) -> dict[str, list[Path]]:
    """Name of a bundle -> the files of a new one like it."""
    return {like: new_bundle(new_name(like), like, checkout) for like in LIKES}


@pytest.fixture(scope="module")
def seen(checkout, written):
    names = [new_name(like) for like in written]
    told = subprocess.run(
        [sys.executable, "-c", LOOK, *names], cwd=checkout, capture_output=True, text=True, check=False
    )
    assert told.returncode == 0, told.stderr[-3000:]
    return json.loads(told.stdout.splitlines()[-1])


@pytest.mark.parametrize("like", LIKES)
def test_configs_index_and_table_match_the_recipe(checkout, written, like):
    name = new_name(like)
    assert differences(configs_as_text(name, checkout), checkout) == []
    assert f"{name}_v0.1.0" in json.loads((checkout / "bundle_index.json").read_text())
    assert f"[{name}](bundles/{name}/docs/README.md)" in (checkout / "README.md").read_text()


@pytest.mark.parametrize("like", LIKES)
def test_metadata_are_valid(checkout, written, like):
    metadata = json.loads((checkout / "bundles" / new_name(like) / "configs" / "metadata.json").read_text())
    jsonschema.validate(metadata, SCHEMA)
    other = json.loads((ROOT / "bundles" / like / "configs" / "metadata.json").read_text())
    assert metadata["paradigm"] == other["paradigm"]
    inputs, theirs = (one["network_data_format"]["inputs"]["image"] for one in (metadata, other))
    assert inputs["channel_def"] == theirs["channel_def"]


@pytest.mark.parametrize("like", LIKES)
def test_every_reference_resolves(seen, like):
    broken, _, built = seen[new_name(like)]
    assert {run: refs for run, refs in broken.items() if refs} == {}
    assert len(broken) == 5
    assert ("optimizer" in built) == ("trained" in Like(like, ROOT).parts)


@pytest.mark.parametrize("like", LIKES)
def test_network_output_has_the_metadatas_channels(checkout, seen, like):
    metadata = json.loads((checkout / "bundles" / new_name(like) / "configs" / "metadata.json").read_text())
    _, shape, _ = seen[new_name(like)]
    assert shape[1] == metadata["network_data_format"]["outputs"]["pred"]["num_channels"]


@pytest.mark.parametrize("like", LIKES)
def test_nothing_of_the_others_method_is_copied(checkout, written, like):
    """Neither its package nor its own overlays; borrowed modules each say so."""
    folder = checkout / "bundles" / new_name(like)
    assert f'"{like}.' not in (folder / "recipe.json").read_text()
    kinds = {file.stem for file in (folder / "configs").iterdir()}
    assert kinds == {"train", "inference", "evaluate", "paper", "multi_gpu_train", "metadata"}
    ours = {"__init__", "network", "checkpoint", "losses"}
    others = [file for file in (folder / new_name(like)).glob("*.py") if file.stem not in ours]
    assert all(file.read_text().startswith("# to fill: ") for file in others)
    assert bool(others) == ("segmentation" not in Like(like, ROOT).parts)  # no part knows its data


@pytest.mark.parametrize("like", LIKES)
def test_gaps_are_marked(checkout, written, like):
    left = "\n".join(gaps(new_name(like), checkout))
    for place in ("recipe.json", "README.md", "method.md", "network.py", "checkpoint.py", "test_network.py"):
        assert place in left


def test_code_is_formatted_as_by_make_fix(checkout, written):
    ruff = Path(sys.executable).with_name("ruff")
    files = [file for files in written.values() for file in files if file.suffix == ".py"]
    for words in (["check"], ["format", "--check"]):
        told = subprocess.run([ruff, *words, *files], cwd=checkout, capture_output=True, text=True)
        assert told.returncode == 0, told.stdout


def test_common_is_a_link_and_the_licence_a_file(checkout, written):
    folder = checkout / "bundles" / new_name(LIKES[0])
    assert (folder / "common").readlink() == Path("../../common")
    assert (folder / "LICENSE").read_text() == (ROOT / "LICENSE").read_text()
