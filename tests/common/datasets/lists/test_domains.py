import json

import pytest

from common.datasets import domain_datalist, images_to_predict
from common.datasets.lists.domains import domains_of
from common.errors import InputError
from common.phantoms import fundus


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return fundus.make(
        tmp_path_factory.mktemp("data") / "fundus", source="B", training=3, validation=1, test=5, size=40
    )


def names(cases):
    return [case["image"].rpartition("_")[0][-1] + case["image"][-5] for case in cases]


def test_lists_as_in_the_file(folder):
    lists = domain_datalist(folder)
    assert names(lists["training"]) == ["B0", "B1", "B2"]
    assert names(lists["test"])[:6] == ["A0", "A1", "A2", "A3", "A4", "C0"]


def test_another_source(folder):
    lists = domain_datalist(folder, source_domains="D")
    assert names(lists["training"]) == ["D0", "D1", "D2", "D3"]
    assert names(lists["validation"]) == ["D4"]
    assert names(lists["test"])[5:10] == ["B0", "B1", "B2", "B3", "C0"], "every case of B, in its place"
    assert len(lists["test"]) == 4 + 3 * 5
    assert lists["training"].folder.name == "fundus"
    assert lists["validation"].places == ["test[14]"], "where dataset.json has it"
    assert lists["test"].places[5:9] == ["training[0]", "training[1]", "training[2]", "validation[0]"]


def test_several_sources(folder):
    lists = domain_datalist(folder, source_domains=["C", "B"])
    assert names(lists["training"]) == ["B0", "B1", "B2", "C0", "C1", "C2", "C3"]
    assert names(lists["validation"]) == ["B3", "C4"], "what is listed for validation stays there"
    assert {name[0] for name in names(lists["test"])} == set("ADE")


def test_a_domain_of_one_case_cannot_be_held_out(tmp_path):
    listed = [{"image": f"{i}.png", "domain": "xyy"[i]} for i in range(3)]
    (tmp_path / "dataset.json").write_text(json.dumps({"training": listed}))
    with pytest.raises(InputError, match=r"dataset\.json: too few cases of domain 'x' \(1\) to hold out"):
        domain_datalist(tmp_path, source_domains="x")
    assert len(domain_datalist(tmp_path, source_domains="y")["validation"]) == 1


def test_an_unreadable_image_is_named_by_its_place(tmp_path):
    """The stream of another source: the images to predict are in the training list."""
    for name in "ab":
        (tmp_path / f"{name}.png").write_text("no image")
    listed = [{"image": f"{name}.png", "domain": name} for name in "ab"]
    (tmp_path / "dataset.json").write_text(json.dumps({"training": listed}))
    with pytest.raises(InputError, match=r"training\[1\]\.image = b\.png"):
        images_to_predict(tmp_path, channels=3, dims=2, source_domains="a")


def test_images_to_predict_keep_their_domain(folder):
    cases = images_to_predict(folder, channels=3, dims=2, source_domains=["A", "C", "D", "E"])
    assert names(cases) == ["B0", "B1", "B2", "B3"]
    assert {case["domain"] for case in cases} == {"B"}
    assert [case["domain"] for case in images_to_predict(folder, channels=3, dims=2)][:5] == ["A"] * 5


@pytest.mark.parametrize("sources", ["Z", [], ["A", "Z"]])
def test_unknown_source(folder, sources):
    with pytest.raises(InputError, match="source_domains"):
        domain_datalist(folder, source_domains=sources)


def test_cases_without_a_domain(tmp_path, folder):
    listed = [{"image": f"{i}.png", "label": f"{i}.png", "domain": "x"} for i in range(3)]
    del listed[1]["domain"]
    (tmp_path / "dataset.json").write_text(json.dumps({"training": listed}))
    assert len(domain_datalist(tmp_path, holdout=0)["training"]) == 3
    with pytest.raises(InputError, match=r"training\[1\] has no \"domain\""):
        domain_datalist(tmp_path, source_domains="x")


def test_the_files_order_is_kept(tmp_path):
    listed = [{"image": f"{i}.png", "domain": "ba"[i]} for i in range(2)]
    for head, order in (({}, ["b", "a"]), ({"domains": ["a", "b", "c"]}, ["a", "b"])):
        (tmp_path / "dataset.json").write_text(json.dumps({**head, "training": listed}))
        assert domains_of(tmp_path, {"training": listed}) == order
    (tmp_path / "dataset.json").write_text(json.dumps({"domains": ["a"], "training": listed}))
    with pytest.raises(InputError, match="lacks 'b'"):
        domains_of(tmp_path, {"training": listed})
