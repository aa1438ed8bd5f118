"""The plain U-Net: sizes by plan, MONAI's DynUNet as reference, each of its switches."""

from __future__ import annotations

import pytest
import torch
from monai.networks.nets import DynUNet
from torch import nn

from common.errors import InputError
from common.networks.plain_unet.checkpoint import from_nnunet, poolings_of
from common.networks.plain_unet.network import PlainDecoder, PlainEncoder, PlainUNet

#: Of SegRap2023's full-resolution plan: (1, 3, 3) on top, pooled in plane first and last.
ANISOTROPIC = {
    "kernels": [[1, 3, 3]] * 2 + [[3, 3, 3]] * 4,
    "strides": [[1, 2, 2]] * 2 + [[2, 2, 2]] * 2 + [[1, 2, 2]],
}


def count(module: nn.Module) -> int:
    return sum(p.numel() for p in module.parameters())


def thin(**options) -> PlainUNet:
    torch.manual_seed(0)
    return PlainUNet(1, 3, widths=(4, 6, 8, 8), **options)


def nnunet_keys(network: PlainUNet) -> dict[str, torch.Tensor]:
    """Its weights under the published names."""
    poolings, state = len(network.decoder.levels), {}
    for key, value in network.state_dict().items():
        part, *rest = key.split(".")
        if part == "heads":
            theirs = f"seg_outputs.{poolings - 1 - int(rest[0])}.{rest[-1]}"
        elif rest[2] == "up":
            theirs = f"tu.{rest[1]}.weight"
        elif part == "decoder":
            theirs = f"conv_blocks_localization.{rest[1]}.{rest[3]}.blocks.0.{rest[4]}.{rest[5]}"
        elif int(rest[1]) == poolings:
            theirs = f"conv_blocks_context.{rest[1]}.{rest[2]}.blocks.0.{rest[3]}.{rest[4]}"
        else:
            theirs = f"conv_blocks_context.{rest[1]}.blocks.{rest[2]}.{rest[3]}.{rest[4]}"
        state[theirs.replace(".norm.", ".instnorm.")] = value
    return state


def test_parameters_by_plan():
    """What nnU-Net's and DynUNet's own networks have with these plans."""
    assert count(PlainUNet(1, 5)) == 14_025_120 + 15_349_440 + 1_818_624 + 4_000
    as_dynunet = {"deep_supervision": 1, "bias": False, "head_bias": True}
    assert count(PlainUNet(1, 4, **as_dynunet)) == 31_189_476
    assert count(PlainUNet(2, 55, **ANISOTROPIC, **as_dynunet)) == 30_555_991


