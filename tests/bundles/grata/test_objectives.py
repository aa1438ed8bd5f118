"""The six objectives, each as auxiliary and as pseudo objective (grata/docs/method.md#objectives)."""

from __future__ import annotations

from itertools import product

import pytest
import torch
import torch.nn.functional as F

import common  # noqa: F401 (makes bundles importable)
from common.adaptation.affine_norm import OwnStatisticsNorm
from common.errors import InputError
from common.losses.overlap.nested_dice_bce import NestedDiceBCELoss
from grata.branch_training import BranchInferer, JointLoss
from grata.inferer import GradientAlignmentInferer
from grata.network import BRANCHES, GraTaNet
from grata.objectives import OBJECTIVES, branch_loss
from grata.style import min_max
from tests.common.adaptation.small import SmallNetwork, stream
from tests.contract.bundle import ROOT, Bundle, Run, Shell


@pytest.fixture(scope="module")
def network():
    torch.manual_seed(0)
    return GraTaNet(branches=tuple(BRANCHES), widths=(4, 8, 8, 16)).double().eval()


@pytest.fixture(scope="module")
def image():
    """128 pixels: half of them still leave several pixels in the deepest map, whose variance is needed."""
    return stream(1, 128).double()


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def test_image_branches_restore_the_clean_image(network, image):
    noisy = image + 0.1 * torch.randn(image.shape, generator=seeded()).double()
    half = F.interpolate(image, scale_factor=0.5, mode="bilinear", align_corners=True)
    for name, given in (("reconstruction", image), ("denoising", noisy), ("super_resolution", half)):
        found = network.auxiliary(network.encode(given)[-1])[name].sigmoid()
        expected = (found - image).square().mean()
        torch.testing.assert_close(branch_loss(name, network, image, seeded()), expected)


@pytest.mark.parametrize(("batch", "size"), [(1, 64), (1, 96), (2, 160)])
def test_super_resolution_of_a_small_picture_says_which_size_it_needs(network, batch, size):
    with pytest.raises(InputError, match="multiples of 64, from 128 on"):
        branch_loss("super_resolution", network, torch.rand(batch, 3, size, size).double(), seeded())


def test_rotation_names_the_orientation(network, image):
    turned = (
        image.flip(-1),
        image.flip(-2),
        *(torch.rot90(image, quarters, (-2, -1)) for quarters in (1, 2, 3)),
        image,
    )
    met = set()
    for seed in range(30):
        k = int(torch.randint(6, (1,), generator=seeded(seed)))
        logits = network.auxiliary(network.encode(turned[k])[-1])["rotation"]
        expected = -logits.log_softmax(1)[0, k]
        torch.testing.assert_close(branch_loss("rotation", network, image, seeded(seed)), expected)
        met.add(k)
    assert met == set(range(6))


@pytest.mark.parametrize(("auxiliary", "pseudo"), list(product(OBJECTIVES, OBJECTIVES)))
def test_every_pair_moves_batch_norm_alone(auxiliary, pseudo, network, image):
    before = {name: value.clone() for name, value in network.state_dict().items()}
    inferer = GradientAlignmentInferer(lr=1e-3, auxiliary=auxiliary, pseudo=pseudo)
    inferer(image, network)
    last = inferer.last
    assert -1 <= last.cosine <= 1
    assert 0 < last.lr <= 1e-3
    layers = [m for m in inferer.network.modules() if isinstance(m, OwnStatisticsNorm)]
    norms = {id(p) for layer in layers for p in layer.parameters()}
    adapted = dict(inferer.network.named_parameters())
    moved = {name for name, value in adapted.items() if not torch.equal(value, before[name])}
    assert moved
    assert {id(adapted[name]) for name in moved} <= norms
    assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())


