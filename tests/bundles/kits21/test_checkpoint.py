"""With the organisers' weights, a network with nnU-Net v1's names and ours compute the same."""

from __future__ import annotations

import pytest
import torch
from monai.networks.blocks.dynunet_block import UnetBasicBlock, UnetOutBlock, UnetUpBlock
from torch import nn

import common  # noqa: F401 (makes bundles importable)
from common.checkpoints.importing import import_checkpoint
from common.checkpoints.store import load_weights
from common.errors import InputError
from kits21.checkpoint import from_authors, from_earlier, start_from
from kits21.network import FILTERS, CoarseToFine, RegionUNet
from tests.contract.bundle import Bundle, Run, Shell

KITS21 = Bundle("kits21")
LEVELS = len(FILTERS) - 1


def one(inputs, outputs, stride=1):
    """nnU-Net's ConvDropoutNormNonlin; its convolution has a bias."""
    block = nn.Module()
    block.conv = nn.Conv3d(inputs, outputs, 3, stride, 1)
    block.instnorm = nn.InstanceNorm3d(outputs, affine=True)
    return block


def stack(*blocks):
    layers = nn.Module()
    layers.blocks = nn.ModuleList(blocks)
    return layers


class GenericUNet(nn.Module):
    """nnU-Net v1's names and order of operations."""

    def __init__(self, classes: int) -> None:
        super().__init__()
        steps = list(zip((1, *FILTERS), FILTERS, strict=False))
        self.conv_blocks_context = nn.ModuleList(
            stack(one(*step, stride=2 if s else 1), one(step[1], step[1]))
            for s, step in enumerate(steps[:-1])
        )
        deepest = (stack(one(*steps[-1], stride=2)), stack(one(FILTERS[-1], FILTERS[-1])))
        self.conv_blocks_context.append(nn.Sequential(*deepest))
        up = [(below, own) for own, below in reversed(steps[1:])]
        self.tu = nn.ModuleList(nn.ConvTranspose3d(*step, 2, 2, bias=False) for step in up)
        self.conv_blocks_localization = nn.ModuleList(
            nn.Sequential(stack(one(2 * own, own)), stack(one(own, own))) for _, own in up
        )
        self.seg_outputs = nn.ModuleList(nn.Conv3d(own, classes, 1, bias=False) for _, own in up)

    def forward(self, x):
        run = lambda parts, x: self._stack(parts[1], self._stack(parts[0], x))  # noqa: E731
        skips = []
        for part in self.conv_blocks_context[:-1]:
            x = self._stack(part, x)
            skips.append(x)
        x = run(self.conv_blocks_context[-1], x)
        for up, parts in zip(self.tu, self.conv_blocks_localization, strict=True):
            x = run(parts, torch.cat((up(x), skips.pop()), dim=1))
        return self.seg_outputs[-1](x)

    def _stack(self, layers, x):
        for block in layers.blocks:
            x = nn.functional.leaky_relu(block.instnorm(block.conv(x)), 0.01)
        return x


@pytest.fixture(scope="module")
def theirs():
    torch.manual_seed(0)
    network = GenericUNet(4).eval()
    for parameter in network.parameters():  # norms as well
        parameter.data += 0.05 * torch.randn_like(parameter)
    return network


def test_both_compute_the_same(theirs):
    state = {f"module.{key}": value for key, value in theirs.state_dict().items()}
    ours = RegionUNet(1, 4).eval()
    ours.load_state_dict(from_authors(state))  # strict: no key missing, none left over
    x = torch.randn(1, 1, 64, 32, 32)
    with torch.no_grad():
        expected = theirs(x)
        torch.testing.assert_close(ours(x), expected, rtol=1e-4, atol=1e-4 * float(expected.abs().max()))


