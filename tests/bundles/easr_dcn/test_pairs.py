"""From a pair's files to channels, and from a displacement to files."""

from __future__ import annotations

import json

import nibabel as nib
import numpy as np
import pytest
import torch
from monai.data import DataLoader, Dataset, MetaTensor
from monai.transforms import (
    Compose,
    EnsureChannelFirstd,
    LoadImaged,
    Orientationd,
    ResampleToMatchd,
    ScaleIntensityd,
)
from PIL import Image

import common  # noqa: F401 (makes bundles importable)
from common.errors import InputError
from common.phantoms import brain_pair
from common.registration.field_file import read_field
from common.registration.jacobian import folded_share
from common.registration.world import displacement_in_voxels, warp_in_world
from easr_dcn.data import check_folder, pair_datalist, pairs_to_register, structures
from easr_dcn.losses import RegistrationLoss, StructureOverlapLoss
from easr_dcn.metrics import (
    AverageHausdorffDistance,
    Correlation,
    FoldedShare,
    MaximumHausdorffDistance,
    StructureDice,
)
from easr_dcn.pairs import PairChannelsd, PreparePair, RandSwapd, WarpPaird
from easr_dcn.writing import WritePaird

ROLES = ("moving", "fixed")
LABELS = ("moving_label", "fixed_label")


def reading(labels: bool) -> Compose:
    keys = [*ROLES, *(LABELS if labels else ())]
    return Compose(
        [
            LoadImaged(keys, allow_missing_keys=True),
            EnsureChannelFirstd(keys, allow_missing_keys=True),
            Orientationd(keys, axcodes="RAS", labels=None, allow_missing_keys=True),
            ResampleToMatchd("moving", "fixed"),
            ScaleIntensityd(ROLES),
            PairChannelsd(),
        ]
    )


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return brain_pair.make(tmp_path_factory.mktemp("pairs") / "phantom", training=2, validation=1, test=1)


@pytest.fixture(scope="module")
def case(folder):
    return reading(labels=True)(pair_datalist(folder)["test"][0])


def true_field(folder, case, entry):
    """The known field in voxels of the network's grid (axes R, A, S; the file's axes are L, A, S)."""
    world, affine = read_field(entry["field"])
    field = torch.from_numpy(world).movedim(-1, 0).float().flip(1)[None]
    assert affine[0, 0] < 0 < float(case["image"].affine[0, 0])
    return displacement_in_voxels(field, case["image"].affine)[0]


def test_channels(case):
    assert case["image"].shape == (2, 32, 48, 32)
    assert case["image"].amin() == 0
    assert case["image"].amax() == 1
    assert case["label"].dtype == torch.uint8
    assert case["label"].unique().tolist() == list(range(7))
    assert (
        case["image"]
        .meta["filename_or_obj"]
        .endswith("/brain_pair_test_000_moving.nii.gz to brain_pair_test_000_fixed.nii.gz")
    )
    assert not {*ROLES, *LABELS} & case.keys()


def test_without_labels_the_label_channels_are_zero(folder):
    pair = pair_datalist(folder)["test"][0]
    bare = reading(labels=True)({key: pair[key] for key in ROLES})
    assert not bare["label"].any()
    assert bare["label"].shape == bare["image"].shape
    unread = reading(labels=False)({key: pair[key] for key in (*ROLES, *LABELS)})
    assert unread["moving_label_file"] == pair["moving_label"]


def test_swap(case):
    always, never = RandSwapd(1.0)(case), RandSwapd(0.0)(case)
    for key in ("image", "label"):
        assert torch.equal(always[key][0], case[key][1])
        assert torch.equal(always[key][1], case[key][0])
        assert torch.equal(never[key], case[key])
    swap = RandSwapd().set_random_state(0)
    first = [bool(torch.equal(swap(case)["image"], case["image"])) for _ in range(20)]
    swap.set_random_state(0)
    again = [bool(torch.equal(swap(case)["image"], case["image"])) for _ in range(20)]
    assert first == again
    assert 4 < sum(first) < 16


def test_true_field_is_better_by_every_measure(folder, case):
    """By loss, correlation and label overlap; so loss and metrics have the right direction."""
    entry = pair_datalist(folder)["test"][0]
    field = true_field(folder, case, entry)
    scores = {}
    for name, pred in (("none", torch.zeros_like(field)), ("true", field), ("wrong", -field)):
        batch = next(iter(DataLoader(Dataset([case]), batch_size=1)))
        _, target = PreparePair()(batch, "cpu")
        assert target.shape == (1, 4, 32, 48, 32)
        done = WarpPaird()({**case, "pred": pred})
        ncc, folds = Correlation(), FoldedShare()
        ncc(done["warped"][None], done["fixed"][None])
        folds(pred[None])
        scores[name] = {
            "loss": RegistrationLoss(smoothness_weight=0.0)(pred[None], target).item(),
            "weak": StructureOverlapLoss()(pred[None], target[:, 2:3], target[:, 3:]).item(),
            "hard": (done["warped_label"] != done["fixed_label"]).float().mean().item(),
            "unlike": 1 - ncc.aggregate().item(),
        }
        assert folds.aggregate() == 0
    for measure in scores["none"]:
        assert scores["true"][measure] < 0.8 * scores["none"][measure] < scores["wrong"][measure], measure


