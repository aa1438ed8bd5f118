"""The configs of a bundle from its recipe; the language is described in :mod:`common.recipes`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from common.errors import InputError
from common.recipes.finishing import Finisher
from common.recipes.layers import PARTS, Layer, layers_of
from common.recipes.laying import Config, Writer, with_nodes

__all__ = ["configs_of"]

#: The configs that overlays apply to, and the sections that each is written from.
_BASES = {"train": ("both", "train"), "inference": ("both", "inference")}
_NO_CONFIGS = ("both", "nodes")


def configs_of(recipe: Path, pins: Mapping[str, str], parts: Path = PARTS) -> dict[str, Config]:
    """Name of the config -> what it holds.

    Args:
        recipe: ``bundles/<name>/recipe.json``.
        pins: package -> version, for ``{pin:PACKAGE}``.
        parts: the folder of parts.

    Raises:
        InputError: recipe or part breaks a rule; the message is one line that names the file and the path.
    """
    layers = layers_of(recipe, parts)
    nodes = _nodes_of(layers)
    finisher = Finisher(recipe.parent.name, pins, layers[-1].source)
    configs: dict[str, Config] = {}
    for kind in _kinds_of(layers):
        bases = () if kind in _BASES else [configs[base] for base in _BASES]
        writer = Writer(bases, nodes)
        for layer in layers:
            for section in _BASES.get(kind, (kind,)):
                writer.lay(layer.sections.get(section, {}), f"{layer.source}: {section}")
        configs[kind] = finisher.finished(writer.config, kind)
    return configs


def _kinds_of(layers: Sequence[Layer]) -> list[str]:
    """The names of all configs, starting with those that overlays apply to."""
    sections = [section for layer in layers for section in layer.sections if section not in _NO_CONFIGS]
    return list(dict.fromkeys([*_BASES, *sections]))


def _nodes_of(layers: Sequence[Layer]) -> dict[str, Any]:
    """The named nodes of all layers; a node may use those before it."""
    nodes: dict[str, Any] = {}
    for layer in layers:
        for name, node in layer.sections.get("nodes", {}).items():
            where = f"{layer.source}: nodes#{name}"
            if name in nodes:
                raise InputError(f"{where}: a layer before has a node of this name; give it another one")
            nodes[name] = with_nodes(node, nodes, where)
    return nodes
