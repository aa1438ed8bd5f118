"""Submissions, references and the challenge's command: segrap2023/docs/method.md#files, #scores."""

from __future__ import annotations

import csv
import shutil
from pathlib import Path

import itk
import nibabel as nib
import numpy as np
import pytest

import common  # noqa: F401 (makes bundles importable)
from common.datasets.raw.segrap_classes import GTVS, ORGANS, Structures, expand
from common.errors import InputError
from segrap2023.metrics import score_structure
from segrap2023.scoring import score_submission, score_teams
from segrap2023.stacks import find_structures, write_stack
from segrap2023.structures import tolerance_mm
from tests.contract.bundle import Bundle, Shell

AFFINE = np.array([[0, -0.5, 0, 3], [0.6, 0, 0, -7], [0, 0, 3.0, 9], [0, 0, 0, 1]])
CASES = ("segrap_0000", "segrap_0001")


def fine_map(seed: int, classes: int = 55) -> np.ndarray:
    """Blocks of classes, (X, Y, Z)."""
    blocks = np.random.default_rng(seed).integers(0, classes, (4, 5, 3))
    return np.kron(blocks, np.ones((3, 3, 2))).astype(np.uint8)


def worse(fine: np.ndarray) -> np.ndarray:
    return np.where(np.arange(len(fine))[:, None, None] < 5, 0, fine).astype(np.uint8)


def save(path: Path, voxels: np.ndarray, affine=AFFINE) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    nib.save(nib.Nifti1Image(voxels.astype(np.uint8), affine), path)


def save_by_name(folder: Path, fine: np.ndarray, structures: Structures = ORGANS) -> None:
    for name, mask in zip(structures, expand(fine, structures), strict=True):
        save(folder / f"{name}.nii.gz", mask)


@pytest.fixture
def challenge(tmp_path):
    """References as label maps; one team with 4D files, one with files by name that lacks a case."""
    for seed, case in enumerate(CASES):
        fine = fine_map(seed)
        save(tmp_path / "references" / f"{case}.nii.gz", fine)
        (tmp_path / "A").mkdir(exist_ok=True)
        write_stack(tmp_path / "A" / f"{case}.mha", expand(worse(fine)), AFFINE)
        save(tmp_path / "A" / f"{case}_organs.nii.gz", worse(fine))  # as inference.json leaves it there
    save_by_name(tmp_path / "B" / CASES[0], fine_map(0))
    return tmp_path


def table(path: Path, key: str) -> dict[str, dict[str, str]]:
    with path.open(newline="") as file:
        return {row.pop(key): row for row in csv.DictReader(file)}


def run(folder: Path, teams=("A", "B"), **options) -> Path:
    out = folder / "out"
    given = [folder / team for team in teams]
    score_teams(given, folder / "references", out, **{"draws": 5, **options})
    return out


def test_scores_are_those_of_the_masks_by_name(challenge, capsys):
    out = run(challenge)
    scores = table(out / "scores_A.csv", "caseID")
    truth, pred = (expand(fine).transpose(0, 3, 2, 1) for fine in (fine_map(1), worse(fine_map(1))))
    for number, name in enumerate(ORGANS):
        expected = score_structure(
            pred[number], truth[number], spacing=[3.0, 0.5, 0.6], tolerance_mm=tolerance_mm(name)
        )
        for metric, value in expected.items():
            assert float(scores[CASES[1]][f"{metric}_{name}"]) == pytest.approx(value, abs=1e-8), name
    exact = table(out / "scores_B.csv", "caseID")
    assert set(exact[CASES[0]].values()) == {"1.00000000"}
    assert set(exact[CASES[1]].values()) == {"0.00000000"}, "a missing case"
    board = table(out / "leaderboard.csv", "team")
    assert (board["A"]["missing"], board["B"]["missing"]) == ("0", "1")
    assert "B: 1 of 2 cases have no prediction and count as 0, first segrap_0001" in capsys.readouterr().out
    structures = (out / "structures.txt").read_text().splitlines()
    assert len(structures) >= 46
    assert structures[1].startswith("Brain ")
    for picture in ("scores.png", "places.png", "significance.png"):
        assert (out / picture).stat().st_size > 5000


