"""Tables: they hold what was measured and are written completely."""

from __future__ import annotations

import csv
import math
from types import SimpleNamespace

import pytest
import torch

from common.evaluation.tables import CaseTable, format_table, read_rows, write_rows


def test_rows_round_trip_with_gaps(tmp_path):
    path = tmp_path / "a" / "metrics.csv"
    write_rows(path, [{"epoch": 1, "loss": 0.5}, {"epoch": 2, "loss": 0.25, "dice": math.nan}])
    assert read_rows(path) == [
        {"epoch": 1, "loss": 0.5, "dice": None},
        {"epoch": 2, "loss": 0.25, "dice": None},
    ]
    assert [p.name for p in path.parent.iterdir()] == ["metrics.csv"]


def seen(name, **case):
    """An evaluator after its postprocessing: the case's own keys are in the batch."""
    output = [{"image": SimpleNamespace(meta={"filename_or_obj": name})}]
    return SimpleNamespace(state=SimpleNamespace(output=output, batch=[case]))


def test_case_table_means_deviations_and_counts(tmp_path, capsys):
    table = CaseTable(tmp_path, {1: "liver", 2: "spleen"})
    for name in ("/data/a.nii.gz", "/data/b.nii.gz", "/data/c.nii.gz"):
        table.collect(seen(name))
    dice = torch.tensor([[0.9, 0.5], [0.7, math.nan], [0.8, 0.1]])
    table.write(SimpleNamespace(state=SimpleNamespace(metric_details={"dice": dice})))

    with open(tmp_path / "evaluation_cases.csv", newline="") as file:
        cases = list(csv.DictReader(file))
    assert [(r["case"], r["name"], r["dice"]) for r in cases][2:4] == [
        ("b.nii.gz", "liver", "0.7"),
        ("b.nii.gz", "spleen", ""),
    ]
    with open(tmp_path / "evaluation_summary.csv", newline="") as file:
        summary = {row["name"]: row for row in csv.DictReader(file)}
    assert float(summary["liver"]["dice_mean"]) == pytest.approx(0.8)
    assert float(summary["liver"]["dice_sd"]) == pytest.approx(0.1)
    assert summary["spleen"]["dice_cases"] == "2"
    assert float(summary["mean over classes"]["dice_mean"]) == pytest.approx((0.7 + 0.7 + 0.45) / 3)
    assert "mean over classes" in capsys.readouterr().out


def test_deviation_of_the_population(tmp_path):
    table = CaseTable(tmp_path, {1: "liver"}, show=False, population=True)
    for name in ("/data/a.nii.gz", "/data/b.nii.gz"):
        table.collect(seen(name))
    details = {"dice": torch.tensor([[0.9], [0.7]])}
    table.write(SimpleNamespace(state=SimpleNamespace(metric_details=details)))
    rows = list(csv.DictReader((tmp_path / "evaluation_summary.csv").open(newline="")))
    assert float(rows[0]["dice_sd"]) == pytest.approx(0.1)


def test_the_mean_of_the_classes_that_a_paper_reports(tmp_path):
    """Over the cases of each class, then over the classes: not the mean of the cases' means."""
    table = CaseTable(tmp_path, {1: "liver", 2: "spleen", 3: "gland"}, show=False, reported=2)
    for name in ("/data/a.nii.gz", "/data/b.nii.gz"):
        table.collect(seen(name))
    dice = torch.tensor([[0.9, 0.5, 0.1], [0.7, math.nan, 0.2]])
    table.write(SimpleNamespace(state=SimpleNamespace(metric_details={"dice": dice})))
    rows = list(csv.DictReader((tmp_path / "evaluation_summary.csv").open(newline="")))
    assert rows[-2]["name"] == "mean of the first 2 classes"
    assert float(rows[-2]["dice_mean"]) == pytest.approx((0.8 + 0.5) / 2)
    assert rows[-2]["dice_cases"] == "2"
    assert rows[-1]["name"] == "mean over classes"


