"""Training on the annotators' samples: one entry each, with the label map that the raters drew."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
import pytest
from monai.bundle import ConfigParser
from monai.transforms import Compose, EnsureChannelFirstd, LoadImaged

import common  # noqa: F401 (makes bundles importable)
from common.datasets.raw.prepare import prepare
from common.errors import InputError
from kits21.plausible import PlausibleLabeld, entry_per_sample
from kits21.references import find_references
from kits21.samples import sample_labels
from tests.common.datasets.raw_kits21 import RawKits21, box, save
from tests.contract.bundle import Bundle, Run, Shell
from tests.contract.test_training import weights

KITS21 = Bundle("kits21")


@pytest.fixture
def raw(tmp_path) -> RawKits21:
    return RawKits21(tmp_path / "release", cases=2)


@pytest.fixture
def prepared(raw, tmp_path) -> Path:
    target = tmp_path / "KITS21"
    prepare("kits21", raw.root, target, partial=True)
    return target


def training_cases(prepared: Path) -> list[dict[str, str]]:
    listed = json.loads((prepared / "dataset.json").read_text())["training"]
    return [{key: str(prepared / case[key]) for key in ("image", "label")} for case in listed]


def test_every_sample_is_read_as_the_raters_drew_it(raw, prepared):
    """Five groups of three samples, in the files' axis order, not that of the metrics."""
    cases = training_cases(prepared)
    entries = entry_per_sample(cases, raw.root)
    assert len(entries) == 15 * len(cases)
    configs = ConfigParser()
    configs.read_config([str(KITS21.config_file(kind)) for kind in ("train", "plausible")])
    read = Compose(configs.get_parsed_content("label_reading"))
    for case in cases:
        (reference,) = (r for r in find_references(raw.root) if r.case == Path(case["label"]).name[:10])
        expected = [label.T for _, label in sample_labels(reference.number, reference.annotations())]
        found = [read(entry)["label"] for entry in entries if entry["label"] == case["label"]]
        assert len({label.sum() for label in expected}) > 1, "the raters differ"
        for one, other in zip(found, expected, strict=True):
            np.testing.assert_array_equal(one[0], other)
    untouched = read(cases[0])["label"]
    np.testing.assert_array_equal(untouched, Compose(read.transforms[:2])(cases[0])["label"])


def test_what_is_missing_is_named(raw, prepared, tmp_path):
    cases = training_cases(prepared)
    with pytest.raises(InputError, match=r"annotations_dir: not given; .*--annotations_dir RAW"):
        entry_per_sample(cases, None)
    name = Path(cases[0]["label"]).name[:10]
    raw.folder(int(name[-5:])).rename(tmp_path / "elsewhere")
    with pytest.raises(InputError, match=rf"{name}\.nii\.gz: .* no folder {name}/segmentations"):
        entry_per_sample(cases, raw.root)


def test_annotation_on_another_grid_is_refused(raw, prepared):
    cases = training_cases(prepared)
    entries = entry_per_sample(cases, raw.root)
    for a in (1, 2, 3):
        save(raw.annotation(int(Path(cases[0]["label"]).name[5:10]), annotation=a), box(1, 6, (7, 9, 10)))
    read = Compose([LoadImaged("label"), EnsureChannelFirstd("label")])
    with pytest.raises(InputError, match=r"kidney_instance-1_annotation-\d.nii.gz: has the shape"):
        PlausibleLabeld()(read(entries[0]))


@pytest.mark.full
def test_trains_on_the_samples(raw, prepared, tmp_path):
    """plausible.json on top of train.json: different weights from the majority's, the same plan."""
    plausible = KITS21.config_file("plausible")
    nowhere = {**Run(KITS21, tmp_path / "nowhere", tmp_path).base, "dataset_dir": prepared}
    files = [KITS21.config_file("train"), plausible]
    error = Shell(tmp_path, tmp_path).run(files, nowhere | KITS21.quick["train"]).error()
    assert "annotations_dir: not given" in error
    runs = {}
    for kind, files, more in (
        ("majority", [], {}),
        ("plausible", [plausible], {"annotations_dir": raw.root}),
    ):
        run = Run(KITS21, tmp_path / kind, tmp_path)
        overrides = {**run.base, "dataset_dir": prepared, **KITS21.quick["train"], **more, "epochs": 1}
        Shell(tmp_path, tmp_path).run([KITS21.config_file("train"), *files], overrides).ok()
        with open(run.output_dir / "metrics.csv", newline="") as file:
            (row,) = csv.DictReader(file)
        assert float(row["loss"]) > 0
        runs[kind] = run
    one, other = (weights(run.weights) for run in runs.values())
    assert any(not (one[key] == other[key]).all() for key in one)
    plans = [(run.ckpt_dir / "plan.json").read_text() for run in runs.values()]
    assert plans[0] == plans[1]
