"""Recipes and parts for the tests, and the configs composed from them."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from common.recipes.compose import configs_of

Compose = Callable[..., dict[str, dict[str, Any]]]

PINS = {"torch": "2.13.0", "pytorch-ignite": "0.5.5"}


@pytest.fixture
def compose(tmp_path: Path) -> Compose:
    """``compose({"train": ...}, part={...})``: configs of a bundle called toy, its parts in order."""
    (tmp_path / "bundles" / "toy").mkdir(parents=True)
    (tmp_path / "parts").mkdir()

    def composed(recipe: dict[str, Any], **parts: dict[str, Any]) -> dict[str, dict[str, Any]]:
        for name, part in parts.items():
            (tmp_path / "parts" / f"{name}.json").write_text(json.dumps(part))
        file = tmp_path / "bundles" / "toy" / "recipe.json"
        file.write_text(json.dumps({"on": list(parts), **recipe}))
        return configs_of(file, PINS, tmp_path / "parts")

    return composed
