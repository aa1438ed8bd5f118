"""GraTa's step: its size, what it changes, and the term that aligns
(grata/docs/method.md#how-to-know-it-works)."""

from __future__ import annotations

import pytest
import torch

import common  # noqa: F401 (makes bundles importable)
from grata.inferer import GradientAlignmentInferer, cosine, step_size
from grata.views import INVERSES, VIEWS, mean_over_views
from tests.common.adaptation.small import SmallNetwork, stream


def ready(**settings):
    """An inferer that has met a network and no image."""
    inferer, network = GradientAlignmentInferer(**settings), SmallNetwork().double().eval()
    with torch.no_grad():
        inferer.build(network, stream(1))
        inferer.begin()
    return inferer, network


@pytest.mark.parametrize(
    ("agreement", "quadratic", "linear", "softplus"),
    [(1, 1, 1, 1.3132617), (0, 0.25, 0.5, 0.6931472), (-1, 0, 0, 0.3132617)],
)
def test_step_sizes_are_the_published_ones(agreement, quadratic, linear, softplus):
    assert step_size(1e-4, agreement) == pytest.approx(1e-4 * quadratic)
    assert step_size(1e-4, agreement, "linear") == pytest.approx(1e-4 * linear)
    assert step_size(1e-4, agreement, "softplus") == pytest.approx(1e-4 * softplus)
    assert step_size(1e-4, agreement, "fixed") == 1e-4


@pytest.mark.parametrize("shape", ["linear", "softplus"])
def test_the_step_size_is_a_key(shape):
    """The default is the paper's (test_step_starts_from_the_stored_originals)."""
    inferer, network = ready(lr=1e-3, lr_shape=shape)
    inferer(stream(1).double(), network)
    last = inferer.last
    assert last.lr == step_size(1e-3, last.cosine, shape) != step_size(1e-3, last.cosine)


def test_cosine_is_over_all_parameters_that_have_a_gradient():
    """The product over those that have both, each norm over those that have its own."""
    one = [torch.tensor([3.0, 0.0]), None, torch.tensor([[4.0]]), torch.ones(2)]
    other = [torch.tensor([1.0, 0.0]), torch.ones(3), torch.tensor([[0.0]]), None]
    assert cosine(one, other) == pytest.approx(3 / (27**0.5 * 2))
    assert cosine(one[:1], [-one[0]]) == pytest.approx(-1)
    assert cosine(one[:1], [0 * one[0]]) == 0


def test_opposed_gradients_change_nothing():
    inferer, _ = ready()
    before = [p.detach().clone() for p in inferer.parameters]
    inferer.step([torch.ones_like(p) for p in inferer.parameters], step_size(1e-4, -1.0))
    assert all(torch.equal(a, b) for a, b in zip(before, inferer.parameters, strict=True))


def test_step_starts_from_the_stored_originals():
    """Adam's first step moves every parameter with a gradient by lr; the virtual step leaves no trace."""
    inferer, network = ready(lr=1e-3)
    before = [p.detach().clone() for p in inferer.parameters]
    inferer(stream(1).double(), network)
    last = inferer.last
    assert last.lr == step_size(1e-3, last.cosine)
    assert max(g.abs().max().item() for g in last.auxiliary) > 10 * last.lr, (
        "the virtual step is the larger one"
    )
    for old, new, gradient in zip(before, inferer.parameters, last.pseudo, strict=True):
        moved = (new - old).abs()
        assert (moved <= last.lr * (1 + 1e-6)).all()
        large = gradient.abs() > 1e-5
        torch.testing.assert_close(moved[large], torch.full_like(moved[large], last.lr), rtol=1e-2, atol=0)


def test_parameters_are_restored_bit_for_bit():
    inferer, _ = ready(lr=0.0)
    before = [p.detach().clone() for p in inferer.parameters]
    inferer.align(stream(1).double(), stream(1, seed=1).double())
    assert all(torch.equal(a, b) for a, b in zip(before, inferer.parameters, strict=True))


