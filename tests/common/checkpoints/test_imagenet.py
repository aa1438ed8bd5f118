"""ImageNet weights from a file: torch.hub's format, safetensors, another network's, or none."""

from __future__ import annotations

import logging

import pytest
import torch
from monai.networks.nets.resnet import resnet34

from common.checkpoints.imagenet import start_encoder
from common.errors import InputError
from common.networks.pranet.network import PraNet
from common.networks.res2net.network import Res2Net
from common.networks.resnet_unet.network import ResNetUNet
from tests.common.checkpoints.test_safetensors import write


@pytest.fixture(scope="module")
def published():
    """Like ResNet-34's public file: the whole network with its classifier, without counters."""
    torch.manual_seed(7)
    network = resnet34(
        spatial_dims=2,
        n_input_channels=3,
        conv1_t_stride=2,
        num_classes=1000,
        shortcut_type="B",
        bias_downsample=False,
    )
    state = {k: v for k, v in network.state_dict().items() if not k.endswith("num_batches_tracked")}
    for key, value in state.items():
        if "running" in key:
            value.uniform_(0.5, 2.0)
    return state


@pytest.fixture
def encoder():
    torch.manual_seed(0)
    return ResNetUNet().encoder


def save(state, path):
    if path.suffix == ".safetensors":
        return write(path, state, dict.fromkeys(state, "F32"))
    torch.save(state, path)
    return path


@pytest.mark.parametrize("name", ["resnet34-b627a593.pth", "model.safetensors"])
def test_every_weight_arrives(published, encoder, tmp_path, name, caplog):
    path = save(published, tmp_path / name)
    with caplog.at_level(logging.INFO):
        told = start_encoder(encoder, path)
    assert caplog.messages == [told]
    assert str(path) in told
    assert "fc.weight, fc.bias" in told
    ours = {k: v for k, v in encoder.state_dict().items() if not k.endswith("num_batches_tracked")}
    assert ours.keys() | {"fc.weight", "fc.bias"} == published.keys()
    assert all(torch.equal(value, published[key]) for key, value in ours.items())


def test_the_encoder_computes_what_the_published_network_computes(published, encoder, tmp_path):
    start_encoder(encoder, save(published, tmp_path / "resnet34.pth"))
    theirs = resnet34(
        spatial_dims=2,
        n_input_channels=3,
        conv1_t_stride=2,
        num_classes=1000,
        shortcut_type="B",
        bias_downsample=False,
    ).eval()
    theirs.load_state_dict(published, strict=False)
    image = torch.randn(1, 3, 64, 64)
    with torch.no_grad():
        pooled = encoder.eval()(image)
        torch.testing.assert_close(theirs.fc(pooled), theirs(image))


def test_res2net_from_its_own_file(tmp_path):
    torch.manual_seed(3)
    source = Res2Net()
    state = {**source.state_dict(), "fc.weight": torch.zeros(1000, 2048), "fc.bias": torch.zeros(1000)}
    torch.save(
        {f"module.{key}": value for key, value in state.items()}, tmp_path / "res2net50_v1b_26w_4s.pth"
    )
    torch.manual_seed(4)
    target = PraNet().encoder
    start_encoder(target, tmp_path / "res2net50_v1b_26w_4s.pth")
    assert all(torch.equal(v, source.state_dict()[k]) for k, v in target.state_dict().items())


def test_without_a_file_nothing_changes_and_the_log_says_so(encoder, caplog):
    before = {key: value.clone() for key, value in encoder.state_dict().items()}
    with caplog.at_level(logging.WARNING):
        told = start_encoder(encoder, None)
    assert caplog.messages == [told]
    assert "random weights" in told
    assert "--imagenet_weights FILE" in told
    assert all(torch.equal(value, before[key]) for key, value in encoder.state_dict().items())


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda s: s.pop("layer3.2.conv1.weight"), r"1 missing: layer3\.2\.conv1\.weight"),
        (lambda s: s.update({"layer3.9.conv1.weight": torch.zeros(1)}), r"1 left over: layer3\.9\.conv1"),
        (
            lambda s: s.update({"conv1.weight": torch.zeros(64, 1, 7, 7)}),
            r"conv1\.weight \(64, 1, 7, 7\)",
        ),
    ],
)
def test_weights_of_another_network(published, encoder, tmp_path, change, told):
    state = dict(published)
    change(state)
    before = encoder.conv1.weight.clone()
    with pytest.raises(InputError, match=told):
        start_encoder(encoder, save(state, tmp_path / "x.pth"))
    assert torch.equal(encoder.conv1.weight, before)


def test_no_such_file(encoder, tmp_path):
    for name in ("x.pth", "x.safetensors"):
        with pytest.raises(InputError, match=f"{name}: there is no such file"):
            start_encoder(encoder, tmp_path / name)
