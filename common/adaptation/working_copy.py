"""A copy of a network that shares its weights, for a method to put its own layers into.

The network that an evaluator hands to an inferer thus stays unchanged, in structure and in every number.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from itertools import chain

from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.nn.parallel import DistributedDataParallel

from common.errors import InputError

__all__ = ["place_of_weights", "replace_batch_norms", "sharing_copy"]


def sharing_copy(network: nn.Module) -> nn.Module:
    """A copy of the network in eval mode; its tensors share the network's memory and require no gradient.

    The copy sees weights that are loaded into the network in place, but not weights that are moved to another
    device: :func:`place_of_weights` tells.
    """
    if isinstance(network, DistributedDataParallel):
        network = network.module
    memo: dict[int, object] = {id(buffer): buffer for buffer in network.buffers()}
    for parameter in network.parameters():
        memo[id(parameter)] = nn.Parameter(parameter.detach(), requires_grad=False)
    return copy.deepcopy(network, memo).eval()


def place_of_weights(network: nn.Module) -> tuple[int, ...]:
    """Where every tensor of a network lies in memory; if it changes, a copy has to be made again."""
    return tuple(tensor.data_ptr() for tensor in chain(network.parameters(), network.buffers()))


def replace_batch_norms(
    network: nn.Module, make: Callable[[_BatchNorm], nn.Module], *, within: str = ""
) -> list[nn.Module]:
    """Replace every batch norm with another layer, in place.

    Args:
        network: changed in place.
        make: takes a batch norm and returns the new layer.
        within: name of the part whose batch norms are replaced ("encoder"); the whole network by default.

    Returns:
        The new layers in the order of ``network.modules()``.

    Raises:
        InputError: there is no such part, or no batch norm in it.
    """
    layers: list[nn.Module] = []
    names = [name for name, module in network.named_modules() if isinstance(module, _BatchNorm)]
    for name in names:
        if within and not name.startswith(f"{within}."):
            continue
        parent, _, own = name.rpartition(".")
        layer = make(network.get_submodule(name))
        setattr(network.get_submodule(parent), own, layer)
        layers.append(layer)
    if not layers:
        where = f' in its part "{within}"' if within else ""
        raise InputError(
            f"network {type(network).__name__}: no batch norm{where} to adapt; this test-time method needs a "
            "network with batch norm, as Python (a TorchScript file hides its layers)"
        )
    return layers
