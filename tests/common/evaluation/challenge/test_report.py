"""The report of a challenge: tables, leaderboard, plots, and what they say."""

from __future__ import annotations

import csv

import numpy as np
import pytest
from PIL import Image

from common.evaluation.challenge.columns import Columns
from common.evaluation.challenge.report import Report, rank_and_draw, score_array, write_team_scores

COLUMNS = Columns(["Eye_L", "Lens_L"], ["DSC", "mm"], smaller_is_better=["mm"])
#: Team -> mean of each column; a is ahead in all of them, b and c have the same numbers.
MEANS = {"b": (0.5, 0.6, 4, 3), "a": (0.9, 0.8, 1, 2), "c": (0.5, 0.6, 4, 3)}


def table(means=MEANS, cases=8, columns=COLUMNS):
    """Scores around the means, with the same deviations for all teams."""
    off = np.linspace(-0.05, 0.05, cases)
    return {
        team: {
            f"case_{n}": dict(zip(columns.names, (np.array(values) + off[n]).tolist(), strict=True))
            for n in range(cases)
        }
        for team, values in means.items()
    }


def rows_of(path):
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def files(folder):
    return {path.name for path in folder.iterdir()}


def test_everything_that_is_written(tmp_path):
    text = rank_and_draw(tmp_path, table(), Report(COLUMNS, draws=20))
    pictures = {"scores.png", "places.png", "significance.png"}
    tables = {"leaderboard.csv", "structures.csv", "significance.csv", "leaderboard.txt", "structures.txt"}
    assert files(tmp_path) == pictures | tables
    for name in pictures:
        assert np.asarray(Image.open(tmp_path / name).convert("L")).std() > 10
    assert (tmp_path / "leaderboard.txt").read_text() == text
    assert "8 cases. Place: by the mean of the ranks on all columns; ties share a place." in text
    assert "hold 95 % of 20 rankings" in text
    assert "Holm's correction, level 0.05" in text

    board = rows_of(tmp_path / "leaderboard.csv")
    assert [(row["team"], float(row["place"])) for row in board] == [("a", 1), ("b", 2.5), ("c", 2.5)]
    first = {key: float(value) for key, value in board[0].items() if key != "team"}
    assert first["normalised_rank"] == pytest.approx(1 / 3, abs=1e-5)
    assert "missing" not in first
    assert [float(row["significance_place"]) for row in board] == [1, 2, 2]
    assert (first["DSC_Eye_L"], first["mean_DSC"], first["mean_mm"]) == pytest.approx((0.9, 0.85, 1.5))
    assert [float(row["rank_mm_Lens_L"]) for row in board] == [1, 2.5, 2.5]

    better = rows_of(tmp_path / "significance.csv")
    assert [row["team"] for row in better] == ["a", "b", "c"]
    assert [(row["better_than_a"], row["better_than_b"], row["wins"]) for row in better] == [
        ("0", "4", "8"),
        ("0", "0", "0"),
        ("0", "0", "0"),
    ]


def test_structures_one_by_one(tmp_path):
    rank_and_draw(tmp_path, table(), Report(COLUMNS, draws=0, alpha=None))
    rows = rows_of(tmp_path / "structures.csv")
    assert [(row["structure"], row["team"]) for row in rows] == [
        (structure, team) for structure in COLUMNS.structures for team in "abc"
    ]
    sd = float(np.linspace(-0.05, 0.05, 8).std(ddof=1))
    assert [float(rows[3][key]) for key in ("DSC_mean", "DSC_sd", "mm_mean", "mm_sd")] == pytest.approx(
        [0.8, sd, 2, sd], rel=1e-4
    )
    header, eye, lens = (tmp_path / "structures.txt").read_text().splitlines()
    assert header.split() == [
        "structure",
        "DSC",
        "a",
        "DSC",
        "b",
        "DSC",
        "c",
        "mm",
        "a",
        "mm",
        "b",
        "mm",
        "c",
    ]
    assert lens.split() == ["Lens_L", "0.8000", "0.6000", "0.6000", "2.0000", "3.0000", "3.0000"]
    assert eye.startswith("Eye_L")