def test_surface_distance_of_a_shifted_structure_is_the_shift(case):
    """In mm: a plate moved by two voxels of 3 mm, and one that is absent."""
    one, other = torch.zeros(1, 1, 6, 20, 6), torch.zeros(1, 1, 6, 20, 6)
    one[:, :, :, 4], other[:, :, :, 6] = 1, 1
    metric = AverageHausdorffDistance(3)
    metric(one, [MetaTensor(other[0], affine=torch.diag(torch.tensor([1.0, 3.0, 2.0, 1.0])))])
    assert metric.get_buffer()[0, 0].item() == pytest.approx(6.0)
    assert metric.get_buffer()[0, 1].isnan()
    other[:, :, :, 14] = 1  # the farthest point is ten planes away, and the average counts it
    farthest = MaximumHausdorffDistance(3)
    farthest(one, [MetaTensor(other[0], affine=torch.diag(torch.tensor([1.0, 3.0, 2.0, 1.0])))])
    assert farthest.get_buffer()[0, 0].item() == pytest.approx(30.0)
    assert farthest.get_buffer()[0, 1].isnan()
    pair = WarpPaird()({**case, "pred": torch.zeros(3, 32, 48, 32)})
    assert pair["fixed_label"].pixdim.tolist() == pytest.approx([5.0, 4.0, 4.5])


def test_dice_of_a_structure_in_neither_map():
    """Left out, or 0 as in the published program."""
    one = torch.tensor([0.0, 1, 1, 0]).reshape(1, 1, 4)
    for absent, expected in (("nan", 1.0), (0, 0.5)):
        metric = StructureDice(3, absent=absent)
        metric(one, one)
        assert metric.aggregate().item() == expected


def test_folds_at_the_border_count_as_simpleitk_counts_them():
    """phi = -1.5 x between the last two voxels: det -0.5 by one-sided differences, 0.25 by SimpleITK's."""
    field = torch.zeros(1, 3, 4, 4, 4)
    field[:, 0, 3] = -1.5
    metric = FoldedShare()
    metric(field, field)
    assert metric.aggregate() == 0
    assert folded_share(field).item() == 0.25


def test_weights_of_the_loss(case):
    target = torch.cat([case["image"], case["label"].float()])[None].as_tensor()
    field = torch.randn(1, 3, 32, 48, 32, generator=torch.Generator().manual_seed(0))
    plain, smooth, weak = (
        RegistrationLoss(**weights)(field, target).item()
        for weights in (
            {"smoothness_weight": 0.0},
            {"smoothness_weight": 2.0},
            {"smoothness_weight": 0.0, "overlap_weight": 1.0},
        )
    )
    assert smooth - plain == pytest.approx(4.0, rel=0.01)  # differences of unit noise have the variance 2
    assert weak - plain == pytest.approx(
        StructureOverlapLoss()(field, target[:, 2:3], target[:, 3:]).item(), rel=1e-4
    )
    assert StructureOverlapLoss()(field, target[:, 2:3], 0 * target[:, 2:3]).item() == pytest.approx(1)
    assert StructureOverlapLoss()(field, 0 * target[:, :1], 0 * target[:, :1]) == 0


@pytest.mark.parametrize("how", ["one grid", "another grid"])
def test_files(folder, tmp_path, how):
    """Resampling the moving file with the field file gives the warped file, for labels too."""
    entry = dict(pair_datalist(folder)["test"][0])
    if how == "another grid":  # the fixed scan with permuted axes and cropped, as from another source
        nifti = nib.load(entry["fixed"])
        turned = nifti.as_reoriented([[1, -1], [2, 1], [0, 1]]).slicer[2:, :, 1:]
        entry["fixed"] = str(tmp_path / "other.nii.gz")
        nib.save(turned, entry["fixed"])
    case = reading(labels=False)({key: entry[key] for key in (*ROLES, "moving_label")})
    bend = torch.linspace(0, 3, case["image"].shape[2])[None, :, None]
    field = torch.stack([bend.expand(case["image"].shape[1:]) * s for s in (0.5, -1.0, 0.3)])
    out = tmp_path / "out"
    out.mkdir()
    WritePaird(out)({**case, "pred": field})
    (warped,) = out.glob("*_warped.nii.gz")
    stem = str(warped).removesuffix("_warped.nii.gz")
    fixed, moving, label = (nib.load(entry[key]) for key in ("fixed", "moving", "moving_label"))
    written, found_label = nib.load(warped), nib.load(f"{stem}_label.nii.gz")
    world, affine = read_field(f"{stem}_field.nii.gz")
    assert written.shape == found_label.shape == world.shape[:3] == fixed.shape
    for one in (written.affine, found_label.affine, affine):
        np.testing.assert_allclose(one, fixed.affine, atol=1e-4)
    world = torch.from_numpy(world).movedim(-1, 0)[None].double()
    for nifti, file, mode in ((moving, written, "linear"), (label, found_label, "nearest")):
        volume = torch.from_numpy(np.asarray(nifti.dataobj).astype(float).copy())[None, None]
        affines = (torch.from_numpy(nifti.affine), world, torch.from_numpy(fixed.affine))
        again = warp_in_world(volume, *affines, mode=mode)[0, 0].numpy()
        wrong = np.abs(again - np.asarray(file.dataobj)) > 1e-3
        assert wrong.mean() < (
            1e-4 if mode == "linear" else 1e-3
        )  # points half way between two voxels may go either way
    assert found_label.get_data_dtype() == np.uint8
    assert np.abs(np.asarray(written.dataobj) - np.asarray(fixed.dataobj)).mean() > 0.01
    with Image.open(f"{stem}_checkerboard.png") as picture:
        assert len(picture.convert("L").getcolors()) > 30


