"""Folders of teams, and the check of all headers before anything is scored."""

from __future__ import annotations

import pytest

from common.errors import InputError
from common.evaluation.challenge.teams import Submissions, check_predictions, find_teams
from tests.common.evaluation.challenge.guessing import SUBMISSIONS, Guessing


@pytest.fixture
def guessing(tmp_path):
    made = Guessing(tmp_path, {"case_1": 0.5, "case_12": 0.25})
    for team in "ab":
        for case in made.cases:
            made.write(f"teams/{team}", case, 0.5, 0.5)
    return made


def names(folders, guessing, submissions=SUBMISSIONS):
    return [team.name for team in find_teams(folders, guessing.cases, submissions)]


def test_one_team_or_a_folder_of_teams_or_a_list_or_names(guessing):
    teams = guessing.root / "teams"
    (teams / "empty").mkdir()
    assert names(teams, guessing) == ["a", "b"]
    assert names(str(teams / "b"), guessing) == ["b"]
    assert names([teams / "b", teams / "a"], guessing) == ["b", "a"]
    assert names({"ours": teams / "a", "theirs": teams / "a"}, guessing) == ["ours", "theirs"]


def test_a_file_belongs_to_the_longest_case_that_begins_its_name(guessing):
    guessing.write("other", "case_12_left", 0.5)
    guessing.write("other", "case_1_left", 0.5)
    guessing.write("other", "case_123", 0.5)
    guessing.write("other", ".case_1", 0.5)
    (team,) = find_teams(guessing.root / "other", guessing.cases, SUBMISSIONS)
    assert {case: file.name for case, file in team.files.items()} == {
        "case_1": "case_1_left.txt",
        "case_12": "case_12_left.txt",
    }
    assert [file.name for file in team.unused] == ["case_123.txt"]


def test_predictions_that_are_folders(guessing):
    """A prediction is a folder with a file per structure; a team is a folder of these."""
    for case in guessing.cases:
        for side in ("left", "right"):
            guessing.write(f"parts/team/{case}", side, 0.5)

    def cases_in(folder):
        return {one.name: one for one in sorted(folder.iterdir()) if one.is_dir() and list(one.glob("*.txt"))}

    folders = Submissions("submissions", (".txt",), "folders of text files", cases_in)
    (team,) = find_teams(guessing.root / "parts", guessing.cases, folders)
    assert (team.name, [file.name for file in team.files.values()]) == ("team", guessing.cases)


@pytest.mark.parametrize(
    ("folders", "told"),
    [
        ("nowhere", r"nowhere: no such folder; give the predictions with --submissions"),
        (["nowhere"], r"nowhere: no such folder; correct --submissions"),
        ("bare", r"bare: has no text files, nor has a folder in it; expected case_1.txt and so on"),
        (["bare"], r"bare: found no text files; expected case_1.txt and so on: rename the files"),
        ("strange", r"strange: found x.txt; expected case_1.txt"),
        ("twice", r"case_1_b.txt: a second prediction of case_1 beside case_1_a.txt; expected one"),
        ([], r"--submissions: teams \[\]; expected at least one"),
        (["teams/a", "teams/../teams/a"], r"--submissions: teams \['a', 'a'\]; .* \"\{'ours': 'runs/a'"),
        ({"a/b": "teams/a"}, r"its own name without '/'"),
    ],
)
def test_folders_that_are_no_teams(guessing, folders, told, monkeypatch):
    monkeypatch.chdir(guessing.root)
    (guessing.root / "bare").mkdir()
    guessing.write("strange", "x", 1)
    guessing.write("twice", "case_1_a", 1)
    guessing.write("twice", "case_1_b", 1)
    with pytest.raises(InputError, match=told):
        find_teams(folders, guessing.cases, SUBMISSIONS)


def test_all_faults_are_named_at_once_before_anything_is_read(guessing):
    def check(file, reference):
        if file.read_text() == "bad":
            raise InputError(f"{file}: is not on the grid of {reference.case}")

    teams = find_teams(guessing.root / "teams", guessing.cases, SUBMISSIONS)
    check_predictions(teams, guessing.references, check)
    guessing.write("teams/a", "case_1", "bad")
    guessing.write("teams/b", "case_12", "bad")
    (guessing.root / "teams/a/case_12.txt").unlink()
    teams = find_teams(guessing.root / "teams", guessing.cases, SUBMISSIONS)
    with pytest.raises(InputError) as told:
        check_predictions(teams, guessing.references, check, counted="zero")
    first, second, third = str(told.value).split(" | ")
    assert first.endswith("case_1.txt: is not on the grid of case_1")
    assert second.startswith("2 more: ")
    assert "case_12.txt: is not on the grid of case_12" in second
    assert "no prediction of 1 of 2 cases, first case_12; add them, or count them as zero with" in third
    with pytest.raises(InputError, match="1 more: ") as told:
        check_predictions(teams, guessing.references, check, allow_missing=True)
    assert "no prediction" not in str(told.value)
