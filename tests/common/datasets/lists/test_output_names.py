"""What results are called: like their images, each apart from all others."""

from __future__ import annotations

from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from PIL import Image

from common.datasets import images_to_predict
from common.datasets.lists.case_list import CaseList
from common.datasets.lists.output_names import (
    OUTPUT_NAME,
    base_name,
    distinct_names,
    output_path,
    with_output_names,
)
from common.errors import InputError


def named(*files):
    return [case[OUTPUT_NAME] for case in with_output_names([{"image": file} for file in files])]


def test_images_of_one_folder_need_no_folder():
    assert named("/d/imagesTs/a.nii.gz", "/d/imagesTs/b.nii.gz") == ["a", "b"]
    assert named("/d/imagesTs/a.nii.gz") == ["a"]


def test_results_follow_their_images_folders():
    assert named("/d/A/1.nii.gz", "/d/B/1.nii.gz") == ["A/1", "B/1"]
    assert named("/d/1.png", "/d/B/C/1.png", "/d/B/2.png") == ["1", "B/C/1", "B/2"]
    assert named("/d/x/../A/1.png", "/d/B/1.png") == ["A/1", "B/1"]


@pytest.mark.parametrize(
    ("file", "name"),
    [
        *(("sub.01.nii.gz", "sub.01"), ("sub.02.nii", "sub.02"), ("a.b/c.png", "c"), ("x.npy", "x")),
        *(("a.nii.gz", "a"), ("B.JPG", "B"), ("scan", "scan")),
    ],
)
def test_name_without_suffix(file, name):
    assert base_name(file) == name


def test_names_with_dots_are_kept_apart():
    assert named("/d/sub.01.nii.gz", "/d/sub.02.nii.gz") == ["sub.01", "sub.02"]


@pytest.mark.parametrize(
    ("one", "other"),
    [("/d/a.nii", "/d/a.nii.gz"), ("/d/a.png", "/d/a.jpg"), ("/d/A/1.png", "/d/A/1.PNG")],
)
def test_names_that_collide_are_refused_with_both_files(one, other):
    with pytest.raises(InputError) as error:
        named("/d/z.nii", one, other)
    assert one in str(error.value)
    assert other in str(error.value)
    assert "\n" not in str(error.value)


def test_channels_are_named_by_the_first():
    cases = [{"image": ["/d/1/t1.nii", "/d/1/t2.nii"]}, {"image": ["/d/2/t1.nii", "/d/2/t2.nii"]}]
    assert [case[OUTPUT_NAME] for case in with_output_names(cases)] == ["1/t1", "2/t1"]


def test_pairs_are_named_by_both():
    pairs = [
        {"moving": "/d/A/1.nii.gz", "fixed": "/d/f.1.nii"},
        {"moving": "/d/B/1.nii.gz", "fixed": "/d/0.nii"},
    ]
    assert [case[OUTPUT_NAME] for case in with_output_names(pairs, onto="fixed")] == [
        "A/1_to_f.1",
        "B/1_to_0",
    ]
    with pytest.raises(
        InputError, match=r"/d/A/1.nii.gz onto /d/f.1.nii and /d/A/1.nii.gz onto /e/f.1.nii.gz"
    ):
        with_output_names([pairs[0], {**pairs[0], "fixed": "/e/f.1.nii.gz"}], onto="fixed")


def test_cases_keep_their_places():
    cases = CaseList([{"image": "/d/a.png", "domain": "X"}], Path("/d"), ["test[3]"])
    found = with_output_names(cases)
    assert found == [{"image": "/d/a.png", "domain": "X", OUTPUT_NAME: "a"}]
    assert found.places == ["test[3]"]


def test_rows_are_told_apart():
    assert distinct_names(["/d/A/1.png", "/d/B/1.png"]) == ["A/1.png", "B/1.png"]
    assert distinct_names(["/d/1.png", "/d/2.png"]) == ["1.png", "2.png"]
    assert distinct_names(["/d/1.png", "/d/1.png"]) == ["1.png", "1.png (2)"]
    assert distinct_names([]) == []


def test_a_result_never_overwrites_its_image(tmp_path):
    image = tmp_path / "a.nii.gz"
    image.touch()
    assert output_path(tmp_path, {OUTPUT_NAME: "B/a"}, image, "_seg.png") == tmp_path / "B" / "a_seg.png"
    assert output_path(tmp_path, {}, image, "_seg.nii.gz") == tmp_path / "a_seg.nii.gz"
    with pytest.raises(InputError, match="is the image itself"):
        output_path(tmp_path, {}, image, ".nii.gz")


def test_a_folder_with_colliding_images_is_refused_before_it_is_predicted(tmp_path):
    for name in ("a.nii", "a.nii.gz", "b.nii"):
        nib.save(nib.Nifti1Image(np.random.default_rng(0).random((5, 6, 7)), np.eye(4)), tmp_path / name)
    with pytest.raises(InputError, match=r"a\.nii and .*a\.nii\.gz"):
        images_to_predict(tmp_path, channels=1)
    (tmp_path / "a.nii").unlink()
    assert [case[OUTPUT_NAME] for case in images_to_predict(tmp_path, channels=1)] == ["a", "b"]


def test_pictures_that_collide(tmp_path):
    for name in ("a.png", "a.jpg"):
        Image.fromarray(np.random.default_rng(0).integers(0, 255, (9, 9, 3), dtype=np.uint8)).save(
            tmp_path / name
        )
    with pytest.raises(InputError, match=r"a\.jpg and .*a\.png"):
        images_to_predict(tmp_path, channels=3, dims=2)
