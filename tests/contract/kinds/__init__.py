"""What the contract requires of each kind of bundle: one file for each value of ``kind``.

A file holds the tests of its kind, which run for the bundles whose metadata.json names it, and defines

* ``RUNS``: which tests run "inference" and "evaluate";
* ``SHARED``: extra keys that train.json and inference.json must both have;
* ``TAKES_DROPOUT``: whether a network with weights takes ``dropout``, for scores of uncertainty;
* ``check_channels(bundle)``: what must hold for the names of the channels.
"""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tests.contract.bundle import Bundle

KINDS = sorted(file.stem for file in Path(__file__).parent.glob("[a-z]*.py"))


def kind_of(bundle: Bundle) -> ModuleType:
    """The module of a bundle's kind.

    Raises:
        LookupError: there is none.
    """
    kind = bundle.metadata.get("kind")
    if kind not in KINDS:
        raise LookupError(
            f'bundles/{bundle.name}/configs/metadata.json: "kind" is {kind!r}; expected one of '
            f"{', '.join(KINDS)}. "
            "A kind that is new gets a file in tests/contract/kinds, which says what the contract asks of it."
        )
    return import_module(f"{__name__}.{kind}")
