"""A progress bar over the whole run: epoch, loss, validation metric, time left."""

from __future__ import annotations

import sys

from ignite.distributed import get_rank
from ignite.engine import Engine, Events
from tqdm import tqdm

__all__ = ["Progress"]


class Progress:
    """One bar for all epochs of a trainer, or for the one epoch of an evaluator.

    Args:
        description: left of the bar.
        evaluator: its key metric of the last validation is shown after the loss.
        leave: whether the bar stays on the screen when it is done.
    """

    def __init__(
        self, description: str = "training", evaluator: Engine | None = None, *, leave: bool = True
    ) -> None:
        self.description, self.leave = description, leave
        self.evaluator = evaluator
        self.bar: tqdm | None = None

    def attach(self, engine: Engine) -> None:
        """Follow the engine's iterations."""
        engine.add_event_handler(Events.STARTED, self.start)
        engine.add_event_handler(Events.ITERATION_COMPLETED, self.step)
        engine.add_event_handler(Events.COMPLETED | Events.TERMINATE | Events.EXCEPTION_RAISED, self.stop)

    def start(self, engine: Engine) -> None:
        """Open the bar where the engine stands (a resumed run does not start at zero)."""
        left = (engine.state.max_epochs - engine.state.epoch) * engine.state.epoch_length
        self.bar = tqdm(
            total=engine.state.iteration + left,
            initial=engine.state.iteration,
            desc=self.description,
            unit="it",
            leave=self.leave,
            dynamic_ncols=True,
            disable=get_rank() > 0,
            mininterval=0.5 if sys.stderr.isatty() else 15,
        )

    def step(self, engine: Engine) -> None:
        """One iteration on."""
        if self.bar is None:
            return
        notes = {}
        if self.evaluator is not None:
            notes["epoch"] = f"{engine.state.epoch}/{engine.state.max_epochs}"
        output = engine.state.output[0] if isinstance(engine.state.output, list) else engine.state.output
        if isinstance(output, dict) and "loss" in output:
            notes["loss"] = f"{output['loss'].item():.3f}"
        if self.evaluator is not None and self.evaluator.state.best_metric_epoch > 0:
            notes["best"] = f"{self.evaluator.state.best_metric:.3f}"
        self.bar.set_postfix(notes, refresh=False)
        self.bar.update()

    def stop(self, engine: Engine, error: BaseException | None = None) -> None:
        """Close the bar; an exception is raised again."""
        if self.bar is not None:
            self.bar.close()
            self.bar = None
        if error is not None:
            raise error
