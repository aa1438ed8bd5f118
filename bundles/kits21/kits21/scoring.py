"""The challenge as a tool: predictions of one team or several against the references, to tables and plots.

    python -m monai.bundle run --config_file bundles/kits21/configs/score.json \\
        --prediction_dir P --reference_dir R

Files written to the output folder:

    scores_<team>.csv       the challenge's table: six numbers per case, their average in the last row; each
                            the mean over all plausible annotations, or without samples against the majority
    leaderboard.csv, .txt   places, averages, ranks, and how stable the places are on resampled cases
    scores.png              every team's six scores
    places.png              with two or more teams: how often each took each place
    majority_<team>.csv     with samples: like scores, against the majority of the annotations
    inter_rater.csv         with samples: the annotators' scores against one another, and their distance
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from common.datasets.raw.label_volumes import read_grid
from common.errors import InputError
from common.evaluation.ranking import bootstrap_ranking, rank_teams
from common.files import require_writable
from kits21.metrics import COLUMNS, score_case
from kits21.plots import draw_places, draw_scores
from kits21.references import Reference, find_references, read_label_map
from kits21.regions import REGIONS
from kits21.samples import inter_rater_scores, rater_pairs, sample_labels, tolerance_of
from kits21.tables import write_leaderboard, write_scores
from kits21.teams import Team, check_predictions, find_teams

__all__ = ["score_teams"]

_DISTANCE = {region.name: f"mm_{region.column}" for region in REGIONS}
_MISSING = ("error", "empty")
#: How teams are ranked: as the organisers' program does, or as their page says.
_RANKINGS = {
    "two_averages": {"groups": [(0, 1, 2), (3, 4, 5)], "ties": "min"},
    "six_averages": {"groups": None, "ties": "average"},
}

Table = dict[str, dict[str, Mapping[str, float]]]  # team -> case -> column -> value


def score_teams(
    prediction_dir: Any,
    reference_dir: str | Path | None,
    output_dir: str | Path,
    *,
    samples: bool = True,
    missing: str = "error",
    ranking: str = "two_averages",
    tie_break: str | None = "Dice_tumor",
    draws: int = 1000,
    seed: int = 0,
) -> None:
    """Score and rank the teams, write the tables and plots, and print the leaderboard.

    Args:
        prediction_dir: see :func:`kits21.teams.find_teams`.
        reference_dir: see :func:`kits21.references.find_references`.
        output_dir: where to write.
        samples: score the teams against every plausible annotation, as the challenge's program does, and the
            annotators against each other; False: against the majority alone.
        missing: a case without a prediction is an ``error`` or counts as ``empty``.
        ranking: ``two_averages``, the mean Dice and the mean surface Dice, equal teams sharing the lowest
            rank (the organisers' program); or ``six_averages``, each column (their page).
        tie_break: the column whose average separates teams of equal mean rank; None: they share their place.
        draws: number of rankings on resampled cases; 0: none.
        seed: of the resampling.

    Raises:
        InputError: no folders, unknown options, or files that cannot be scored; every fault is named.
    """
    for option, value in (("prediction_dir", prediction_dir), ("reference_dir", reference_dir)):
        if not value:
            raise InputError(f"score.json: {option} is not given; say where, with  --{option} FOLDER")
    _check_options(missing, ranking, tie_break, draws)
    references = find_references(reference_dir)
    teams = find_teams(prediction_dir, [reference.case for reference in references])
    if samples:
        _check_annotations(references)
    check_predictions(teams, references, allow_missing=missing == "empty")
    require_writable(output_dir)

    plain: Table = {team.name: {} for team in teams}
    sampled: Table = {team.name: {} for team in teams}
    raters: dict[str, Mapping[str, float]] = {}
    for reference in tqdm(references, desc="scoring", unit="case"):
        truth, predictions = reference.label(), _predictions(teams, reference)
        for team, (prediction, spacing) in predictions.items():
            plain[team][reference.case] = score_case(prediction, truth, spacing)
        if samples:
            labels, pairs = _plausible(reference)
            for team, (prediction, spacing) in predictions.items():
                sampled[team][reference.case] = _mean_score(prediction, labels, spacing)
            raters[reference.case] = _between_raters(labels, pairs, reference.spacing)
    scores, majority = (sampled, plain) if samples else (plain, {})
    _write(Path(output_dir), scores, majority, raters)
    _rank(Path(output_dir), scores, ranking, tie_break=tie_break, draws=draws, seed=seed)
    for team in teams:
        if team.unused:
            print(f"{team.name}: {len(team.unused)} files belong to no case, first {team.unused[0].name}")


def _check_options(missing: str, ranking: str, tie_break: str | None, draws: int) -> None:
    for name, word, known in (("missing", missing, _MISSING), ("ranking", ranking, _RANKINGS)):
        if word not in known:
            raise InputError(f"score.json: {name} is '{word}'; expected one of: {', '.join(known)}")
    if tie_break is not None and tie_break not in COLUMNS:
        raise InputError(
            f"score.json: tie_break is '{tie_break}'; expected null or one of: {', '.join(COLUMNS)}"
        )
    if not isinstance(draws, int) or draws < 0:
        raise InputError(f"score.json: draws is {draws}; expected a whole number of at least 0")


def _check_annotations(references: Sequence[Reference]) -> None:
    for reference in references:
        if reference.files is None:
            raise InputError(
                f"{reference.label_file}: {reference.case} has a label map alone; samples need annotations, "
                f"{reference.case}/segmentations/: correct --reference_dir, or score against the label maps "
                f"with  --samples False"
            )
        reference.number  # noqa: B018 (raises where the name has none)


def _predictions(
    teams: Sequence[Team], reference: Reference
) -> dict[str, tuple[np.ndarray, Sequence[float]]]:
    """Team -> label map (Z, Y, X) and its own spacing in mm, which the challenge's program uses."""
    found = {}
    for team in teams:
        if reference.case in team.files:
            file = team.files[reference.case]
            found[team.name] = read_label_map(file), read_grid(file).spacing[::-1]
        else:
            found[team.name] = np.zeros(reference.grid.shape[::-1], np.uint8), reference.spacing
    return found


def _plausible(reference: Reference) -> tuple[list[np.ndarray], list[tuple[int, int]]]:
    found = list(sample_labels(reference.number, reference.annotations()))
    return [label for _, label in found], rater_pairs([sample for sample, _ in found])


def _mean_score(
    prediction: np.ndarray, labels: Sequence[np.ndarray], spacing: Sequence[float]
) -> dict[str, float]:
    scores = [score_case(prediction, label, spacing) for label in labels]
    return {column: float(np.mean([one[column] for one in scores])) for column in COLUMNS}


def _between_raters(
    labels: Sequence[np.ndarray], pairs: Sequence[tuple[int, int]], spacing: Sequence[float]
) -> dict[str, float]:
    distance = tolerance_of(labels, pairs, spacing)
    return inter_rater_scores(labels, pairs, spacing) | {_DISTANCE[r]: mm for r, mm in distance.items()}


def _write(folder: Path, scored: Table, majority: Table, raters: Mapping[str, Mapping[str, float]]) -> None:
    for stem, table in (("scores", scored), ("majority", majority)):
        for team, scores in table.items():
            write_scores(folder / f"{stem}_{team}.csv", scores)
    if raters:
        write_scores(folder / "inter_rater.csv", raters, (*COLUMNS, *_DISTANCE.values()))


def _rank(folder: Path, table: Table, by: str, *, tie_break: str | None, draws: int, seed: int) -> None:
    teams = list(table)
    scores = np.array([[[row[c] for c in COLUMNS] for row in table[team].values()] for team in teams])
    rule = {**_RANKINGS[by], "tie_break": None if tie_break is None else COLUMNS.index(tie_break)}
    ranking = rank_teams(scores, **rule)
    several = len(teams) > 1 and draws > 0
    bootstrap = bootstrap_ranking(scores, draws=draws, seed=seed, **rule) if several else None
    print(write_leaderboard(folder, teams, ranking, bootstrap, cases=scores.shape[1]), end="")
    draw_scores(folder / "scores.png", teams, scores, ranking.order)
    if bootstrap is not None:
        draw_places(folder / "places.png", teams, ranking, bootstrap)
