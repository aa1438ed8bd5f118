"""Authors' checkpoints -> ours: keys are renamed, and missing or left-over ones reported."""

from __future__ import annotations

import re
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from torch import Tensor

from common.bundles import bundle_folder, bundle_package, parse_config
from common.checkpoints.staging import CHECKPOINT, PLAN, WEIGHTS, set_aside
from common.checkpoints.store import load_state, read_checkpoint, save_state, state_of
from common.errors import InputError

__all__ = ["import_checkpoint", "rename_keys"]


def rename_keys(state: Mapping[str, Tensor], rules: Sequence[tuple[str, str]]) -> dict[str, Tensor]:
    """Apply every rule (pattern, replacement) of ``re.sub`` in turn to every key.

    Raises:
        InputError: two keys become one.
    """
    renamed: dict[str, Tensor] = {}
    for old, value in state.items():
        new = old
        for pattern, replacement in rules:
            new = re.sub(pattern, replacement, new)
        if new in renamed:
            raise InputError(f"checkpoint: {old} and another key both become {new}; is it the authors' file?")
        renamed[new] = value
    return renamed


def import_checkpoint(
    bundle: str,
    source: str,
    target: str | None = None,
    *,
    trust: bool = False,
    partial: bool = False,
    **overrides: Any,
) -> str:
    """Convert a checkpoint of the authors into the bundle's weights.

    Args:
        bundle: name of the bundle.
        source: the authors' file.
        target: where to write; ``models/model.pt`` of the bundle by default.  What is there already moves to
            ``models_previous/``.
        trust: unpickle the file whole (runs code in it); only for files you trust.
        partial: write even where keys are missing, left over or of another shape.
        overrides: config values that shape the network, such as ``--num_classes 14``.

    Returns:
        A report for people: what was matched, renamed and left out.

    Raises:
        InputError: the file cannot be read or does not fit; nothing is written then.
    """
    converter = bundle_package(bundle, "checkpoint")
    if trust:
        told = f"{source}: --trust is given: unpickling the file whole, which runs any code that it holds"
        print(told, file=sys.stderr, flush=True)
    published = state_of(read_checkpoint(source, trust=trust), source)
    state = converter.from_authors(published)
    config = parse_config(bundle, **overrides)
    network = config.get_parsed_content("network_def")
    notes = load_state(network, state, source, partial=partial)
    path = Path(target) if target else bundle_folder(bundle) / "models" / "model.pt"
    earlier = _set_earlier_aside(path)
    save_state(network, path)
    matched = len(set(state) & set(network.state_dict()))
    renamed = len(set(state) - set(published))
    lines = [f"{source}: {matched} of {len(network.state_dict())} keys matched, {renamed} renamed", *notes]
    advice = getattr(converter, "AFTER_IMPORT", "")
    lines += [f"the earlier weights and their plan are now in {earlier}"] if earlier else []
    lines += [f"wrote {path}"]
    lines += ["they come with no plan: predict with --plan published"] if "plan" in config else []
    return "\n".join([*lines, *([advice] if advice else [])])


def _set_earlier_aside(path: Path) -> Path | None:
    """Weights and plan of a training leave the place together: its plan is not that of imported weights."""
    if path.name != WEIGHTS:
        return None
    earlier = set_aside(path.parent, (WEIGHTS, PLAN, CHECKPOINT))
    for name in (PLAN, CHECKPOINT):
        path.with_name(name).unlink(missing_ok=True)
    return earlier
