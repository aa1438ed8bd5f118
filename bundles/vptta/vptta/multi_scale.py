"""PraNet's training: every batch at three sizes (smaller, unchanged, larger), with one step for each.

Source: vptta/docs/method.md#source-model-polyp.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from monai.engines import SupervisedTrainer
from torch import Tensor
from torch.nn import functional

__all__ = ["MultiScaleTrainer"]


class MultiScaleTrainer(SupervisedTrainer):
    """For each rate: resize image and mask, forward, loss, backward, optimiser step.

    The iteration's output is the last rate's.

    Args:
        rates: factors on (H, W); the sizes are rounded to multiples of ``multiple``: 256, 352 and 448 from
            352 by default.
        multiple: sizes must be divisible by this.
        settings: arguments of ``monai.engines.SupervisedTrainer``.

    Raises:
        ValueError: there is no rate, or one is not positive.
    """

    def __init__(
        self, *, rates: Sequence[float] = (0.75, 1.0, 1.25), multiple: int = 32, **settings: Any
    ) -> None:
        if not rates or min(rates) <= 0:
            raise ValueError(f"MultiScaleTrainer: rates={list(rates)}; expected one or more, all above 0")
        super().__init__(**settings)
        self.rates, self.multiple = tuple(rates), multiple
        self.rate = 1.0
        self.images_and_labels, self.prepare_batch = self.prepare_batch, self._resized

    def _iteration(self, engine: SupervisedTrainer, batchdata: dict[str, Tensor]) -> dict:
        output: dict = {}
        for rate in self.rates:
            self.rate = rate
            output = super()._iteration(engine, batchdata)
        return output

    def _resized(self, *args: Any, **kwargs: Any) -> tuple[Tensor, Tensor]:
        image, label = self.images_and_labels(*args, **kwargs)
        if self.rate == 1:
            return image, label
        size = [max(1, round(n * self.rate / self.multiple)) * self.multiple for n in image.shape[2:]]
        return tuple(
            functional.interpolate(x.float(), size, mode="bilinear", align_corners=True)
            for x in (image, label)
        )
