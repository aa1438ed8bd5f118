"""The network through MONAI's own commands, each in a fresh process from an unrelated folder."""

from __future__ import annotations

import json

import pytest
import torch

from common.bundles import parse_config
from common.registry.zoo_checks import check_bundle
from tests.contract.bundle import ROOT
from tests.contract.kinds import kind_of


def shape_of(tensor_format, n=2):
    """A spatial shape that the metadata allow; sizes are expressions in n and p."""
    return [
        eval(str(size).replace("*n", f"*{n}"), {"n": n, "p": 1}) for size in tensor_format["spatial_shape"]
    ]


@pytest.mark.full
@pytest.mark.parametrize("path", ["repository root", "unpacked"])
def test_verify_net_in_out(bundle, shell, path, request):
    """With the only documented variable, PYTHONPATH, set to either root."""
    root = request.getfixturevalue("unpacked") if path == "unpacked" else bundle.root
    configs = (
        "--meta_file",
        root / "configs/metadata.json",
        "--config_file",
        root / "configs/inference.json",
    )
    python_path = ROOT if path == "repository root" else root
    told = shell.python("-m", "monai.bundle", "verify_net_in_out", "network_def", *configs, path=python_path)
    assert "is verified with no error" in told.ok().out + told.err


@pytest.mark.full
def test_load(bundle, unpacked, shell, tmp_path):
    """``monai.bundle.load`` returns the network with model.pt's weights."""
    code = (
        "import sys, torch, monai.bundle\n"
        "name, folder, target = sys.argv[1:]\n"
        "network = monai.bundle.load(name, bundle_dir=folder, workflow_type='inference', source='github')\n"
        "torch.save([type(network).__module__, network.state_dict()], target)\n"
    )
    words = (bundle.name, unpacked.parent, tmp_path / "loaded.pt")
    shell.python("-c", code, *words, path=unpacked).ok()
    module, loaded = torch.load(tmp_path / "loaded.pt", weights_only=True)
    saved = torch.load(unpacked / "models" / "model.pt", weights_only=True)
    assert module == f"{bundle.name}.network"
    assert loaded.keys() == saved.keys()
    assert all(torch.equal(loaded[key], saved[key]) for key in saved)


@pytest.mark.full
def test_exported_network_computes_the_same(scriptable, unpacked, shell, tmp_path):
    """At a size other than the one it was scripted with."""
    bundle = scriptable
    weights = unpacked / "models" / "model.pt"
    words = ("--filepath", tmp_path / "model.ts", "--ckpt_file", weights)
    configs = (
        "--meta_file",
        bundle.config_file("metadata"),
        "--config_file",
        bundle.config_file("inference"),
    )
    shell.python("-m", "monai.bundle", "ckpt_export", "network_def", *words, *configs, path=bundle.root).ok()

    network = parse_config(bundle.name).get_parsed_content("network_def").eval()
    network.load_state_dict(torch.load(weights, weights_only=True))
    exported = torch.jit.load(tmp_path / "model.ts").eval()
    shape = shape_of(bundle.input_format, n=1)
    shape[-1] = shape_of(bundle.input_format, n=2)[-1]
    x = torch.randn(
        1, bundle.input_format["num_channels"], *shape, generator=torch.Generator().manual_seed(0)
    )
    with torch.no_grad():
        torch.testing.assert_close(exported(x), network(x), rtol=1e-5, atol=1e-5)


EXPORTS = {"weights", "TorchScript", "torch.export", "ONNX"}


@pytest.mark.full
def test_exports_compute_the_same(unpacked):
    """TorchScript within 1e-5, ONNX within 1e-4, with trained weights; unless the bundle is exempt."""
    findings = check_bundle(unpacked, only=EXPORTS)
    assert {"weights", "TorchScript", "ONNX"} <= {finding.check for finding in findings} <= EXPORTS
    assert findings[0].remark == "models/model.pt of the bundle"
    assert [finding for finding in findings if finding.result == "FAILED"] == []


@pytest.mark.always
def test_card_says_what_cannot_be_exported(bundle):
    card = " ".join((bundle.root / "docs" / "README.md").read_text().split())
    for kind, reason in bundle.metadata.get("export", {}).items():
        assert reason in card, f"the card must give the reason for export#{kind} in the same words"


@pytest.mark.always
def test_network_is_importable_on_its_own(bundle, shell):
    """Researchers can take the network without the code that runs bundles."""
    target = bundle.config("inference")["network_def"]["_target_"]
    module, _, name = target.rpartition(".")
    code = f"import sys, json; from {module} import {name}; print(json.dumps(sorted(sys.modules)))"
    loaded = json.loads(shell.python("-c", code, path=bundle.root).ok().out.splitlines()[-1])
    allowed = {"common", *(f"common.{part}" for part in ("blocks", "networks", "kernels", "registration"))}
    ours = {".".join(m.split(".")[:2]) for m in loaded if m.split(".")[0] == "common"}
    assert module in loaded  # (and all of MONAI, which imports itself)
    assert ours <= allowed


@pytest.mark.always
def test_eval_mode_gives_one_tensor_of_the_declared_channels(bundle):
    """Extra heads exist in training only; some kinds take ``dropout`` (MONAI Label scores with it)."""
    dropout = {"network_def#dropout": 0.0} if bundle.learns and kind_of(bundle).TAKES_DROPOUT else {}
    network = bundle.parse(**dropout).get_parsed_content("network_def").eval()
    assert any(True for _ in network.parameters()) == bundle.learns
    if not dropout:
        assert not any(
            isinstance(module, torch.nn.modules.dropout._DropoutNd) for module in network.modules()
        )
    x = torch.zeros(1, bundle.input_format["num_channels"], *shape_of(bundle.input_format, n=1))
    with torch.no_grad():
        pred = network(x)
    assert isinstance(pred, torch.Tensor)
    assert pred.shape[1] == bundle.output_format["num_channels"]
    assert pred.dtype == torch.float32


@pytest.mark.full
def test_full_width_gives_the_declared_channels(bundle, narrowed):
    """The bundle's own network, where the test above has a narrow one."""
    network = parse_config(bundle.name).get_parsed_content("network_def").eval()
    x = torch.zeros(1, bundle.input_format["num_channels"], *shape_of(bundle.input_format, n=1))
    with torch.no_grad():
        assert network(x).shape[1] == bundle.output_format["num_channels"]


@pytest.mark.always
def test_weights_file_holds_only_tensors(bundle, trained):
    state = torch.load(trained.weights, weights_only=True)
    assert state.keys() == bundle.build_network().state_dict().keys()
    assert all(type(value) is torch.Tensor and value.device.type == "cpu" for value in state.values())
