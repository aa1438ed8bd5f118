"""Before a run: every key and argument of its config is checked, and errors become one line.

The first item of ``run`` in a bundle's configs is ``$common.preflight.begin()``.  It sees the
config with all overrides applied, and refuses

* a ``_target_`` that cannot be imported, an argument that it does not have, one that it lacks;
* a reference to a key that does not exist;
* a key that nothing reads: not referred to, and not one of those that MONAI, MONAI Label or FL read;
* the words ``false`` and ``null``, which a command line hands over as text, and text counts as true.

Where a boolean belongs, the words of :data:`common.commands.BOOLEANS` become one, and others are refused.
"""

from __future__ import annotations

import difflib
import inspect
import weakref
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from monai.bundle import ConfigParser, ConfigWorkflow, ReferenceResolver

from common.config_booleans import read_booleans
from common.config_walk import components, inside, is_expression, parameters_of, target_of
from common.errors import InputError, show_input_errors_as_one_line
from common.files import require_writable
from common.folder_lock import hold
from common.processes import rank
from common.training.tracking import fit_tracking

__all__ = ["begin", "check_config", "claim"]

_ENGINE_KEYS = ("dataset", "inferer", "preprocessing", "postprocessing", "handlers", "key_metric")
#: Read by MONAI, MONAI Label or MONAI FL without a reference in the file (and by nobody else).
KEYS_OF_TOOLS = frozenset(
    [
        "imports",
        "initialize",
        "run",
        "finalize",
        "bundle_root",
        "device",
        "dataset_dir",
        "network_def",
        "network",
        "inferer",
        "dataset",
        "evaluator",
        "preprocessing",
        "postprocessing",
        "pre_transforms",
        "post_transforms",
        "handlers",
        "key_metric",
        "displayable_configs",
        "detector",
        "detector_ops",
        "train",
        "validate",
        "val_interval",
        "output_dir",
        "ckpt_dir",
        "epochs",
        *(f"train::{key}" for key in ("trainer", *_ENGINE_KEYS)),
        *(f"validate::{key}" for key in ("evaluator", *_ENGINE_KEYS)),
    ]
)

_WORDS = {"false": "False", "null": "None"}


def begin() -> None:
    """Start a run of ``python -m monai.bundle``: check its config, show input errors as one line.

    Raises:
        InputError: something in the config is wrong.
    """
    show_input_errors_as_one_line()
    workflow = _calling_workflow()
    siblings = [ConfigParser.load_config_file(f) for f in sorted(workflow.config_root_path.glob("*.json"))]
    if read_booleans(workflow.parser.get(), siblings):
        workflow.parser.ref_resolver.reset()
    check_config(workflow.parser.get(), siblings)
    fit_tracking(workflow.parser)


def claim(*folders: str | Path) -> None:
    """Make the folders of a training and keep other trainings out while this one's workflow exists.

    Of several processes on one training the first does so for all.

    Raises:
        InputError: a folder cannot be written to, or another process is training there.
    """
    require_writable(*folders)
    if rank() > 0:
        return
    workflow = _calling_workflow()
    for folder in folders:
        weakref.finalize(workflow, hold(folder, "training"))


def _calling_workflow() -> ConfigWorkflow:
    """The workflow whose expression called us; MONAI hands expressions no reference to it."""
    frame = inspect.currentframe()
    while frame is not None:
        owner = frame.f_locals.get("self")
        if isinstance(owner, ConfigWorkflow):
            return owner
        frame = frame.f_back
    raise RuntimeError("common.preflight.begin() belongs into the run list of a bundle's config")


def check_config(config: Mapping[str, Any], siblings: Sequence[Mapping[str, Any]] = ()) -> None:
    """Check a whole config, overrides applied.

    Args:
        config: as ``ConfigParser.get()`` returns it.
        siblings: the other configs of the bundle: a key that one of them refers to is known, even if an
            overlay has replaced its only reader in this run.

    Raises:
        InputError: the message names the key, what is wrong and the closest valid name.
    """
    config = {key: value for key, value in config.items() if key != "_meta_"}
    for path, node in components(config):
        _check_component(path, node)
    _check_words(config, "")
    for reference in sorted(set(_references(config))):
        _check_reference(config, reference)
    known = set(_references(config)).union(*map(_references, siblings))
    _check_keys(config, "", known)


