"""``preview.png``: the first cases of an evaluation as a picture."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ignite.distributed import get_rank
from ignite.engine import Engine, Events
from monai.data import MetaTensor

from common.evaluation.drawing.case import draw_case
from common.evaluation.drawing.optional import optional_picture

__all__ = ["FirstCases", "Preview"]


class FirstCases(ABC):
    """Keeps what is needed to draw the first cases of an evaluation, and draws them at its end.

    A subclass says what it keeps of a case and how it draws.

    Args:
        path: PNG to write.
        cases: number of cases.
        only_best: draw only if this evaluation is the best so far (in a training).
    """

    def __init__(self, path: str | Path, *, cases: int = 1, only_best: bool = False) -> None:
        self.path, self.number, self.only_best = Path(path), cases, only_best
        self.kept: list[Any] = []

    @abstractmethod
    def part(self, case: Mapping[str, Any]) -> Any:
        """What is kept of a case of the evaluator's output."""

    @abstractmethod
    def picture(self, kept: Sequence[Any], epoch: int) -> None:
        """Draw them, at least one, to ``path``."""

    def attach(self, evaluator: Engine) -> None:
        """Keep the first cases of the epoch, draw at its end."""
        evaluator.add_event_handler(Events.EPOCH_STARTED, self.forget)
        evaluator.add_event_handler(Events.ITERATION_COMPLETED, self.keep)
        evaluator.add_event_handler(Events.EPOCH_COMPLETED, self.draw)

    def forget(self, _: Engine) -> None:
        """Start over."""
        self.kept = []

    def keep(self, evaluator: Engine) -> None:
        """Keep what is still missing."""
        for case in evaluator.state.output[: self.number - len(self.kept)]:
            self.kept.append(self.part(case))

    def draw(self, evaluator: Engine) -> None:
        """Draw, on the first process; with ``only_best``, only the best evaluation so far."""
        state = evaluator.state
        if not self.kept or get_rank() > 0 or (self.only_best and state.best_metric_epoch != state.epoch):
            return
        with optional_picture(self.path):
            self.picture(self.kept, state.epoch)


class Preview(FirstCases):
    """Draws the first case of every new best validation: reference above, prediction below.

    Where the case has a ``boundary``, the probability of one, it is drawn below both.

    Args:
        path: PNG to write.
        names: class number -> name.
    """

    def __init__(self, path: str | Path, names: Mapping[int, str]) -> None:
        super().__init__(path, only_best=True)
        self.names = dict(names)

    def part(self, case: Mapping[str, Any]) -> dict[str, MetaTensor]:
        """Image, label and prediction, and the probability of a boundary if there is one."""
        keys = ("image", "label", "pred", "boundary")
        return {key: case[key].detach().cpu() for key in keys if key in case}

    def picture(self, kept: Sequence[dict[str, MetaTensor]], epoch: int) -> None:
        """Contours of both on the image."""
        (first,) = kept
        title = f"{Path(first['image'].meta['filename_or_obj']).name}, epoch {epoch}"
        rows = {"reference": first["label"], "prediction": first["pred"]}
        shades = {key: first[key] for key in ("boundary",) if key in first}
        draw_case(first["image"], rows, self.names, self.path, title=title, shades=shades)
