"""Scoring case by case: each reference once, each file once, and what a missing prediction counts."""

from __future__ import annotations

import importlib

import pytest

from common.evaluation.challenge import kept_rows
from common.evaluation.challenge.kept_rows import KeptRows
from common.evaluation.challenge.scoring import score_cases
from common.evaluation.challenge.teams import find_teams
from tests.common.evaluation.challenge.guessing import COLUMNS, SUBMISSIONS, Guessing, Opened

PACKAGE = importlib.import_module("tests.common.evaluation.challenge.guessing")


@pytest.fixture
def guessing(tmp_path, monkeypatch):
    """Two cases; a is right with its first number, b lacks the second case."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    made = Guessing(tmp_path, {"case_1": 0.5, "case_2": 0.25})
    for case, value in (("case_1", 0.5), ("case_2", 0.25)):
        made.write("teams/a", case, value, 0.0)
    made.write("teams/b", "case_1", 0.0, 0.0)
    return made


def run(guessing, **options):
    teams = find_teams(guessing.root / "teams", guessing.cases, SUBMISSIONS)
    options = {"open_case": guessing.open, "score": Opened.score, **options}
    return score_cases(teams, guessing.references, **options)


def test_every_case_of_every_team(guessing, capsys):
    scores = run(guessing, of_case=lambda opened: opened.own)
    assert scores.teams["a"] == {
        "case_1": {"share_left": 1.0, "share_right": 0.5, "mm_left": 0.0, "mm_right": 0.5},
        "case_2": {"share_left": 1.0, "share_right": 0.75, "mm_left": 0.0, "mm_right": 0.25},
    }
    assert list(scores.teams["b"]) == ["case_1", "case_2"]
    assert scores.cases == {"case_1": {"truth": 0.5}, "case_2": {"truth": 0.25}}
    assert [line for line in guessing.taken() if line.startswith("open")] == ["open case_1", "open case_2"]
    assert "scoring: 100%" in capsys.readouterr().err


def test_a_missing_prediction_is_scored_as_none_or_gets_the_row_given(guessing):
    scores = run(guessing)
    assert scores.missing == {"b": ["case_2"]}
    assert scores.teams["b"]["case_2"]["mm_left"] == 0.25
    assert "score case_2 None" in guessing.taken()
    zero = dict.fromkeys(COLUMNS.names, 0.0)
    assert run(guessing, missing_row=zero).teams["b"]["case_2"] == zero
    assert "score case_2 None" not in guessing.taken()


def test_what_was_scored_is_kept(guessing, capsys):
    options = {"of_case": lambda opened: opened.own, "missing_row": dict.fromkeys(COLUMNS.names, 0.0)}
    first = run(guessing, kept=KeptRows(PACKAGE), **options)
    assert len(guessing.taken()) == 2 + 3 + 2
    assert "earlier run" not in capsys.readouterr().out
    assert run(guessing, kept=KeptRows(PACKAGE), **options) == first
    assert guessing.taken() == []
    assert "scores of 5 files are those of an earlier run" in capsys.readouterr().out
    guessing.write("teams/c", "case_1", 0.5, 0.5)  # one more team
    run(guessing, kept=KeptRows(PACKAGE), **options)
    assert guessing.taken() == ["open case_1", "score case_1 c"]


def test_an_interrupted_run_goes_on(guessing):
    def stop(opened, file):
        if opened.case == "case_2":
            raise KeyboardInterrupt
        return opened.score(file)

    with pytest.raises(KeyboardInterrupt):
        run(guessing, score=stop, kept=KeptRows(PACKAGE))
    guessing.taken()
    assert run(guessing, kept=KeptRows(PACKAGE)) == run(guessing)
    assert guessing.taken()[:3] == ["open case_2", "score case_2 a", "score case_2 None"]


def test_what_changed_is_scored_anew(guessing, monkeypatch):
    kept = {"kept": KeptRows(PACKAGE), "missing_row": {}}
    run(guessing, **kept)
    guessing.taken()
    guessing.write("teams/a", "case_1", 0.125, 0.0)
    assert run(guessing, **kept).teams["a"]["case_1"]["mm_left"] == 0.375
    assert guessing.taken() == ["open case_1", "score case_1 a"]
    guessing.write("truth", "case_2", 0.125)
    assert run(guessing, **kept).teams["a"]["case_2"]["mm_left"] == 0.125
    assert guessing.taken() == ["open case_2", "score case_2 a"]
    run(guessing, kept=KeptRows(PACKAGE, {"tolerance": 2}))
    assert "score case_1 a" in guessing.taken()
    monkeypatch.setattr(kept_rows, "_code_of", lambda packages: "another")
    run(guessing, kept=KeptRows(PACKAGE))
    assert "score case_1 a" in guessing.taken()


def test_two_teams_with_the_same_files_are_no_earlier_run(guessing, capsys):
    folder = guessing.root / "teams" / "a"
    teams = find_teams({"one": folder, "two": folder}, guessing.cases, SUBMISSIONS)
    options = {"open_case": guessing.open, "score": Opened.score, "kept": KeptRows(PACKAGE)}
    scores = score_cases(teams, guessing.references, **options)
    assert scores.teams["one"] == scores.teams["two"]
    assert len(guessing.taken()) == 4
    assert "earlier run" not in capsys.readouterr().out


def test_a_prediction_that_is_a_folder(guessing):
    """Changed when a file in it is."""
    kept = KeptRows(PACKAGE)
    inner = guessing.write("folders/case_1", "left", 1.0)
    rows = [kept.row(inner.parent, [], lambda value=value: {"x": value}) for value in (1.0, 2.0)]
    assert rows == [{"x": 1.0}, {"x": 1.0}]
    inner.write_text("longer than before")
    assert kept.row(inner.parent, [], lambda: {"x": 3.0}) == {"x": 3.0}
