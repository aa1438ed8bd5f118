"""Handlers that other nodes of a config refer to, attached from the config's list of handlers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ignite.engine import Engine

__all__ = ["Attach"]


class Attach:
    """Attach handlers that are defined elsewhere in the config.

    MONAI's property check takes every element of ``train#handlers`` for a mapping with a ``_target_``, so a
    reference such as ``"@lowest_loss"`` cannot stand there by itself.

    Args:
        handlers: each has ``attach(engine)``; in the order in which they act.
    """

    def __init__(self, handlers: Sequence[Any]) -> None:
        self.handlers = list(handlers)

    def attach(self, engine: Engine) -> None:
        """Attach them all."""
        for handler in self.handlers:
            handler.attach(engine)
