"""Predictions as files: whole or absent, under names of their own."""

from __future__ import annotations

import errno
import os

import nibabel as nib
import numpy as np
import pytest
import torch
from monai.data import MetaTensor
from monai.transforms import SaveImaged
from PIL import Image

from common.datasets.lists.output_names import OUTPUT_NAME
from common.disk import DiskError
from common.errors import InputError
from common.inference.saving import SavePredictiond


def prediction(file="/data/A/sub.01.nii.gz", shape=(1, 4, 5, 6)):
    voxels = torch.arange(int(np.prod(shape))).reshape(shape) % 3
    affine = torch.diag(torch.tensor([2.0, 3.0, 4.0, 1.0]))
    return MetaTensor(voxels, affine=affine, meta={"filename_or_obj": str(file)})


def saving(folder, ext=".nii.gz", postfix="seg"):
    return SavePredictiond("pred", output_dir=folder, output_ext=ext, output_postfix=postfix)


def test_the_file_is_the_one_that_monai_writes(tmp_path):
    case = {"pred": prediction()}
    saving(tmp_path / "ours")(case)
    SaveImaged(
        "pred", output_dir=tmp_path / "theirs", output_postfix="seg", output_ext=".nii.gz",
        output_dtype=torch.uint8, separate_folder=False, resample=False, print_log=False,
    )(case)  # fmt: skip
    (ours,), (theirs,) = (list((tmp_path / name).iterdir()) for name in ("ours", "theirs"))
    assert ours.name == theirs.name == "sub.01_seg.nii.gz"
    assert ours.read_bytes() == theirs.read_bytes()
    assert nib.load(ours).get_data_dtype() == np.uint8


def test_pictures(tmp_path):
    pred = prediction("/data/eye.png", (1, 4, 5))
    saving(tmp_path, ".png")({"pred": pred})
    np.testing.assert_array_equal(np.asarray(Image.open(tmp_path / "eye_seg.png")).T, pred[0])


def test_the_name_of_the_case_counts(tmp_path):
    for name in ("A/1", "B/1"):
        saving(tmp_path)({"pred": prediction("/data/1.nii.gz"), OUTPUT_NAME: name})
    assert sorted(p.relative_to(tmp_path).as_posix() for p in tmp_path.rglob("*.gz")) == [
        "A/1_seg.nii.gz",
        "B/1_seg.nii.gz",
    ]


def test_tools_that_leave_monais_own_out_leave_it_out():
    """MONAI Label by the class, MONAI Deploy by the name's first word."""
    assert issubclass(SavePredictiond, SaveImaged)
    assert SavePredictiond.__name__.startswith("Save")


@pytest.mark.parametrize("ext", [".nii.gz", ".png"])
def test_a_full_disk_is_one_line_and_leaves_the_old_mask(ext, tmp_path, monkeypatch):
    shape = (1, 4, 5, 6) if ext == ".nii.gz" else (1, 4, 5)
    saving(tmp_path, ext)({"pred": prediction(f"/data/a{ext}", shape)})
    (file,) = tmp_path.iterdir()
    before = file.read_bytes()

    def full(*_, **__):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr("nibabel.save", full)
    monkeypatch.setattr("PIL.Image.Image.save", full)
    with pytest.raises(DiskError) as error:
        saving(tmp_path, ext)({"pred": prediction(f"/data/a{ext}", shape) * 0})
    assert str(error.value) == (
        f"{tmp_path}: the disk is full (No space left on device); a_seg{ext} was not written, nor changed "
        "if it was there"
    )
    assert file.read_bytes() == before
    assert list(tmp_path.iterdir()) == [file]


def test_other_errors_of_the_writer_are_not_swallowed(tmp_path, monkeypatch):
    def broken(*_, **__):
        raise TypeError("a bug")

    monkeypatch.setattr("nibabel.save", broken)
    save = saving(tmp_path)
    save.saver.writers = save.saver.writers[:1]  # MONAI would try another library
    with pytest.raises(RuntimeError, match="a bug"):
        save({"pred": prediction()})
    assert not list(tmp_path.iterdir())


def test_the_image_itself_is_not_overwritten(tmp_path):
    image = tmp_path / "a.nii.gz"
    image.write_bytes(b"mine")
    with pytest.raises(InputError, match="is the image itself"):
        saving(tmp_path, postfix="")({"pred": prediction(image)})
    assert image.read_bytes() == b"mine"
