"""``prepare optic`` and ``prepare polyp``: lists, raters, and both mask encodings."""

import json

import numpy as np
import pytest
from PIL import Image

from common.datasets import read_datalist
from common.datasets.raw.prepare import prepare
from common.errors import InputError
from tests.common.datasets.raw_pictures import CODINGS, eye, raw_optic, raw_polyp, truth, write


@pytest.fixture
def raw(tmp_path):
    return raw_optic(tmp_path / "raw")


def label_of(folder, case):
    return np.asarray(Image.open(folder / case["label"]))


def test_lists_and_codings(raw, tmp_path):
    numbers = prepare("optic", raw, tmp_path / "out")
    dataset = json.loads((tmp_path / "out" / "dataset.json").read_text())
    assert numbers == {"training": 2, "test": 4, "unlabelled": 1}
    order = [case["domain"] for case in dataset["test"]]
    assert order == ["REFUGE", "REFUGE", "REFUGE", "Drishti_GS"]
    assert [case["image"][-5] for case in dataset["test"]] == ["9", "1", "3", "4"], "training list first"
    assert dataset["training"][0]["domain"] == "BinRushed"
    assert "label" not in dataset["unlabelled"][0]
    assert dataset["domains"][:3] == ["BinRushed", "REFUGE", "Drishti_GS"]
    for case in dataset["training"] + dataset["test"]:
        assert np.array_equal(label_of(tmp_path / "out", case), truth()), case["label"]
    picture = Image.open(tmp_path / "out" / dataset["training"][0]["image"])
    assert np.array_equal(np.asarray(picture), eye(5))
    assert len(read_datalist(tmp_path / "out")["test"]) == 4


@pytest.mark.parametrize("domains", ["REFUGE", ["REFUGE", "BinRushed"]])
def test_domains_to_train_on(raw, tmp_path, domains):
    prepare("optic", raw, tmp_path / "out", train_domains=domains, validation=1)
    dataset = json.loads((tmp_path / "out" / "dataset.json").read_text())
    chosen = {domains} if isinstance(domains, str) else set(domains)
    assert {case["domain"] for case in dataset["training"] + dataset["validation"]} == chosen
    assert not {case["domain"] for case in dataset["test"]} & chosen
    assert len(dataset["validation"]) == 1


def test_polyps_with_masks_of_jpeg(tmp_path):
    root = raw_polyp(tmp_path / "raw")
    prepare("polyp", root, tmp_path / "out")
    dataset = json.loads((tmp_path / "out" / "dataset.json").read_text())
    assert [case["domain"] for case in dataset["test"]] == ["CVC-ClinicDB"] * 2 + ["Kvasir-SEG"] * 2
    assert np.array_equal(label_of(tmp_path / "out", dataset["training"][0]), truth() > 0)
    assert not label_of(tmp_path / "out", dataset["test"][0]).any()
    assert np.array_equal(label_of(tmp_path / "out", dataset["test"][2]), truth() > 0)


def no_lists(raw):
    for file in raw.glob("*.csv"):
        file.unlink()


def no_picture(raw):
    (raw / "REFUGE/image/9.png").unlink()


def no_rater(raw):
    (raw / "BinRushed/mask/5-1.tif").unlink()


def other_size(raw):
    write(raw, "REFUGE/mask/9.png", CODINGS["optic"][truth((40, 40))])


def no_disc(raw):
    write(raw, "REFUGE/mask/9.png", np.full((40, 50), 255, np.uint8))


def grey_border(raw):
    write(raw, "REFUGE/mask/9.png", np.full((40, 50), 90, np.uint8))


def other_header(raw):
    (raw / "REFUGE_train.csv").write_text("picture;mask\na;b\n")


def half_a_row(raw):
    (raw / "REFUGE_train.csv").write_text("image,mask\nREFUGE/image/9.png,\n")


@pytest.mark.parametrize(
    ("spoil", "says"),
    [(no_lists, "no .csv"), (no_picture, "image/9.png"), (no_rater, "5-1.tif"), (other_size, "40 x 40"),
     (no_disc, "no disc"), (grey_border, "border is mostly 90"), (other_header, "REFUGE_train.csv"),
     (half_a_row, "line 2")],
)  # fmt: skip
def test_bad_raw_data(raw, tmp_path, spoil, says):
    spoil(raw)
    with pytest.raises(InputError) as error:
        prepare("optic", raw, tmp_path / "out")
    assert says in str(error.value)
    assert "\n" not in str(error.value)
    assert not (tmp_path / "out").exists()


def test_part_of_the_data(raw, tmp_path):
    no_picture(raw)
    assert prepare("optic", raw, tmp_path / "out", partial=True)["test"] == 3


def test_unknown_domain(raw, tmp_path):
    with pytest.raises(InputError, match="expected one or several of the domains of optic"):
        prepare("optic", raw, tmp_path / "out", train_domains="Nowhere")
