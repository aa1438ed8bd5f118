"""Optic disc, cup and peripapillary atrophy of the fundus phantom.

Coordinates (u, v): temporal and down, in disc diameters from the disc's centre.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

__all__ = ["Disc", "draw_disc"]

_RIM = np.array((0.90, 0.58, 0.32))
_CUP = np.array((0.98, 0.88, 0.62))
_ATROPHY = np.array((0.84, 0.56, 0.33))
_ATROPHY_CHANCE = 0.65
_CUP_TO_DISC = (0.32, 0.78)  # vertical; large ones are glaucomatous
_PALLOR = (0.35, 1.0)  # how far the cup's colour is from the rim's
_EDGE_DD = (0.015, 0.05)  # softness of the disc's edge
_CUP_EDGE_DD = (0.03, 0.09)  # a cup's edge is where the slope begins, not a line


@dataclass(frozen=True)
class _Outline:
    """A closed curve around a centre: radius as a function of the angle, in disc diameters."""

    centre: tuple[float, float]
    radius: float
    elongation: float  # vertical over horizontal half axis
    bumps: tuple[tuple[int, float, float], ...]  # (order, amplitude, phase)

    def depth(self, u: np.ndarray, v: np.ndarray) -> np.ndarray:
        """Distance inside the curve, along the ray from the centre; negative outside."""
        x, y = u - self.centre[0], v - self.centre[1]
        angle = np.arctan2(y, x)
        stretch = np.sqrt(
            (np.cos(angle) * np.sqrt(self.elongation)) ** 2 + (np.sin(angle) ** 2) / self.elongation
        )
        edge = self.radius / stretch
        for order, amplitude, phase in self.bumps:
            edge = edge * (1 + amplitude * np.cos(order * angle + phase))
        return edge - np.hypot(x, y)


@dataclass(frozen=True)
class Disc:
    """One eye's disc: outlines of disc and cup, colours and softness of the edges."""

    outline: _Outline
    cup: _Outline
    pallor: float
    edge: float
    cup_edge: float
    atrophy: float  # width of the crescent in disc diameters, 0 where there is none

    def depth(self, u: np.ndarray, v: np.ndarray) -> np.ndarray:
        """Distance inside the disc, in disc diameters; negative outside."""
        return self.outline.depth(u, v)

    def cup_depth(self, u: np.ndarray, v: np.ndarray) -> np.ndarray:
        """Distance inside the cup; negative outside."""
        return self.cup.depth(u, v)

    def paint(self, scene: np.ndarray, u: np.ndarray, v: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """The scene (H, W, 3) with atrophy, rim and cup on it."""
        depth = self.depth(u, v)
        if self.atrophy:
            angle = np.arctan2(v, u)  # the crescent is widest on the temporal side
            ragged = sum(
                rng.uniform(0, 0.25) * np.cos(k * angle + rng.uniform(0, 2 * np.pi)) for k in (3, 5, 8)
            )
            reach = self.atrophy * np.clip(np.cos(angle) + 0.25 + ragged, 0, None)
            scene = _over(scene, _ATROPHY, rng.uniform(0.4, 0.9) * _soft(depth + reach, 0.02))
        rim = _RIM * np.exp(rng.normal(0, 0.04, 3))
        # The temporal rim is thinner and paler than the nasal one.
        temporal = np.clip(0.5 + u, 0, 1)[..., None]
        rim = rim * (0.93 + 0.1 * temporal)
        scene = _over(scene, rim, _soft(depth, self.edge))
        inside = _soft(self.cup_depth(u, v), self.cup_edge) * _soft(depth, self.edge)
        return _over(scene, rim + self.pallor * (_CUP - rim), inside)


def draw_disc(rng: np.random.Generator) -> Disc:
    """A disc of unit diameter with a random cup."""
    ratio = rng.uniform(*_CUP_TO_DISC)
    outline = _Outline((0.0, 0.0), 0.5, rng.uniform(0.98, 1.18), _bumps(rng, 0.03))
    slack = 0.5 * (1 - ratio)
    shift = (rng.uniform(-0.05, 0.35) * slack, rng.normal(0, 0.12) * slack)
    cup = _Outline(shift, 0.5 * ratio, rng.uniform(0.95, 1.25), _bumps(rng, 0.05))
    return Disc(
        outline=outline,
        cup=cup,
        pallor=rng.uniform(*_PALLOR),
        edge=rng.uniform(*_EDGE_DD),
        cup_edge=rng.uniform(*_CUP_EDGE_DD),
        atrophy=rng.uniform(0.08, 0.30) if rng.random() < _ATROPHY_CHANCE else 0.0,
    )


def _bumps(rng: np.random.Generator, amplitude: float) -> tuple[tuple[int, float, float], ...]:
    return tuple((k, rng.uniform(0, amplitude), rng.uniform(0, 2 * np.pi)) for k in (2, 3, 4))


def _soft(depth: np.ndarray, width: float) -> np.ndarray:
    """0 outside to 1 inside, over about ``width`` on both sides of the edge."""
    return 1 / (1 + np.exp(np.clip(-depth / (width / 2), -60, 60)))


def _over(scene: np.ndarray, colour: np.ndarray, share: np.ndarray) -> np.ndarray:
    return scene + share[..., None] * (colour - scene)
