"""Two predictors that a network must beat: intensity alone, and position alone.

``IntensityThreshold`` knows how bright each class is, ``MeanShapePrior`` where it usually lies.
Both work on any labelled data set with dataset.json, 2D or 3D, with one channel or more.

    python -m common.evaluation.baselines DIR --section validation

Axes: C channels, K classes with background first, *S spatial as the reader gives them.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Self

import numpy as np
from nibabel.orientations import apply_orientation, axcodes2ornt, io_orientation, ornt_transform
from scipy.ndimage import gaussian_filter

from common.commands import run_commands
from common.errors import InputError
from common.evaluation.case_arrays import Case, LabelledData

__all__ = [
    "IntensityThreshold",
    "MeanShapePrior",
    "baseline_dice",
    "dice_per_class",
    "dice_per_region",
    "intensity_threshold",
    "mean_dice",
    "mean_shape_prior",
]

_SMALLEST_SD = 1e-3  # of the foreground's own sd: a constant class gets a very narrow Gaussian
_LARGEST_GRID = 96  # voxels per axis of the prior: 12 classes take about 40 MB


class IntensityThreshold:
    """The most likely class of each voxel given its intensity: one Gaussian per class and channel.

    Args:
        classes: K.
        class_prior: weigh classes by their frequency, as Bayes' rule says; without it a rare class
            is found more often, at the price of false alarms.
        smoothing: sd in voxels of a Gaussian filter applied first; 0: none.
    """

    def __init__(self, *, classes: int, class_prior: bool = True, smoothing: float = 0.0) -> None:
        self.classes, self.class_prior, self.smoothing = classes, class_prior, smoothing

    def fit(self, cases: Iterable[Case]) -> Self:
        """Learn each class's mean, sd and frequency."""
        count: Any = np.zeros(self.classes)
        total: Any = 0.0
        square: Any = 0.0
        for case in cases:
            label = case.label.ravel()
            channels = self._smooth(case.image).reshape(len(case.image), -1)
            count += np.bincount(label, minlength=self.classes)
            total += np.stack([np.bincount(label, c, self.classes) for c in channels])
            square += np.stack([np.bincount(label, c**2, self.classes) for c in channels])
        seen = np.maximum(count, 1)
        self.mean = total / seen  # (C, K)
        variance = np.maximum(square / seen - self.mean**2, 0)
        self.sd = np.maximum(np.sqrt(variance), _SMALLEST_SD * np.sqrt(variance.max(axis=1, keepdims=True)))
        self.sd[self.sd == 0] = 1.0  # a constant channel carries no information
        self.frequency = count / count.sum()
        return self

    def predict(self, case: Case) -> np.ndarray:
        """The case's label map, (*S) int64."""
        channels = self._smooth(case.image)
        best = np.full(channels.shape[1:], -np.inf, np.float32)
        label = np.zeros(channels.shape[1:], np.int64)
        for k in np.flatnonzero(self.frequency):
            score = np.full(best.shape, np.log(self.frequency[k]) if self.class_prior else 0.0)
            for channel, mean, sd in zip(channels, self.mean[:, k], self.sd[:, k], strict=True):
                score -= 0.5 * ((channel - mean) / sd) ** 2 + np.log(sd)
            wins = score > best
            best[wins], label[wins] = score[wins], k
        return label

    def _smooth(self, image: np.ndarray) -> np.ndarray:
        if not self.smoothing:
            return image
        return np.stack([gaussian_filter(channel, self.smoothing) for channel in image])