def test_virtual_step_changes_the_gradient_by_the_hessian():
    """grad L(theta - eps g) = grad L(theta) - eps H g, H g from an exact product."""
    inferer, _ = ready()
    image, strong = stream(1).double(), stream(1, seed=1).double()
    parameters, eps = inferer.parameters, 1e-5
    direction = [
        torch.randn(p.shape, dtype=p.dtype, generator=torch.Generator().manual_seed(i))
        for i, p in enumerate(parameters)
    ]
    soft_label = mean_over_views(inferer.network, image).detach()

    def gradients(graph=False):
        logits = inferer.network(strong)
        loss = torch.nn.functional.binary_cross_entropy_with_logits(logits, soft_label)
        return torch.autograd.grad(loss, parameters, create_graph=graph)

    at_theta = gradients(graph=True)
    product = torch.autograd.grad(at_theta, parameters, direction)
    inferer._shift([eps * d for d in direction])
    for shifted, plain, expected in zip(gradients(), at_theta, product, strict=True):
        torch.testing.assert_close((plain - shifted) / eps, expected, rtol=1e-3, atol=1e-6)


def test_pseudo_gradient_is_taken_at_the_shifted_weights():
    """By hand: entropy's gradient, the shift, soft label and loss there."""
    inferer, _ = ready()
    image, strong = stream(1).double(), stream(1, seed=1).double()
    last = inferer.align(image, strong)
    other, _ = ready()
    p = other.network(image).sigmoid()
    entropy = (-p * (p + 1e-6).log()).sum(1).mean()
    auxiliary = torch.autograd.grad(entropy, other.parameters)
    with torch.no_grad():
        for parameter, gradient in zip(other.parameters, auxiliary, strict=True):
            parameter -= gradient
        views = [
            inverse(other.network(view(image)).sigmoid())
            for view, inverse in zip(VIEWS, INVERSES, strict=True)
        ]
    strong = (strong - strong.min()) / (strong.max() - strong.min())
    z = other.network(strong)
    q = sum(views) / 6
    consistency = -(q * z.sigmoid().log() + (1 - q) * (1 - z.sigmoid()).log()).mean()
    assert last.auxiliary_loss == pytest.approx(entropy.item())
    assert last.pseudo_loss == pytest.approx(consistency.item())
    for ours, theirs in zip(last.pseudo, torch.autograd.grad(consistency, other.parameters), strict=True):
        torch.testing.assert_close(ours, theirs)
    assert last.cosine == pytest.approx(cosine(last.auxiliary, last.pseudo))


def test_consistency_alone():
    inferer, network = GradientAlignmentInferer(auxiliary="none", lr_shape="fixed"), SmallNetwork()
    inferer(stream(1), network)
    assert inferer.last.lr == 1e-4
    assert inferer.last.auxiliary == []


def test_styles_differ_from_image_to_image_and_by_seed():
    network = SmallNetwork().eval()

    def consistencies(seed):
        inferer = GradientAlignmentInferer(lr=0.0, seed=seed)
        found = []
        for _ in range(3):
            inferer(stream(1), network)
            found.append(inferer.last.pseudo_loss)
        return found

    assert len(set(consistencies(0))) == 3
    assert consistencies(0) == consistencies(0)
    assert consistencies(0) != consistencies(1)


def test_bad_settings():
    with pytest.raises(ValueError, match="lr_shape='cubic'"):
        GradientAlignmentInferer(lr_shape="cubic")
    with pytest.raises(ValueError, match="no cosine without the auxiliary loss"):
        GradientAlignmentInferer(auxiliary="none")


@pytest.mark.parametrize("shape", [(8, 8), (8, 12)], ids=str)
def test_views_come_back(shape):
    x = torch.randn(1, 2, *shape, generator=torch.Generator().manual_seed(0))
    views = [view(x) for view in VIEWS]
    assert all(torch.equal(inverse(v), x) for inverse, v in zip(INVERSES, views, strict=True))
    assert len({tuple(v.flatten().tolist()) for v in views}) == 6


@pytest.mark.parametrize("shape", [(24, 24), (16, 24)], ids=str)
def test_views_together_are_the_views_one_by_one(shape):
    """With norms that treat each sample by itself; also where two views have another shape."""
    inferer, _ = ready()
    image = stream(1)[..., : shape[0], : shape[1]].double()
    with torch.no_grad():
        together = mean_over_views(inferer.network, image)
        alone = mean_over_views(inferer.network, image, at_once=1)
    assert together.shape == (1, 2, *shape)
    torch.testing.assert_close(together, alone)
