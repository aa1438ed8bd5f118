"""The state of a stream on disk: saved after every image, resumed, reset between domains."""

from __future__ import annotations

import hashlib
import logging
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ignite.distributed import get_rank
from ignite.engine import Engine, Events

from common.adaptation.stream import StreamInferer
from common.checkpoints.store import read_checkpoint, require_finite
from common.checkpoints.writing import write_checkpoint
from common.errors import InputError

__all__ = ["StreamState", "cases_to_go"]

logger = logging.getLogger(__name__)


def _read(path: Path) -> dict[str, Any]:
    state = read_checkpoint(path)
    if not isinstance(state, Mapping) or not _is_state(state):
        raise InputError(f"{path}: not the state of a stream; start anew without --resume")
    require_finite(state, path)
    return dict(state)


def _is_state(state: Mapping[str, Any]) -> bool:
    predicted, inferer = state.get("predicted"), state.get("inferer")
    return (
        isinstance(inferer, Mapping)
        and isinstance(predicted, list)
        and all(isinstance(file, str) for file in predicted)
        and isinstance(state.get("domain", 0), str | None)
    )


def _file(image: Any) -> str:
    return str(image[0] if isinstance(image, (list, tuple)) else image)


def _digest(weights: str | Path | None) -> str | None:
    """SHA-256 of the weights' file; None where there is none."""
    if weights is None or not Path(weights).is_file():
        return None
    with open(weights, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def cases_to_go(
    cases: Sequence[Mapping],
    path: str | Path,
    *,
    resume: bool | str = False,
    weights: str | Path | None = None,
) -> list[Mapping]:
    """The cases of a stream that are still to be predicted.

    Args:
        cases: the whole stream in order, each with ``image``.
        path: where :class:`StreamState` keeps the state.
        resume: return only the cases after those already predicted; otherwise all.  If ``cases`` does not
            begin with the predicted ones it is a new stream, and all of it is returned too.  If a prediction
            was deleted since, the stream begins anew.
        weights: with which the stream is predicted; those it began with, unless ``resume`` is "force".

    Raises:
        InputError: nothing is left, the stream began with other weights, or the file is damaged.
    """
    cases, path = list(cases), Path(path)
    if not resume or not path.is_file():
        return cases
    state = _read(path)
    _require_same_weights(state, path, weights, resume)
    done = state["predicted"]
    if [_file(case["image"]) for case in cases[: len(done)]] != done:
        return cases
    lost = [file for name in state.get("written", []) if not (file := path.parent / name).is_file()]
    if lost:
        previous = path.with_stem(f"{path.stem}_previous")
        os.replace(path, previous)
        logger.warning(
            "%s, written by this stream, is not there: the stream is predicted anew from its beginning, for "
            "each image builds on those before it; its state is now %s",
            lost[0],
            previous,
        )
        return cases
    if len(done) == len(cases):
        raise InputError(
            f"{path}: all {len(cases)} images of this stream were predicted; to start anew leave --resume out"
        )
    return cases[len(done) :]


def _require_same_weights(
    state: Mapping[str, Any], path: Path, weights: str | Path | None, resume: bool | str
) -> None:
    begun, now = state.get("weights"), _digest(weights)
    if resume != "force" and None not in (begun, now) and begun != now:
        raise InputError(
            f"{path}: the stream began with other weights than {weights}; resume with those, or "
            "--resume force to go on with these, or start anew without --resume"
        )


class StreamState:
    """Handler of an evaluator whose inferer is a :class:`StreamInferer`.

    A run starts with a fresh state unless it resumes.  After each image, once its prediction is written, the
    state is saved, whole or not at all.

    Args:
        inferer: the evaluator's inferer.
        path: the file; with None nothing is saved.
        resume: read it when the run starts; "force" even if other weights began the stream.
        weights: with which the stream is predicted.
        reset_between_domains: forget what was learnt whenever the batch's ``domain`` changes.
    """

    def __init__(
        self,
        inferer: StreamInferer,
        path: str | Path | None = None,
        *,
        resume: bool | str = False,
        weights: str | Path | None = None,
        reset_between_domains: bool = False,
    ) -> None:
        self.inferer, self.resume, self.weights = inferer, resume, weights
        self.path = None if path is None else Path(path)
        self.reset_between_domains = reset_between_domains
        self.domain: str | None = None
        self.predicted: list[str] = []
        self.written: list[str] = []
        self.digest: str | None = None

    def attach(self, engine: Engine) -> None:
        """Act at the start, before and after every image."""
        engine.add_event_handler(Events.STARTED, self.start)
        engine.add_event_handler(Events.ITERATION_STARTED, self.enter)
        engine.add_event_handler(Events.ITERATION_COMPLETED, self.save)

    def start(self, _: Engine) -> None:
        """Start fresh, or resume from the saved state."""
        self.domain, self.predicted, self.written = None, [], []
        self.digest = _digest(self.weights)
        self.inferer.reset()
        if not self.resume:
            return
        if self.path is None or not self.path.is_file():
            logger.warning(
                "%s is not there: nothing to resume, the stream starts from its beginning", self.path
            )
            return
        state = _read(self.path)
        _require_same_weights(state, self.path, self.weights, self.resume)
        self.inferer.load_state_dict(state["inferer"])
        self.domain, self.predicted = state["domain"], list(state["predicted"])
        self.written = list(state.get("written", []))
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
        self.written += [os.path.relpath(file, self.path.parent) for file in _written(engine.state.output)]
        state = {
            "inferer": self.inferer.state_dict(),
            "domain": self.domain,
            "predicted": self.predicted,
            "written": self.written,
            "weights": self.digest,
        }
        before = len(self.predicted) - 1
        kept = f"the state after {before} images is kept: free some, go on with --resume true"
        write_checkpoint(self.path, state, kept=kept if before else None)


def _written(output: Any) -> list[str]:
    """Files of an evaluator's predictions, as ``SaveImaged`` notes them."""
    cases = output if isinstance(output, list) else [output]
    files = [getattr(case.get("pred"), "meta", {}).get("saved_to") for case in cases]
    return [str(file) for file in files if isinstance(file, str | Path)]


def _names(batch: Mapping | Sequence[Mapping]) -> list[str]:
    """File names of a batch, collated, or decollated as an evaluator leaves it."""
    if not isinstance(batch, Mapping):
        return [name for case in batch for name in _names(case)]
    names = getattr(batch["image"], "meta", {}).get("filename_or_obj", [])
    return [str(name) for name in ([names] if isinstance(names, str) else names)]