def test_every_form_is_read_alike(tmp_path):
    fine = fine_map(2)
    write_stack(tmp_path / "a.mha", expand(fine), AFFINE)
    save(tmp_path / "a.nii.gz", fine)
    save_by_name(tmp_path / "a", fine)
    forms = [dict(find_structures(tmp_path / name, ORGANS).masks()) for name in ("a.mha", "a.nii.gz", "a")]
    expected = expand(fine).transpose(0, 3, 2, 1)
    for found in forms:
        assert list(found) == list(ORGANS)
        assert all(np.array_equal(mask, one) for mask, one in zip(found.values(), expected, strict=True))


def test_the_stack_is_what_the_challenge_takes(tmp_path):
    masks = expand(fine_map(0))
    write_stack(tmp_path / "a.mha", masks, AFFINE)
    image = itk.imread(str(tmp_path / "a.mha"))
    assert image.GetImageDimension() == 4
    assert image.GetNumberOfComponentsPerPixel() == 1
    assert np.allclose(list(image.GetSpacing()), [0.6, 0.5, 3.0, 1.0])
    assert np.allclose(list(image.GetOrigin()), [-3, 7, 9, 0])
    assert np.array_equal(itk.array_from_image(image), masks.transpose(0, 3, 2, 1))
    assert b"CompressedData = True" in (tmp_path / "a.mha").read_bytes()[:1000]
    third = itk.array_from_matrix(image.GetDirection())[:3, :3] * [0.6, 0.5, 3.0]
    assert np.allclose(third, np.diag([-1, -1, 1]) @ AFFINE[:3, :3])


def test_a_structure_without_a_file_counts_nothing(challenge, capsys):
    """Even where the reference is empty: there is no result.  A reference without a file is empty."""
    fine = fine_map(0)
    (absent,) = [name for name, mask in zip(ORGANS, expand(fine), strict=True) if not mask.any()][:1]
    for name in ("Brain", absent):
        (challenge / "B" / CASES[0] / f"{name}.nii.gz").unlink()
    out = run(challenge, ["B"], draws=0)
    scores = table(out / "scores_B.csv", "caseID")[CASES[0]]
    assert {column for column, value in scores.items() if float(value) < 1} == {
        f"{metric}_{name}" for metric in ("DSC", "NSD") for name in ("Brain", absent)
    }
    said = f"B: 2 structures have no file and count as 0, first {CASES[0]}/Brain"
    assert said in capsys.readouterr().out
    save_by_name(challenge / "whole" / CASES[0], fine)
    reference = find_structures(challenge / "B" / CASES[0], ORGANS)
    found = score_submission(reference, find_structures(challenge / "whole" / CASES[0], ORGANS))
    assert (found[absent]["DSC"], found["Brain"]["DSC"]) == (1.0, 0.0)


def test_tumours(tmp_path):
    fine = fine_map(0, 3)
    save(tmp_path / "references" / "a.nii.gz", fine)
    (tmp_path / "A").mkdir()
    write_stack(tmp_path / "A" / "a.mha", expand(fine, GTVS), AFFINE)
    out = run(tmp_path, ["A"], task="tumours", draws=0)
    scores = table(out / "scores_A.csv", "caseID")["a"]
    assert scores == dict.fromkeys(["DSC_GTVp", "DSC_GTVnd", "NSD_GTVp", "NSD_GTVnd"], "1.00000000")


def _44_channels(folder: Path) -> str:
    write_stack(folder / "A" / f"{CASES[0]}.mha", expand(fine_map(0))[:44], AFFINE)
    return "has 44 channels; expected 45, one for each structure from Brain to Trachea"


