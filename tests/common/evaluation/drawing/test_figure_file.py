"""Names are drawn literally: no formulas, no line breaks, no failed figures."""

from __future__ import annotations

import importlib
import warnings

import numpy as np
import pytest
import torch
from monai.data import MetaTensor
from PIL import Image

import common  # noqa: F401 (puts the bundles on sys.path)
from common.evaluation.challenge.columns import Columns
from common.evaluation.challenge.plots import draw_places, draw_scores, draw_significance
from common.evaluation.drawing.curves import draw_curves
from common.evaluation.drawing.overlays import draw_colour_picture, draw_slices
from common.evaluation.ranking import Bootstrap, Ranking
from common.evaluation.significance import rank_by_significance
from tests.contract.bundle import ROOT

NAMES = {
    "formula that is none": r"$\frac{$",
    "formula": r"$\frac{1}{2}$",
    "two signs": "from $5 to $10^",
    "line break": "liver\nand\r\nspleen\v\u2028x",
    "emoji": "liver \N{GRINNING FACE} \N{FAMILY}",
    "controls": "a\x00b\x1b[31mc\x7f\u202e",
    "letters of the world": "Leber, 肝臓, печень, كبد",
    "300 letters": "liver " * 50,
    "300 without a gap": "L" * 300,
    "nothing": "",
    "underscore": "_hidden",
    "surrogate": "a\ud800b",
}


@pytest.fixture(params=NAMES)
def name(request) -> str:
    return NAMES[request.param]


@pytest.fixture(autouse=True)
def no_warnings():
    """No warnings about fonts or an abandoned layout."""
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)
        yield


def assert_drawn(path) -> None:
    with Image.open(path) as picture:
        assert len(np.unique(np.asarray(picture.convert("L")))) > 2


def test_slices(name, tmp_path):
    label = torch.zeros(1, 12, 12, 12)
    label[:, 3:8, 3:8, 3:8] = 1
    label[:, 9:11, 9:11, 3:8] = 2
    volume, label = (MetaTensor(x, affine=torch.eye(4)) for x in (torch.rand(1, 12, 12, 12), label))
    draw_slices(volume, {name: label}, {1: name, 2: name}, tmp_path / "p.png", title=name)
    assert_drawn(tmp_path / "p.png")


def test_colour_picture(name, tmp_path):
    label = np.zeros((20, 30), int)
    label[5:12, 5:12] = 1
    picture = np.zeros((20, 30, 3), np.uint8)
    draw_colour_picture(picture, {name: label}, {1: name}, tmp_path / "p.png", title=name)
    assert_drawn(tmp_path / "p.png")


def test_curves(name, tmp_path):
    rows = [{"epoch": epoch, "dice": 0.5, f"dice_{name}": 0.1 * epoch} for epoch in (1, 2)]
    draw_curves(rows, tmp_path / "p.png", {name: ["dice", f"dice_{name}"]})
    assert_drawn(tmp_path / "p.png")


def test_teams_of_a_challenge(name, tmp_path):
    teams, order = [name, "b", name], np.array([2, 0, 1])
    scores = np.random.default_rng(0).random((3, 4, 6))
    for columns in (Columns(["a", name], [name]), Columns([*"abcde", name], [name])):
        drawn = tmp_path / "scores.png"
        draw_scores(drawn, teams, scores[:, :, : len(columns.names)], columns, order)
        assert_drawn(drawn)
        drawn.unlink()
    ranking = Ranking(np.zeros((3, 6)), np.zeros((3, 6)), np.zeros(3), np.array([2, 3, 1]))
    bootstrap = Bootstrap(np.ones((5, 3)), np.full((3, 3), 1 / 3), np.ones((3, 2)), np.ones(5))
    draw_places(tmp_path / "places.png", teams, ranking, bootstrap)
    assert_drawn(tmp_path / "places.png")
    draw_significance(tmp_path / "significance.png", teams, rank_by_significance(scores))
    assert_drawn(tmp_path / "significance.png")


def test_pair(name, tmp_path):
    drawing = importlib.import_module("easr_dcn.drawing")
    image = MetaTensor(torch.rand(2, 12, 12, 12), affine=torch.eye(4))
    drawing.draw_pair(image, torch.zeros(3, 12, 12, 12), tmp_path / "p.png", title=name)
    assert_drawn(tmp_path / "p.png")


def test_signals(name, tmp_path):
    history = importlib.import_module("divsbl.history")
    for width in (2, 16):
        case = {"name": name, "pred": np.random.default_rng(0).random((20, width))}
        history.draw_signals([case | {"label": case["pred"]}], tmp_path / "p.png", title=name)
        assert_drawn(tmp_path / "p.png")
    rows = [{"block_size": b, f"nmse_m{name}": 0.1, f"sd_m{name}": 0.01} for b in (1, 2)]
    history.draw_sweep(rows, tmp_path / "sweep.png", measured=name)
    assert_drawn(tmp_path / "sweep.png")


def test_labels_in_words():
    from common.evaluation.drawing.figure_file import plain_label

    assert plain_label("a\nb\t c") == "a b c"
    assert plain_label(r"$\frac{$") == r"$\frac{$"
    assert plain_label("a\x1b[31mb\ud800") == "a\N{REPLACEMENT CHARACTER}[31mb\N{REPLACEMENT CHARACTER}"
    assert plain_label("x" * 60) == "x" * 60
    long = plain_label("begin " + "x" * 300 + " end")
    assert len(long) == 60
    assert long.startswith("begin x")
    assert long.endswith("x end")


def test_figures_are_written_in_one_place():
    found = {
        file.relative_to(ROOT).as_posix()
        for tree in ("common", "bundles", "benchmarks", "tools")
        for file in (ROOT / tree).rglob("*.py")
        if ".savefig(" in file.read_text()
    }
    assert found == {"common/evaluation/drawing/figure_file.py"}
