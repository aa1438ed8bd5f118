"""GraTa at test time: one step along the pseudo loss's gradient, longer the better it agrees with another's.

    g_a     = gradient of the entropy at theta
    g_p     = gradient of the consistency at theta - g_a
    cosine  = <g_a, g_p> / (|g_a| |g_p| + 1e-12)
    lr      = lr0 ((cosine + 1) / 2)^2,   one step of Adam from theta along g_p

theta: weight and bias of every batch norm; statistics are the image's own.
Source: Chen et al., Gradient Alignment Improves Test-Time Adaptation, AAAI 2025
(grata/docs/method.md#one-adaptation-step).
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from common.adaptation.affine_stream import AffineStream
from common.losses.entropy.sigmoid_entropy import sigmoid_entropy
from grata.style import StyleDraw, min_max, restyle
from grata.views import mean_over_views

__all__ = ["GradientAlignmentInferer", "Step", "cosine", "step_size"]

Gradients = list[Tensor | None]
_SMALL = 1e-12
_LR_SHAPES = ("quadratic", "linear", "softplus", "fixed")


@dataclass(frozen=True)
class Step:
    """One image's adaptation; without an auxiliary loss, its values are NaN and its gradients empty.

    Attributes:
        entropy: the auxiliary loss at theta.
        consistency: the pseudo loss at theta shifted.
        cosine: between their gradients.
        lr: of the step.
        auxiliary: gradients of the entropy by theta.
        pseudo: gradients of the consistency.
    """

    entropy: float
    consistency: float
    cosine: float
    lr: float
    auxiliary: Gradients
    pseudo: Gradients


def cosine(one: Gradients, other: Gradients) -> float:
    """The cosine between two gradients, over all parameters that have both."""
    pairs = [(a, b) for a, b in zip(one, other, strict=True) if a is not None and b is not None]
    a, b = (torch.cat([gradient.flatten() for gradient in of]) for of in zip(*pairs, strict=True))
    return (a.dot(b) / (a.norm() * b.norm() + _SMALL)).item()


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


class GradientAlignmentInferer(AffineStream):
    """Adapts by aligned gradients, then predicts the image itself in one pass.

    Args:
        lr: lr0.
        betas: of Adam.
        auxiliary: take g_a first; without it the method is consistency alone, with a fixed step.
        one_sided: the entropy without the term of 1 - p, as published.
        lr_shape: how the cosine sets the learning rate, see :func:`step_size`.
        seed: of the strong styles.
        views_together: see :func:`grata.views.mean_over_views`.

    Attributes:
        last: the last image's :class:`Step`.

    Raises:
        ValueError: another word for ``lr_shape``, or one that needs the cosine without the auxiliary loss.
    """

    def __init__(
        self,
        *,
        lr: float = 1e-4,
        betas: tuple[float, float] = (0.9, 0.999),
        auxiliary: bool = True,
        one_sided: bool = True,
        lr_shape: str = "quadratic",
        seed: int = 0,
        views_together: bool = True,
    ) -> None:
        if lr_shape not in _LR_SHAPES:
            raise ValueError(f"lr_shape={lr_shape!r}; expected one of {', '.join(_LR_SHAPES)}")
        if not auxiliary and lr_shape != "fixed":
            raise ValueError(
                f'lr_shape={lr_shape!r}: there is no cosine without the auxiliary loss; give "fixed"'
            )
        super().__init__(lr=lr, betas=betas)
        self.auxiliary, self.one_sided = auxiliary, one_sided
        self.lr_shape, self.seed, self.views_together = lr_shape, seed, views_together
        self.generator = torch.Generator()
        self.draw = StyleDraw(self.generator)
        self.last: Step | None = None

    def begin(self) -> None:
        """Start from the source's weights, an optimiser without moments, and the seed's first style."""
        super().begin()
        self.generator.manual_seed(self.seed)

    def adapt(self, image: Tensor) -> None:
        """(1, C, H, W) in [0, 1]."""
        self.last = self.align(image, restyle(image, self.draw(image.shape[1:])))

    def align(self, image: Tensor, strong: Tensor) -> Step:
        """One step.

        Args:
            image: (1, C, H, W).
            strong: the image in another style, (1, C, H, W); it is brought to [0, 1] here.
        """
        entropy, auxiliary = float("nan"), []
        theta = [parameter.detach().clone() for parameter in self.parameters]
        if self.auxiliary:
            loss = sigmoid_entropy(self.network(image), one_sided=self.one_sided)
            entropy, auxiliary = loss.item(), self._gradients(loss)
            self._shift(auxiliary)
        loss = self._consistency(image, min_max(strong))
        consistency, pseudo = loss.item(), self._gradients(loss)
        with torch.no_grad():
            for parameter, original in zip(self.parameters, theta, strict=True):
                parameter.copy_(original)
        agreement = cosine(auxiliary, pseudo) if self.auxiliary else float("nan")
        lr = step_size(self.lr, agreement, self.lr_shape)
        self.step(pseudo, lr)
        return Step(entropy, consistency, agreement, lr, auxiliary, pseudo)

    def _gradients(self, loss: Tensor) -> Gradients:
        return list(torch.autograd.grad(loss, self.parameters, allow_unused=True))

    @torch.no_grad()
    def _shift(self, gradients: Gradients) -> None:
        """Move to theta - g: a step of size 1 along the raw gradient."""
        for parameter, gradient in zip(self.parameters, gradients, strict=True):
            if gradient is not None:
                parameter.sub_(gradient)

    def _consistency(self, image: Tensor, strong: Tensor) -> Tensor:
        with torch.no_grad():
            soft_label = mean_over_views(self.network, image, together=self.views_together)
        return F.binary_cross_entropy_with_logits(self.network(strong), soft_label)

    def own_state(self) -> dict[str, Any]:
        """The state of an :class:`AffineStream`, and that of the generator of styles."""
        return {**super().own_state(), "generator": self.generator.get_state()}

    def restore_own(self, state: Mapping[str, Any]) -> None:
        """Restore both."""
        super().restore_own(state)
        self.generator.set_state(state["generator"].cpu())
