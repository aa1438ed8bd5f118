"""The recipe that a new bundle begins with."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from common.errors import InputError
from common.new.borrowed import renamed
from common.new.like import Like
from common.new.names import class_name

__all__ = ["Start", "start_of"]

Sections = dict[str, dict[str, Any]]

_STARTS = Path(__file__).resolve().parent / "starts"
#: The sections of a recipe, in order; other overlays are specific to a method.
_SECTIONS = ("nodes", "both", "train", "inference", "evaluate", "multi_gpu_train", "paper", "metadata")
#: Sections of a start that are not the recipe's: what to leave out of the other's recipe, what goes
#: into quick.json, the template of the network, further modules of the package.
_WITHOUT, _QUICK, _NETWORK, _MODULES = "without", "quick", "network", "modules"

_GAPS = {
    "version": "0.1.0",
    "changelog": {"0.1.0": "to fill: what the first version has"},
    "name": "to fill: the method's name, and what it does in half a line",
    "task": "to fill: what goes in and what comes out, in one line",
    "reference": "to fill: the method's name, venue and year",
    "description": "to fill: the method in three sentences. Weights that come from training on the embedded "
    "phantom are a demonstration.",
    "authors": "Method of (to fill: the paper's authors); implementation by the Method Zoo maintainers",
    "data_source": "The embedded phantom '{phantom}'; the paper: (to fill: its data sets)",
    "published_weights": {"about": "to fill: whose weights these are, or where none were found", "files": []},
    "references": ["to fill: the paper, as one cites it"],
}


class Start:
    """What a new bundle begins with.

    Attributes:
        recipe: the bundle's recipe, with its gaps.
        quick: entries of quick.json beyond the other bundle's sizes.
        network: name of the network's template.
        modules: templates of further modules of the package.
        borrows: whether the recipe names modules that are to be copied from the other bundle.
    """

    def __init__(self, name: str, like: Like, layers: list[dict[str, Any]], own: Sections | None) -> None:
        self.borrows = own is not None
        self.quick: dict[str, Any] = {}
        self.network, self.modules = "", []
        sections: Sections = own or {"both": like.data(), "metadata": like.facts()}
        for layer in layers:
            self.network = layer.get(_NETWORK, self.network)
            self.modules += layer.get(_MODULES, [])
            self.quick |= layer.get(_QUICK, {})
            for section in _SECTIONS:
                laid = sections.get(section, {}) | layer.get(section, {})
                back = {key for key, value in layer.get(section, {}).items() if value is None}
                sections[section] = {key: value for key, value in laid.items() if key not in back}
        gaps = _with(_GAPS, phantom=like.phantom())
        sections["metadata"] = gaps | {k: v for k, v in sections["metadata"].items() if k not in gaps}
        filled = {section: sections[section] for section in _SECTIONS if sections[section]}
        self.recipe: dict[str, Any] = {"on": like.parts} | filled


def start_of(name: str, like: Like) -> Start:
    """The recipe of a bundle ``name`` that is modelled on another.

    Raises:
        InputError: there is no start for such a bundle.
    """
    by_part = [_STARTS / "parts" / f"{part}.json" for part in like.parts]
    layers = [_read(file, name) for file in by_part if file.is_file()]
    if "segmentation" in like.parts:
        return Start(name, like, [*layers, _channels(like)], None)
    file = _STARTS / "outputs" / f"{like.output}.json"
    if not file.is_file():
        raise InputError(
            f"--like {like.name}: it predicts a {like.output}, and there is no start for that; "
            f"write {file.relative_to(_STARTS.parents[2])}"
        )
    layer = _read(file, name)
    own = json.loads(renamed(json.dumps(like.recipe), like.name, name))
    sections = {
        section: {key: value for key, value in keys.items() if f"{section}#{key}" not in layer[_WITHOUT]}
        for section, keys in own.items()
        if section in _SECTIONS
    }
    facts = json.loads(renamed(json.dumps(like.facts()), like.name, name))
    return Start(name, like, [layer], sections | {"metadata": facts})


def _read(file: Path, name: str) -> dict[str, Any]:
    return _with(json.loads(file.read_text(encoding="utf-8")), name=name, **{"class": class_name(name)})


def _with(value: Any, **words: str) -> Any:
    """Words in braces filled in: ``{name}``, ``{class}``, ``{phantom}``."""
    text = json.dumps(value, ensure_ascii=False)
    for word, meaning in words.items():
        text = text.replace(f"{{{word}}}", meaning)
    return json.loads(text)


def _channels(like: Like) -> dict[str, Any]:
    """The channels of the first network, where the other's recipe gives its own."""
    pred = "+network_data_format#outputs#pred"
    image = "+network_data_format#inputs#image"
    facts = like.facts()
    if pred not in facts:  # a part says it
        return {}
    size = ["16*n"] * like.dims
    classes = len(facts[pred]["channel_def"])
    return {
        "metadata": {
            image: facts[image] | {"spatial_shape": size},
            pred: facts[pred] | {"num_channels": classes, "spatial_shape": size},
            "pred_classes": f"{classes} channels, softmax",
        }
    }
