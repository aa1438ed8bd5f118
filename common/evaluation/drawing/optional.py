"""Pictures that a run can do without."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

__all__ = ["optional_picture"]

logger = logging.getLogger(__name__)


@contextmanager
def optional_picture(path: str | Path) -> Iterator[None]:
    """Draw a picture in the block; if that fails, in whatever way, warn and go on."""
    try:
        yield
    except Exception as error:
        lines = str(error).splitlines() or [type(error).__name__]
        logger.warning("%s was not drawn, the run goes on: %s", path, lines[0])
