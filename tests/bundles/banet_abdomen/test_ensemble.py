"""Which networks answer for a scan, and their mean: banet_abdomen/docs/method.md#ensemble."""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
import torch
from monai.transforms import Compose, EnsureChannelFirstd, LoadImaged

import common  # noqa: F401 (makes bundles importable)
from banet_abdomen.ensemble import Models, ModelsVoted, prepared_by
from common.bundles import parse_config
from common.datasets import images_to_predict
from common.errors import InputError
from common.inference.boundaries import BoundaryWindowInferer
from common.inference.decision import DecideOnOwnGridd, mean_on_own_grid
from common.inference.own_grid import own_grid
from common.networks.plain_unet.network import PlainUNet

CT = {"scheme": "ct", "clip": [-200, 300], "mean": 50.0, "sd": 100.0}
PLANS = {
    "full": {"modality": "CT", "spacing": [2.0, 1.0, 1.0], "intensity": [CT]},
    "low_resolution": {"modality": "CT", "spacing": [3.0, 2.0, 2.0], "intensity": [CT]},
    "joint": {
        "spacing": {"CT": [2.0, 1.0, 1.0], "MR": [2.0, 1.5, 1.5]},
        "intensity": {"CT": [CT], "MR": [{"scheme": "zscore"}]},
    },
    "plain_mr": {"modality": "MR", "spacing": [2.0, 1.5, 1.5], "intensity": [{"scheme": "zscore"}]},
}
AVERAGE = {"CT": ["full", "low_resolution"], "MR": ["joint", "plain_mr"]}


def network(seed: int, classes: int = 3) -> PlainUNet:
    torch.manual_seed(seed)
    return PlainUNet(1, classes, widths=(2, 4), kernels=(3, 3), strides=(2,))


def train(folder: Path, name: str, seed: int, classes: int = 3, **of_plan) -> None:
    """Weights and plan, as a training leaves them."""
    folder.mkdir(parents=True, exist_ok=True)
    torch.save(network(seed, classes).state_dict(), folder / "model.pt")
    plan = {**PLANS[name], "labels": {}, "patch_size": [8, 8, 8], "mirror_axes": [0], **of_plan}
    (folder / "plan.json").write_text(json.dumps(plan))


PUBLISHED = {**PLANS["full"], "labels": {}, "patch_size": [8, 8, 8], "mirror_axes": []}


def models_in(root: Path, **given) -> Models:
    settings = {
        name: {
            "weights": (root if name == "full" else root / name) / "model.pt",
            "network": partial(network, 99),
            "default_plan": PUBLISHED if name == "full" else None,
        }
        for name in PLANS
    }
    inferer = partial(BoundaryWindowInferer, overlap=0.5)
    return Models(settings, given.pop("average", AVERAGE), inferer=inferer, bundle="banet_abdomen", **given)


@pytest.fixture
def scan(tmp_path) -> Path:
    values = np.random.default_rng(0).integers(-300, 400, (14, 12, 10)).astype(np.int16)
    file = tmp_path / "scans" / "a.nii.gz"
    file.parent.mkdir()
    nib.save(nib.Nifti1Image(values, np.diag([1.2, 1.1, 2.5, 1.0])), file)
    return file


def case_of(scan: Path, modality: str | None = None) -> dict:
    case = Compose([LoadImaged("image"), EnsureChannelFirstd("image")])({"image": str(scan)})
    case["pred"] = case["image"][:0]
    return case if modality is None else {**case, "modality": modality}


def probabilities(scan: Path, name: str, seeds: list[int], modality: str) -> torch.Tensor:
    """The mean over networks of one plan, on the scan's own grid, (K, *T)."""
    plan = {**PLANS[name], "patch_size": [8, 8, 8]}
    image = prepared_by(plan)({"image": str(scan), "modality": modality})["image"]
    window = BoundaryWindowInferer([8, 8, 8], overlap=0.5, mirror_axes=[0])
    with torch.no_grad():
        found = [window(image.as_tensor()[None], network(seed).eval())[0] for seed in seeds]
    grid = own_grid(image)
    mean = torch.zeros(3, *grid.shape)
    for voxels, values in mean_on_own_grid(sum(found) / len(found), grid):
        mean[(slice(None), *voxels)] = values
    return mean


def train_all(root: Path) -> None:
    train(root / "fold_0", "full", 1)
    train(root / "fold_1", "full", 2)
    for name, seed in (("low_resolution", 3), ("joint", 4), ("plain_mr", 5)):
        train(root / name, name, seed)