class Earlier(nn.Module):
    """One stage as version 0.1.0 had it, made of MONAI's blocks."""

    def __init__(self, inputs: int, outputs: int, filters) -> None:
        super().__init__()
        block = {
            "kernel_size": 3,
            "norm_name": ("instance", {"affine": True, "eps": 1e-5}),
            "act_name": ("leakyrelu", {"negative_slope": 0.01}),
        }
        steps = list(zip((inputs, *filters), filters, strict=False))
        self.encoder = nn.ModuleList(
            UnetBasicBlock(3, *step, stride=2 if stage else 1, **block) for stage, step in enumerate(steps)
        )
        self.decoder = nn.ModuleList(
            UnetUpBlock(3, below, own, stride=1, upsample_kernel_size=2, **block)
            for own, below in reversed(steps[1:])
        )
        self.heads = nn.ModuleList(UnetOutBlock(3, width, outputs) for width in filters[:3])

    def forward(self, x):
        maps = [x]
        for down in self.encoder:
            maps.append(down(maps[-1]))
        x = maps.pop()
        for up in self.decoder:
            x = up(x, maps.pop())
        return self.heads[0](x)


def test_weights_of_version_0_1_0_still_load(tmp_path):
    """Into both stages by the command's way, and into one stage alone."""
    filters = (4, 8, 8, 16, 16, 16)
    torch.manual_seed(0)
    earlier = nn.ModuleDict({"coarse": Earlier(1, 1, filters), "fine": Earlier(2, 3, filters)}).eval()
    torch.save(earlier.state_dict(), tmp_path / "model.pt")
    network = CoarseToFine(filters=filters).eval()
    load_weights(network, tmp_path / "model.pt", bundle="kits21")
    single = RegionUNet(2, 3, filters=filters)
    single.load_state_dict(from_earlier(earlier["fine"].state_dict()))
    x = torch.rand(1, 2, 64, 32, 32)
    with torch.no_grad():
        torch.testing.assert_close(network.fine(x), earlier["fine"](x))
        torch.testing.assert_close(network.coarse(x[:, :1]), earlier["coarse"](x[:, :1]))
        torch.testing.assert_close(single.eval()(x), network.fine(x))
    assert from_earlier(network.state_dict()).keys() == network.state_dict().keys()


@pytest.mark.full
def test_import_by_the_command(theirs, tmp_path):
    file, target = tmp_path / "model_final_checkpoint.model", tmp_path / "model.pt"
    torch.save({"epoch": 1000, "state_dict": theirs.state_dict()}, file)
    one_stage = {"network_def#_target_": "kits21.network.RegionUNet", "softmax": True}
    told = import_checkpoint("kits21", str(file), str(target), **one_stage)
    assert "--softmax True" in told
    assert torch.load(target, weights_only=True).keys() == RegionUNet(1, 4).state_dict().keys()
    with pytest.raises(InputError, match=r"missing: coarse\.encoder\.stages\.0"):
        import_checkpoint("kits21", str(file), str(tmp_path / "other.pt"))


def test_training_starts_from_weights_of_other_data(tmp_path, caplog):
    """With other classes: everything but the fine stage's heads."""
    narrow = {"filters": (4, 8, 8, 16, 16, 16)}
    torch.manual_seed(0)
    before, after = CoarseToFine(out_channels=4, **narrow), CoarseToFine(out_channels=3, **narrow)
    fresh = {key: value.clone() for key, value in after.state_dict().items()}
    start_from(after, None)
    assert all(torch.equal(value, fresh[key]) for key, value in after.state_dict().items())
    torch.save(before.state_dict(), tmp_path / "model.pt")
    with caplog.at_level("INFO"):
        start_from(after, tmp_path / "model.pt")
    assert "of another shape: fine.heads.0.weight" in caplog.text
    for key, value in after.state_dict().items():
        expected = fresh[key] if key.startswith("fine.heads") else before.state_dict()[key]
        assert torch.equal(value, expected), key
    with pytest.raises(InputError, match="there is no such file"):
        start_from(after, tmp_path / "none.pt")


@pytest.mark.full
def test_command_starts_from_them(trained, tmp_path):
    """With a learning rate of 0 the training must end with them."""
    run = Run(KITS21, tmp_path / "a run", trained.phantom)
    torch.manual_seed(7)  # not the run's seed, with which the run initialises its own weights
    given = KITS21.build_network().state_dict()
    torch.save(given, tmp_path / "other.pt")
    settings = {"initial_weights": tmp_path / "other.pt", "learning_rate": 0.0, "epochs": 1}
    Shell(tmp_path, tmp_path).run([KITS21.config_file("train")], run.train_overrides | settings).ok()
    ended = torch.load(run.weights, weights_only=True)
    assert all(torch.equal(ended[key], value) for key, value in given.items())
