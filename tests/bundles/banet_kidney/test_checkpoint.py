"""Weights with the authors' keys become ours: banet_kidney/docs/method.md#checkpoint-layout."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

import common  # noqa: F401 (makes bundles importable)
from banet_kidney.checkpoint import from_authors
from banet_kidney.network import BANet
from common.checkpoints.importing import import_checkpoint
from common.errors import InputError
from tests.vectors import load

WIDTHS = [4, 6, 6, 8, 8, 8]
CUBES = [2] * 5


@pytest.fixture(scope="module")
def network() -> BANet:
    torch.manual_seed(0)
    return BANet(widths=WIDTHS, strides=CUBES)


def in_their_keys(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """The published keys, as the reference vector lists them."""
    theirs = [entry["key"] for entry in load("banet_kidney").info["state"]]
    numbers = from_authors({key: torch.tensor(number) for number, key in enumerate(theirs)})
    assert len(theirs) == len(numbers) == 148
    return {theirs[int(number)]: state[key] for key, number in numbers.items()}


def test_import(network, tmp_path):
    file, target = tmp_path / "model_final_checkpoint.model", tmp_path / "model.pt"
    torch.save({"epoch": 1000, "state_dict": in_their_keys(network.state_dict())}, file)
    shape = {"network_def#widths": WIDTHS, "network_def#strides": CUBES}
    told = import_checkpoint("banet_kidney", str(file), str(target), **shape)
    assert '--network_def#strides "[2,2,2,2,2]"' in told
    written = torch.load(target, weights_only=True)
    assert written.keys() == network.state_dict().keys()
    assert all(torch.equal(written[key], value) for key, value in network.state_dict().items())


def test_a_plan_with_other_strides_is_refused(network, tmp_path):
    file = tmp_path / "model_final_checkpoint.model"
    torch.save({"state_dict": in_their_keys(network.state_dict())}, file)
    with pytest.raises(InputError, match=r"levels\.0\.(?:boundary|segmentation)\.up\.weight"):
        import_checkpoint(
            "banet_kidney", str(file), str(tmp_path / "model.pt"), **{"network_def#widths": WIDTHS}
        )


def test_the_residual_unet_of_their_ensemble_is_refused():
    with pytest.raises(InputError, match="expected a plain U-Net of nnU-Net version 1"):
        from_authors({"encoder.initial_conv.weight": torch.zeros(1), "decoder.tus.0.weight": torch.zeros(1)})
