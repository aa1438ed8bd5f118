"""``prepare optic`` and ``prepare polyp``: lists, raters, and both mask encodings."""

import json

import numpy as np
import pytest
from PIL import Image

from common.datasets import read_datalist
from common.datasets.raw.prepare import find_reader, prepare
from common.errors import InputError
from tests.common.datasets.raw_pictures import CODINGS, RIGA_HEADER, eye, raw_optic, raw_polyp, truth, write


@pytest.fixture
def raw(tmp_path):
    return raw_optic(tmp_path / "raw")


def label_of(folder, case):
    return np.asarray(Image.open(folder / case["label"]))


def test_lists_and_codings(raw, tmp_path):
    numbers = prepare("optic", raw, tmp_path / "out")
    dataset = json.loads((tmp_path / "out" / "dataset.json").read_text())
    assert numbers == {"training": 2, "test": 5, "unlabelled": 1}
    order = [case["domain"] for case in dataset["test"]]
    assert order == ["REFUGE", "REFUGE", "REFUGE", "Drishti_GS", "MESSIDOR_Base1"]
    assert [case["image"][-5] for case in dataset["test"]] == ["9", "1", "3", "4", "8"], "training list first"
    assert dataset["training"][0]["domain"] == "BinRushed"
    assert "label" not in dataset["unlabelled"][0]
    assert dataset["unlabelled"][0]["domain"] == "MESSIDOR_Base1", "a part of that domain, not one of its own"
    assert dataset["domains"] == ["BinRushed", "REFUGE", "Drishti_GS", "MESSIDOR_Base1"]
    for case in dataset["training"] + dataset["test"]:
        assert np.array_equal(label_of(tmp_path / "out", case), truth()), case["label"]
    picture = Image.open(tmp_path / "out" / dataset["training"][0]["image"])
    assert np.array_equal(np.asarray(picture), eye(5))
    assert len(read_datalist(tmp_path / "out")["test"]) == 5


@pytest.mark.parametrize("domains", ["REFUGE", ["REFUGE", "BinRushed"]])
def test_domains_to_train_on(raw, tmp_path, domains):
    prepare("optic", raw, tmp_path / "out", train_domains=domains, validation=1)
    dataset = json.loads((tmp_path / "out" / "dataset.json").read_text())
    chosen = {domains} if isinstance(domains, str) else set(domains)
    assert {case["domain"] for case in dataset["training"] + dataset["validation"]} == chosen
    assert not {case["domain"] for case in dataset["test"]} & chosen
    assert len(dataset["validation"]) == 1


def test_a_number_that_is_not_the_published_one_is_told(raw, tmp_path, caplog):
    prepare("optic", raw, tmp_path / "out")
    assert "REFUGE: 3 pictures with masks; the published benchmark has 400" in caplog.text


def test_polyps_with_masks_of_jpeg(tmp_path):
    """The stream's order is part of the protocol; a ``.tif`` is a mask, not a name for several raters'."""
    root = raw_polyp(tmp_path / "raw")
    assert prepare("polyp", root, tmp_path / "out") == {"training": 2, "test": 6}
    dataset = json.loads((tmp_path / "out" / "dataset.json").read_text())
    assert dataset["domains"] == ["BKAI", "CVC-ClinicDB", "ETIS-LaribPolypDB", "Kvasir-SEG"]
    names = [case["image"].split("/")[1] for case in [*dataset["training"], *dataset["test"]]]
    domains = ("BKAI", "CVC-ClinicDB", "ETIS-LaribPolypDB", "Kvasir-SEG")
    assert names == [f"{domain}_{name}.png" for domain in domains for name in "ba"], "training list first"
    assert np.array_equal(label_of(tmp_path / "out", dataset["training"][0]), truth() > 0)
    assert not label_of(tmp_path / "out", dataset["test"][0]).any()
    assert np.array_equal(label_of(tmp_path / "out", dataset["test"][2]), truth() > 0)


@pytest.mark.parametrize(
    ("name", "domain"),
    [("BKAI-IGH-NEOPolyp", "BKAI"), ("ETIS", "ETIS-LaribPolypDB"), ("Kvasir", "Kvasir-SEG"),
     ("kvasir-seg", "Kvasir-SEG"), ("CVC-ColonDB", "CVC-ColonDB")],
)  # fmt: skip
def test_domains_are_known_by_how_their_lists_begin(name, domain):
    assert find_reader("polyp").domain_of_list(name) == domain


def test_lists_keep_their_order_and_their_repetitions(raw, tmp_path):
    """The state of a method that adapts over the stream depends on both."""
    rows = (raw / "REFUGE_train.csv").read_text().splitlines()
    (raw / "REFUGE_train.csv").write_text("\n".join([*rows, rows[1]]) + "\n")
    prepare("optic", raw, tmp_path / "out")
    test = json.loads((tmp_path / "out" / "dataset.json").read_text())["test"]
    pictures = [np.asarray(Image.open(tmp_path / "out" / case["image"])) for case in test[:4]]
    assert all(np.array_equal(picture, eye(i)) for picture, i in zip(pictures, (9, 1, 9, 3), strict=True))


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


def joined_lists(raw):
    (raw / "REFUGE.csv").write_text((raw / "REFUGE_train.csv").read_text())


def masks_of_mrnet(raw):
    write(raw, "BinRushed/mask/5-1.tif", CODINGS["mrnet"][truth()])


def lists_of_mrnet(raw):
    (raw / "Glaucoma_multirater_MESSIDOR.csv").write_text(RIGA_HEADER)


@pytest.mark.parametrize(
    ("spoil", "says"),
    [(no_lists, "no .csv"), (no_picture, "image/9.png"), (no_rater, "5-1.tif"), (other_size, "40 x 40"),
     (no_disc, "no disc"), (grey_border, "border is mostly 90"), (other_header, "REFUGE_train.csv"),
     (half_a_row, "line 2"), (joined_lists, "lists pictures of REFUGE, as does REFUGE.csv"),
     (masks_of_mrnet, "5-1.tif: is coded as RIGA of MRNet (0 background, 127 rim, 255 cup)"),
     (lists_of_mrnet, "Glaucoma_multirater_MESSIDOR.csv: is a list of RIGA as MRNet hands it out")],
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
    assert prepare("optic", raw, tmp_path / "out", partial=True)["test"] == 4


def test_unknown_domain(raw, tmp_path):
    with pytest.raises(InputError, match="expected one or several of the domains of optic"):
        prepare("optic", raw, tmp_path / "out", train_domains="Nowhere")