class MeanShapePrior:
    """The same label map for every case: class frequencies of the training labels by position.

    Positions are relative to the volume, each axis from 0 to 1, after volumes are turned to RAS+.

    Args:
        classes: K.
        rule: how frequencies become labels: ``argmax``; ``foreground``: where the foreground's
            frequency reaches 0.5, its most frequent class; ``peak``: the most frequent of those classes
            that reach half of their own highest frequency (kinder to small organs that move).
    """

    RULES = ("argmax", "foreground", "peak")

    def __init__(self, *, classes: int, rule: str = "argmax") -> None:
        if rule not in self.RULES:
            raise InputError(f"rule={rule!r}; expected one of {', '.join(self.RULES)}")
        self.classes, self.rule = classes, rule

    def fit(self, cases: Iterable[Case]) -> Self:
        """Learn the frequencies on a grid of the first case's size (at most 96 voxels per axis)."""
        self.frequency: np.ndarray = np.zeros(0)
        number = 0
        for number, case in enumerate(cases, start=1):
            label = _turn(case.label, case.affine)
            if number == 1:
                grid = tuple(min(n, _LARGEST_GRID) for n in label.shape)
                self.frequency = np.zeros((self.classes, *grid), np.float32)
            sampled = _sample(label, self.frequency.shape[1:])
            for k in range(self.classes):
                self.frequency[k] += sampled == k
        self.frequency /= max(number, 1)
        return self

    def predict(self, case: Case) -> np.ndarray:
        """The case's label map, (*S) int64; of the image only size and orientation are used."""
        shape = _turn(case.label, case.affine).shape
        return _turn(_sample(self._labels(), shape), case.affine, back=True)

    def _labels(self) -> np.ndarray:
        organs = self.frequency[1:]
        if self.rule == "argmax":
            return self.frequency.argmax(axis=0)
        best = organs.argmax(axis=0) + 1
        if self.rule == "foreground":
            return np.where(organs.sum(axis=0) >= 0.5, best, 0)
        peak = organs.reshape(len(organs), -1).max(axis=1).reshape(-1, *[1] * (organs.ndim - 1))
        likely = np.where((organs >= 0.5 * peak) & (organs > 0), organs, 0)
        return np.where(likely.any(axis=0), likely.argmax(axis=0) + 1, 0)


def _turn(label: np.ndarray, affine: np.ndarray, *, back: bool = False) -> np.ndarray:
    """A volume turned from its own orientation to RAS+, or back; a 2D image stays as it is."""
    if label.ndim != 3:
        return label
    own, ras = io_orientation(affine), axcodes2ornt("RAS")
    return apply_orientation(label, ornt_transform(ras, own) if back else ornt_transform(own, ras))


