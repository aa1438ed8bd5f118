"""The scoring tool, from the command line and as a function: tables, places, plots, errors."""

from __future__ import annotations

import csv
import shutil
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from PIL import Image

import common  # noqa: F401 (makes bundles importable)
from common.datasets.raw.kits21_annotations import aggregate
from common.errors import InputError
from kits21.metrics import COLUMNS, score_case
from kits21.scoring import _rank, score_teams
from tests.bundles.kits21.kidneys import SPACING, annotations
from tests.contract.bundle import Bundle, Shell

# Files have x first, with axes pointing left and up; the scores' axes are (z, y, x).
AFFINE = np.diag([-SPACING[2], -SPACING[1], SPACING[0], 1.0])
CASES = ("case_00003", "case_00008")


def save(path: Path, label: np.ndarray, affine=AFFINE) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    nib.save(nib.Nifti1Image(label.astype(np.uint8).T, affine), path)


def table(path: Path) -> dict[str, dict[str, str]]:
    with path.open(newline="") as file:
        return {row.pop("caseID"): row for row in csv.DictReader(file)}


@pytest.fixture
def challenge(tmp_path):
    """A release of two cases, and three teams: exact, shifted by a voxel, and without any mass."""
    for seed, case in enumerate(CASES):
        masks = annotations(seed)
        for region, instances in masks.items():
            for i, one in enumerate(instances, 1):
                for a, mask in enumerate(one, 1):
                    name = f"{region}_instance-{i}_annotation-{a}.nii.gz"
                    save(tmp_path / "release" / "data" / case / "segmentations" / name, mask)
        truth = aggregate(masks)
        for team, label in {
            "exact": truth,
            "shifted": np.roll(truth, 1, axis=2),
            "kidneys only": np.minimum(truth, 1),
        }.items():
            save(tmp_path / "teams" / team / f"{case}.nii.gz", label)
    return tmp_path


def truth_of(case):
    return aggregate(annotations(CASES.index(case)))


@pytest.mark.full
def test_the_command(challenge):
    """From another folder, in a fresh process."""
    config = Bundle("kits21").config_file("score")
    folders = ["--prediction_dir", challenge / "teams", "--reference_dir", challenge / "release"]
    out = challenge / "my results"
    told = Shell(challenge, challenge).python(
        "-m",
        "monai.bundle",
        "run",
        "--config_file",
        config,
        *folders,
        "--output_dir",
        out,
    )
    told = told.ok()
    assert "scoring: 100%" in told.err
    lines = (out / "leaderboard.txt").read_text().splitlines()
    assert all(line in told.out for line in lines)
    board = list(csv.DictReader((out / "leaderboard.csv").open(newline="")))
    assert [row["team"] for row in board] == ["exact", "shifted", "kidneys only"]
    assert [float(row["place"]) for row in board] == [1, 2, 3]
    assert [float(row["rank_mean_Dice"]) for row in board] == [1, 2, 3]
    assert "by the mean of the ranks on mean Dice and mean SD" in told.out
    assert {p.name for p in out.iterdir()} == {
        "leaderboard.csv",
        "leaderboard.txt",
        "scores.png",
        "places.png",
        "inter_rater.csv",
        *(
            f"{kind}_{team}.csv"
            for kind in ("scores", "majority")
            for team in ("exact", "shifted", "kidneys only")
        ),
    }
    for picture in ("scores.png", "places.png"):
        assert np.asarray(Image.open(out / picture).convert("L")).std() > 10

    scores = table(out / "majority_shifted.csv")
    assert list(scores) == [*CASES, "average"]
    for case in CASES:
        expected = score_case(np.roll(truth_of(case), 1, axis=2), truth_of(case), SPACING)
        assert scores[case] == {c: f"{expected[c]:.8f}" for c in COLUMNS}
    mean = np.mean([[float(scores[case][c]) for c in COLUMNS] for case in CASES], axis=0)
    assert [float(scores["average"][c]) for c in COLUMNS] == pytest.approx(mean.tolist(), abs=2e-8)
    assert set(table(out / "majority_exact.csv")["average"].values()) == {"1.00000000"}
    # Nobody agrees with every annotator, nor do the annotators with one another.
    sampled, raters = table(out / "scores_exact.csv")["average"], table(out / "inter_rater.csv")["average"]
    for column in COLUMNS:
        assert 0.3 < float(raters[column]) < float(sampled[column]) < 1
    assert [float(board[0][c]) for c in COLUMNS] == pytest.approx(
        [float(sampled[c]) for c in COLUMNS], abs=1e-5
    )
    assert all(0 < float(raters[f"mm_{name}"]) < 4 for name in ("kidney", "masses", "tumor"))


