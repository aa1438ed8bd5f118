"""The bundle that a new one is modelled on: its recipe, and what is known of its data."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from common.errors import InputError
from common.recipes.checkout import bundles_with_recipe

__all__ = ["Like"]

Section = dict[str, Any]

#: Of the recipe's section ``both``: where the data come from, and how many classes and channels they have.
_DATA = ("dataset_dir", "num_classes", "in_channels")
#: Of its metadata: what the data are, what comes out, and how the method is trained.
_FACTS = (
    "kind",
    "paradigm",
    "data_type",
    "image_classes",
    "label_classes",
    "pred_classes",
    "intended_use",
    "network_data_format",
    "data_check",
)
_NNUNET = "nnunet_patches"
#: Parts that say which patches a network for volumes is trained on.
_PATCHES = {_NNUNET, "semi_supervised"}


@dataclass(frozen=True)
class Like:
    """A bundle of a checkout, read only."""

    name: str
    root: Path

    def __post_init__(self) -> None:
        known = bundles_with_recipe(self.root)
        if self.name not in known:
            raise InputError(f"--like {self.name}: no such bundle; there are: {', '.join(known)}")

    @property
    def folder(self) -> Path:
        """Its place in the checkout."""
        return self.root / "bundles" / self.name

    @cached_property
    def recipe(self) -> dict[str, Any]:
        """Its own layer, as it is written."""
        return json.loads((self.folder / "recipe.json").read_text(encoding="utf-8"))

    @cached_property
    def metadata(self) -> Section:
        """The finished metadata."""
        return json.loads((self.folder / "configs" / "metadata.json").read_text(encoding="utf-8"))

    @cached_property
    def quick(self) -> dict[str, Section]:
        """The overrides that make its runs in tests tiny."""
        file = self.root / "tests" / "bundles" / self.name / "quick.json"
        return json.loads(file.read_text(encoding="utf-8"))

    @property
    def parts(self) -> list[str]:
        """The parts that its recipe is on; nnU-Net's patches take the place of a bundle's own way."""
        parts = list(self.recipe["on"])
        own_patches = "volumes" in parts and not _PATCHES & set(parts)
        return [*parts, _NNUNET] if own_patches else parts

    @property
    def output(self) -> str:
        """The format of what it predicts: "segmentation", "displacement", ..."""
        return self.metadata["network_data_format"]["outputs"]["pred"]["format"]

    @property
    def kind(self) -> str:
        """What it does with an image."""
        return self.metadata.get("kind", self.output)

    @property
    def dims(self) -> int:
        """Number of spatial axes of an image."""
        return len(self.metadata["network_data_format"]["inputs"]["image"]["spatial_shape"])

    def data(self) -> Section:
        """The keys of its recipe's ``both`` that say where the data come from."""
        return {key: value for key, value in self.recipe["both"].items() if _begins(key, _DATA)}

    def facts(self) -> Section:
        """The keys of its recipe's ``metadata`` that are true of a new method on the same data."""
        return {key: value for key, value in self.recipe["metadata"].items() if _begins(key, _FACTS)}

    def phantom(self) -> str:
        """``abdomen``: the phantom of its first run."""
        train = json.loads((self.folder / "configs" / "train.json").read_text(encoding="utf-8"))
        return train["dataset_dir"]["_target_"].split(".")[2]


def _begins(key: str, words: tuple[str, ...]) -> bool:
    return key.lstrip("+").split("#")[0] in words
