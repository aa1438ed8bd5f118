import json

import numpy as np
import pytest
from PIL import Image

from common.datasets import read_datalist, write_datalist
from common.errors import InputError


@pytest.fixture
def bare(tiny):
    """A data set's folders without dataset.json."""
    (tiny.root / "dataset.json").unlink()
    return tiny


def written(tiny):
    return json.loads((tiny.root / "dataset.json").read_text())


def test_decathlon_folders(bare):
    bare.write("labelsTs/t0.nii.gz", bare.label())
    listing = write_datalist(bare.root)
    assert (listing.training, listing.test, listing.unpaired, listing.unreadable) == (4, 1, (), ())
    description = written(bare)
    assert description["training"][2] == {"image": "imagesTr/c2.nii.gz", "label": "labelsTr/c2.nii.gz"}
    assert description["test"] == [{"image": "imagesTs/t0.nii.gz", "label": "labelsTs/t0.nii.gz"}]
    assert description["labels"] == {"0": "background", "1": "class 1", "2": "class 2"}
    assert description["modality"] == {"0": "CT"}
    assert description["tensorImageSize"] == "3D"
    assert len(read_datalist(bare.root)["validation"]) == 1


def test_nnunet_channels_become_lists(bare):
    for i in range(4):
        (bare.root / f"imagesTr/c{i}.nii.gz").rename(bare.root / f"imagesTr/c{i}_0000.nii.gz")
        bare.write(f"imagesTr/c{i}_0001.nii.gz", np.abs(bare.image(i)))
    bare.write("imagesTs/t0_0000.nii.gz", bare.image())
    bare.write("imagesTs/t0_0001.nii.gz", np.abs(bare.image()))
    (bare.root / "imagesTs/t0.nii.gz").unlink()
    write_datalist(bare.root)
    description = written(bare)
    assert description["training"][1]["image"] == ["imagesTr/c1_0000.nii.gz", "imagesTr/c1_0001.nii.gz"]
    assert description["test"] == [{"image": ["imagesTs/t0_0000.nii.gz", "imagesTs/t0_0001.nii.gz"]}]
    assert description["modality"] == {"0": "CT", "1": "unknown"}


def test_a_number_shared_with_the_label_is_part_of_the_case(bare):
    for kind in ("images", "labels"):
        (bare.root / f"{kind}Tr").rename(bare.root / kind)
        for i in range(4):
            (bare.root / kind / f"c{i}.nii.gz").rename(bare.root / kind / f"case_000{i}.nii.gz")
    assert write_datalist(bare.root).training == 4
    assert written(bare)["training"][1] == {
        "image": "images/case_0001.nii.gz",
        "label": "labels/case_0001.nii.gz",
    }


def test_pictures_with_masks_of_another_type_and_ending(tmp_path):
    for folder in ("images", "labels"):
        (tmp_path / folder).mkdir()
    Image.new("RGB", (6, 5), (200, 10, 10)).save(tmp_path / "images/a.jpg")
    Image.fromarray(np.eye(5, 6, dtype=np.uint8)).save(tmp_path / "labels/a_mask.png")
    write_datalist(tmp_path, modality=("R", "G", "B"))
    description = json.loads((tmp_path / "dataset.json").read_text())
    assert description["training"] == [{"image": "images/a.jpg", "label": "labels/a_mask.png"}]
    assert description["tensorImageSize"] == "2D"
    assert description["modality"] == {"0": "R", "1": "G", "2": "B"}


def test_unpaired_and_unreadable_files_are_reported(bare):
    (bare.root / "labelsTr/c0.nii.gz").unlink()
    bare.write("labelsTr/stranger.nii.gz", bare.label())
    (bare.root / "imagesTr/c1.nii.gz").write_text("text")
    listing = write_datalist(bare.root)
    assert listing.unpaired == ("imagesTr/c0.nii.gz", "labelsTr/stranger.nii.gz")
    assert listing.unreadable == (str(bare.root / "imagesTr/c1.nii.gz"),)
    assert listing.training == 3


def test_modality_is_not_guessed_from_floats_nor_against_the_option(bare):
    for i in range(4):
        bare.write(f"imagesTr/c{i}.nii.gz", bare.image(i).astype(np.float32))
    bare.write("imagesTs/t0.nii.gz", np.abs(bare.image()))
    write_datalist(bare.root)
    assert written(bare)["modality"] == {"0": "unknown"}
    write_datalist(bare.root, modality="CT", overwrite=True)
    assert written(bare)["modality"] == {"0": "CT"}


def test_a_dataset_json_is_replaced_only_on_request(tiny):
    before = (tiny.root / "dataset.json").read_text()
    with pytest.raises(InputError, match="--overwrite"):
        write_datalist(tiny.root)
    assert (tiny.root / "dataset.json").read_text() == before
    write_datalist(tiny.root, overwrite=True)
    assert written(tiny)["labels"]["1"] == "class 1"


def test_folders_that_are_not_a_data_set(bare, tmp_path):
    for folder in (tmp_path / "absent", bare.root / "imagesTr"):
        with pytest.raises(InputError, match="expected imagesTr and labelsTr or images and labels"):
            write_datalist(folder)
    for i in range(4):
        (bare.root / f"labelsTr/c{i}.nii.gz").rename(bare.root / f"labelsTr/other{i}.nii.gz")
    with pytest.raises(InputError, match="rename"):
        write_datalist(bare.root)
    assert not (bare.root / "dataset.json").exists()