def test_the_command_without_predictions(challenge):
    config = Bundle("kits21").config_file("score")
    words = ["--config_file", config, "--reference_dir", challenge / "release"]
    told = Shell(challenge, challenge).python("-m", "monai.bundle", "run", *words)
    assert (
        told.error()
        == "error: score.json: prediction_dir is not given; say where, with  --prediction_dir FOLDER"
    )


def run(challenge, teams="teams/shifted", **options):
    """Against the majority, which takes less time."""
    score_teams(challenge / teams, challenge / "release", challenge / "out", **{"samples": False, **options})
    return challenge / "out"


def test_a_single_team_has_no_places(challenge, capsys):
    out = run(challenge)
    assert {p.name for p in out.iterdir()} == {
        "scores_shifted.csv",
        "leaderboard.csv",
        "leaderboard.txt",
        "scores.png",
    }
    assert "2 cases." in capsys.readouterr().out


def test_references_as_a_folder_of_label_maps(challenge):
    for case in CASES:
        save(challenge / "labels" / f"{case}.nii.gz", truth_of(case))
    score_teams(challenge / "teams" / "shifted", challenge / "labels", challenge / "flat", samples=False)
    assert table(challenge / "flat" / "scores_shifted.csv") == table(run(challenge) / "scores_shifted.csv")


def test_the_majority_file_of_a_release_is_used(challenge):
    for case in CASES:
        empty = np.zeros_like(truth_of(case))
        save(challenge / "release" / "data" / case / "aggregated_MAJ_seg.nii.gz", empty)
    assert set(table(run(challenge) / "scores_shifted.csv")["average"].values()) == {"0.00000000"}


def test_teams_as_a_list_and_by_name(challenge):
    folders = [challenge / "teams" / name for name in ("shifted", "exact")]
    score_teams(folders, challenge / "release", challenge / "out", draws=0, samples=False)
    assert not (challenge / "out" / "places.png").exists()
    teams = {"a": folders[0], "b": folders[0]}
    score_teams(teams, challenge / "release", challenge / "tie", draws=10, samples=False)
    board = list(csv.DictReader((challenge / "tie" / "leaderboard.csv").open(newline="")))
    assert [(row["team"], float(row["place"])) for row in board] == [("a", 1), ("b", 1)]


@pytest.mark.full
def test_the_rankings_of_the_program_and_of_the_page(tmp_path, capsys):
    """By hand: a is ahead in mean Dice, b in five of six columns; c ties with d until the tumor decides."""
    averages = {
        "a": [0.99, 0.70, 0.71, 0.6, 0.6, 0.6],
        "b": [0.60, 0.71, 0.72, 0.7, 0.7, 0.7],
        "c": [0.50, 0.50, 0.51, 0.3, 0.4, 0.2],
        "d": [0.51, 0.50, 0.50, 0.3, 0.3, 0.3],
    }
    scores = {team: {"x": dict(zip(COLUMNS, row, strict=True))} for team, row in averages.items()}

    def places(by, tie_break):
        _rank(tmp_path, scores, by, tie_break=tie_break, draws=0, seed=0)
        rows = csv.DictReader((tmp_path / "leaderboard.csv").open(newline=""))
        return {row["team"]: [float(row["mean_rank"]), float(row["place"])] for row in rows}

    two = {"a": [1.5, 1], "b": [1.5, 1], "c": [3, 3], "d": [3, 3]}
    assert places("two_averages", None) == two
    assert places("two_averages", "Dice_tumor") == {**two, "a": [1.5, 2], "d": [3, 4]}
    six = places("six_averages", None)
    assert [six[team][1] for team in "abcd"] == [2, 1, 3.5, 3.5]
    assert six["b"][0] == pytest.approx((2 + 5 * 1) / 6, abs=1e-5)
    assert "by the mean of the ranks on six averages" in capsys.readouterr().out


def test_the_spacing_is_that_of_the_predictions_file(challenge):
    """As in the challenge's program: headers may differ a little."""
    label = np.roll(truth_of(CASES[0]), 2, axis=2)
    save(challenge / "teams" / "shifted" / f"{CASES[0]}.nii.gz", label, AFFINE @ np.diag([1, 1, 1.002, 1]))
    found = table(run(challenge) / "scores_shifted.csv")[CASES[0]]
    own, others = (
        score_case(label, truth_of(CASES[0]), spacing)
        for spacing in ((1.002 * SPACING[0], *SPACING[1:]), SPACING)
    )
    assert {c: float(found[c]) for c in COLUMNS} == pytest.approx(own, abs=2e-8)
    assert own != pytest.approx(others, abs=1e-6)


def test_a_case_without_a_prediction(challenge):
    (challenge / "teams" / "shifted" / f"{CASES[1]}.nii.gz").unlink()
    with pytest.raises(
        InputError, match=r"no prediction of 1 of 2 cases, first case_00008; .*--missing empty"
    ):
        run(challenge)
    assert not (challenge / "out").exists()
    scores = table(run(challenge, missing="empty") / "scores_shifted.csv")
    assert set(scores[CASES[1]].values()) == {"0.00000000"}
    assert float(scores[CASES[0]]["Dice_kidney"]) > 0.5


