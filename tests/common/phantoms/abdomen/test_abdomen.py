import json
import subprocess
import sys
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from monai.data import load_decathlon_datalist

from common.errors import InputError
from common.phantoms import abdomen
from common.phantoms.abdomen.tissues import ORGANS

TRAINING = 12

# smallest and largest plausible volume of an organ in mL, for the part within the scan
VOLUMES_ML = {
    1: (35, 450),
    2: (50, 330),
    3: (50, 330),
    4: (5, 80),
    5: (3, 45),
    6: (600, 2400),
    7: (80, 650),
    8: (35, 160),
    9: (30, 180),
    10: (7, 60),
    11: (30, 200),
}
# HU over all contrast phases; the stomach may hold gas or contrast agent, the oesophagus gas
HU = {1: (25, 150), 2: (0, 210), 3: (0, 210), 4: (-35, 60), 6: (0, 140), 8: (25, 330), 9: (10, 180),
      10: (10, 200), 11: (10, 135)}  # fmt: skip


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return abdomen.make(tmp_path_factory.mktemp("data") / "abdomen", training=TRAINING, validation=1, test=1)


def read(folder, section):
    entries = load_decathlon_datalist(f"{folder}/dataset.json", data_list_key=section)
    return [(nib.load(entry["image"]), nib.load(entry["label"])) for entry in entries]


@pytest.fixture(scope="module")
def cases(folder):
    return read(folder, "training")


def volumes_ml(label):
    voxel_ml = abs(np.linalg.det(label.affine[:3, :3])) / 1000
    return np.bincount(np.asarray(label.dataobj).ravel(), minlength=len(ORGANS)) * voxel_ml


def centre_mm(label, value):
    index = np.argwhere(np.asarray(label.dataobj) == value).mean(axis=0)
    return nib.affines.apply_affine(label.affine, index)


def test_files(folder, cases):
    dataset = json.loads(Path(folder, "dataset.json").read_text())
    assert dataset["labels"] == {str(i): name for i, name in enumerate(ORGANS)}
    assert dataset["modality"] == {"0": "CT"}
    assert [len(read(folder, s)) for s in ("training", "validation", "test")] == [TRAINING, 1, 1]
    for image, label in cases:
        assert image.get_data_dtype() == np.int16
        assert label.get_data_dtype() == np.uint8
        assert image.shape == label.shape == (80, 80, 36)
        assert np.array_equal(image.affine, label.affine)
        assert nib.aff2axcodes(image.affine) == ("L", "A", "S")
        assert np.allclose(image.get_qform(), image.get_sform(), atol=1e-4)


def test_spacing_is_anisotropic_and_varies(cases):
    spacing = np.array([image.header.get_zooms() for image, _ in cases])
    assert np.allclose(spacing[:, 0], spacing[:, 1])
    assert np.all(spacing[:, 2] > 1.15 * spacing[:, 0])
    assert np.all(np.abs(spacing / (4.5, 4.5, 6.0) - 1) < 0.065)
    assert np.all(spacing[:, [0, 2]].std(axis=0) / spacing[:, [0, 2]].mean(axis=0) > 0.01)


def test_same_seed_same_arrays_whatever_the_counts(tmp_path, cases):
    few = read(abdomen.make(tmp_path / "few", training=2, validation=0, test=0), "training")
    for (image, label), (image_again, label_again) in zip(cases, few, strict=False):
        assert np.array_equal(image.dataobj, image_again.dataobj)
        assert np.array_equal(label.dataobj, label_again.dataobj)
        assert np.array_equal(image.affine, image_again.affine)


def test_other_seed_and_other_lists_differ(folder, tmp_path, cases):
    other = read(abdomen.make(tmp_path / "other", training=1, validation=0, test=0, seed=1), "training")
    labels = [np.asarray(pair[1].dataobj) for pair in
              [*cases, *read(folder, "validation"), *read(folder, "test"), *other]]  # fmt: skip
    assert len({label.tobytes() for label in labels}) == TRAINING + 3


def test_global_random_state_is_left_alone(tmp_path):
    np.random.seed(0)
    before = np.random.get_state()[1].copy()
    abdomen.make(tmp_path / "a", training=1, validation=0, test=0, shape=(20, 20, 9), spacing=(18, 18, 24))
    assert np.array_equal(np.random.get_state()[1], before)


