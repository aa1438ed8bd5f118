import json
import subprocess
import sys
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from scipy.ndimage import binary_dilation
from scipy.ndimage import label as components

from common.errors import InputError
from common.evaluation.baselines import baseline_dice, mean_dice
from common.phantoms import atrium

TRAINING = 10

# With 40 training cases of seed 0, all labelled, on 4 validation / 10 test cases: intensity 0.24 / 0.27,
# mean shape 0.53 / 0.63 (the best variant of each).  The ceilings leave room for fewer cases.
INTENSITY_CEILING = 0.35
SHAPE_CEILING = 0.70
VOLUME_ML = (15, 160)
LONGEST_MM = (50, 125)  # real scans: 77..131 along x, 43..81 along y, 27..46 along z


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return atrium.make(
        tmp_path_factory.mktemp("data") / "atrium", training=TRAINING, labelled=TRAINING, validation=3, test=1
    )


def read(folder, section):
    entries = json.loads(Path(folder, "dataset.json").read_text())[section]
    return [tuple(nib.load(Path(folder, entry[key])) for key in ("image", "label")) for entry in entries]


@pytest.fixture(scope="module")
def cases(folder):
    return read(folder, "training")


def arrays(case):
    image, label = case
    return np.asarray(image.dataobj).astype(float), np.asarray(label.dataobj) == 1


def test_files(folder, cases):
    dataset = json.loads(Path(folder, "dataset.json").read_text())
    assert dataset["labels"] == {"0": "background", "1": "left atrium"}
    for image, label in cases:
        assert image.get_data_dtype() == np.int16
        assert label.get_data_dtype() == np.uint8
        assert image.shape == label.shape == (64, 48, 32)
        assert np.array_equal(image.affine, label.affine)
        assert nib.aff2axcodes(image.affine) == ("L", "A", "S")
        assert set(np.unique(label.dataobj)) == {0, 1}
        spacing = np.array(image.header.get_zooms())
        assert np.all(np.abs(spacing / 2 - 1) < 0.051)


def test_only_the_first_training_cases_are_labelled(tmp_path, cases):
    folder = atrium.make(tmp_path / "few", training=3, labelled=1, validation=1, test=1)
    dataset = json.loads(Path(folder, "dataset.json").read_text())
    assert ["label" in entry for entry in dataset["training"]] == [True, False, False]
    assert all("label" in entry for entry in dataset["validation"] + dataset["test"])
    assert len(list(Path(folder, "labelsTr").iterdir())) == 2
    assert len(list(Path(folder, "imagesTr").iterdir())) == 4
    for index, entry in enumerate(dataset["training"]):  # neither counts nor labels change the images
        image = nib.load(Path(folder, entry["image"]))
        assert np.array_equal(image.dataobj, cases[index][0].dataobj)
        assert np.array_equal(image.affine, cases[index][0].affine)


def test_other_seed_and_other_lists_differ(folder, tmp_path, cases):
    other = atrium.make(tmp_path / "other", training=1, labelled=1, validation=0, test=0, seed=1)
    everything = [*cases, *read(folder, "validation"), *read(folder, "test"), *read(other, "training")]
    assert len({np.asarray(label.dataobj).tobytes() for _, label in everything}) == TRAINING + 5


def test_sizes_are_plausible_and_vary(cases):
    volumes = []
    for case in cases:
        _, cavity = arrays(case)
        spacing = np.array(case[1].header.get_zooms())
        volumes.append(cavity.sum() * np.prod(spacing) / 1000)
        extent = (np.ptp(np.argwhere(cavity), axis=0) + 1) * spacing
        assert LONGEST_MM[0] < extent[0] < LONGEST_MM[1]
        assert extent[0] > extent[1]  # wider than deep: veins leave on both sides
        pieces, _ = components(cavity, np.ones((3, 3, 3)))
        assert np.bincount(pieces.ravel())[1:].max() > 0.9 * cavity.sum()
    assert VOLUME_ML[0] < min(volumes)
    assert max(volumes) < VOLUME_ML[1]
    assert np.std(volumes) / np.mean(volumes) > 0.15