@pytest.mark.parametrize(
    ("modality", "networks"),
    [("CT", {"full": [1, 2], "low_resolution": [3]}), ("mr", {"joint": [4], "plain_mr": [5]})],
)
def test_networks_of_a_modality_are_averaged_on_the_scans_own_grid(scan, tmp_path, modality, networks):
    """Each the mean of its folds, then both with the same weight."""
    train_all(tmp_path / "models")
    voted = ModelsVoted("pred", models_in(tmp_path / "models"))(case_of(scan, modality))
    decided = DecideOnOwnGridd("pred")(voted)["pred"]
    of_each = [probabilities(scan, name, seeds, modality) for name, seeds in networks.items()]
    mean = sum(of_each) / len(of_each)
    assert decided.shape == (1, 14, 12, 10)
    assert torch.equal(decided[0].long(), mean.argmax(0))
    assert any(not torch.equal(decided[0].long(), one.argmax(0)) for one in of_each)
    assert np.allclose(decided.affine, nib.load(scan).affine)


def test_what_a_program_predicted_with_the_network_counts_as_full_resolution(scan, tmp_path):
    """As MONAI Label does: it is not predicted again."""
    train_all(tmp_path / "models")
    plan = {**PLANS["full"], "patch_size": [8, 8, 8]}
    image = prepared_by(plan)({"image": str(scan)})["image"]
    given = torch.zeros(3, *image.shape[1:])
    given[2] = 1.0
    voted = ModelsVoted("pred", models_in(tmp_path / "models"))(
        {"image": image, "pred": given, "modality": "CT"}
    )
    assert voted["pred"] is given
    (vote,) = voted["further"]
    assert vote.probabilities.shape[1:] != given.shape[1:], "that of low resolution"


def test_it_says_what_is_averaged_and_needs_something(tmp_path, capsys):
    root = tmp_path / "models"
    with pytest.raises(InputError, match=r"models/model\.pt: no weights yet. Train"):
        models_in(root).require()
    train(root, "full", 1)
    with pytest.raises(InputError, match=r"average: no weights of joint \(.*models/joint\): train them"):
        models_in(root, average={"MR": ["joint"]}).require()
    (root / "model.pt").unlink()
    train_all(root)
    models_in(root).require()
    told = capsys.readouterr()
    lines = [line for line in (told.out + told.err).splitlines() if line.startswith(("CT: ", "MR: "))]
    assert lines[0].startswith("CT: mean of full (2 folds: ")
    assert "low_resolution (" in lines[0]
    assert lines[1].startswith("MR: mean of joint (")
    assert "plain_mr (" in lines[1]


def test_scans_are_refused_that_no_network_takes(scan, tmp_path):
    """By the modality of the entry, or the one given for a folder."""
    root = tmp_path / "models"
    train(root, "full", 1)
    ct_only = models_in(root)
    assert len(images_to_predict(scan.parent, channels=1, plan=ct_only.plan)) == 1
    with pytest.raises(InputError, match="its modality is MR; the weights were trained on CT"):
        images_to_predict(scan.parent, channels=1, plan=ct_only.plan, modality="MR")
    train(root / "plain_mr", "plain_mr", 5)
    both = models_in(root)
    with pytest.raises(InputError, match=r"a\.nii\.gz: nothing says of which modality it is"):
        ModelsVoted("pred", both)(case_of(scan))
    with pytest.raises(InputError, match=r"nothing says of which modality it is; .*--modality"):
        images_to_predict(scan.parent, channels=1, plan=both.plan)
    (case,) = images_to_predict(scan.parent, channels=1, plan=both.plan, modality="MR")
    assert case["modality"] == "MR"


def test_one_network_may_be_asked_for(scan, tmp_path):
    """Joint weights answer for CT if they are named; what is not asked for is not read."""
    root = tmp_path / "models"
    train(root / "joint", "joint", 4)
    train(root / "plain_mr", "plain_mr", 5, classes=7)
    models = models_in(root, average={"ct": ["joint"]})
    assert [model.name for model in models.of("CT")] == ["joint"]
    voted = ModelsVoted("pred", models)(case_of(scan))
    assert voted["further"] == []
    with pytest.raises(InputError, match="no setting 'both'; expected full, low_resolution, joint, plain_mr"):
        models_in(root, average={"CT": ["both"]})


