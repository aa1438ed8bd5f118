"""A picture of the first prediction on its own scan."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from ignite.distributed import get_rank
from ignite.engine import Engine, Events
from monai.transforms import LoadImage

from common.evaluation.drawing.case import draw_case
from common.evaluation.drawing.optional import optional_picture

__all__ = ["InferencePreview"]


class InferencePreview:
    """Draw the first case of an inference run: the scan or picture as its file holds it, with contours.

    Where the case has a ``boundary``, the probability of one on the scan's own grid, it is drawn below.

    Args:
        path: the PNG.
        names: class number -> name.
    """

    def __init__(self, path: str | Path, names: Mapping[int, str]) -> None:
        self.path, self.names = Path(path), dict(names)

    def attach(self, evaluator: Engine) -> None:
        """Draw once, after the first case."""
        evaluator.add_event_handler(Events.ITERATION_COMPLETED(once=1), self)

    def __call__(self, evaluator: Engine) -> None:
        """Draw; a picture that cannot be drawn is only a warning."""
        if get_rank() > 0:
            return
        with optional_picture(self.path):
            self._draw(evaluator)

    def _draw(self, evaluator: Engine) -> None:
        case = evaluator.state.output[0]
        image, file = case["image"], case["image"].meta["filename_or_obj"]
        if image.ndim == 4:
            image = LoadImage(image_only=True, ensure_channel_first=True)(file)
        rows = {"prediction": case["pred"]}
        shades = {key: case[key] for key in ("boundary",) if key in case}
        title = Path(file).name
        draw_case(image, rows, self.names, self.path, title=title, columns_first=True, shades=shades)
