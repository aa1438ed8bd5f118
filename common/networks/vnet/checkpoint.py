"""The V-Net keys of UA-MT's successors -> those of :mod:`common.networks.vnet`.

Theirs: ``block_one.conv.0`` (convolution), ``.1`` (norm), ``.3``, ``.4``, ...; ``block_one_dw.conv.*`` on
the way down; ``block_five_up.conv.*`` on the way up, where index 0 is the transposed convolution, or the
up-sampling without weights and index 1 the convolution after it; ``out_conv``.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from torch import Tensor

from common.errors import InputError

__all__ = ["from_authors_vnet"]

_ENCODER = ("one", "two", "three", "four", "five")
_DECODER = ("six", "seven", "eight", "nine")
_UPS = ("five", "six", "seven", "eight")
_KEY = re.compile(r"block_(?P<name>[a-z]+?)(?P<way>_dw|_up)?\.conv\.(?P<index>\d+)\.(?P<leaf>\w+)$")


def from_authors_vnet(
    state: Mapping[str, Tensor], *, encoder: str, decoders: Mapping[str, str]
) -> dict[str, Tensor]:
    """Rename the keys of an encoder and its decoders; other keys stay as they are.

    Args:
        state: the authors' state dict.
        encoder: prefix of the encoder, the same on both sides (``"encoder."``).
        decoders: prefix of each decoder in ``state`` -> prefix of a ``VNetDecoder``
            (``{"decoder1.": "decoders.0."}``).

    Raises:
        InputError: two keys become one.
    """
    renamed: dict[str, Tensor] = {}
    for key, value in state.items():
        new = _renamed(key, state, encoder, decoders)
        if new in renamed:
            raise InputError(f"checkpoint: {key} and another key both become {new}; is it the authors' file?")
        renamed[new] = value
    return renamed


def _renamed(key: str, state: Mapping[str, Tensor], encoder: str, decoders: Mapping[str, str]) -> str:
    if key.startswith(encoder):
        return encoder + _encoder_key(key.removeprefix(encoder))
    for theirs, ours in decoders.items():
        if key.startswith(theirs):
            transposed = f"{theirs}block_five_up.conv.0.weight" in state
            return ours + _decoder_key(key.removeprefix(theirs), transposed)
    return key


def _unit(index: int, leaf: str) -> str:
    """``conv.4.weight`` is the norm of the second unit: convolution, norm and ReLU alternate."""
    return f"{index // 3}.{('conv', 'norm')[index % 3]}.{leaf}"


def _encoder_key(key: str) -> str:
    match = _KEY.match(key)
    if match is None or match["name"] not in _ENCODER or match["way"] == "_up":
        return key
    stage, index = _ENCODER.index(match["name"]), int(match["index"])
    if match["way"] == "_dw":  # on the way down from this stage: the first unit of the next one
        return f"stages.{stage + 1}.{_unit(index, match['leaf'])}"
    return f"stages.{stage}.{_unit(index + 3 if stage else index, match['leaf'])}"


def _decoder_key(key: str, transposed: bool) -> str:
    if key.startswith("out_conv."):
        return key.replace("out_conv.", "head.")
    match = _KEY.match(key)
    if match is None:
        return key
    index, leaf = int(match["index"]), match["leaf"]
    if match["way"] == "_up" and match["name"] in _UPS:
        return f"ups.{_UPS.index(match['name'])}.{index if transposed else index - 1}.{leaf}"
    if match["way"] is None and match["name"] in _DECODER:
        return f"stages.{_DECODER.index(match['name'])}.{_unit(index, leaf)}"
    return key