def test_case_table_is_in_the_order_of_the_paths(tmp_path):
    """Processes deliver their cases in turns; values stay with their case."""
    table = CaseTable(tmp_path, {1: "liver"}, show=False)
    for name in ("/data/a.nii.gz", "/data/c.nii.gz", "/data/b.nii.gz"):
        table.collect(seen(name))
    dice = torch.tensor([[0.1], [0.3], [0.2]])
    table.write(SimpleNamespace(state=SimpleNamespace(metric_details={"dice": dice})))
    with open(tmp_path / "evaluation_cases.csv", newline="") as file:
        found = [(row["case"][0], row["dice"]) for row in csv.DictReader(file)]
    assert found == [("a", "0.1"), ("b", "0.2"), ("c", "0.3")]


def test_cases_of_one_name_have_rows_of_their_own(tmp_path):
    table = CaseTable(tmp_path, {1: "liver"}, show=False)
    for name in ("/data/A/1.nii.gz", "/data/B/1.nii.gz", "/data/B/1.nii.gz"):
        table.collect(seen(name))
    dice = torch.tensor([[0.1], [0.2], [0.3]])
    table.write(SimpleNamespace(state=SimpleNamespace(metric_details={"dice": dice})))
    with open(tmp_path / "evaluation_cases.csv", newline="") as file:
        found = [(row["case"], row["dice"]) for row in csv.DictReader(file)]
    assert found == [("A/1.nii.gz", "0.1"), ("B/1.nii.gz", "0.2"), ("B/1.nii.gz (2)", "0.3")]


def test_tables_of_chosen_metrics(tmp_path):
    """Two tables from one evaluation, each with metrics of the same number of classes."""
    details = {"dice": torch.tensor([[0.1, 0.5]]), "ncc": torch.tensor([[0.9]])}
    evaluator = SimpleNamespace(state=SimpleNamespace(metric_details=details))
    for stem, names, metrics in (("labels", {1: "a", 2: "b"}, ["dice"]), ("pairs", {1: "pair"}, ["ncc"])):
        table = CaseTable(tmp_path, names, stem=stem, show=False, metrics=metrics)
        table.collect(seen("/data/a.nii.gz"))
        table.write(evaluator)
        with open(tmp_path / f"{stem}_cases.csv", newline="") as file:
            rows = list(csv.DictReader(file))
        assert [row["name"] for row in rows] == list(names.values())
        assert list(rows[0]) == ["case", "class", "name", *metrics]
    with pytest.raises(ValueError, match="nothing computes hd95; expected of dice, ncc"):
        CaseTable(tmp_path, {}, metrics=["hd95"]).write(evaluator)


def test_case_table_by_domain(tmp_path):
    table = CaseTable(tmp_path, {1: "disc", 2: "cup"}, show=False)
    for name, domain in (("/d/c.png", "C"), ("/d/b0.png", "B"), ("/d/b1.png", "B")):
        table.collect(seen(name, domain=domain))
    dice = torch.tensor([[0.9, 0.7], [0.6, 0.2], [0.8, 0.4]])
    table.write(SimpleNamespace(state=SimpleNamespace(metric_details={"dice": dice})))
    with open(tmp_path / "evaluation_domains.csv", newline="") as file:
        rows = {row["domain"]: row for row in csv.DictReader(file)}
    assert list(rows) == ["B", "C", "mean over domains", "sd over domains"]
    assert [float(rows["B"][key]) for key in ("dice", "dice_disc", "dice_cup")] == pytest.approx(
        [0.5, 0.7, 0.3]
    )
    assert float(rows["mean over domains"]["dice"]) == pytest.approx((0.5 + 0.8) / 2)
    assert float(rows["sd over domains"]["dice"]) == pytest.approx(0.3 / 2**0.5)


def test_format_table_aligns():
    lines = format_table([{"name": "a", "x": 1.0}, {"name": "longer", "x": None}]).splitlines()
    assert lines[0].index("x") == 8
    assert lines[1].startswith("a       1")