def _check_words(node: Any, path: str) -> None:
    if isinstance(node, str) and node in _WORDS:
        raise InputError(
            f'config: {_show(path)} is the text "{node}", which counts as true; write {_WORDS[node]}'
        )
    for key, value in inside(node):
        _check_words(value, f"{path}::{key}" if path else str(key))


def _show(path: str) -> str:
    return path.replace("::", "#")


def _closest(name: str, names: list[str]) -> str:
    close = difflib.get_close_matches(name, names, n=1, cutoff=0.5)
    return f'; did you mean "{_show(close[0])}"?' if close else "."


def _check_component(path: str, node: Mapping[str, Any]) -> None:
    target = node["_target_"]
    if not isinstance(target, str) or is_expression(target):
        return
    function = target_of(target)
    if function is None:
        raise InputError(f"config: {_show(path)}: there is no {target} to import; is the name spelt right?")
    if not callable(function):
        return
    parameters = parameters_of(function)
    if parameters is not None:
        _check_arguments(path, target, node, parameters)


def _check_arguments(path: str, target: str, node: Mapping[str, Any], parameters: dict) -> None:
    kinds = {p.kind for p in parameters.values()}
    name = target.rsplit(".", 1)[-1]
    given = [key for key in node if not key.startswith("_")]
    if inspect.Parameter.VAR_KEYWORD not in kinds:
        for key in given:
            if key not in parameters:
                raise InputError(
                    f'config: {_show(path)}: {name} has no argument "{key}"{_closest(key, list(parameters))} '
                    f"It has: {', '.join(parameters) or 'none'}"
                )
    if node.get("_mode_", "default") != "default" or "_args_" in node:
        return
    lacking = [
        key
        for key, p in parameters.items()
        if p.default is p.empty and p.kind in (p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY) and key not in given
    ]
    if lacking:
        raise InputError(f"config: {_show(path)}: {name} needs {', '.join(lacking)}, which is not given")


def _references(node: Any) -> Iterator[str]:
    for _, value in inside(node):
        yield from _references(value)
    if isinstance(node, str):
        yield from ReferenceResolver.match_refs_pattern(node)


def _check_reference(config: Mapping[str, Any], reference: str) -> None:
    node: Any = config
    for key in reference.split("::"):
        if isinstance(node, list) and key.isdigit() and int(key) < len(node):
            node = node[int(key)]
        elif isinstance(node, Mapping) and key in node:
            node = node[key]
        elif isinstance(node, str) or (isinstance(node, Mapping) and "_target_" in node):
            return  # made by an expression; known only when it runs
        else:
            names = list(node) if isinstance(node, Mapping) else []
            option = f" Give it with --{reference}" if node is config else ""
            raise InputError(
                f"config: something refers to @{_show(reference)}, which is not there"
                f"{_closest(key, names)}{option}"
            )


def _check_keys(node: Mapping[str, Any], path: str, references: set[str]) -> None:
    for key, value in node.items():
        full = f"{path}::{key}" if path else key
        if any(_within(full, r) or (_within(r, full) and not _is_group(value)) for r in references):
            continue
        if _is_group(value):
            _check_keys(value, full, references)
        elif full not in KEYS_OF_TOOLS:
            valid = [*node, *(k.rsplit("::", 1)[-1] for k in KEYS_OF_TOOLS if k.rpartition("::")[0] == path)]
            raise InputError(
                f'config: nothing reads "{_show(full)}"{_closest(key, [k for k in valid if k != key])} '
                "Leave it out or correct it"
            )


def _within(part: str, whole: str) -> bool:
    return part == whole or part.startswith(f"{whole}::")


def _is_group(value: Any) -> bool:
    return isinstance(value, Mapping) and "_target_" not in value