def test_the_objectives_are_not_mixed_up(network, image):
    """Each key decides its own loss; without alignment both are taken at theta."""
    inferer = GradientAlignmentInferer(auxiliary="reconstruction", pseudo="super_resolution", aligned=False)
    inferer(image, network)
    swapped = GradientAlignmentInferer(auxiliary="super_resolution", pseudo="reconstruction")
    swapped(image, network)
    assert swapped.last.auxiliary_loss == pytest.approx(inferer.last.pseudo_loss)
    assert swapped.last.pseudo_loss != pytest.approx(inferer.last.auxiliary_loss)  # taken after the shift


def test_overwriting_gives_the_restyled_copy_to_the_pseudo_objective(image):
    strong = 2 * stream(1, 128, seed=1).double()
    network = SmallNetwork().double().eval()
    found = {}
    for overwrite in (False, True):
        inferer = GradientAlignmentInferer(
            auxiliary="consistency", pseudo="entropy", aligned=False, overwrite=overwrite
        )
        inferer.build(network, image)
        inferer.begin()
        seen = strong if overwrite else image
        p = inferer.network(seen).sigmoid()
        expected = (-p * (p + 1e-6).log()).sum(1).mean().item()
        found[overwrite] = inferer.align(image, strong).pseudo_loss
        assert found[overwrite] == pytest.approx(expected)
    assert found[True] != pytest.approx(found[False])
    assert min_max(strong).max() == 1


def test_a_missing_branch_is_named():
    with pytest.raises(InputError, match=r"pseudo: rotation needs .* branches.json"):
        GradientAlignmentInferer(pseudo="rotation")(stream(1, 32), GraTaNet(widths=(4, 8, 8, 16)).eval())
    with pytest.raises(ValueError, match="auxiliary=True; expected one of entropy"):
        GradientAlignmentInferer(auxiliary=True)


@pytest.mark.parametrize("shape", [(64, 64), (32, 64)], ids=str)
def test_chunks_of_views_give_the_same_stream(shape):
    """Weights, biases and masks after three images, for every size of the chunks."""
    torch.manual_seed(0)
    network = GraTaNet(widths=(4, 8, 8, 16)).double().eval()
    found = []
    for views_at_once in (1, 2, 4, 6, None):
        inferer = GradientAlignmentInferer(lr=1e-3, views_at_once=views_at_once)
        images = stream(3, 64).double()[..., : shape[0], : shape[1]]
        masks = torch.cat([inferer(one, network) for one in images.split(1)]) >= 0
        found.append((masks, torch.cat([p.detach().flatten() for p in inferer.parameters])))
    for masks, parameters in found[1:]:
        assert torch.equal(masks, found[0][0])
        torch.testing.assert_close(parameters, found[0][1], rtol=0, atol=1e-6)


def test_joint_loss_is_the_sum(network, image):
    label = torch.zeros(1, 1, 128, 128)
    logits, branches = BranchInferer(seed=3)(image, network)
    generator = seeded(3)
    expected = sum(branch_loss(name, network, image, generator) for name in BRANCHES)
    torch.testing.assert_close(branches, expected)
    torch.testing.assert_close(
        JointLoss(NestedDiceBCELoss())((logits, branches), label),
        NestedDiceBCELoss()(logits, label) + expected,
    )
    with pytest.raises(InputError, match="without branches"):
        BranchInferer()(image, SmallNetwork())


@pytest.mark.full
def test_branches_are_trained_and_adapt_by_them(tmp_path):
    """branches.json trains them; inference and evaluation know them from the plan, whatever the pair."""
    grata = Bundle("grata")
    run, shell = Run(grata, tmp_path / "run", tmp_path / "phantom"), Shell(ROOT, tmp_path)
    files = [grata.config_file(name) for name in ("train", "branches")]
    shell.run(files, {**run.train_overrides, **grata.quick["branches"]}).ok()
    assert any(key.startswith("branches.rotation") for key in torch.load(run.weights, weights_only=True))
    pair = {"auxiliary": "rotation", "pseudo": "reconstruction"}
    shell.run([grata.config_file("inference")], {**run.inference_overrides, **pair}).ok()
    shell.run(
        [grata.config_file(name) for name in ("train", "evaluate")], {**run.train_overrides, **pair}
    ).ok()
    assert (run.output_dir / "evaluation_summary.csv").is_file()