def test_suffixed_names_and_files_of_no_case(challenge, capsys):
    folder = challenge / "teams" / "shifted"
    expected = table(run(challenge) / "scores_shifted.csv")
    for case in CASES:
        (folder / f"{case}.nii.gz").rename(folder / f"{case}_seg.nii.gz")
    save(folder / "case_00099_seg.nii.gz", truth_of(CASES[0]))
    assert table(run(challenge) / "scores_shifted.csv") == expected
    assert "shifted: 1 files belong to no case, first case_00099_seg.nii.gz" in capsys.readouterr().out
    shutil.copy(folder / f"{CASES[0]}_seg.nii.gz", folder / f"{CASES[0]}.nii.gz")
    with pytest.raises(InputError, match="a second prediction of case_00003"):
        run(challenge)


def _another_shape(path):
    save(path, truth_of(CASES[0])[:, :-1])


def _turned(path):
    save(path, truth_of(CASES[0]).T)


def _elsewhere(path):
    save(
        path,
        truth_of(CASES[0]),
        AFFINE @ np.array([[1, 0, 0, 5], [0, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1.0]]),
    )


def _mirrored(path):
    save(path, truth_of(CASES[0]), np.diag([*np.abs(np.diag(AFFINE)[:3]), 1.0]))


def _values(path):
    save(path, 4 * truth_of(CASES[0]))


def _probabilities(path):
    nib.save(nib.Nifti1Image(truth_of(CASES[0]).T.astype(np.float32) / 3, AFFINE), path)


def _cut_off(path):
    path.write_bytes(path.read_bytes()[:-200])


def _text(path):
    path.write_text("no image")


BAD = {
    _another_shape: r"has the shape \(44, 39, 20\); expected \(44, 40, 20\).*resampled",
    _turned: "its axes are in another order",
    _elsewhere: r"its affine puts voxels up to 4\.5 mm",
    _mirrored: "its affine puts voxels up to",
    _values: "has the values 0, 4, 8, 12; expected whole numbers from 0 to 3",
    _probabilities: r"has the values 0, 0\.333333, 0\.666667, 1; expected whole",
    _cut_off: "is truncated or damaged",
    _text: "cannot be read as NIfTI",
}


@pytest.mark.parametrize("spoil", BAD, ids=lambda f: f.__name__)
def test_predictions_that_cannot_be_scored(challenge, spoil):
    path = challenge / "teams" / "shifted" / f"{CASES[0]}.nii.gz"
    spoil(path)
    with pytest.raises(InputError, match=rf"{path.name}: .*{BAD[spoil]}"):
        run(challenge)
    assert not list(challenge.glob("out/*"))


def test_all_bad_headers_are_named_at_once(challenge):
    for case in CASES:
        _another_shape(challenge / "teams" / "shifted" / f"{case}.nii.gz")
    with pytest.raises(InputError, match=r"case_00003.* \| 1 more: .*case_00008"):
        run(challenge)


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"missing": "zero"}, "expected one of: error, empty"),
        ({"ranking": "seven"}, "expected one of: two_averages, six_averages"),
        ({"tie_break": "Dice"}, "expected null or one of: Dice_kidney"),
        ({"draws": -1}, "whole number of at least 0"),
        ({"teams": "nowhere"}, "no such folder; give the predictions with --prediction_dir"),
        ({"teams": "release"}, "has no NIfTI files"),
        ({"teams": "other"}, "found x.nii.gz; expected case_00003.nii.gz"),
    ],
)
def test_wrong_options(challenge, options, told):
    save(challenge / "other" / "x.nii.gz", truth_of(CASES[0]))
    with pytest.raises(InputError, match=told):
        run(challenge, **options)


def test_missing_options_and_folders(challenge):
    with pytest.raises(InputError, match="prediction_dir is not given"):
        score_teams(None, challenge / "release", challenge / "out")
    with pytest.raises(InputError, match="reference_dir is not given"):
        score_teams(challenge / "teams", None, challenge / "out")
    with pytest.raises(InputError, match="holds neither label maps"):
        score_teams(challenge / "teams", challenge / "teams", challenge / "out")
    save(challenge / "labels" / "case_00003.nii.gz", truth_of(CASES[0]))
    with pytest.raises(InputError, match="has a label map alone; samples need annotations"):
        score_teams(challenge / "teams", challenge / "labels", challenge / "out", samples=True)
    teams = {"a/b": challenge / "teams" / "exact"}
    with pytest.raises(InputError, match="its own name without '/'"):
        score_teams(teams, challenge / "release", challenge / "out")
