"""Styles compared on a held-out domain."""

from __future__ import annotations

import csv
import json

import pytest

from benchmarks.comparisons.unseen_domains import report
from common.errors import InputError
from common.phantoms import fundus
from tests.contract.bundle import ROOT, Shell


def finished(target, style, domain, seed, dice):
    folder = target / style / f"{domain}_seed{seed}"
    (folder / "eval").mkdir(parents=True)
    facts = {"style": style, "held_out": domain, "seed": seed, "iterations": 10, "cpu_minutes": 0.5}
    (folder / "facts.json").write_text(json.dumps(facts))
    with open(folder / "eval" / "evaluation_domains.csv", "w", newline="") as file:
        table = csv.DictWriter(file, ["domain", "cases", "dice", "asd_pixels"])
        table.writeheader()
        table.writerow({"domain": domain, "cases": 2, "dice": dice, "asd_pixels": 3})
        table.writerow({"domain": "mean over domains", "cases": 2, "dice": 0, "asd_pixels": 0})


def test_report(tmp_path):
    for domain, dice in (("E", 0.5), ("A", 0.7)):
        finished(tmp_path, "trid", domain, 0, dice)
    finished(tmp_path, "none", "E", 0, 0.4)
    head, *lines = (line.split() for line in report(target=tmp_path).splitlines())
    assert head[:5] == ["style", "held_out", "runs", "dice", "dice_sd"]
    assert lines[0][:4] == ["none", "E", "1", "0.4"]
    assert lines[1][:5] == ["trid", "A+E", "2", "0.6", "0.141421"]


def test_report_without_runs(tmp_path):
    with pytest.raises(InputError, match="holds no results"):
        report(target=tmp_path)


@pytest.mark.full
def test_two_styles_on_a_held_out_domain(tmp_path):
    """Each within its CPU time, without selection; neither training sees the domain."""
    data = fundus.make(tmp_path / "fundus", source=["A", "B"], training=2, validation=0, test=2, size=48)
    shell, target = Shell(ROOT, tmp_path), tmp_path / "out"
    tiny = ["--image_size", "[64,64]", "--iterations_per_epoch", 1, "--batch_size", 2, "--minutes", 0.03]
    command = ("-m", "benchmarks.comparisons.unseen_domains")
    for style in ("trid", "none"):
        words = ["train", data, "--style", style, "--held_out", "E", "--target", target, *tiny]
        shell.python(*command, *words).ok()
        with open(target / style / "E_seed0" / "eval" / "evaluation_domains.csv", newline="") as file:
            assert [row["domain"] for row in csv.DictReader(file)][:1] == ["E"]
    table = shell.python(*command, "report", "--target", target).ok().out
    assert [line.split()[0] for line in table.splitlines()] == ["style", "none", "trid"]
    error = shell.python(*command, "train", data, "--style", "none", "--held_out", "Z", "--target", target)
    assert "expected one of: A, B, C, D, E" in error.error()