def test_nearly_every_organ_is_there(cases):
    present = np.array([volumes_ml(label)[1:] > 0 for _, label in cases])
    assert np.all(present.sum(axis=0) >= TRAINING - 1)


@pytest.mark.parametrize("value", VOLUMES_ML)
def test_volumes_are_plausible_and_vary(cases, value):
    volumes = np.array([volumes_ml(label)[value] for _, label in cases])
    volumes = volumes[volumes > 0]
    low, high = VOLUMES_ML[value]
    assert low < volumes.min()
    assert volumes.max() < high
    assert volumes.std() / volumes.mean() > 0.08


@pytest.mark.parametrize("value", HU)
def test_attenuation_is_plausible_and_varies(cases, value):
    means = [
        np.asarray(image.dataobj)[np.asarray(label.dataobj) == value].mean()
        for image, label in cases
        if volumes_ml(label)[value] > 0
    ]
    assert HU[value][0] < min(means)
    assert max(means) < HU[value][1]
    assert np.std(means) > 3


def test_sides_and_heights(cases):
    """RAS+: the patient's right is at larger x, the back at smaller y, the feet at smaller z."""
    for _, label in cases:
        at = {value: centre_mm(label, value) for value in (1, 2, 3, 6, 7, 8, 9)}
        assert at[6][0] > at[8][0] + 30 > at[1][0] + 60  # liver, aorta, spleen
        assert at[2][0] > at[9][0] > at[8][0] > at[3][0]  # right kidney, cava, aorta, left kidney
        assert max(at[2][1], at[3][1]) < min(at[6][1], at[7][1])  # kidneys behind liver and stomach
        assert max(at[2][2], at[3][2]) < at[6][2] + 5  # and not above the liver


def test_air_fat_and_noise(cases):
    for image, label in cases:
        hu = np.asarray(image.dataobj).astype(float)
        assert hu.min() >= -1024
        assert 300 < np.percentile(hu, 99.9) < 2000
        air = np.mean(hu < -900)
        assert 0.25 < air < 0.75
        fat = hu[(hu > -160) & (hu < -40)]
        assert abs(np.median(fat) + 100) < 12
        liver = np.asarray(label.dataobj) == 6
        pairs = liver[1:] & liver[:-1]
        assert 8 < np.diff(hu, axis=0)[pairs].std() / np.sqrt(2) < 35


def test_attenuation_alone_is_not_enough(cases):
    """Most voxels as bright as the liver are something else, in every case."""
    for image, label in cases:
        hu, liver = np.asarray(image.dataobj), np.asarray(label.dataobj) == 6
        low, high = np.percentile(hu[liver], [10, 90])
        assert liver[(hu >= low) & (hu <= high)].mean() < 0.6


def test_organs_are_mostly_in_one_piece(cases):
    from scipy.ndimage import label as components

    for value in range(1, len(ORGANS)):
        shares = []
        for _, label in cases:
            pieces, number = components(np.asarray(label.dataobj) == value, np.ones((3, 3, 3)))
            if number:
                sizes = np.bincount(pieces.ravel())[1:]
                shares.append(sizes.max() / sizes.sum())
        assert np.median(shares) > 0.95, ORGANS[value]
        assert min(shares) > 0.6, ORGANS[value]


@pytest.mark.parametrize(
    ("argument", "value"),
    [("shape", (80, 80)), ("shape", (80, 80, 0)), ("shape", (9999, 9999, 9999)), ("spacing", (4.5, -1, 6)),
     ("spacing", (4.5,)), ("seed", -1), ("seed", 0.5), ("test", -2)],
)  # fmt: skip
def test_bad_arguments(tmp_path, argument, value):
    with pytest.raises(InputError, match=argument) as error:
        abdomen.make(tmp_path / "a", **{argument: value})
    assert "\n" not in str(error.value)
    assert not (tmp_path / "a").exists()


def test_import_and_reuse_are_cheap(folder):
    code = (
        "import sys; from common.phantoms import abdomen;"
        f"abdomen.make({folder!r}, training={TRAINING}, validation=1, test=1);"
        "print([m for m in ('scipy', 'torch', 'monai', 'nibabel') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
    assert "making" not in done.stderr