@pytest.mark.parametrize("dims", [2, 3])
def test_computes_what_dynunet_does(dims):
    """With its blocks' weights; the finest decoder level has the second kernel of the plan."""
    kernels = [[1, 3, 3][-dims:], [3] * dims, [3] * dims]
    strides = [[1, 2, 2][-dims:], [2] * dims]
    ours = PlainUNet(
        2, 3, dims=dims, widths=(4, 6, 8), kernels=kernels, strides=strides, bias=False, head_bias=True
    ).eval()
    theirs = DynUNet(
        *(dims, 2, 3, kernels, [1, *strides], strides),
        filters=(4, 6, 8),
        norm_name=("INSTANCE", {"affine": True}),
        act_name=("leakyrelu", {"inplace": True, "negative_slope": 0.01}),
    ).eval()
    state = theirs.state_dict()
    pairs = {}
    for stage, block in enumerate(["input_block", "downsamples.0", "bottleneck"]):
        pairs |= {f"encoder.stages.{stage}.{n}": f"{block}.{{}}{n + 1}" for n in (0, 1)}
    for level in (0, 1):
        pairs |= {
            f"decoder.levels.{level}.blocks.{n}": f"upsamples.{level}.conv_block.{{}}{n + 1}" for n in (0, 1)
        }
    copied = {
        f"{own}.{part}.{leaf}": state[f"{other.format(part)}.{'conv.' if part == 'conv' else ''}{leaf}"]
        for own, other in pairs.items()
        for part, leaf in (("conv", "weight"), ("norm", "weight"), ("norm", "bias"))
    }
    copied |= {
        f"decoder.levels.{n}.up.weight": state[f"upsamples.{n}.transp_conv.conv.weight"] for n in (0, 1)
    }
    copied |= {f"heads.0.{leaf}": state[f"output_block.conv.conv.{leaf}"] for leaf in ("weight", "bias")}
    ours.load_state_dict(ours.state_dict() | copied)
    x = torch.rand(1, 2, *[4, 16, 8][-dims:], generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        torch.testing.assert_close(ours(x), theirs(x))


def test_scales_in_training_and_one_tensor_in_eval_mode():
    network, x = thin(), torch.rand(1, 1, 16, 16, 16)
    logits = network(x)
    assert [tuple(one.shape[1:]) for one in logits] == [(3, 16, 16, 16), (3, 8, 8, 8), (3, 4, 4, 4)]
    with torch.no_grad():
        torch.testing.assert_close(network.eval()(x), logits[0])
    assert isinstance(thin(deep_supervision=1)(x), torch.Tensor)


@pytest.mark.parametrize("training", [True, False])
def test_scripts(training):
    network, x = thin().train(training), torch.rand(1, 1, 16, 16, 16)
    scripted = torch.jit.script(network)
    torch.testing.assert_close(scripted(x), network(x))


def test_an_image_uses_the_first_convolution_of_its_channels():
    torch.manual_seed(0)
    network = PlainUNet([1, 2, 4], 3, dims=2, widths=(4, 6, 8)).eval()
    x = torch.rand(1, 2, 16, 16)
    with torch.no_grad():
        before = network(x)
        network.encoder.stages[0][0].conv.of[0].weight.zero_()
        assert torch.equal(network(x), before)
        network.encoder.stages[0][0].conv.of[1].weight.zero_()
        assert not torch.equal(network(x), before)
    assert torch.jit.script(network)(x).shape == (1, 3, 16, 16)
    with pytest.raises(ValueError, match=r"the image has 3 channels; this network takes \[1, 2, 4\]"):
        network(torch.rand(1, 3, 16, 16))


def test_something_may_be_appended_to_the_coarsest_map():
    plan = {"widths": (4, 6, 8), "kernels": [3] * 3, "strides": [2] * 2}
    encoder, decoder = PlainEncoder(1, **plan), PlainDecoder(**plan, in_channels=9)
    maps = encoder(torch.rand(1, 1, 8, 8, 8))
    maps[-1] = torch.cat([maps[-1], maps[-1][:, :1]], dim=1)
    assert [one.shape[1] for one in decoder(maps)] == [4, 6]


def test_dropout_only_where_asked_for():
    assert not any(isinstance(module, nn.Dropout3d) for module in thin().modules())
    assert sum(isinstance(module, nn.Dropout3d) for module in thin(dropout=0.1).modules()) == 14


def test_start_is_that_of_nnunet():
    """He normal for the leaky ReLU of 0.01: deviation sqrt(2 / (1 + 0.01^2) / fan in)."""
    network = PlainUNet(1, 2, widths=(8, 64, 64))
    weight = network.encoder.stages[1][1].conv.weight
    assert weight.std().item() == pytest.approx((2 / (1 + 1e-4) / (64 * 27)) ** 0.5, rel=0.02)
    assert not network.encoder.stages[1][1].conv.bias.any()


@pytest.mark.parametrize(
    ("sides", "options"),
    [((16, 16, 12), {}), ((8, 8, 8), {}), ((3, 16, 16), {"strides": [[1, 2, 2], 2, 2]})],
)
def test_sizes_that_do_not_fit_are_refused(sides, options):
    with pytest.raises(ValueError, match=r"sides must be multiples of \[\d, 8, 8\], and one of them twice"):
        thin(**options)(torch.rand(1, 1, *sides))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"kernels": [3, 3]}, "4 widths, 2 kernels and 3 strides"),
        ({"strides": [2] * 4}, "4 widths, 4 kernels and 4 strides"),
        ({"strides": [[2, 2]] * 3}, "expected 3 numbers"),
        ({"dims": 4}, "expected 2 or 3"),
        ({"deep_supervision": 4}, "expected 1 to 3"),
    ],
)
def test_plans_that_do_not_fit_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        thin(**options)


def test_published_keys():
    network = thin()
    published = nnunet_keys(network)
    assert {"conv_blocks_context.3.1.blocks.0.instnorm.bias", "tu.2.weight", "seg_outputs.0.weight"} <= set(
        published
    )
    for prefix in ("", "module."):
        found = from_nnunet({prefix + key: value for key, value in published.items()})
        assert found.keys() == network.state_dict().keys()
        assert all(torch.equal(found[key], value) for key, value in network.state_dict().items())
    assert poolings_of(published) == 3
    with pytest.raises(InputError, match="expected a plain U-Net of nnU-Net version 1"):
        from_nnunet({"encoder.weight": torch.zeros(1)})
