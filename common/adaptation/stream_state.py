"""The state of a stream on disk: saved after every image, resumed, reset between domains."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ignite.distributed import get_rank
from ignite.engine import Engine, Events

from common.adaptation.stream import StreamInferer
from common.checkpoints.store import read_checkpoint
from common.checkpoints.writing import write_checkpoint
from common.errors import InputError

__all__ = ["StreamState", "cases_to_go"]

logger = logging.getLogger(__name__)


def _read(path: Path) -> dict[str, Any]:
    state = read_checkpoint(path)
    if not isinstance(state, Mapping) or not {"inferer", "domain", "predicted"} <= set(state):
        raise InputError(f"{path}: not the state of a stream; start anew without --resume")
    return dict(state)


def _file(image: Any) -> str:
    return str(image[0] if isinstance(image, (list, tuple)) else image)


def cases_to_go(cases: Sequence[Mapping], path: str | Path, *, resume: bool = False) -> list[Mapping]:
    """The cases of a stream that are still to be predicted.

    Args:
        cases: the whole stream in order, each with ``image``.
        path: where :class:`StreamState` keeps the state.
        resume: return only the cases after those already predicted; otherwise all.  If ``cases`` does not
            begin with the predicted ones it is a new stream, and all of it is returned too.

    Raises:
        InputError: nothing is left, or the file is damaged.
    """
    cases, path = list(cases), Path(path)
    if not resume or not path.is_file():
        return cases
    done = _read(path)["predicted"]
    if [_file(case["image"]) for case in cases[: len(done)]] != done:
        return cases
    if len(done) == len(cases):
        raise InputError(
            f"{path}: all {len(cases)} images of this stream were predicted; to start anew leave --resume out"
        )
    return cases[len(done) :]


class StreamState:
    """Handler of an evaluator whose inferer is a :class:`StreamInferer`.

    A run starts with a fresh state unless it resumes.  After each image, once its prediction is written, the
    state is saved, whole or not at all.

    Args:
        inferer: the evaluator's inferer.
        path: the file; with None nothing is saved.
        resume: read it when the run starts.
        reset_between_domains: forget what was learnt whenever the batch's ``domain`` changes.
    """

    def __init__(
        self,
        inferer: StreamInferer,
        path: str | Path | None = None,
        *,
        resume: bool = False,
        reset_between_domains: bool = False,
    ) -> None:
        self.inferer, self.resume = inferer, resume
        self.path = None if path is None else Path(path)
        self.reset_between_domains = reset_between_domains
        self.domain: str | None = None
        self.predicted: list[str] = []

    def attach(self, engine: Engine) -> None:
        """Act at the start, before and after every image."""
        engine.add_event_handler(Events.STARTED, self.start)
        engine.add_event_handler(Events.ITERATION_STARTED, self.enter)
        engine.add_event_handler(Events.ITERATION_COMPLETED, self.save)

    def start(self, _: Engine) -> None:
        """Start fresh, or resume from the saved state."""
        self.domain, self.predicted = None, []
        self.inferer.reset()
        if not self.resume:
            return
        if self.path is None or not self.path.is_file():
            logger.warning(
                "%s is not there: nothing to resume, the stream starts from its beginning", self.path
            )
            return
        state = _read(self.path)
        self.inferer.load_state_dict(state["inferer"])
        self.domain, self.predicted = state["domain"], list(state["predicted"])
        logger.info("the stream goes on after %d images", len(self.predicted))

    def enter(self, engine: Engine) -> None:
        """Reset where a new domain begins.  Cases without a domain belong to the one before them.

        Raises:
            InputError: resets were asked for, and a batch has cases of several domains.
        """
        domains = sorted(set(engine.state.batch.get("domain") or []))
        if self.reset_between_domains and len(domains) > 1:
            raise InputError(
                f"reset_between_domains: {_names(engine.state.batch)} are of {', '.join(domains)}; "
                "expected batches of one domain, as with batch_size 1"
            )
        if self.reset_between_domains and domains and self.domain not in (None, domains[0]):
            logger.info("domain %s begins: what was learnt is forgotten", domains[0])
            self.inferer.reset()
        self.domain = domains[0] if domains else self.domain

    def save(self, engine: Engine) -> None:
        """Write the state, once the image's prediction is on disk."""
        self.predicted += _names(engine.state.batch)
        if self.path is None or get_rank() > 0:
            return
        state = {"inferer": self.inferer.state_dict(), "domain": self.domain, "predicted": self.predicted}
        before = len(self.predicted) - 1
        kept = f"the state after {before} images is kept: free some, go on with --resume true"
        write_checkpoint(self.path, state, kept=kept if before else None)


def _names(batch: Mapping | Sequence[Mapping]) -> list[str]:
    """File names of a batch, collated, or decollated as an evaluator leaves it."""
    if not isinstance(batch, Mapping):
        return [name for case in batch for name in _names(case)]
    names = getattr(batch["image"], "meta", {}).get("filename_or_obj", [])
    return [str(name) for name in ([names] if isinstance(names, str) else names)]
