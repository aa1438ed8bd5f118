"""Means over weights files of one network."""

from __future__ import annotations

import pytest
import torch
from monai.engines import SupervisedEvaluator

from common.checkpoints.store import save_state
from common.errors import InputError
from common.inference.ensemble import MeanNetwork, WeightsEnsembleInferer
from common.inference.even_windows import EvenWindowInferer
from common.inference.sliding_window import ProbabilityWindowInferer
from common.inference.streamed_argmax import streamed_argmax
from common.training.weights import StrictCheckpointLoader


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


@pytest.mark.parametrize("sigmoid", [False, True])
def test_networks_at_once_are_the_same_mean(files, sigmoid):
    network, window = Point(99), ProbabilityWindowInferer((4, 4, 4), sigmoid=sigmoid, overlap=0.5)
    options = {"bundle": "cotr", "sigmoid": sigmoid}
    with torch.no_grad():
        one_by_one = WeightsEnsembleInferer(window, files, **options)(IMAGE, network)
        inferer = WeightsEnsembleInferer(window, files, at_once=True, **options)
        torch.testing.assert_close(inferer(IMAGE, network), one_by_one)
        torch.testing.assert_close(inferer(IMAGE, network), one_by_one)
        far = MeanNetwork(network, files, **options)(1e3 * IMAGE)
    assert torch.isfinite(far).all()


def test_labels_are_averaged_by_networks_at_once_alone(files):
    def labels(image, network):
        return streamed_argmax(image[:1], network, (4, 4, 4))

    with torch.no_grad():
        found = WeightsEnsembleInferer(labels, files, bundle="cotr", at_once=True)(IMAGE, Point())
        expected = WeightsEnsembleInferer(EvenWindowInferer((4, 4, 4)), files, bundle="cotr")(IMAGE, Point())
        assert torch.equal(found[0, 0], expected[0].argmax(0).to(torch.uint8))
        with pytest.raises(ValueError, match=r"gives torch.uint8, no probabilities .* use at_once"):
            WeightsEnsembleInferer(labels, files, bundle="cotr")(IMAGE, Point())


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
