"""The lists of a checkout's bundles: ``bundle_index.json``, and the table in README.md."""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Mapping
from typing import Any

from common.errors import InputError
from common.registry.entries import facts_of, key_of

__all__ = ["index_of", "with_table"]

BEGIN, END = "<!-- bundles -->", "<!-- /bundles -->"

Metadata = Mapping[str, Any]

#: Heading -> cell of a bundle, from its name and metadata.
_COLUMNS: dict[str, Callable[[str, Metadata], str]] = {
    "bundle": lambda name, metadata: f"[{name}](bundles/{name}/docs/README.md)",
    "what it does": lambda name, metadata: f"{metadata['task']}; {facts_of(metadata)['paradigm']}",
    "paper": lambda name, metadata: facts_of(metadata)["reference"],
}


def index_of(bundles: Mapping[str, Metadata]) -> str:
    """The text of ``bundle_index.json``: what a published index says of each bundle, and its folder."""
    entries = {
        key_of(name, metadata["version"]): {"folder": f"bundles/{name}", **facts_of(metadata)}
        for name, metadata in sorted(bundles.items())
    }
    return json.dumps(entries, indent=2) + "\n"


def with_table(page: str, bundles: Mapping[str, Metadata], pictured: Collection[str] = ()) -> str:
    """README.md with its table of bundles rewritten.

    Args:
        page: the text of README.md.
        bundles: name -> metadata.
        pictured: the bundles that have ``docs/thumbnail.png``.

    Raises:
        InputError: the page lacks one of the two comments around the table.
    """
    before, begin, rest = page.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise InputError(f"README.md: the table of bundles stands between {BEGIN} and {END}; one is missing")
    rows = [["", *_COLUMNS], ["---"] * (1 + len(_COLUMNS))]
    for name, metadata in sorted(bundles.items()):
        picture = (
            f'<img src="bundles/{name}/docs/thumbnail.png" alt="" width="96">' if name in pictured else ""
        )
        rows.append([picture, *(cell(name, metadata) for cell in _COLUMNS.values())])
    lines = "\n".join(f"| {' | '.join(row)} |" for row in rows)
    return f"{before}{begin}\n{lines}\n{end}{after}"
