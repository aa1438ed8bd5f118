"""GraTa at test time: one step along the pseudo loss's gradient, longer the better it agrees with another's.

    g_a     = gradient of the auxiliary objective (the entropy) at theta
    g_p     = gradient of the pseudo objective (the consistency) at theta - g_a
    cosine  = <g_a, g_p> / (|g_a| |g_p| + 1e-12)
    lr      = lr0 ((cosine + 1) / 2)^2,   one step of Adam from theta along g_p

theta: weight and bias of every batch norm; statistics are the image's own.
Source: Chen et al., Gradient Alignment Improves Test-Time Adaptation, AAAI 2025
(grata/docs/method.md#one-adaptation-step).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from common.adaptation.affine_stream import AffineStream
from common.errors import InputError
from grata.network import BRANCHES
from grata.objectives import OBJECTIVES, branch_loss, consistency, entropy
from grata.style import StyleDraw, min_max, restyle

__all__ = ["GradientAlignmentInferer", "Step", "cosine", "step_size"]

Gradients = list[Tensor | None]
_SMALL = 1e-12
_LR_SHAPES = ("quadratic", "linear", "softplus", "fixed")
_NONE = "none"  # no auxiliary objective; None itself cannot be given on MONAI's command line


@dataclass(frozen=True)
class Step:
    """One image's adaptation; without an auxiliary loss, its values are NaN and its gradients empty.

    Attributes:
        auxiliary_loss: at theta.
        pseudo_loss: at theta shifted.
        cosine: between their gradients.
        lr: of the step.
        auxiliary: gradients of the auxiliary loss by theta.
        pseudo: gradients of the pseudo loss.
    """

    auxiliary_loss: float
    pseudo_loss: float
    cosine: float
    lr: float
    auxiliary: Gradients
    pseudo: Gradients


def cosine(one: Gradients, other: Gradients) -> float:
    """The cosine between two gradients; a parameter without one of them adds nothing to the product."""
    product = sum((a * b).sum() for a, b in zip(one, other, strict=True) if a is not None and b is not None)
    return float(product / (_norm(one) * _norm(other) + _SMALL))


def _norm(gradients: Gradients) -> Tensor:
    """Over all parameters that have a gradient."""
    return torch.cat([gradient.flatten() for gradient in gradients if gradient is not None]).norm()


def step_size(lr: float, agreement: float, shape: str = "quadratic") -> float:
    """The learning rate for a cosine c.

    Args:
        lr: lr0.
        agreement: the cosine.
        shape: "quadratic", lr0 (c + 1)^2 / 4, is the paper's and the default of the authors' code; their code
            also has "linear", lr0 (c + 1) / 2, and "softplus", lr0 ln(1 + e^c),
            between 0.31 and 1.31 lr0.  "fixed" is lr0 always.
    """
    share = (agreement + 1) / 2
    shapes = {"quadratic": share**2, "linear": share, "softplus": math.log1p(math.exp(agreement))}
    return lr * (1.0 if shape == "fixed" else shapes[shape])


def _require_word(key: str, word: object, words: Sequence[str]) -> None:
    if word not in words:
        raise ValueError(f"{key}={word!r}; expected one of {', '.join(words)}")


class GradientAlignmentInferer(AffineStream):
    """Adapts by aligned gradients, then predicts the image itself in one pass.

    Args:
        lr: lr0.
        betas: of Adam.
        auxiliary: the objective of g_a, a word of :data:`grata.objectives.OBJECTIVES`; "none" leaves it out,
            and the method is the pseudo objective alone, with a fixed step.
        pseudo: the objective of g_p, another or the same word.
        one_sided: the entropy without the term of 1 - p, as published.
        lr_shape: how the cosine sets the learning rate, see :func:`step_size`.
        aligned: take g_p after the virtual step; otherwise both gradients are taken at theta, for the
            comparison.
        overwrite: with consistency as auxiliary objective, give the restyled copy to the pseudo objective in
            place of the image, as the published code does by accident.
        seed: of the strong styles, orientations and noise.
        views_at_once: see :func:`grata.views.mean_over_views`.

    Attributes:
        last: the last image's :class:`Step`.

    Raises:
        ValueError: another word for an objective or ``lr_shape``, or a shape that needs the cosine without
            an auxiliary objective.
    """

    def __init__(
        self,
        *,
        lr: float = 1e-4,
        betas: tuple[float, float] = (0.9, 0.999),
        auxiliary: str = "entropy",
        pseudo: str = "consistency",
        one_sided: bool = True,
        lr_shape: str = "quadratic",
        aligned: bool = True,
        overwrite: bool = False,
        seed: int = 0,
        views_at_once: int | None = None,
    ) -> None:
        _require_word("auxiliary", auxiliary, (*OBJECTIVES, _NONE))
        _require_word("pseudo", pseudo, OBJECTIVES)
        _require_word("lr_shape", lr_shape, _LR_SHAPES)
        if auxiliary == _NONE and lr_shape != "fixed":
            raise ValueError(
                f'lr_shape={lr_shape!r}: there is no cosine without the auxiliary loss; give "fixed"'
            )
        super().__init__(lr=lr, betas=betas)
        self.auxiliary, self.pseudo, self.one_sided = auxiliary, pseudo, one_sided
        self.lr_shape, self.aligned, self.overwrite = lr_shape, aligned, overwrite
        self.seed, self.views_at_once = seed, views_at_once
        self.generator = torch.Generator()
        self.draw = StyleDraw(self.generator)
        self.last: Step | None = None

    def build(self, network: nn.Module, image: Tensor) -> None:
        """A copy whose norms use each image's own statistics.

        Raises:
            InputError: the network lacks an objective's branch.
        """
        for key in ("auxiliary", "pseudo"):
            name = getattr(self, key)
            if name in BRANCHES and name not in getattr(network, "branches", {}):
                raise InputError(
                    f"{key}: {name} needs the network's branch of that name; train the source network with "
                    f"branches.json, or give --branches \"['{name}']\" where the weights have it"
                )
        super().build(network, image)

    def begin(self) -> None:
        """Start from the source's weights, an optimiser without moments, and the seed's first draw."""
        super().begin()
        self.generator.manual_seed(self.seed)

    def adapt(self, image: Tensor) -> None:
        """(1, C, H, W) in [0, 1]."""
        self.last = self.align(image)

    def align(self, image: Tensor, strong: Tensor | None = None) -> Step:
        """One step.

        Args:
            image: (1, C, H, W).
            strong: the image in another style, (1, C, H, W), before it is brought to [0, 1]; by default each
                consistency draws its own.
        """
        loss_a, auxiliary = float("nan"), []
        seen, copy = image, strong  # by the pseudo objective; by the auxiliary one
        theta = [parameter.detach().clone() for parameter in self.parameters]
        if self.overwrite and self.auxiliary == "consistency":
            seen = copy = self._restyled(image) if strong is None else strong
        if self.auxiliary != _NONE:
            loss = self._loss(self.auxiliary, image, copy)
            loss_a, auxiliary = loss.item(), self._gradients(loss)
            if self.aligned:
                self._shift(auxiliary)
        loss = self._loss(self.pseudo, seen, strong)
        loss_p, pseudo = loss.item(), self._gradients(loss)
        with torch.no_grad():
            for parameter, original in zip(self.parameters, theta, strict=True):
                parameter.copy_(original)
        agreement = cosine(auxiliary, pseudo) if auxiliary else float("nan")
        lr = step_size(self.lr, agreement, self.lr_shape)
        self.step(pseudo, lr)
        return Step(loss_a, loss_p, agreement, lr, auxiliary, pseudo)

    def _restyled(self, image: Tensor) -> Tensor:
        return restyle(image, self.draw(image.shape[1:]))

    def _loss(self, objective: str, image: Tensor, strong: Tensor | None) -> Tensor:
        if objective == "entropy":
            return entropy(self.network, image, one_sided=self.one_sided)
        if objective == "consistency":  # the copy is gone once it is scaled: no other name refers to it
            scaled = min_max(self._restyled(image) if strong is None else strong)
            return consistency(self.network, image, scaled, views_at_once=self.views_at_once)
        return branch_loss(objective, self.network, image, self.generator)

    def _gradients(self, loss: Tensor) -> Gradients:
        return list(torch.autograd.grad(loss, self.parameters, allow_unused=True))

    @torch.no_grad()
    def _shift(self, gradients: Gradients) -> None:
        """Move to theta - g: a step of size 1 along the raw gradient."""
        for parameter, gradient in zip(self.parameters, gradients, strict=True):
            if gradient is not None:
                parameter.sub_(gradient)

    def own_state(self) -> dict[str, Any]:
        """The state of an :class:`AffineStream`, and that of the generator."""
        return {**super().own_state(), "generator": self.generator.get_state()}

    def restore_own(self, state: Mapping[str, Any]) -> None:
        """Restore both."""
        super().restore_own(state)
        self.generator.set_state(state["generator"].cpu())
