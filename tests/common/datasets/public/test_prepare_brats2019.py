"""BraTS 2019: FLAIR cut, clipped and scaled as SSL4MIS does, the whole tumour, published lists."""

from __future__ import annotations

import nibabel as nib
import numpy as np
import pytest

from common.datasets import read_datalist
from common.datasets.raw.prepare import prepare
from common.datasets.raw.published_lists import published_lists
from common.errors import InputError
from tests.common.datasets.raw_volumes import save, write_brats2019

LISTS = published_lists("brats2019")
CASES = [cases[i] for cases in LISTS.values() for i in (0, 1)]


@pytest.fixture
def raw(tmp_path):
    return write_brats2019(tmp_path / "raw", CASES)


def flair(raw, case):
    (path,) = raw.rglob(f"{case}_flair.nii.gz")
    return path


def test_lists():
    assert [len(LISTS[section]) for section in ("training", "validation", "test")] == [250, 25, 60]
    assert len({case for cases in LISTS.values() for case in cases}) == 335


def test_preprocessing(raw, tmp_path):
    """lefed/docs/method.md#brats-2019, worked out on the raw file."""
    path = flair(raw, CASES[0])
    source, truth = nib.load(path), nib.load(str(path).replace("_flair", "_seg"))
    voxels = np.asarray(source.dataobj).astype(float)
    voxels[2, 2, 2] = 30_000
    save(path, voxels.astype(np.int16), source.affine)
    assert prepare("brats2019", raw, tmp_path / "out", partial=True) == {
        "training": 2,
        "validation": 2,
        "test": 2,
    }
    case = read_datalist(tmp_path / "out")["training"][0]
    image, label = nib.load(case["image"]), nib.load(case["label"])
    box = (slice(2, 18),) * 3  # non-zero are 2..18: the last plane is lost
    limit = np.percentile(voxels[box], 99.9)
    clipped = np.minimum(voxels[box], limit)
    assert limit < 30_000
    expected = (clipped - clipped[clipped > 0].mean()) / clipped[clipped > 0].std()
    np.testing.assert_allclose(image.get_fdata(), expected, atol=1e-5)
    assert np.array_equal(np.asarray(label.dataobj), np.asarray(truth.dataobj)[box] > 0)
    assert set(np.unique(np.asarray(label.dataobj))) == {0, 1}
    for index in ([0, 0, 0], [5, 6, 7]):
        place = nib.affines.apply_affine(source.affine, np.array(index) + 2)
        np.testing.assert_allclose(nib.affines.apply_affine(image.affine, index), place)


def test_bad_files(raw, tmp_path):
    path = flair(raw, CASES[3])
    image = nib.load(path)
    save(path, np.zeros(image.shape, np.int16), image.affine)
    with pytest.raises(InputError, match=r"_flair\.nii\.gz: no voxel above 0, or no tumour"):
        prepare("brats2019", raw, tmp_path / "out", partial=True)
    with pytest.raises(InputError, match=r"329 of the 335 published cases are missing"):
        prepare("brats2019", raw, tmp_path / "out")
    with pytest.raises(InputError, match="has no folders HGG and LGG"):
        prepare("brats2019", tmp_path, tmp_path / "out")
