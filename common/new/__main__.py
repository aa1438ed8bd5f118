"""``python -m common.new NAME --like BUNDLE``: write a new bundle; ``--check``: list what is left to fill."""

from __future__ import annotations

from common.commands import run_commands
from common.errors import InputError
from common.new.gaps import gaps
from common.new.write import new_bundle
from common.recipes.checkout import ROOT


def main(name: str, like: str = "", check: bool = False) -> None:
    """Write a bundle that runs, or list the gaps of one.

    Args:
        name: name of the bundle and of its Python package.
        like: a bundle on the same data and trained in the same way.
        check: write nothing; list the gaps that are left, and fail if there are any.
    """
    name = str(name)
    if check == bool(like):
        raise InputError(f"python -m common.new {name}: give either --like BUNDLE or --check")
    if not check:
        for file in new_bundle(name, str(like)):
            print(file.relative_to(ROOT))
    left = gaps(name)
    for gap in left:
        print(gap)
    if check and left:
        raise InputError(f"{name}: {len(left)} gaps to fill, listed above")
    print(f"{len(left)} gaps to fill; docs/adding_a_bundle.md says in which order")


if __name__ == "__main__":
    run_commands(main, "python -m common.new")