def _sample(label: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """Nearest neighbour to another size, both grids covering the same box."""
    index = [((np.arange(n) + 0.5) / n * old).astype(int) for n, old in zip(shape, label.shape, strict=True)]
    return label[np.ix_(*index)]


def dice_per_class(prediction: np.ndarray, reference: np.ndarray, *, classes: int) -> np.ndarray:
    """(K - 1,) Dice in 0..1 of each foreground class; nan where neither map has the class."""
    both = np.bincount(reference[prediction == reference].ravel(), minlength=classes)[1:classes]
    sizes = sum(np.bincount(x.ravel(), minlength=classes)[1:classes] for x in (prediction, reference))
    return np.where(sizes > 0, 2 * both / np.maximum(sizes, 1), np.nan)


def dice_per_region(prediction: np.ndarray, reference: np.ndarray, *, nested: Sequence[int]) -> np.ndarray:
    """(R,) Dice in 0..1 of nested regions; nan where neither map has the region.

    Args:
        prediction: label map (*S).
        reference: label map (*S).
        nested: label values from the outermost region to the innermost; region r holds those from index r on.
    """
    masks = [[np.isin(x, nested[r:]) for x in (prediction, reference)] for r in range(len(nested))]
    return np.array([dice_per_class(*map(np.int64, both), classes=2)[0] for both in masks])


def mean_dice(scores: np.ndarray) -> float:
    """The mean over classes of the mean over cases; scores (cases, K - 1), nan where there is none."""
    seen = ~np.isnan(scores)
    per_class = np.where(seen, scores, 0).sum(axis=0)[seen.any(axis=0)] / seen.sum(axis=0)[seen.any(axis=0)]
    return float(per_class.mean()) if len(per_class) else float("nan")


Predictor = IntensityThreshold | MeanShapePrior


def _fit_and_predict(predictor: Predictor, data: LabelledData) -> list[np.ndarray]:
    predictor.fit(data.training())
    return [predictor.predict(case) for case in data.scored()]


def intensity_threshold(
    folder: str | Path,
    *,
    section: str = "validation",
    classes: int | None = None,
    limit: int | None = None,
    label_map: Mapping[int, int] | None = None,
    class_prior: bool = True,
) -> list[np.ndarray]:
    """Label maps (*S) of ``section``'s cases by an ``IntensityThreshold`` fitted on the training cases.

    Args:
        folder: a data set with dataset.json; without a validation list the cases that a training holds
            out are the validation cases, and unlabelled training cases are left out.
        section: the list to predict.
        classes: K; None: as many as ``dataset.json`` names.
        limit: fit on at most this many cases.
        label_map: label values ``{from: to}``.
        class_prior: see ``IntensityThreshold``.

    Raises:
        InputError: the data set cannot be read, or a label has values outside 0 to K - 1.
    """
    data = LabelledData(folder, section=section, classes=classes, limit=limit, label_map=label_map)
    return _fit_and_predict(IntensityThreshold(classes=data.classes, class_prior=class_prior), data)


def mean_shape_prior(
    folder: str | Path,
    *,
    section: str = "validation",
    classes: int | None = None,
    limit: int | None = None,
    label_map: Mapping[int, int] | None = None,
    rule: str = "argmax",
) -> list[np.ndarray]:
    """Label maps (*S) of ``section``'s cases by a ``MeanShapePrior``; arguments as above, and its rule."""
    data = LabelledData(folder, section=section, classes=classes, limit=limit, label_map=label_map)
    return _fit_and_predict(MeanShapePrior(classes=data.classes, rule=rule), data)


def baseline_dice(
    folder: str | Path,
    *,
    section: str = "validation",
    classes: int | None = None,
    limit: int | None = None,
    label_map: Mapping[int, int] | None = None,
    nested: Sequence[int] | None = None,
) -> dict[str, np.ndarray]:
    """(cases, K - 1) Dice of every variant of both predictors, by the variant's name; arguments as above.

    With ``nested`` (:func:`dice_per_region`) it is (cases, R), of the nested regions.
    """
    data = LabelledData(folder, section=section, classes=classes, limit=limit, label_map=label_map)
    predictors: dict[str, Predictor] = {
        "intensity, class prior": IntensityThreshold(classes=data.classes),
        "intensity, no prior": IntensityThreshold(classes=data.classes, class_prior=False),
    }
    for rule in MeanShapePrior.RULES:
        predictors[f"mean shape, {rule}"] = MeanShapePrior(classes=data.classes, rule=rule)
    scores = {}
    for name, predictor in predictors.items():
        maps = _fit_and_predict(predictor, data)
        pairs = ((m, case.label) for m, case in zip(maps, data.scored(), strict=True))
        scores[name] = np.stack(
            [
                dice_per_region(*pair, nested=nested)
                if nested
                else dice_per_class(*pair, classes=data.classes)
                for pair in pairs
            ]
        )
    return scores


def main(
    folder: str,
    section: str = "validation",
    classes: int | None = None,
    limit: int | None = None,
    nested: Sequence[int] | None = None,
    label_map: Mapping[int, int] | None = None,
) -> None:
    """Print the mean Dice per class of both predictors, fitted on the labelled training cases.

    Args:
        folder: a data set with dataset.json.
        section: the list to score: validation or test.
        classes: number of classes with background; by default as many as dataset.json names.
        limit: fit on at most this many training cases.
        nested: score nested regions instead of classes: label values from the outermost to the innermost,
            such as "[1,3,2]" for KiTS21.
        label_map: label values to replace first: '{255: 0}'.
    """
    options = {"section": section, "classes": classes, "limit": limit, "label_map": label_map}
    scores = baseline_dice(str(folder), nested=nested, **options)
    head = [f"{k:>5d}" for k in range(1, next(iter(scores.values())).shape[1] + 1)]
    print(f"{'Dice by region' if nested else 'Dice by class':<24s}  mean {' '.join(head)}")
    for name, table in scores.items():
        cells = [f"{mean_dice(column[:, None]):5.2f}" for column in table.T]
        print(f"{name:<24s} {mean_dice(table):5.2f} {' '.join(cells)}")


if __name__ == "__main__":
    run_commands(main, name="python -m common.evaluation.baselines")
