"""RIGA as MRNet hands it out: GBK lists, backslashes, seven masks a picture, a coding of its own."""

from __future__ import annotations

import json

import numpy as np
import pytest
from PIL import Image

from common.datasets.public.riga_mrnet import PICTURES
from common.datasets.raw.prepare import find_reader, prepare
from common.errors import InputError
from tests.common.datasets.raw_pictures import CODINGS, rater_truth, raw_riga_mrnet, truth, write


@pytest.fixture
def raw(tmp_path):
    return raw_riga_mrnet(tmp_path / "raw")


def make(tmp_path, raw, **options):
    return prepare("riga_mrnet", raw, tmp_path / "out", **{"partial": True, **options})


def test_consensus_and_six_raters(tmp_path, raw):
    assert make(tmp_path, raw) == {"training": 3, "test": 1}
    dataset = json.loads((tmp_path / "out" / "dataset.json").read_text())
    assert dataset["domains"] == ["BinRushed", "MESSIDOR", "Magrabia"]
    names = [case["image"].split("/")[1] for case in dataset["training"]]
    assert names == ["BinRushed_image1.png", "BinRushed_image0.png", "MESSIDOR_image0.png"], (
        "the list's order"
    )
    for case in [*dataset["training"], *dataset["test"]]:
        for rater, key in enumerate(["label", *(f"label_{i}" for i in range(1, 7))]):
            stored = np.asarray(Image.open(tmp_path / "out" / case[key]))
            assert np.array_equal(stored, rater_truth(rater)), f"{case[key]}: 1 is the rim, 2 the cup"


def test_the_whole_release_has_655_and_95_pictures(tmp_path):
    """Listed, not read."""
    assert PICTURES == {"BinRushed": 195, "MESSIDOR": 460, "Magrabia": 95}
    raw = raw_riga_mrnet(tmp_path / "raw")
    for domain, number in PICTURES.items():
        file = raw / f"Glaucoma_multirater_{domain}.csv"
        header, *rows = file.read_text(encoding="gbk").splitlines()[:8]
        lines = [row.replace("\\image", f"\\{i}image") for i in range(number) for row in rows]
        file.write_text("\n".join([header, *lines]), encoding="gbk")
        first = [*raw.glob(f"{domain}/image*")]
        for i in range(number):
            for path in first:
                path.with_name(f"{i}{path.name}").hardlink_to(path)
    lists = find_reader("riga_mrnet").list_cases(raw, partial=False)
    assert {section: len(cases) for section, cases in lists.items()} == {"training": 655, "test": 95}


def _no_list(raw):
    (raw / "Glaucoma_multirater_Magrabia.csv").unlink()


def _no_rater(raw):
    (raw / "MESSIDOR" / "image0Rater4.tif").unlink()


def _lost_row(raw):
    file = raw / "Glaucoma_multirater_BinRushed.csv"
    file.write_text("\n".join(file.read_text(encoding="gbk").splitlines()[:-1]), encoding="gbk")


def _coding_of_riga_plus(raw):
    write(raw, "MESSIDOR/image0Rater4.tif", CODINGS["riga"][truth()])


def _no_disc(raw):
    write(raw, "MESSIDOR/image0Rater4.tif", np.zeros((40, 50), np.uint8))


BAD = {
    _no_list: "Glaucoma_multirater_Magrabia.csv: cannot be read as a list",
    _lost_row: r"has 6 rows of BinRushed/image0\.jpg, 1 of them with FinalLabel; expected 7",
    _coding_of_riga_plus: r"Rater4\.tif: has RIGA\+'s coding \(0 background, 255 rim.*prepare optic",
    _no_disc: r"Rater4\.tif: has no disc",
}


@pytest.mark.parametrize(("spoil", "told"), BAD.items(), ids=lambda value: getattr(value, "__name__", ""))
def test_bad_raw_data_is_one_line_and_nothing_is_written(tmp_path, raw, spoil, told):
    spoil(raw)
    with pytest.raises(InputError, match=told) as error:
        make(tmp_path, raw)
    assert "\n" not in str(error.value)
    assert not (tmp_path / "out").exists()


def test_parts_of_the_release(tmp_path, raw):
    with pytest.raises(InputError, match=r"BinRushed\.csv: lists 2 pictures; expected 195: .*--partial true"):
        make(tmp_path, raw, partial=False)
    _no_rater(raw)
    assert make(tmp_path, raw) == {"training": 2, "test": 1}