def _probabilities(folder: Path) -> str:
    image = itk.image_view_from_array(np.random.default_rng(0).random((45, 6, 15, 12), np.float32))
    direction = np.eye(4)
    direction[:3, :3] = np.diag([-1, -1, 1]) @ AFFINE[:3, :3] / [0.6, 0.5, 3.0]
    image.SetSpacing([0.6, 0.5, 3.0, 1.0])
    image.SetOrigin([-3, 7, 9, 0])
    image.SetDirection(itk.matrix_from_array(direction))
    itk.imwrite(image, str(folder / "A" / f"{CASES[0]}.mha"))
    return "more than two; expected a mask of 0 and 1"


def _another_grid(folder: Path) -> str:
    write_stack(folder / "A" / f"{CASES[0]}.mha", expand(fine_map(0)), np.diag([0.6, 0.5, 3.0, 1.0]))
    return "its affine puts voxels up to"


def _another_shape(folder: Path) -> str:
    write_stack(folder / "A" / f"{CASES[0]}.mha", expand(fine_map(0)[:-1]), AFFINE)
    return "has the shape"


def _a_vector_image(folder: Path) -> str:
    image = itk.image_view_from_array(np.zeros((4, 5, 6, 3), np.uint8), is_vector=True)
    itk.imwrite(image, str(folder / "A" / f"{CASES[0]}.mha"))
    return "has 3 axes and 3 numbers for each voxel; expected a volume, or a 4D image"


def _junk(folder: Path) -> str:
    (folder / "A" / f"{CASES[0]}.mha").write_bytes(b"junk")
    return "is in no format that is known; expected one of .mha"


def _cut_off(folder: Path) -> str:
    file = folder / "A" / f"{CASES[0]}.mha"
    file.write_bytes(file.read_bytes()[:-200])
    return "cannot be read as an image"


def _a_class_above(folder: Path) -> str:
    shutil.rmtree(folder / "A")
    save(folder / "A" / f"{CASES[0]}.nii.gz", np.maximum(fine_map(0), 55))
    return "has values from 55 to 55; expected whole numbers from 0 to 54"


def _two_grids(folder: Path) -> str:
    shutil.rmtree(folder / "A")
    save_by_name(folder / "A" / CASES[0], fine_map(0))
    save(folder / "A" / CASES[0] / "Brain.nii.gz", fine_map(0) > 0, AFFINE @ np.diag([1, 1, 2, 1]))
    return "its affine puts voxels up to"


def _references_gone(folder: Path) -> str:
    shutil.rmtree(folder / "references")
    return "no such folder; correct --references"


@pytest.mark.parametrize(
    "spoil",
    [
        _44_channels,
        _probabilities,
        _another_grid,
        _another_shape,
        _a_vector_image,
        _junk,
        _cut_off,
        _a_class_above,
        _two_grids,
        _references_gone,
    ],
)
def test_files_that_cannot_be_scored(challenge, spoil):
    told = spoil(challenge)
    with pytest.raises(InputError) as error:
        run(challenge, ["A"])
    assert told in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"task": "organ"}, "task is 'organ'; expected one of: organs, tumours"),
        ({"missing": "empty"}, "missing is 'empty'; expected one of: zero, error"),
        ({"teams": []}, "submissions is not given"),
        ({"teams": ["B"], "missing": "error"}, "no prediction of 1 of 2 cases, first segrap_0001"),
    ],
)
def test_wrong_options(challenge, options, told):
    with pytest.raises(InputError, match=told):
        run(challenge, **options)


@pytest.mark.full
def test_the_command(challenge):
    """From another folder, in a fresh process, with a list of teams as the card has it."""
    config = Bundle("segrap2023").config_file("score")
    out = challenge / "my results"
    given = ["--submissions", "['A','B']", "--references", "references", "--output_dir", out]
    shell = Shell(challenge, challenge)
    told = shell.python("-m", "monai.bundle", "run", "--config_file", config, *given).ok()
    assert (out / "leaderboard.txt").read_text().strip() in told.out
    failed = shell.python("-m", "monai.bundle", "run", "--config_file", config)
    assert failed.code != 0
    assert "submissions is not given" in failed.err
