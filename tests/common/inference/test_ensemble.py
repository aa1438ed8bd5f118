"""Means over networks: of one plan, and of plans with different spacings."""

from __future__ import annotations

import pytest
import torch
from monai.data import MetaTensor
from monai.engines import SupervisedEvaluator
from monai.transforms import Compose, LoadImaged, SaveImage

from common.checkpoints.store import save_state
from common.errors import InputError
from common.inference.decision import DecideOnOwnGridd, decide_on_own_grid
from common.inference.ensemble import Setting, SettingsVoted, WeightsEnsembleInferer
from common.inference.own_grid import own_grid
from common.inference.sliding_window import ProbabilityWindowInferer
from common.training.weights import StrictCheckpointLoader
from tests.common.inference.scans import affine_of, preprocessing, scan


class Point(torch.nn.Module):
    """Three classes from each voxel's value."""

    def __init__(self, seed: int = 0, classes: int = 3) -> None:
        super().__init__()
        torch.manual_seed(seed)
        self.layer = torch.nn.Conv3d(1, classes, 1)
        torch.nn.init.normal_(self.layer.weight, std=4.0)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.layer(x)


@pytest.fixture
def files(tmp_path):
    paths = [tmp_path / f"fold_{seed}" / "model.pt" for seed in range(3)]
    for seed, path in enumerate(paths):
        path.parent.mkdir()
        save_state(Point(seed), path)
    return paths


WINDOW = ProbabilityWindowInferer((4, 4, 4), overlap=0.5, mode="gaussian")
IMAGE = torch.randn((2, 1, 6, 5, 7), generator=torch.Generator().manual_seed(7))


def ensemble(files) -> torch.Tensor:
    with torch.no_grad():
        return WeightsEnsembleInferer(WINDOW, files, bundle="cotr")(IMAGE, Point(99))


def alone(seed: int) -> torch.Tensor:
    with torch.no_grad():
        return WINDOW(IMAGE, Point(seed))


def test_mean_of_class_probabilities(files):
    expected = (alone(0) + alone(1) + alone(2)) / 3
    torch.testing.assert_close(ensemble(files), expected)
    assert not torch.allclose(expected, alone(0), atol=0.01)


def test_one_file_is_the_network_as_it_is():
    assert torch.equal(ensemble(["nowhere/model.pt"]), alone(99))


def test_a_network_twice_is_that_network(files):
    assert torch.equal(ensemble([files[1], files[1]]), alone(1))


def test_the_order_does_not_matter(files):
    torch.testing.assert_close(ensemble(files), ensemble(files[::-1]))


def test_loader_proves_that_each_fold_fits_and_says_which_are_averaged(files, capsys):
    network = Point(99)
    StrictCheckpointLoader(network, files[:2], bundle="cotr")(None)
    assert f"averaging 2 folds: {files[0].parent}, {files[1].parent}" in capsys.readouterr().out
    StrictCheckpointLoader(network, files[0], bundle="cotr")(None)
    assert "averaging" not in capsys.readouterr().out
    assert torch.equal(network.layer.weight, Point(0).layer.weight)
    save_state(Point(2, classes=4), files[2])
    with pytest.raises(InputError, match=r"fold_2/model.pt: the weights do not fit.*layer.weight \(4, 1"):
        StrictCheckpointLoader(network, files, bundle="cotr")(None)


def test_in_an_evaluator(files):
    network = Point(99)
    case = [{"image": IMAGE[:1], "label": IMAGE[:1]}]
    evaluator = SupervisedEvaluator(
        device=torch.device("cpu"),
        val_data_loader=case,
        network=network,
        inferer=WeightsEnsembleInferer(WINDOW, files[:2], bundle="cotr"),
        val_handlers=[StrictCheckpointLoader(network, files[:2], bundle="cotr")],
        decollate=False,
    )
    evaluator.run()
    expected = (alone(0) + alone(1))[:1] / 2
    torch.testing.assert_close(torch.as_tensor(evaluator.state.output["pred"]), expected)


SHAPE = (14, 12, 10)


@pytest.fixture
def setting(tmp_path, files):
    """A function that makes a setting of its own spacing, and the scan's file."""
    image = scan(SHAPE, affine_of("LPS", SHAPE, (2.0, 2.0, 3.0)))
    path = tmp_path / "a scan.nii.gz"
    SaveImage(output_ext=".nii.gz", separate_folder=False, print_log=False)(
        image, filename=tmp_path / "a scan"
    )
    load = LoadImaged("image", ensure_channel_first=True)

    def make(spacing, chosen=files[:1]):
        steps = Compose([load, *preprocessing(spacing).transforms])
        return Setting(
            "a", Point(99), chosen, preprocessing=steps, inferer=WINDOW, bundle="cotr", device="cpu"
        )

    return make, path


def test_settings_of_different_spacing_meet_on_the_scans_own_grid(setting, files):
    make, path = setting
    fine, coarse = make((1.5, 2.0, 2.0)), make((4.0, 3.0, 3.0), files[1:])
    votes = [one.vote(path) for one in (fine, coarse)]
    assert votes[0].probabilities.shape[1:] != votes[1].probabilities.shape[1:]
    image = fine.preprocessing({"image": path})["image"]
    case = {"image": image, "pred": MetaTensor(votes[0].probabilities)}
    case = SettingsVoted("image", [coarse])(case)
    assert len(case["further"]) == 1
    decided = DecideOnOwnGridd("pred")(case)["pred"]
    expected = decide_on_own_grid(votes[0].probabilities, own_grid(image), further=votes[1:])
    assert decided.shape == (1, *SHAPE)
    assert torch.equal(torch.as_tensor(decided[0]), expected)
    for vote in votes:
        other = decide_on_own_grid(vote.probabilities, vote.grid)
        share = (other != expected).float().mean()
        assert 0.01 < share < 0.9, "each has a say"
    torch.testing.assert_close(coarse.vote(path).probabilities, votes[1].probabilities)
