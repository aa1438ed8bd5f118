"""Fundus and polyp protocols: what is trained on, order and length of the stream, the line that says so."""

from __future__ import annotations

import numpy as np
import pytest
from monai.bundle import ConfigParser
from PIL import Image

from common.datasets.public import optic, polyp
from common.datasets.raw.prepare import prepare
from tests.common.datasets.published import listed, lists_of
from tests.common.datasets.raw_pictures import eye, raw_optic, raw_polyp
from tests.contract.bundle import ROOT, Bundle, Run, Shell

VPTTA = Bundle("vptta")
CENTRES = ("RIM_ONE_r3", "REFUGE", "ORIGA", "REFUGE_Valid", "Drishti_GS")


@pytest.mark.parametrize(
    ("source", "trained", "stream"),
    [("RIM_ONE_r3", 159, 1951), ("REFUGE", 400, 1710), ("ORIGA", 650, 1460), ("REFUGE_Valid", 800, 1310),
     ("Drishti_GS", 101, 2009)],
)  # fmt: skip
def test_all_of_the_source_is_trained_on_and_the_others_are_the_stream(tmp_path, source, trained, stream):
    """vptta/docs/method.md#fundus-domains."""
    counts = {centre: optic.READER.published[centre] for centre in CENTRES}
    lists = lists_of("vptta", "paper", listed(tmp_path / "data", counts), [source])
    assert [len(lists[section]) for section in ("training", "validation", "test")] == [trained, 0, stream]
    order = list(dict.fromkeys(case["domain"] for case in lists["test"]))
    assert order == [centre for centre in CENTRES if centre != source]


@pytest.mark.parametrize(
    ("source", "trained"),
    [("BKAI", 1000), ("CVC-ClinicDB", 612), ("ETIS-LaribPolypDB", 196), ("Kvasir-SEG", 1000)],
)
def test_polyps(tmp_path, source, trained):
    """vptta/docs/method.md#polyp-frames."""
    lists = lists_of("vptta", "polyp", listed(tmp_path / "data", polyp.READER.published), [source])
    assert [len(lists[section]) for section in ("training", "validation")] == [trained, 0]
    order = list(dict.fromkeys(case["domain"] for case in lists["test"]))
    assert order == [domain for domain in polyp.READER.published if domain != source]


@pytest.mark.parametrize("kind", ["train", "inference"])
def test_polyp_frames_are_resized_bilinearly(tmp_path, kind):
    """By Pillow, as the authors' loader does; vptta/docs/method.md#polyp-frames."""
    Image.fromarray(eye(0, (90, 130))).save(tmp_path / "a.png")
    parser = ConfigParser()
    parser.read_config([str(VPTTA.config_file(name)) for name in (kind, "polyp")])
    parser["image_size"] = [48, 40]
    case = {"image": str(tmp_path / "a.png")}
    for transform in parser.get_parsed_content("image_transforms"):
        case = transform(case)
    expected = Image.open(tmp_path / "a.png").resize((40, 48), Image.Resampling.BILINEAR)
    assert np.array_equal(case["image"].numpy(), np.asarray(expected).transpose(2, 0, 1))


@pytest.mark.full
@pytest.mark.parametrize(
    ("overlay", "dataset", "make_raw", "source", "cases"),
    [("paper", "optic", raw_optic, "REFUGE", 3), ("polyp", "polyp", raw_polyp, "BKAI", 2)],
)
def test_a_run_on_the_real_layout_says_what_it_trains_on(tmp_path, overlay, dataset, make_raw, source, cases):
    prepare(dataset, make_raw(tmp_path / "raw"), tmp_path / "data")
    run = Run(VPTTA, tmp_path / "run", tmp_path / "unused")
    settings = {**run.places, **VPTTA.quick[overlay], "dataset_dir": tmp_path / "data"}
    settings |= {"source_domains": f"['{source}']", **(VPTTA.network if overlay == "paper" else {})}
    files = [VPTTA.config_file("train"), VPTTA.config_file(overlay)]
    told = Shell(ROOT, tmp_path).run(files, settings).ok()
    assert f"training on {cases} cases, keeping the last weights" in told.out + told.err
    assert run.weights.is_file()
