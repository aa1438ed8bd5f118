import json

import pytest
from PIL import Image

from common.datasets import inference_list, labels_of, modality_of, read_datalist
from common.errors import InputError


@pytest.mark.parametrize(("cases", "held"), [(2, 1), (4, 1), (8, 2), (13, 3)])
def test_the_last_fifth_of_training_is_held_out_in_order(tmp_path, cases, held):
    training = [{"image": f"i{n}.nii", "label": f"l{n}.nii"} for n in range(cases)]
    (tmp_path / "dataset.json").write_text(json.dumps({"training": training, "test": ["t.nii"]}))
    lists = read_datalist(tmp_path)
    names = [case["image"] for case in lists["training"] + lists["validation"]]
    assert names == [str(tmp_path / f"i{n}.nii") for n in range(cases)]
    assert len(lists["validation"]) == held
    assert lists["test"] == [{"image": str(tmp_path / "t.nii")}]
    assert lists == read_datalist(tmp_path)
    assert read_datalist(tmp_path, holdout=0)["validation"] == []


def test_a_held_out_case_is_known_by_its_place_in_the_file(tmp_path):
    training = [{"image": f"i{n}.nii"} for n in range(5)]
    description = {"training": training, "test": ["t.nii", "u.nii"]}
    (tmp_path / "dataset.json").write_text(json.dumps(description))
    lists = read_datalist(tmp_path)
    assert lists["training"].places == [f"training[{n}]" for n in range(4)]
    assert lists["validation"].places == ["training[4]"]
    assert lists["test"].places == ["test[0]", "test[1]"]
    for cases in lists.values():
        assert cases.folder == tmp_path
        assert cases.lists == lists


def test_a_validation_list_is_taken_as_it_is(tiny):
    tiny.save(validation=[{"image": "v.nii", "label": "w.nii"}])
    lists = read_datalist(tiny.root)
    assert len(lists["training"]) == 4
    assert lists["validation"] == [{"image": str(tiny.root / "v.nii"), "label": str(tiny.root / "w.nii")}]


def test_further_keys_stay_and_channels_become_absolute(tiny):
    (tiny.root / "A").mkdir()
    entry = {"image": ["a.nii", "b.nii"], "label": 1, "site": "A", "boxes": [[1, 2, 3, 4]], "report": ""}
    tiny.save(training=[entry, entry], test=[])
    lists = read_datalist(tiny.root)
    images = [str(tiny.root / "a.nii"), str(tiny.root / "b.nii")]
    assert lists["training"] == [entry | {"image": images}]
    assert lists["test"] == []


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (None, "python -m common.datasets list"),
        ('{"training": [', "expected JSON"),
        ("[]", "expected an object"),
        ("{}", "training has no case"),
        ('{"training": []}', "training has no case"),
        ('{"training": {"a": 1}}', "expected a list"),
        ('{"training": [{"image": "a.nii"}, {"label": "b.nii"}]}', r"training\[1\]"),
        ('{"training": [{"image": []}]}', r"training\[0\]"),
        ('{"training": ["a.nii"]}', r"training\[0\]"),
        ('{"training": [{"image": "a.nii"}], "test": ["b.nii", {}]}', r"test\[0\]"),
        ('{"training": [{"image": "a.nii"}]}', r"too few training cases \(1\) to hold out"),
    ],
)
def test_a_broken_dataset_json_is_one_line(tmp_path, text, words):
    if text is not None:
        (tmp_path / "dataset.json").write_text(text)
    with pytest.raises(InputError, match=words) as told:
        read_datalist(tmp_path)
    assert "\n" not in str(told.value)
    assert str(tmp_path / "dataset.json") in str(told.value)
    with pytest.raises(InputError, match="no such folder"):
        read_datalist(tmp_path / "absent")


def test_inference_list(tiny, tmp_path):
    assert inference_list(tiny.root) == [{"image": str(tiny.root / "imagesTs/t0.nii.gz")}]
    folder = tiny.root / "imagesTr"
    (folder / "notes.txt").touch()
    (folder / "._c0.nii.gz").touch()
    assert [case["image"] for case in inference_list(folder)] == [
        str(folder / f"c{i}.nii.gz") for i in range(4)
    ]
    assert inference_list(folder / "c1.nii.gz") == [{"image": str(folder / "c1.nii.gz")}]
    tiny.save(test=[])
    assert inference_list(tiny.root)[0]["image"] == str(folder / "c3.nii.gz")
    assert inference_list(tiny.root).places == ["training[3]"]
    tiny.save(test=[], validation=[{"image": "v.nii"}])
    assert inference_list(tiny.root)[0]["image"] == str(tiny.root / "v.nii")
    for nothing in (tmp_path, tmp_path / "absent", folder / "notes.txt"):
        with pytest.raises(InputError, match="expected"):
            inference_list(nothing)
    tiny.save(test=[], training=[])
    with pytest.raises(InputError, match='no "test"'):
        inference_list(tiny.root)


def test_inference_list_of_pictures_is_sorted(tmp_path):
    for name in ("b.png", "a.JPG"):
        Image.new("L", (4, 3)).save(tmp_path / name)
    assert [case["image"] for case in inference_list(tmp_path)] == [
        str(tmp_path / "a.JPG"),
        str(tmp_path / "b.png"),
    ]


@pytest.mark.parametrize(
    "labels", [{"0": "background", "2": "b", "10": "c"}, {"c": 10, "b": 2, "background": 0}]
)
def test_labels_may_map_names_to_values_or_values_to_names(tiny, labels):
    tiny.save(labels=labels)
    assert list(labels_of(tiny.root).items()) == [(0, "background"), (2, "b"), (10, "c")]


@pytest.mark.parametrize("labels", [{"whole": [1, 2]}, {"liver": "one"}, ["liver"], {"a": 1.5}])
def test_other_labels_are_refused(tiny, labels):
    tiny.save(labels=labels)
    with pytest.raises(InputError, match=r"labels[.\w]* = "):
        labels_of(tiny.root)


def test_modality_by_channel(tiny):
    assert modality_of(tiny.root) == ["CT"]
    tiny.save(modality={"10": "k", "2": "c", "0": "a"})
    assert modality_of(tiny.root) == ["a", "c", "k"]
    tiny.save(modality="MRI")
    assert modality_of(tiny.root) == ["MRI"]
    tiny.save(modality=None, channel_names={"0": "T1"})
    assert modality_of(tiny.root) == ["T1"]
