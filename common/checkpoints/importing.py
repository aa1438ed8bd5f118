"""Import weights that authors published: fetch, check, rename, and write them with their plan."""

from __future__ import annotations

import sys
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import nn

from common.bundles import bundle_folder, bundle_package, parse_config
from common.checkpoints.layouts import network_state
from common.checkpoints.nnunet_plans import read_nnunet_plans
from common.checkpoints.origin import Origin, with_origin
from common.checkpoints.published import PublishedFile, PublishedWeights, options_of, published_weights
from common.checkpoints.source_file import (
    NNUNET_SUFFIX,
    Checkpoint,
    Identity,
    checkpoint_in,
    identity_of,
    is_link,
    local_path,
)
from common.checkpoints.staging import CHECKPOINT, PLAN, WEIGHTS, discard, promote, set_aside, staged
from common.checkpoints.stamp import Stamp, plan_digest, stamped
from common.checkpoints.store import load_state, read_checkpoint
from common.checkpoints.writing import write_checkpoint
from common.errors import InputError
from common.files import write_json

__all__ = ["import_checkpoint", "import_listed"]


def import_checkpoint(
    bundle: str,
    source: str | None = None,
    target: str | None = None,
    *,
    entry: str | None = None,
    member: str | None = None,
    sha256: str | None = None,
    trust: bool = False,
    partial: bool = False,
    **overrides: Any,
) -> str:
    """Convert a checkpoint of the authors into the bundle's weights, with the plan that they need.

    A file in the list of published weights (``sources``) is known by its link, its digest or ``--entry``; the
    options and the plan that it needs then come from the list.

    Args:
        bundle: name of the bundle.
        source: the authors' file, a folder or zip that holds it, or a direct https link to a file or zip; by
            default the direct link of ``entry``.
        target: where to write; ``models/model.pt`` of the bundle by default.  Weights, plan and checkpoint
            that are there move to ``models_previous/``.
        entry: the file's name in the list of published weights.
        member: a part of the path inside a folder or zip that holds several checkpoints.
        sha256: that the file, or the zip, must have.
        trust: unpickle the file whole (runs code in it); only for files you trust.
        partial: write even where keys are missing, left over or of another shape.
        overrides: config values that shape the network, such as ``--num_classes 14``.

    Returns:
        A report for people: what was read, matched, renamed and left out.

    Raises:
        InputError: the file cannot be fetched or read, has another digest, or does not fit; nothing is
            written then.
    """
    known = published_weights(bundle)
    listed = None if entry is None else known.entry(str(entry), bundle)
    source = str(source or (listed.url if listed else ""))
    if not source:
        raise InputError(f"import: give --source FILE_OR_LINK; 'sources {bundle}' says what there is")
    path = Path(target) if target else bundle_folder(bundle) / "models" / "model.pt"
    request = _Request(bundle, source, path, member=member, trust=trust, partial=partial)
    return request.carried_out(known, listed, None if sha256 is None else str(sha256).lower(), overrides)


def import_listed(bundle: str, listed: PublishedFile, target: Path, plan: Mapping[str, Any]) -> str:
    """Import a listed file from its direct link.

    Args:
        bundle: name of the bundle.
        listed: entry of its list.
        target: ``model.pt`` in a folder of its own.
        plan: values of the plan, laid over those of the entry.

    Raises:
        InputError: as :func:`import_checkpoint` does.
    """
    request = _Request(bundle, listed.url, target, plan=plan)
    return request.carried_out(PublishedWeights("", [listed]), listed, None, {})


