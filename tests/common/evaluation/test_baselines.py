import json
import subprocess
import sys

import nibabel as nib
import numpy as np
import pytest
from PIL import Image

from common.errors import InputError
from common.evaluation.baselines import (
    IntensityThreshold,
    MeanShapePrior,
    baseline_dice,
    dice_per_class,
    dice_per_region,
    intensity_threshold,
    mean_dice,
    mean_shape_prior,
)
from common.evaluation.case_arrays import Case, LabelledData
from common.phantoms import abdomen

# With 16 training cases of seed 0, on 4 validation / 4 test cases: intensity 0.07 / 0.09, mean shape
# 0.30 / 0.35 (the best variant of each).  The ceilings leave room for fewer cases.
INTENSITY_CEILING = 0.2
SHAPE_CEILING = 0.45


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return abdomen.make(tmp_path_factory.mktemp("data") / "abdomen", training=8, validation=3, test=1)


def make_case(label, *, means, affine=None, noise=1.0):
    rng = np.random.default_rng(0)
    image = np.asarray(means, float)[label] + rng.normal(0, noise, label.shape)
    return Case(image[None].astype(np.float32), label, np.eye(4) if affine is None else affine)


def asymmetric_label():
    label = np.zeros((12, 10, 8), np.int64)
    label[1:6, 2:9, 1:4] = 1
    label[8:11, 1:4, 5:8] = 2
    return label


def test_phantom_defeats_both(folder):
    scores = baseline_dice(folder)
    assert all(table.shape == (3, 11) for table in scores.values())
    means = {name: mean_dice(table) for name, table in scores.items()}
    intensity = max(value for name, value in means.items() if name.startswith("intensity"))
    shape = max(value for name, value in means.items() if name.startswith("mean shape"))
    assert 0.02 < intensity < INTENSITY_CEILING
    assert 0.1 < shape < SHAPE_CEILING


def test_both_solve_what_they_can():
    """With separate intensities, or the same place in every case: neither predictor is a straw man."""
    case = make_case(asymmetric_label(), means=(0, 50, 100))
    for predictor in (
        IntensityThreshold(classes=3),
        IntensityThreshold(classes=3, class_prior=False),
        *(MeanShapePrior(classes=3, rule=rule) for rule in MeanShapePrior.RULES),
    ):
        assert np.array_equal(predictor.fit([case, case]).predict(case), case.label)


def test_intensity_follows_bayes_rule_at_the_crossing():
    """Equal sd: without a prior the boundary is half way; with one the frequent class gains."""
    rng = np.random.default_rng(1)
    label = (np.arange(100_000) % 10 == 0).astype(np.int64).reshape(100, 100, 10)
    image = (10.0 * label + rng.normal(0, 4, label.shape)).astype(np.float32)
    probe = np.linspace(0, 10, 1001, dtype=np.float32)
    query = Case(probe[None], np.zeros(1001, np.int64), np.eye(4))
    for prior, crossing in ((False, 5.0), (True, 5 + 16 * np.log(9) / 10)):
        predictor = IntensityThreshold(classes=2, class_prior=prior).fit(
            [Case(image[None], label, np.eye(4))]
        )
        assert probe[predictor.predict(query).argmax()] == pytest.approx(crossing, abs=0.15)


