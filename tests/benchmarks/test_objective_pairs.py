"""GraTa's pairs of objectives in a table."""

from __future__ import annotations

import pytest

from benchmarks.comparisons.objective_pairs import report
from common.errors import InputError
from common.evaluation.tables import write_rows
from tests.contract.bundle import ROOT, Shell


def finished(target, auxiliary, pseudo, source="A", **dice):
    """Domain -> Dice of both classes, for each of its pictures."""
    known = {"source": source, "seed": 0, "auxiliary": auxiliary, "pseudo": pseudo, "round": 1}
    rows = [known | {"domain": d, "disc": v, "cup": v} for d, values in dice.items() for v in values]
    write_rows(target / "streams" / f"{source}_{auxiliary}_{pseudo}.csv", rows)


def test_domains_weigh_the_same_whatever_their_size(tmp_path):
    finished(tmp_path, "entropy", "consistency", B=[0.5, 0.7], C=[0.8])
    finished(tmp_path, "entropy", "consistency", source="D", B=[0.9])
    finished(tmp_path, "rotation", "entropy", B=[0.25])
    head, first, second = (line.split() for line in report(target=tmp_path).splitlines())
    assert head == ["auxiliary", "entropy", "consistency"]
    assert first == ["entropy", "0.8"]  # ((0.6 + 0.8) / 2 + 0.9) / 2; the other pair was not run
    assert second == ["rotation", "0.25"]


def test_report_without_runs(tmp_path):
    with pytest.raises(InputError, match="holds no results"):
        report(target=tmp_path)


@pytest.mark.full
def test_pairs_on_one_stream(tmp_path):
    """From the same weights, trained once; a pair that is there is not run again."""
    tiny = ["--dataset_dir#training", 3, "--dataset_dir#validation", 1, "--dataset_dir#test", 1]
    tiny += ["--epochs", 1, "--val_interval", 1, "--iterations_per_epoch", 1, "--image_size", "[128,128]"]
    tiny += ["--network_def#widths", "[8,16,16,32]"]
    shell, target = Shell(ROOT, tmp_path), tmp_path / "out"
    words = ["-m", "benchmarks.comparisons.objective_pairs", "stream", "--source", "B", "--target", target]
    chosen = ["--auxiliary", "['rotation','entropy']", "--pseudo", "['super_resolution']"]
    shell.python(*words, *tiny, *chosen).ok()
    files = {file: file.stat().st_mtime_ns for file in target.rglob("*_super_resolution.csv")}
    assert len(files) == 2
    weights = target / "models" / "B_seed0" / "model.pt"
    trained = weights.stat().st_mtime_ns
    shell.python(
        *words, *tiny, "--auxiliary", "['rotation']", "--pseudo", "['super_resolution','denoising']"
    ).ok()
    assert {file: file.stat().st_mtime_ns for file in files} == files
    assert weights.stat().st_mtime_ns == trained
    table = shell.python(*words[:2], "report", "--target", target).ok().out.splitlines()
    assert [line.split()[0] for line in table] == ["auxiliary", "entropy", "rotation"]
    assert len(table[2].split()) == 3
    assert "expected some of: entropy" in shell.python(*words, "--auxiliary", "['x']").error()