def test_gain_noise_and_bias_vary(cases):
    gain = [arrays(case)[0][arrays(case)[1]].mean() for case in cases]
    spread = [arrays(case)[0][arrays(case)[1]].std() / g for case, g in zip(cases, gain, strict=True)]
    assert max(gain) / min(gain) > 1.5
    assert 0.08 < min(spread) < max(spread) < 0.40  # real scans: 0.13 .. 0.31
    assert max(spread) / min(spread) > 1.2


def test_surrounding_blood_is_as_bright(cases):
    """Most voxels within the atrium's range of signal lie outside it, some of them at its border."""
    for case in cases:
        image, cavity = arrays(case)
        low, high = np.percentile(image[cavity], [10, 90])
        like_blood = (image >= low) & (image <= high)
        assert cavity[like_blood].mean() < 0.6
        border = binary_dilation(cavity, iterations=1) & ~cavity
        share = like_blood[border].mean()
        assert 0.05 < share < 0.7  # valve, veins, scar; elsewhere there is a wall


def test_sides(cases):
    """RAS+: the blood in front of the atrium is brighter than the lungs and the spine behind it."""
    for image, label in cases:
        centre = nib.affines.apply_affine(label.affine, np.argwhere(np.asarray(label.dataobj)).mean(axis=0))
        x, y, _ = np.moveaxis(
            nib.affines.apply_affine(image.affine, np.moveaxis(np.indices(image.shape), 0, -1)), -1, 0
        )
        signal = np.asarray(image.dataobj)
        near = np.abs(x - centre[0]) < 40
        assert signal[near & (y > centre[1] + 25)].mean() > 1.2 * signal[near & (y < centre[1] - 25)].mean()


def test_simple_predictors_fail(folder):
    means = {name: mean_dice(table) for name, table in baseline_dice(folder).items()}
    intensity = max(value for name, value in means.items() if name.startswith("intensity"))
    shape = max(value for name, value in means.items() if name.startswith("mean shape"))
    assert 0.05 < intensity < INTENSITY_CEILING
    assert 0.3 < shape < SHAPE_CEILING


def test_simple_predictors_fit_on_the_labelled_cases_alone(tmp_path):
    folder = atrium.make(tmp_path / "few", training=3, labelled=1, validation=1, test=0)
    whole = atrium.make(tmp_path / "one", training=1, labelled=1, validation=1, test=0)
    for name, table in baseline_dice(folder).items():
        assert np.array_equal(table, baseline_dice(whole)[name])


def test_a_scan_without_the_atrium_is_not_an_error(tmp_path):
    folder = atrium.make(tmp_path / "a", training=1, labelled=1, validation=0, test=0, shape=(3, 3, 2))
    assert read(folder, "training")[0][0].shape == (3, 3, 2)


@pytest.mark.parametrize(
    ("argument", "value"),
    [("shape", (64, 48)), ("shape", (64, 48, 0)), ("shape", (9999, 9999, 9999)), ("spacing", (2, -1, 2)),
     ("spacing", (2.0,)), ("seed", -1), ("seed", 0.5), ("test", -2), ("labelled", 41), ("labelled", -1),
     ("labelled", 1.5)],
)  # fmt: skip
def test_bad_arguments(tmp_path, argument, value):
    with pytest.raises(InputError, match=argument) as error:
        atrium.make(tmp_path / "a", **{argument: value})
    assert "\n" not in str(error.value)
    assert not (tmp_path / "a").exists()


def test_import_and_reuse_are_cheap(folder):
    code = (
        "import sys; from common.phantoms import atrium;"
        f"atrium.make({folder!r}, training={TRAINING}, labelled={TRAINING}, validation=3, test=1);"
        "print([m for m in ('scipy', 'torch', 'monai', 'nibabel') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
    assert "making" not in done.stderr