def test_channels_are_used_together():
    label = np.arange(4).reshape(2, 2).repeat(20, 0).repeat(20, 1)
    rng = np.random.default_rng(0)
    image = np.stack([label // 2, label % 2]) * 10.0 + rng.normal(0, 1, (2, 40, 40))
    case = Case(image.astype(np.float32), label, np.eye(4))
    prediction = IntensityThreshold(classes=4).fit([case]).predict(case)
    assert np.mean(prediction == label) > 0.99


@pytest.mark.parametrize("axes", [(0, 1, 2), (2, 0, 1), (1, 2, 0), (1, 0, 2)])
@pytest.mark.parametrize("flip", [(), (0,), (0, 1), (2,)])
def test_prior_lands_in_the_volumes_own_orientation(axes, flip):
    """Fitted on RAS+, applied to the same anatomy stored with other axes."""
    label = asymmetric_label()
    prior = MeanShapePrior(classes=3).fit([make_case(label, means=(0, 50, 100))])
    orientation = np.array([[axes[i], -1 if i in flip else 1] for i in range(3)], float)
    stored = nib.orientations.apply_orientation(label, orientation)
    affine = nib.orientations.inv_ornt_aff(orientation, label.shape)
    assert np.array_equal(prior.predict(Case(stored[None], stored, affine)), stored)


def test_prior_scales_with_the_volume():
    label = asymmetric_label()
    prior = MeanShapePrior(classes=3).fit([make_case(label, means=(0, 50, 100))])
    large = label.repeat(2, 0).repeat(3, 1)
    assert np.array_equal(prior.predict(Case(large[None], large, np.eye(4))), large)


def test_rules_of_the_prior():
    """Frequencies of one voxel each: (background, class 1, class 2)."""
    rows = {(10, 0, 0): (0, 0, 0), (6, 4, 0): (0, 0, 1), (4, 3, 3): (0, 1, 2), (2, 8, 0): (1, 1, 1)}
    columns = [np.repeat([0, 1, 2], row) for row in rows]
    labels = np.stack(columns, axis=1)[:, :, None, None]  # ten cases of four voxels
    cases = [Case(label[None].astype(np.float32), label, np.eye(4)) for label in labels]
    for number, rule in enumerate(MeanShapePrior.RULES):
        found = MeanShapePrior(classes=3, rule=rule).fit(cases).predict(cases[0])[:, 0, 0]
        assert found.tolist() == [expected[number] for expected in rows.values()], rule


def test_dice_by_hand():
    reference = np.array([0, 1, 1, 2, 2, 2])
    prediction = np.array([0, 1, 2, 2, 2, 0])
    dice = dice_per_class(prediction, reference, classes=5)
    assert dice[:2] == pytest.approx([2 / 3, 2 * 2 / 6])
    assert np.isnan(dice[2:]).all()
    assert dice_per_class(np.array([3]), np.array([0]), classes=4)[2] == 0
    assert mean_dice(np.array([[1.0, np.nan], [0.0, np.nan]])) == 0.5
    assert mean_dice(np.array([[1.0, 0.2], [np.nan, 0.4]])) == pytest.approx((1 + 0.3) / 2)
    assert np.isnan(mean_dice(np.full((2, 3), np.nan)))


def test_dice_of_nested_regions_by_hand():
    prediction, reference = np.array([1, 3, 2, 2, 0]), np.array([1, 2, 2, 1, 3])
    found = dice_per_region(prediction, reference, nested=[1, 3, 2])
    assert found.tolist() == [2 * 4 / 9, 2 * 2 / 6, 2 * 1 / 4]
    nothing = dice_per_region(np.zeros(3, int), np.array([0, 1, 1]), nested=[1, 2])
    assert nothing[0] == 0
    assert np.isnan(nothing[1])


def test_predictions_have_each_cases_own_grid(folder):
    cases = list(LabelledData(folder, section="validation").scored())
    for predict in (mean_shape_prior, intensity_threshold):
        maps = predict(folder, limit=2)
        assert [m.shape for m in maps] == [case.label.shape for case in cases]
    assert not np.array_equal(mean_shape_prior(folder, limit=2)[0], mean_shape_prior(folder, limit=5)[0])


def test_fewer_classes(folder):
    """Organs from 7 on become background on request, and never otherwise."""
    fewer = {value: 0 for value in range(7, 12)}
    assert max(m.max() for m in mean_shape_prior(folder, label_map=fewer)) == 6
    assert all(table.shape == (3, 6) for table in baseline_dice(folder, limit=1, label_map=fewer).values())
    with pytest.raises(
        InputError, match=r"has values {7, 8, 9, 10, 11}; expected 0 to 6 \(K = 7\): give  --cl"
    ):
        mean_shape_prior(folder, classes=7)


def test_pictures_with_three_channels(tmp_path):
    rng = np.random.default_rng(0)
    entries = []
    for number in range(3):
        label = np.zeros((24, 32), np.uint8)
        label[4 + number : 14, 5:20] = 1
        image = np.clip(label[..., None] * (120, 60, 30) + rng.normal(40, 5, (24, 32, 3)), 0, 255)
        entries.append({"image": f"i{number}.png", "label": f"l{number}.png"})
        Image.fromarray(image.astype(np.uint8)).save(tmp_path / entries[-1]["image"])
        Image.fromarray(label).save(tmp_path / entries[-1]["label"])
    lists = {"training": entries[:2], "test": entries[2:]}
    (tmp_path / "dataset.json").write_text(json.dumps({"labels": {"0": "background", "1": "disc"}, **lists}))
    scores = baseline_dice(tmp_path, section="test")
    assert scores["intensity, class prior"][0, 0] > 0.97
    assert scores["mean shape, argmax"][0, 0] > 0.8


def _without(key):
    return lambda dataset: dataset.pop(key)


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (_without("validation"), r"too few labelled cases \(1\) to hold out"),
        (_without("labels"), "no 'labels'"),
        (lambda d: d["validation"][0].pop("label"), r"validation\[0\] has no label.*--section"),
        (lambda d: d["validation"][0].update(image="gone.nii.gz"), r"validation\[0\].image = .* is missing"),
        (
            lambda d: d["training"][0].update(label=["a", "b"]),
            r"training\[0\].label = .* the path of one file",
        ),
    ],
)
def test_bad_data_sets(tmp_path, damage, message):
    small = abdomen.make(
        tmp_path / "a", training=1, validation=1, test=0, shape=(20, 20, 9), spacing=(18, 18, 24)
    )
    path = tmp_path / "a" / "dataset.json"
    dataset = json.loads(path.read_text())
    damage(dataset)
    path.write_text(json.dumps(dataset))
    with pytest.raises(InputError, match=message):
        mean_shape_prior(small)


def test_a_list_that_is_not_there(folder):
    with pytest.raises(InputError, match=r"'rest' is empty or not there; choose another with --section \(tr"):
        intensity_threshold(folder, section="rest")


def test_command(folder):
    command = [
        sys.executable,
        "-m",
        "common.evaluation.baselines",
        folder,
        "--section",
        "test",
        "--limit",
        "2",
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    lines = done.stdout.splitlines()
    assert [line.split(",")[0] for line in lines[1:]] == ["intensity"] * 2 + ["mean shape"] * 3
    assert len(lines[1].split()) == 3 + 1 + 11  # name, mean, classes


def test_missing_folder(tmp_path):
    with pytest.raises(InputError, match="no such folder") as error:
        baseline_dice(tmp_path / "none")
    assert "\n" not in str(error.value)
