"""The lists of published weights in ``metadata.json``: what exists, where, and on which terms."""

from __future__ import annotations

import json
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import Any

from common.bundles import bundle_folder
from common.errors import InputError

__all__ = ["PublishedFile", "PublishedWeights", "options_of", "published_weights", "sources"]


@dataclass(frozen=True)
class PublishedFile:
    """One entry of the list.

    Attributes:
        name: of the entry, for ``--entry``.
        file: name or path of the file behind the link, as its authors print it.
        link: as its authors print it.
        what: trained on what, in a few words.
        terms: of use, stated for the weights or else for the code.
        url: a direct link to the file, where there is one.
        git_blob: the file's id in the authors' git repository, where it lies in one.
        dice: published mean Dice of exactly this file, 0 to 1.
        dataset: the test set of ``dice``, as ``python -m common.datasets prepare`` calls it.
        options: that the import needs, as on a command line; each shapes the network.
        use: what predicting needs, in words.
        plan: values of ``plan.json`` other than the bundle's published ones.
        test_plan: further ones for the prepared files of ``dataset``.
        overlays: configs between ``train.json`` and ``evaluate.json``, to score on ``dataset``.
        evaluate_options: that scoring needs besides ``options``, as on a command line.
        obtainable: whether people can get the file.
        note: what else to know.
    """

    name: str
    file: str
    link: str
    what: str
    terms: str
    url: str = ""
    git_blob: str = ""
    dice: float | None = None
    dataset: str = ""
    options: str = ""
    use: str = ""
    plan: Mapping[str, Any] = field(default_factory=dict)
    test_plan: Mapping[str, Any] = field(default_factory=dict)
    overlays: Sequence[str] = ()
    evaluate_options: str = ""
    obtainable: bool = True
    note: str = ""

    def lines(self, bundle: str) -> list[str]:
        """The entry for people, with the command that imports it."""
        source = "" if self.url else f" --source {shlex.quote(PurePosixPath(self.file).name)}"
        command = f"python -m common.checkpoints import --bundle {bundle} --entry {self.name}{source}"
        score = "" if self.dice is None else f"Dice {self.dice:.4f} on the test list of {self.dataset}"
        shown = {
            "file": self.file,
            "link": self.link,
            "direct link, derived": self.url if self.url != self.link else "",
            "terms": self.terms,
            "git blob": self.git_blob,
            "published": score,
            "options": self.options,
            "predicting needs": self.use,
            "note": self.note,
            "import": command if self.obtainable else "",
        }
        return [
            f"{self.name}: {self.what}",
            *(f"    {key}: {value}" for key, value in shown.items() if value),
        ]


@dataclass(frozen=True)
class PublishedWeights:
    """The list of a bundle.

    Attributes:
        about: whose weights these are, or where none were found.
        files: its entries.
    """

    about: str
    files: Sequence[PublishedFile]

    def entry(self, name: str, bundle: str) -> PublishedFile:
        """The entry of a name.

        Raises:
            InputError: there is none.
        """
        found = [file for file in self.files if file.name == name]
        if not found:
            names = ", ".join(file.name for file in self.files) or "(none)"
            raise InputError(f"{bundle} has no published weights called {name}; expected one of: {names}")
        return found[0]


def published_weights(bundle: str) -> PublishedWeights:
    """The list in a bundle's ``metadata.json``.

    Raises:
        InputError: no such bundle, or its list is not as it should be.
    """
    path = bundle_folder(bundle) / "configs" / "metadata.json"
    held = json.loads(path.read_text(encoding="utf-8")).get("published_weights", {"about": "", "files": []})
    try:
        return PublishedWeights(held["about"], [PublishedFile(**entry) for entry in held["files"]])
    except (KeyError, TypeError) as error:
        raise InputError(f"{path}: published_weights: {error}") from error


def sources(*bundles: str) -> str:
    """List the published weights of bundles: file, link, terms, and the command that imports them.

    Links are as the authors print them; whether one still works is seen when it is used.

    Args:
        bundles: names, such as mcnet_plus.
    """
    if not bundles:
        raise InputError("sources: name one bundle or more")
    blocks = []
    for bundle in map(str, bundles):
        found = published_weights(bundle)
        blocks += [
            f"{bundle}: {found.about}",
            *(line for file in found.files for line in ["", *file.lines(bundle)]),
        ]
    return "\n".join(blocks)


def options_of(words: str) -> dict[str, Any]:
    """Options as on a command line, ``--KEY VALUE --KEY VALUE``, as keyword arguments.

    Raises:
        InputError: they do not come in such pairs.
    """
    from fire.parser import DefaultParseValue  # not at the top: only commands need it

    split = shlex.split(words)
    keys, values = split[::2], split[1::2]
    if len(keys) != len(values) or not all(key.startswith("--") for key in keys):
        raise InputError(f"options {words}: expected --KEY VALUE, any number of times")
    return {key.removeprefix("--"): DefaultParseValue(value) for key, value in zip(keys, values, strict=True)}
