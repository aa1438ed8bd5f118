import json
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from common.errors import InputError
from common.evaluation.baselines import baseline_dice, mean_dice
from common.phantoms import prostate
from common.phantoms.prostate.dataset import DOMAINS

VOLUME_ML = (15, 110)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """One test case per site."""
    return prostate.make(
        tmp_path_factory.mktemp("data") / "prostate", source=["A", "C"], training=3, validation=1, test=2
    )


def entries(folder):
    dataset = json.loads(Path(folder, "dataset.json").read_text())
    return dataset["training"] + dataset["validation"] + dataset["test"]


def read(folder, entry):
    return tuple(nib.load(Path(folder, entry[key])) for key in ("image", "label"))


def test_files(folder):
    assert json.loads(Path(folder, "dataset.json").read_text())["domains"] == list(DOMAINS)
    assert {entry["domain"] for entry in entries(folder)} == set(DOMAINS)
    for entry in entries(folder):
        image, label = read(folder, entry)
        assert (image.get_data_dtype(), label.get_data_dtype()) == (np.int16, np.uint8)
        assert image.shape == label.shape
        np.testing.assert_array_equal(image.affine, label.affine)
        assert nib.aff2axcodes(image.affine) == ("L", "A", "S")
        voxels = np.asarray(label.dataobj)
        assert set(np.unique(voxels)) == {0, 1}
        assert VOLUME_ML[0] < voxels.sum() * np.prod(image.header.get_zooms()) / 1000 < VOLUME_ML[1]
        assert not voxels[..., [0, -1]].any(), "the prostate ends inside of the volume"
        assert np.asarray(image.dataobj).min() >= 0


def test_sites_differ_in_resolution_gain_and_coil(folder):
    medians, sizes, near_coil = {}, {}, {}
    for entry in entries(folder):
        image, label = read(folder, entry)
        values, inside = np.asarray(image.dataobj).astype(float), np.asarray(label.dataobj) == 1
        medians[entry["domain"]] = np.median(values)
        sizes[entry["domain"]] = tuple(np.round(image.header.get_zooms(), 2))
        behind = np.argwhere(inside)[:, 1]
        back = inside & (np.indices(inside.shape)[1] < np.percentile(behind, 30))
        front = inside & (np.indices(inside.shape)[1] > np.percentile(behind, 70))
        near_coil[entry["domain"]] = values[back].mean() / values[front].mean()
    assert len(set(sizes.values())) == len(DOMAINS)
    assert max(medians.values()) > 5 * min(medians.values())
    # The rectum lies behind the prostate: its coil makes the back brighter than the front.
    assert min(near_coil[site] for site in "CF") > max(near_coil[site] for site in "ABDE")


# With the defaults, on 5 validation / 6 test cases: intensity 0.11 / 0.09, mean shape 0.59 / 0.55 (the best
# variant of each).
@pytest.mark.parametrize("section", ["validation", "test"])
def test_simple_predictors_fail(folder, section):
    tables = baseline_dice(folder, section=section)
    assert all(mean_dice(table) < 0.7 for table in tables.values()), tables


def test_a_case_is_the_same_as_a_source_and_as_a_target(tmp_path):
    counts = {"training": 1, "validation": 0, "test": 1, "size": 32}
    for name, source in (("a", "D"), ("b", "E")):
        prostate.make(tmp_path / name, source=source, **counts)
    images = [nib.load(next((tmp_path / name).glob("images*/*_D_000*"))) for name in ("a", "b")]
    np.testing.assert_array_equal(*[np.asarray(image.dataobj) for image in images])


@pytest.mark.parametrize(
    ("options", "told"),
    [({"size": 8}, "size=8; expected whole voxels from 32"), ({"source": "G"}, "source='G'; expected one"),
     ({"seed": -1}, "seed=-1"), ({"test": -1}, "test=-1")],
)  # fmt: skip
def test_bad_arguments(tmp_path, options, told):
    with pytest.raises(InputError, match=told):
        prostate.make(tmp_path / "prostate", **options)