def test_folds_are_asked_for_where_a_setting_has_both(tmp_path):
    root = tmp_path / "models"
    train_all(root)
    train(root, "full", 6)

    def files(**given):
        found = models_in(root, **given).found
        return {name: [str(file.relative_to(root)) for file in model.files] for name, model in found.items()}

    assert files()["full"] == ["model.pt"]
    asked = files(ensemble="folds")
    assert asked["full"] == ["fold_0/model.pt", "fold_1/model.pt"]
    assert asked["low_resolution"] == ["low_resolution/model.pt"], "it has no folds"
    listed = files(ensemble=[root / "fold_1/model.pt"])
    assert listed["full"] == ["fold_1/model.pt"]
    assert listed["low_resolution"] == ["low_resolution/model.pt"]
    with pytest.raises(InputError, match=r"""ensemble = 'fold'; expected "folds", or a list"""):
        models_in(root, ensemble="fold")


def test_weights_of_full_resolution_may_lie_elsewhere(tmp_path):
    """The class names are those of the weights, too, whichever there are."""
    low, own = tmp_path / "models" / "low_resolution", tmp_path / "mine"
    train(low, "low_resolution", 3, labels={"0": "background", "1": "liver", "2": "tumour"})
    train(own, "full", 1, labels={"0": "background", "1": "liver", "2": "lesion"})
    small = {
        "_target_": "common.networks.plain_unet.network.PlainUNet",
        "in_channels": 1,
        "out_channels": 3,
        "widths": [2, 4],
        "kernels": [3, 3],
        "strides": [2],
    }
    given = {"ckpt_dir": str(low.parent), "num_classes": 3, "network_def": small}
    given["settings#low_resolution#network"] = {**small, "_mode_": "callable"}
    parser = parse_config("banet_abdomen", "inference", **given)
    assert parser.get_parsed_content("names") == {1: "liver", 2: "tumour"}
    parser = parse_config("banet_abdomen", "inference", ckpt_path=str(own / "model.pt"), **given)
    found = parser.get_parsed_content("models").found
    assert found["full"].files == [own / "model.pt"]
    assert parser.get_parsed_content("names") == {1: "liver", 2: "lesion"}


def test_other_names_of_a_label_are_told(tmp_path, caplog):
    """Two trainings that number their organs differently would be averaged into nonsense."""
    root = tmp_path / "models"
    train(root, "full", 1, labels={"0": "background", "1": "liver", "2": "spleen"})
    train(root / "low_resolution", "low_resolution", 3, labels={"0": "nothing", "1": "liver"})
    models_in(root)
    assert "averaged by their numbers" not in caplog.text
    train(root / "low_resolution", "low_resolution", 3, labels={"1": "spleen", "2": "liver"})
    models_in(root)
    assert "CT: label 1 is liver in" in caplog.text


def test_a_modality_of_another_name_has_to_be_asked_for(tmp_path):
    root = tmp_path / "models"
    train(root, "plain_mr", 1, modality="MRI")
    with pytest.raises(InputError, match=r"models/model\.pt was trained on MRI: .*\{'MRI': \['full'\]\}"):
        models_in(root).require()
    models_in(root, average={"MRI": ["full"]}).require()


def test_weights_that_do_not_fit_are_named(tmp_path):
    root = tmp_path / "models"
    train(root / "fold_0", "full", 1)
    train(root / "fold_1", "full", 2, classes=4)
    with pytest.raises(InputError, match=r"fold_1/model\.pt"):
        models_in(root)
    train(root / "fold_1", "full", 2)
    train(root / "low_resolution", "low_resolution", 3)
    (root / "low_resolution" / "plan.json").unlink()
    with pytest.raises(InputError, match=r"low_resolution/model\.pt: comes with no plan\.json beside it"):
        models_in(root)


def test_a_scan_is_prepared_as_in_the_training(scan):
    plan = {**PLANS["full"], "labels": {}, "patch_size": [8, 8, 8], "mirror_axes": []}
    parser = parse_config("banet_abdomen", "inference", plan=plan)
    expected = parser.get_parsed_content("preprocessing")({"image": str(scan)})["image"]
    found = prepared_by(plan)({"image": str(scan)})["image"]
    assert torch.equal(found, expected)
    assert torch.equal(found.affine, expected.affine)


def test_weights_without_a_plan_need_the_published_one_to_be_asked_for(tmp_path):
    train(tmp_path, "full", seed=0)
    (tmp_path / "plan.json").unlink()
    with pytest.raises(InputError, match=r"model\.pt: comes with no plan.*--plan published"):
        models_in(tmp_path)
    assert models_in(tmp_path, published=True).plan["intensity"] == PUBLISHED["intensity"]
