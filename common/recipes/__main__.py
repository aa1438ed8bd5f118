"""``python -m common.recipes [BUNDLE ...] [--check]``: write configs from recipes, or compare them."""

from __future__ import annotations

from common.commands import run_commands
from common.errors import InputError
from common.recipes.checkout import (
    ROOT,
    bundles_with_recipe,
    configs_as_text,
    differences,
    lists_as_text,
    write,
)


def main(*bundles: str, check: bool = False) -> None:
    """Write the configs of bundles from their recipes, the index, and the README's table of bundles.

    Args:
        bundles: names; all by default.
        check: write nothing, and fail where a file differs from what would be written.
    """
    texts = {}
    for name in bundles or bundles_with_recipe():
        texts |= configs_as_text(str(name))
    texts |= lists_as_text(texts)
    if not check:
        for file in write(texts):
            print(file.relative_to(ROOT))
        return
    found = differences(texts)
    for line in found[1:]:
        print(line)
    if found:
        others = f" ({len(found) - 1} more above)" if found[1:] else ""
        raise InputError(f"{found[0]}{others}; run  make configs")


if __name__ == "__main__":
    run_commands(main, "python -m common.recipes")
