"""One training: its id, what decides it, and how its files take the place of an earlier run's."""

from __future__ import annotations

import json
import logging
import uuid
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from torch import nn
from torch.optim import Optimizer

from common.checkpoints.staging import (
    CHECKPOINT,
    PLAN,
    WEIGHTS,
    is_taken,
    promote,
    set_aside,
    settle,
    staged,
    staged_in,
)
from common.checkpoints.stamp import Stamp, plan_digest, read_stamp
from common.checkpoints.store import save_state
from common.errors import InputError
from common.processes import rank
from common.training.run_facts import data_facts, differences, network_facts, optimizer_facts

__all__ = ["TrainingRun"]

logger = logging.getLogger(__name__)

#: What a training and its evaluation write to ``eval/``; masks and whatever else lies there stays.
_TABLES = ("metrics.csv", "curves.png", "preview*.png", "evaluation*.csv", "evaluation*.png")
_EVENTS = "events.out.tfevents.*"


class TrainingRun:
    """What the handlers of one training share.

    Weights, plan and checkpoint of a run belong together: the weights carry its id and the digest of its plan
    (:class:`common.checkpoints.stamp.Stamp`), the checkpoint both and what else decides the run.

    Where another run has left weights or a checkpoint, nothing of it is replaced before this run has weights:
    until then its files go to a folder ``unfinished/`` inside.  With the first weights, the earlier run's
    files move to ``models_previous/`` and ``eval_previous/``, which one line says.

    Args:
        weights: ``models/model.pt``.
        output_dir: ``eval/``, if the run writes tables there.
        resume: True to go on with the run of ``models/checkpoint.pt`` if that is the same, "force" to go on
            with it whatever differs, False for a new run.
        plan: of the training.
        data: lists of cases by name.
        network: to train.
        optimizer: its optimiser.
        seed: of its random numbers.

    Raises:
        InputError: ``resume`` is another word.
    """

    def __init__(
        self,
        weights: str | Path,
        *,
        output_dir: str | Path | None = None,
        resume: bool | str = False,
        plan: Mapping[str, Any] | None = None,
        data: Mapping[str, Sequence[Mapping[str, Any]]] | None = None,
        network: nn.Module | None = None,
        optimizer: Optimizer | None = None,
        seed: int | None = None,
    ) -> None:
        if resume not in (True, False, "force"):
            raise InputError(f"resume = {resume!r}; expected true, false or force")
        self.weights = Path(weights)
        self.output_dir = None if output_dir is None else Path(output_dir)
        self.resume, self.force = bool(resume), resume == "force"
        self.id = uuid.uuid4().hex
        self.plan = None if plan is None else plan_digest(plan)
        self.facts = _facts(plan, data, network, optimizer, seed)
        if rank() == 0:
            settle(self.weights)
        #: Whether what lies in the folders is this run's.
        self.owns = not is_taken(self.weights.parent)
        self._settled = False
        self._events = [] if self.output_dir is None else sorted(self.output_dir.glob(_EVENTS))

    def place(self, path: str | Path) -> Path:
        """Where to write a file of the run now: ``path``, or ``unfinished/`` beside it."""
        return Path(path) if self.owns else staged(path)

    def state(self) -> dict[str, Any]:
        """What a checkpoint says of the run."""
        return {"id": self.id, "plan": self.plan, "facts": self.facts}

    def take_up(self, state: Mapping[str, Any], source: Path) -> None:
        """Go on as the run of a checkpoint.

        Args:
            state: as :meth:`state` gave it; without an id in checkpoints of earlier versions.
            source: the checkpoint.

        Raises:
            InputError: the checkpoint is of a run that other data, plan, network, seed or optimiser decide.
        """
        known = isinstance(state.get("id"), str) and isinstance(state.get("facts"), Mapping)
        different = differences(dict(state["facts"]), self.facts) if known else []
        if different and not self.force:
            raise InputError(
                f"{source}: is of a run that differs from this one in {', '.join(different)}; resume with "
                "what that run began with, or --resume force to go on nonetheless, or start anew without "
                "--resume"
            )
        if different:
            logger.warning("%s: resumed by force; it differs in %s", source, ", ".join(different))
        if known:
            self.id = state["id"]
        else:
            logger.warning(
                "%s: written by an earlier version: it cannot be checked that it is of this run", source
            )
        self.owns = self.owns or self._is_ours(known, source)
        if self.owns and not different and rank() == 0:
            promote(self.weights.with_name(PLAN))  # the same, planned again

    def _is_ours(self, known: bool, checkpoint: Path) -> bool:
        """Whether the folder's files are of the run that was taken up."""
        stamp = read_stamp(self.weights)
        if stamp is None:  # no weights yet, or ones without a stamp, as a checkpoint without an id has
            return checkpoint.parent == self.weights.parent and not (known and self.weights.is_file())
        return known and stamp.run == self.id

    def save(self, network: nn.Module) -> None:
        """Write the weights; of several processes the first does.

        Raises:
            InputError: they, or the earlier run's files, cannot be written.
        """
        if rank() > 0:
            return
        if not self.owns:
            self._set_earlier_aside()
        kept = f"{self.weights.name} was not written, nor changed if it was there"
        kept = f"{kept}; free some space and go on with --resume true"
        save_state(network, self.weights, Stamp(self.id, self.plan), kept=kept)
        if not self._settled:
            self._take_place()
        self.owns = self._settled = True

    def _set_earlier_aside(self) -> None:
        names = {self.weights.parent: [WEIGHTS, PLAN, CHECKPOINT]}
        tables = self._earlier_tables()
        for table in tables:
            names.setdefault(table.parent, []).append(table.name)
        moved = [str(set_aside(folder, files)) for folder, files in names.items()]
        for table in tables:
            table.unlink(missing_ok=True)
        logger.warning("the earlier run's weights, plan, tables and pictures are now in %s", ", ".join(moved))

    def _earlier_tables(self) -> list[Path]:
        if self.output_dir is None:
            return []
        return [file for kind in _TABLES for file in sorted(self.output_dir.glob(kind))] + self._events

    def _take_place(self) -> None:
        promote(self.weights.with_name(PLAN))
        checkpoint = self.weights.with_name(CHECKPOINT)
        if not promote(checkpoint) and not self.owns:
            checkpoint.unlink(missing_ok=True)  # the earlier run's: now in models_previous
        if self.output_dir is not None:
            for file in staged_in(self.output_dir):
                promote(file)


def _facts(
    plan: Mapping[str, Any] | None,
    data: Mapping[str, Sequence[Mapping[str, Any]]] | None,
    network: nn.Module | None,
    optimizer: Optimizer | None,
    seed: int | None,
) -> dict[str, Any]:
    """What decides the run, as a checkpoint keeps it; nothing of what is not given."""
    found: dict[str, Any] = {f"{name} data": data_facts(cases) for name, cases in (data or {}).items()}
    if plan is not None:
        found["plan"] = json.loads(json.dumps(plan))  # as it is read from a file
    if network is not None:
        found["network"] = network_facts(network)
    if optimizer is not None:
        found["optimizer"] = optimizer_facts(optimizer)
    if seed is not None:
        found["seed"] = seed
    return found