def test_zero_field_writes_the_moving_scan_bit_for_bit(folder, tmp_path):
    case = reading(labels=False)({key: pair_datalist(folder)["test"][0][key] for key in ROLES})
    WritePaird(tmp_path)({**case, "pred": torch.zeros(3, 32, 48, 32)})
    (warped,) = tmp_path.glob("*_warped.nii.gz")
    assert np.array_equal(nib.load(warped).dataobj, nib.load(case["moving_file"]).dataobj)
    assert not list(tmp_path.glob("*_label.nii.gz"))


@pytest.fixture
def singles(folder, tmp_path):
    """A folder of single scans with a list, for tests to spoil."""
    names = []
    for i, role in enumerate((*ROLES, *ROLES)):
        listed = json.loads((tmp_path.__class__(folder) / "dataset.json").read_text())["training"][i // 2]
        for key, suffix in ((role, ""), (f"{role}_label", "_label")):
            nib.save(nib.load(f"{folder}/{listed[key]}"), tmp_path / f"{'abcd'[i]}{suffix}.nii.gz")
        names.append("abcd"[i])
    entries = [{"image": f"{n}.nii.gz", "label": f"{n}_label.nii.gz"} for n in names]
    description = {"labels": {"0": "background", "1": "cortex"}, "training": entries, "test": ["d.nii.gz"]}
    (tmp_path / "dataset.json").write_text(json.dumps(description))
    return tmp_path


def names_of(pair):
    return "".join(pair[role].split("/")[-1][0] for role in ROLES)


def test_single_scans_are_paired(singles):
    lists = pair_datalist(singles)
    assert [names_of(pair) for pair in lists["training"]] == ["ab", "ac", "bc"]
    assert [names_of(pair) for pair in lists["validation"]] == ["da"]
    assert [names_of(pair) for pair in lists["test"]] == ["da"]
    assert lists["training"].places[2] == "training[1] onto training[2]"
    assert lists["validation"].places == ["training[3]"]
    assert lists["training"][2]["moving_label"] == str(singles / "b_label.nii.gz")
    assert "fixed_label" in lists["test"][0]
    assert "moving_label" not in lists["test"][0]
    assert structures(lists["training"]) == {1: "cortex"}
    assert [names_of(pair) for pair in pairs_to_register(singles)] == ["da"]


def test_folder_without_a_list(singles):
    (singles / "dataset.json").unlink()
    for file in singles.glob("*_label.nii.gz"):
        file.unlink()
    assert [names_of(pair) for pair in pairs_to_register(singles)] == ["ba", "ca", "da"]
    given = pairs_to_register(singles, fixed=singles / "c.nii.gz")
    assert [names_of(pair) for pair in given] == ["ac", "bc", "dc"]


def test_all_faults_are_reported_at_once(singles):
    (singles / "b.nii.gz").unlink()
    (singles / "c.nii.gz").write_bytes(b"no image")
    cases, problems = check_folder(singles)
    assert cases == 5
    assert [line.split()[0] for line in problems] == ["training[1].image", "training[2].image"]
    with pytest.raises(InputError, match="and 1 more"):
        pair_datalist(singles)


@pytest.mark.parametrize(
    ("description", "says"),
    [
        ({"training": [{"moving": "a.nii.gz"}]}, "is no pair"),
        ({"training": [{"image": "a.nii.gz"}]}, r"too few training pairs or scans \(1\) to hold out"),
        ({"training": [{"image": "a.nii.gz"}, {"image": "b.nii.gz"}]}, "training leaves no pair"),
        ({}, "training has no case"),
    ],
)
def test_lists_that_cannot_be_used(singles, description, says):
    (singles / "dataset.json").write_text(json.dumps(description))
    with pytest.raises(InputError, match=says):
        pair_datalist(singles)


def test_nothing_to_register(tmp_path):
    with pytest.raises(InputError, match="nothing to register"):
        pairs_to_register(tmp_path)
    with pytest.raises(InputError, match="no such folder"):
        pairs_to_register(tmp_path / "x")
