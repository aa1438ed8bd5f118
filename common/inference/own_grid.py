"""A scan's own grid, and where its voxels lie on the grid that a network saw.

MONAI records every deterministic step of the preprocessing in the image; the records are read from the last
to the first, as ``Invertd`` does, but nothing is resampled here.

Axes: n spatial ones; an index is a column of n numbers, voxel centres are at whole numbers.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from monai.data import MetaTensor
from monai.utils import TraceKeys

__all__ = ["OwnGrid", "own_grid"]

_CHANGED = 1e-4  # a scale that differs from 1 by more is a change of spacing


@dataclass(frozen=True, kw_only=True)
class OwnGrid:
    """The grid of a scan as its file holds it.

    Attributes:
        shape: voxels.
        affine: index -> world in mm, ``(n + 1, n + 1)`` or larger.
        matrix: homogeneous ``(n + 1, n + 1)``, index in the scan -> index on the network's grid.
        nearest: axes of the network's grid along which preprocessing took the nearest slice.
    """

    shape: tuple[int, ...]
    affine: np.ndarray
    matrix: np.ndarray
    nearest: frozenset[int] = frozenset()


@dataclass
class _State:
    """The image as it was before the steps read so far."""

    shape: tuple[int, ...]
    affine: np.ndarray
    matrix: np.ndarray  # index before the steps read so far -> index on the network's grid
    nearest: set[int]


def own_grid(image: MetaTensor) -> OwnGrid:
    """The grid that a preprocessed image had in its file.

    Args:
        image: (C, *S), with its affine and the record of what was done to it.

    Raises:
        ValueError: it was changed by a step that cannot be reversed here.
    """
    affine = np.asarray(image.affine, dtype=np.float64)
    state = _State(tuple(image.shape[1:]), affine, np.eye(image.ndim), set())
    for record in reversed(image.applied_operations):
        before = tuple(int(n) for n in record[TraceKeys.ORIG_SIZE])
        step = _reader(record)(record[TraceKeys.EXTRA_INFO], state, before)
        state.matrix = state.matrix @ step
        state.shape = before
    return OwnGrid(
        shape=state.shape, affine=state.affine, matrix=state.matrix, nearest=frozenset(state.nearest)
    )


_Info = Mapping[str, Any]
_Reader = Callable[[_Info, _State, tuple[int, ...]], np.ndarray]


def _reader(record: Mapping[Any, Any]) -> _Reader:
    """The reader of this record: updates the affine, returns the step's matrix, index before -> after."""
    info = record[TraceKeys.EXTRA_INFO]
    for key, reader in _READERS.items():
        if key in info:
            return reader
    raise ValueError(
        f"the preprocessing holds {record[TraceKeys.CLASS_NAME]}, whose way back to the scan's own grid is "
        "known to Invertd alone; expected orientation, spacing, padding, cropping or transposition"
    )


def _moved(state: _State, affine: Any) -> np.ndarray:
    """The matrix of a step that leaves voxels where they are in the world."""
    n = len(state.shape)
    before = np.asarray(affine, dtype=np.float64)
    after, state.affine = state.affine, before
    return np.linalg.solve(_of_rank(after, n), _of_rank(before, n))


def _of_rank(affine: np.ndarray, n: int) -> np.ndarray:
    places = [*range(n), -1]
    return affine[np.ix_(places, places)]


def _resampled(info: _Info, state: _State, before: tuple[int, ...]) -> np.ndarray:
    del before
    step = _moved(state, info["src_affine"])
    if info["mode"] == "nearest":
        changed = np.flatnonzero(np.abs(np.diag(step)[:-1] - 1) > _CHANGED)
        # Later steps may have turned the axes.
        turned = np.abs(state.matrix[:-1, :-1])[:, changed]
        state.nearest |= {int(axis) for axis in turned.argmax(axis=0)}
    return step


def _oriented(info: _Info, state: _State, before: tuple[int, ...]) -> np.ndarray:
    del before
    return _moved(state, info["original_affine"])


def _shifted(state: _State, shift: Sequence[int]) -> np.ndarray:
    step = np.eye(len(shift) + 1)
    step[:-1, -1] = shift
    n = len(shift)
    # The affine as it was: the voxel at index 0 now had the index -shift.
    back = np.eye(len(state.affine))
    back[:n, -1] = shift
    state.affine = state.affine @ back
    return step


def _padded(info: _Info, state: _State, before: tuple[int, ...]) -> np.ndarray:
    return _shifted(state, [low for low, _ in info["padded"]][-len(before) :])


def _cropped(info: _Info, state: _State, before: tuple[int, ...]) -> np.ndarray:
    pad = info.get("pad_info", {}).get(TraceKeys.EXTRA_INFO, {}).get("padded", ())
    padding = [low for low, _ in pad][-len(before) :] or [0] * len(before)
    return _shifted(state, [p - low for p, low in zip(padding, info["cropped"][::2], strict=True)])


def _transposed(info: _Info, state: _State, before: tuple[int, ...]) -> np.ndarray:
    del state  # MONAI leaves the affine as it was
    order = [place - 1 for place in info["indices"][1:]]
    step = np.eye(len(before) + 1)
    step[:-1, :-1] = step[:-1, :-1][order]
    return step


_READERS: dict[str, _Reader] = {
    "src_affine": _resampled,
    "original_affine": _oriented,
    "padded": _padded,
    "cropped": _cropped,
    "indices": _transposed,
}
