"""The committed configs match the bundle's recipe."""

from __future__ import annotations

import pytest

from common.recipes.checkout import configs_as_text, differences


@pytest.mark.always
def test_configs_are_written_from_the_recipe(bundle):
    found = differences(configs_as_text(bundle.name))
    assert not found, "\n".join(
        [*found, "change the recipe or a part, never a config, and run  make configs"]
    )