@dataclass(frozen=True)
class _Request:
    bundle: str
    source: str
    target: Path
    member: str | None = None
    trust: bool = False
    partial: bool = False
    plan: Mapping[str, Any] | None = None

    def carried_out(
        self,
        known: PublishedWeights,
        listed: PublishedFile | None,
        sha256: str | None,
        overrides: Mapping[str, Any],
    ) -> str:
        converter = bundle_package(self.bundle, "checkpoint")
        path = local_path(self.source)
        with checkpoint_in(path, self.member) as checkpoint:
            identity = identity_of(path if path.is_file() else checkpoint.path)
            listed = listed or _recognised(known, self.source, identity)
            self._require_digest(path, identity, listed, sha256)
            published = network_state(self._read(checkpoint.path), self.source)
            state = converter.from_authors(published)
            parser = parse_config(
                self.bundle, **{**options_of(listed.options if listed else ""), **overrides}
            )
            network = parser.get_parsed_content("network_def")
            notes = load_state(network, state, self.source, partial=self.partial)
            plan, told = self._plan(parser, listed, checkpoint)
        advice = getattr(converter, "AFTER_IMPORT", "")
        use = listed.use if listed else ""
        what = f"{self.bundle}, {listed.what}" if listed else ""
        earlier = self._write(network, Origin(what, self.source, identity.sha256, use), plan)
        own = network.state_dict()
        lines = [
            _told_identity(self.source, identity, listed, sha256),
            f"{self.source}: {len(set(state) & set(own))} of {len(own)} keys matched, "
            f"{len(set(state) - set(published))} renamed",
            *notes,
            *told,
            *(f"the earlier weights and their plan are now in {earlier}" for _ in [earlier] if earlier),
            f"wrote {self.target}" + (f" and {self.target.with_name(PLAN)}" if plan else ""),
            *(f"predicting needs {use}" for _ in [use] if use),
            *(line for line in [advice] if line),
        ]
        return "\n".join(lines)

    def _read(self, path: Path) -> Any:
        if self.trust:
            told = "--trust is given: unpickling the file whole, which runs any code that it holds"
            print(f"{self.source}: {told}", file=sys.stderr, flush=True)
        return read_checkpoint(path, trust=self.trust)

    def _require_digest(
        self, path: Path, identity: Identity, listed: PublishedFile | None, sha256: str | None
    ) -> None:
        for kind, expected, found, where in (
            ("sha256", sha256, identity.sha256, "--sha256"),
            (
                "git blob",
                listed.git_blob if listed else "",
                identity.git_blob,
                "the list of published weights",
            ),
        ):
            if expected and expected != found:
                if is_link(self.source):
                    path.unlink()
                raise InputError(
                    f"{self.source}: its {kind} is {found}, {where} says {expected}; this is another file, "
                    "or a damaged one: nothing was imported"
                )

    def _plan(
        self, parser: Any, listed: PublishedFile | None, checkpoint: Checkpoint
    ) -> tuple[dict[str, Any], list[str]]:
        """What ``plan.json`` has to say of these weights; empty where the method has no plan."""
        if "default" not in (parser.get("plan") or {}):
            return {}, []
        plan = {**parser.get_parsed_content("plan#default"), **(listed.plan if listed else {})}
        for key, option in (("channels", "in_channels"), ("classes", "num_classes")):
            if option in parser:
                plan[key] = parser.get_parsed_content(option)
        told = []
        if checkpoint.plans is not None:
            theirs = read_nnunet_plans(checkpoint.plans, checkpoint.configuration)
            taken = {key: theirs[key] for key in ("spacing", "patch_size", "intensity") if key in plan}
            shown = ", ".join(f"{key} {value}" for key, value in taken.items())
            told = [f"plans.pkl, {checkpoint.configuration}: {shown}"]
            plan |= taken
        elif checkpoint.path.suffix == NNUNET_SUFFIX:
            own = ", ".join(
                f"{key} {plan[key]}" for key in ("spacing", "patch_size", "intensity") if key in plan
            )
            told = [
                f"no plans.pkl beside the file or one folder up: {own} are the bundle's, which may not be "
                "those of these weights; put it there and import again"
            ]
        return plan | dict(self.plan or {}), told

    def _write(self, network: nn.Module, origin: Origin, plan: Mapping[str, Any]) -> Path | None:
        """Weights and plan, whose digest the weights carry; the folder in which earlier ones are now."""
        state = with_origin(
            {key: value.detach().cpu() for key, value in network.state_dict().items()}, origin
        )
        plan_file, checkpoint = self.target.with_name(PLAN), self.target.with_name(CHECKPOINT)
        earlier = None
        if self.target.name == WEIGHTS:
            earlier = set_aside(self.target.parent, (WEIGHTS, PLAN, CHECKPOINT))
        if plan:
            write_json(staged(plan_file), plan)
            state = stamped(state, Stamp(uuid.uuid4().hex, plan_digest(plan)))
        try:
            write_checkpoint(self.target, state, kept="nothing was imported")
        except BaseException:
            discard(plan_file)
            raise
        if not promote(plan_file):
            plan_file.unlink(missing_ok=True)  # of the earlier weights
        checkpoint.unlink(missing_ok=True)
        return earlier


def _recognised(known: PublishedWeights, source: str, identity: Identity) -> PublishedFile | None:
    """The entry with this link or this digest."""
    for listed in known.files:
        if source == listed.url or identity.git_blob == listed.git_blob:
            return listed
    return None


def _told_identity(source: str, identity: Identity, listed: PublishedFile | None, sha256: str | None) -> str:
    checked = (
        "as it should be" if sha256 or (listed and listed.git_blob) else "no published one to compare with"
    )
    what = f" ({listed.name}: {listed.what})" if listed else ""
    return (
        f"{source}{what}: {identity.size} bytes, sha256 {identity.sha256}, git blob {identity.git_blob}; "
        f"digest {checked}"
    )
