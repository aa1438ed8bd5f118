"""Random feature statistics: layers that change the style of maps in training and do nothing afterwards.

Each channel's mean and deviation over a map stand for its style.  TriD draws new ones from uniform
distributions for about half of the channels; MixStyle mixes them with those of another sample; EFDMix
mixes the sorted values themselves.  No gradient flows through the statistics.

Each layer draws in ``draw`` and computes in a pure function of what was drawn.  Draws come from PyTorch's
global generator (seeded by ``monai.utils.set_determinism``).

Axes: B batch, C channels, (H, W) height and width.

Sources: Chen et al., TriD, MICCAI 2023; Zhou et al., MixStyle, ICLR 2021; Zhang et al., EFDMix, CVPR 2022
(trid/docs/method.md#network).
"""

from __future__ import annotations

from abc import abstractmethod

import torch
from torch import Tensor, nn
from torch.distributions import Beta

__all__ = [
    "EFDMix",
    "MixStyle",
    "TriD",
    "exchange_sorted_values",
    "exchange_statistics",
    "mean_and_deviation",
    "mix_statistics",
]

#: Added to the variance of a channel.
EPSILON = 1e-6


def mean_and_deviation(x: Tensor) -> tuple[Tensor, Tensor]:
    """Over (H, W) of (B, C, H, W): both (B, C, 1, 1), without gradient; variance unbiased, plus 1e-6."""
    variance, mean = torch.var_mean(x.detach(), dim=(2, 3), keepdim=True)
    return mean, (variance + EPSILON).sqrt()


def exchange_statistics(x: Tensor, mean: Tensor, deviation: Tensor, chosen: Tensor) -> Tensor:
    """Give the chosen channels another mean and deviation.

    One reduction and one scale and shift of the map; channels that were not chosen pass unchanged.

    Args:
        x: (B, C, H, W).
        mean: (B, C, 1, 1), the new means.
        deviation: (B, C, 1, 1), the new standard deviations, positive.
        chosen: (B, C, 1, 1), True or 1 for the channels that change.
    """
    own_mean, own_deviation = mean_and_deviation(x)
    chosen = chosen.bool()
    scale = torch.where(chosen, deviation / own_deviation, 1.0)
    shift = torch.where(chosen, mean - own_mean * scale, 0.0)
    return torch.addcmul(shift, x, scale)


def mix_statistics(x: Tensor, partner: Tensor, own_share: Tensor) -> Tensor:
    """Mean and deviation of each channel mixed with those of another sample (MixStyle).

    Args:
        x: (B, C, H, W).
        partner: (B,), index of each sample's partner in the batch.
        own_share: (B, 1, 1, 1) in [0, 1], weight of the sample's own statistics.
    """
    mean, deviation = mean_and_deviation(x)
    mixed_mean = torch.lerp(mean[partner], mean, own_share)
    scale = torch.lerp(deviation[partner], deviation, own_share) / deviation
    return torch.addcmul(mixed_mean - mean * scale, x, scale)


def exchange_sorted_values(x: Tensor, partner: Tensor, own_share: Tensor) -> Tensor:
    """Each value mixed with the partner's value of the same rank in the same channel (EFDMix).

    The gradient passes as if the values were the sample's own.

    Args:
        x: (B, C, H, W).
        partner: (B,), index of each sample's partner in the batch.
        own_share: (B, 1, 1, 1) in [0, 1], weight of the sample's own values.
    """
    values, order = x.detach().flatten(2).sort(dim=2)
    theirs = torch.empty_like(values).scatter_(2, order, values[partner]).view_as(x)
    return x + (1 - own_share) * (theirs - x.detach())


class _RandomStyle(nn.Module):
    """Acts in training only; each call changes the whole batch, or none of it, by one random draw.

    Args:
        prob: probability that a call acts, in [0, 1].

    Raises:
        ValueError: a probability outside [0, 1], or a concentration that is not positive.
    """

    def __init__(self, prob: float = 0.5, *, concentration: float = 0.1) -> None:
        super().__init__()
        if not 0 <= prob <= 1:
            raise ValueError(f"{type(self).__name__}: prob={prob}; expected a number in [0, 1]")
        if concentration <= 0:
            raise ValueError(f"{type(self).__name__}: concentration={concentration}; expected more than 0")
        self.prob, self.concentration = prob, concentration

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) to the same; in eval mode ``x`` itself."""
        if not self.training:
            return x
        if torch.jit.is_scripting():
            raise RuntimeError("random styles are for training, which a scripted network does not do")
        else:  # the scripting compiler skips this branch only if it is spelt out
            return self._maybe(x)

    @torch.jit.unused
    def _maybe(self, x: Tensor) -> Tensor:
        if torch.rand(()) >= self.prob:
            return x
        return self.change(x)

    @abstractmethod
    def change(self, x: Tensor) -> Tensor:
        """(B, C, H, W) with another style, drawn now."""

    @torch.jit.unused
    def _beta(self, shape: tuple[int, ...], like: Tensor) -> Tensor:
        share = Beta(self.concentration, self.concentration).sample(shape)
        return share.to(like.device, like.dtype)


class TriD(_RandomStyle):
    """Random means and deviations for random channels.

    Mean and deviation are drawn from U(0, 1) for each sample and channel.  Each channel takes them with a
    probability that is itself drawn, from Beta(concentration, concentration): on average one half.

    Args:
        prob: probability that a call changes anything.
        concentration: of the Beta distribution (0.1: most probabilities are near 0 or 1).
    """

    @torch.jit.unused
    def draw(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """New means, new deviations and the channels that take them, each (B, C, 1, 1)."""
        shape = (*x.shape[:2], 1, 1)
        mean, deviation = torch.rand((2, *shape), device=x.device, dtype=x.dtype)
        return mean, deviation, torch.bernoulli(self._beta(shape, x))

    @torch.jit.unused
    def change(self, x: Tensor) -> Tensor:
        """(B, C, H, W) with other statistics in about half of the channels."""
        return exchange_statistics(x, *self.draw(x))


class _Mixing(_RandomStyle):
    """Mixing with a random partner in the batch; one weight from Beta(concentration) for each sample.

    Args:
        prob: probability that a call changes anything.
        concentration: of the Beta distribution.
    """

    @torch.jit.unused
    def draw(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Partners (B,) and own shares (B, 1, 1, 1)."""
        samples = x.size(0)
        return torch.randperm(samples, device=x.device), self._beta((samples, 1, 1, 1), x)


class MixStyle(_Mixing):
    """Mean and deviation of each channel mixed with those of a random partner."""

    @torch.jit.unused
    def change(self, x: Tensor) -> Tensor:
        """(B, C, H, W) with mixed statistics."""
        return mix_statistics(x, *self.draw(x))


class EFDMix(_Mixing):
    """Sorted values of each channel mixed with those of a random partner."""

    @torch.jit.unused
    def change(self, x: Tensor) -> Tensor:
        """(B, C, H, W) with mixed values; each channel keeps the order of its own."""
        return exchange_sorted_values(x, *self.draw(x))
