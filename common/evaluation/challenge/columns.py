"""What a challenge measures: every metric of every structure is one column of its tables.

Columns stand metric by metric, ``Dice_kidney, Dice_tumor, SD_kidney, SD_tumor``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

__all__ = ["Columns"]


@dataclass(frozen=True)
class Columns:
    """The columns of a challenge's tables.

    Attributes:
        structures: names, in the order of the tables.
        metrics: names, likewise.
        smaller_is_better: the metrics of which the smaller value is the better one, such as distances.
    """

    structures: Sequence[str]
    metrics: Sequence[str]
    smaller_is_better: Sequence[str] = ()

    @cached_property
    def names(self) -> tuple[str, ...]:
        """The columns' names."""
        return tuple(f"{metric}_{structure}" for metric in self.metrics for structure in self.structures)

    @property
    def groups(self) -> list[tuple[int, ...]]:
        """The numbers of each metric's columns."""
        count = len(self.structures)
        return [tuple(range(m * count, (m + 1) * count)) for m in range(len(self.metrics))]

    @property
    def higher_is_better(self) -> list[bool]:
        """For each column."""
        return [metric not in self.smaller_is_better for metric in self.metrics for _ in self.structures]

    def row(
        self, values: Mapping[str, Mapping[str, float]], *, decimals: int | None = None
    ) -> dict[str, float]:
        """One case's values by column.

        Args:
            values: structure -> metric -> value; what else it holds is left out.
            decimals: to which each value is rounded, before any mean; None: not at all.

        Raises:
            KeyError: a structure or metric is missing.
        """
        numbers = (
            float(values[structure][metric]) for metric in self.metrics for structure in self.structures
        )
        rounded = (value if decimals is None else round(value, decimals) for value in numbers)
        return dict(zip(self.names, rounded, strict=True))