def test_one_team_has_neither_places_nor_significance(tmp_path):
    text = rank_and_draw(tmp_path, {"a": table()["a"]}, Report(COLUMNS))
    assert files(tmp_path) == {
        "leaderboard.csv",
        "leaderboard.txt",
        "scores.png",
        "structures.csv",
        "structures.txt",
    }
    assert "Wilcoxon" not in text
    (row,) = rows_of(tmp_path / "leaderboard.csv")
    assert (row["team"], float(row["place"])) == ("a", 1)
    assert "significance_place" not in row


def test_missing_cases_are_said(tmp_path):
    report = Report(COLUMNS, draws=0)
    text = rank_and_draw(tmp_path, table(), report, missing={"c": ["case_4", "case_6"]})
    assert "c: 2 of 8 cases have no prediction and count as 0, first case_4" in text
    board = rows_of(tmp_path / "leaderboard.csv")
    assert {row["team"]: row["missing"] for row in board} == {"a": "0", "b": "0", "c": "2"}
    assert "missing" in text.splitlines()[0]


def test_the_means_of_the_metrics_can_be_ranked_instead(tmp_path):
    """b is behind in the mean and ahead in one of the two structures."""
    columns = Columns(["Eye_L", "Lens_L"], ["DSC"])
    scores = table({"a": (0.9, 0.5), "b": (0.6, 0.6)}, columns=columns)
    report = Report(columns, rule={"groups": columns.groups}, ranked="mean DSC", draws=0, alpha=None)
    rank_and_draw(tmp_path, scores, report)
    board = rows_of(tmp_path / "leaderboard.csv")
    assert [(row["place"], row["team"], row["rank_mean_DSC"]) for row in board] == [
        ("1", "a", "1"),
        ("2", "b", "2"),
    ]
    rank_and_draw(tmp_path, scores, Report(columns, draws=0, alpha=None))
    assert {float(row["place"]) for row in rows_of(tmp_path / "leaderboard.csv")} == {1.5}


def test_many_structures(tmp_path):
    """The printed leaderboard has the means alone; a plot has a line per structure."""
    columns = Columns([f"organ {n}" for n in range(45)], ["DSC", "NSD"])
    scores = table({"a": [0.9] * 90, "b $x_": [0.8] * 90}, columns=columns)
    text = rank_and_draw(tmp_path, scores, Report(columns, draws=5))
    assert "organ" not in text
    assert text.split()[:9] == [
        *("place", "team", "mean_rank", "normalised_rank", "significance_place", "significance_rank"),
        *("mean_DSC", "mean_NSD", "place_low"),
    ]
    assert "DSC_organ 44" in rows_of(tmp_path / "leaderboard.csv")[0]
    width, height = Image.open(tmp_path / "scores.png").size
    assert height > 1000
    assert width < 1500


def test_the_table_of_a_team(tmp_path):
    scores = table(cases=2)
    write_team_scores(tmp_path, scores, ["mm_Eye_L", "DSC_Eye_L"], stem="majority")
    assert files(tmp_path) == {f"majority_{team}.csv" for team in "abc"}
    assert (tmp_path / "majority_a.csv").read_text().splitlines() == [
        "caseID,mm_Eye_L,DSC_Eye_L",
        "case_0,0.95000000,0.85000000",
        "case_1,1.05000000,0.95000000",
        "average,1.00000000,0.90000000",
    ]
    scores["a"]["case_1"]["mm_Eye_L"] = float("nan")
    write_team_scores(tmp_path, scores, ["mm_Eye_L"])
    lines = (tmp_path / "scores_a.csv").read_text().splitlines()
    assert lines[2:] == ["case_1,", "average,0.95000000"]
    assert score_array(scores, ["DSC_Eye_L"]).shape == (3, 2, 1)
