"""Tissues of the abdominal phantom: which label they carry and how bright they are on CT.

Attenuations in HU are typical textbook values of a 120 kV scan for three contrast phases; a case
lies between phases and every organ varies about its own value, so that neighbours overlap.
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import IntEnum
from typing import NamedTuple

import numpy as np

__all__ = ["ORGANS", "Tissue", "draw_attenuation", "label_of_tissue", "texture_of_tissue"]

ORGANS = (
    "background",
    "spleen",
    "right kidney",
    "left kidney",
    "gallbladder",
    "oesophagus",
    "liver",
    "stomach",
    "aorta",
    "inferior vena cava",
    "portal and splenic vein",
    "pancreas",
)
"""Names by label value: the eleven organs of the BTCV set without the adrenal glands."""


class Tissue(IntEnum):
    """What a voxel is made of; several tissues can share a label, many have none."""

    AIR = 0
    SKIN = 1
    FAT = 2
    MUSCLE = 3
    CAVITY = 4  # fat inside the wall: what organs may fill
    LUNG = 5
    HEART = 6
    BONE_RIM = 7
    BONE_MARROW = 8
    CANAL = 9
    DISC = 10
    RENAL_FAT = 11
    PSOAS = 12
    MESENTERIC_VEIN = 13
    BOWEL_WALL = 14
    BOWEL_FLUID = 15
    BOWEL_SOLID = 16
    GAS = 17
    TABLE = 18
    DIAPHRAGM = 19
    SPLEEN = 20
    RIGHT_CORTEX = 21
    RIGHT_MEDULLA = 22
    LEFT_CORTEX = 23
    LEFT_MEDULLA = 24
    GALLBLADDER = 25
    OESOPHAGUS = 26
    LIVER = 27
    STOMACH_WALL = 28
    STOMACH_CONTENT = 29
    STOMACH_GAS = 30
    AORTA = 31
    VENA_CAVA = 32
    PORTAL = 33
    PANCREAS = 34
    OESOPHAGUS_GAS = 35


class _Look(NamedTuple):
    native: float  # HU without contrast agent
    arterial: float  # HU about 35 s after injection
    portal: float  # HU about 70 s after injection
    spread: float = 0.0  # HU, sd between cases
    texture: float = 0.0  # HU, sd inside the tissue
    label: int = 0


_LOOKS = {
    Tissue.AIR: _Look(-1000, -1000, -1000),
    Tissue.SKIN: _Look(20, 25, 30, 10),
    Tissue.FAT: _Look(-102, -102, -102, 4, 5),
    Tissue.MUSCLE: _Look(50, 56, 62, 5, 14),
    Tissue.CAVITY: _Look(-98, -98, -96, 6, 16),
    Tissue.LUNG: _Look(-840, -835, -830, 30, 35),
    Tissue.HEART: _Look(42, 230, 140, 10, 10),
    Tissue.BONE_RIM: _Look(420, 425, 430, 60, 40),
    Tissue.BONE_MARROW: _Look(170, 180, 185, 35, 35),
    Tissue.CANAL: _Look(25, 28, 30, 4),
    Tissue.DISC: _Look(85, 88, 90, 8),
    Tissue.RENAL_FAT: _Look(-100, -100, -98, 5, 8),
    Tissue.PSOAS: _Look(52, 58, 64, 5, 6),
    Tissue.MESENTERIC_VEIN: _Look(40, 95, 160, 10, 4),
    Tissue.BOWEL_WALL: _Look(40, 95, 90, 10, 10),
    Tissue.BOWEL_FLUID: _Look(22, 24, 24, 9, 8),
    Tissue.BOWEL_SOLID: _Look(60, 75, 85, 20, 40),
    Tissue.GAS: _Look(-970, -970, -970),
    Tissue.TABLE: _Look(-250, -250, -250, 60),
    Tissue.DIAPHRAGM: _Look(48, 55, 60, 5),
    Tissue.SPLEEN: _Look(46, 118, 118, 9, 6, 1),
    Tissue.RIGHT_CORTEX: _Look(33, 175, 180, 11, 9, 2),
    Tissue.RIGHT_MEDULLA: _Look(30, 85, 160, 11, 9, 2),
    Tissue.LEFT_CORTEX: _Look(33, 175, 180, 11, 9, 3),
    Tissue.LEFT_MEDULLA: _Look(30, 85, 160, 11, 9, 3),
    Tissue.GALLBLADDER: _Look(9, 9, 10, 7, 3, 4),
    Tissue.OESOPHAGUS: _Look(38, 58, 66, 8, 8, 5),
    Tissue.LIVER: _Look(54, 72, 106, 12, 9, 6),
    Tissue.STOMACH_WALL: _Look(40, 85, 88, 9, 8, 7),
    Tissue.STOMACH_CONTENT: _Look(30, 32, 34, 18, 22, 7),
    Tissue.STOMACH_GAS: _Look(-960, -960, -960, 0, 0, 7),
    Tissue.AORTA: _Look(42, 280, 150, 11, 4, 8),
    Tissue.VENA_CAVA: _Look(40, 80, 128, 13, 10, 9),
    Tissue.PORTAL: _Look(41, 110, 162, 10, 4, 10),
    Tissue.PANCREAS: _Look(38, 105, 92, 10, 16, 11),
    Tissue.OESOPHAGUS_GAS: _Look(-500, -500, -500, 100, 0, 5),
}

_PHASE_CHANCES = (0.15, 0.2, 0.65)  # native, arterial, portal
_PHASE_MIX = 0.25  # the largest share of the next phase in a case
_FATTY_LIVER_CHANCE = 0.2
_FATTY_LIVER_DROP_HU = (15.0, 45.0)
_ORAL_CONTRAST_CHANCE = 0.2
_ORAL_CONTRAST_HU = (130.0, 260.0)


def label_of_tissue() -> np.ndarray:
    """uint8 (number of tissues,): the label value of each tissue."""
    return np.array([_LOOKS[tissue].label for tissue in Tissue], np.uint8)


def texture_of_tissue() -> np.ndarray:
    """float32 (number of tissues,): sd of the structure inside each tissue, in HU."""
    return np.array([_LOOKS[tissue].texture for tissue in Tissue], np.float32)


def draw_attenuation(
    rng: np.random.Generator, *, phase_chances: Sequence[float] = _PHASE_CHANCES
) -> np.ndarray:
    """float32 (number of tissues,): each tissue's mean HU in one case, with its contrast phase.

    Args:
        rng: of the case.
        phase_chances: of a native, an arterial and a portal scan.
    """
    looks = np.array([_LOOKS[tissue][:3] for tissue in Tissue])
    phase = rng.choice(3, p=phase_chances)
    share = rng.uniform(0, _PHASE_MIX)
    neighbour = (0, 2, 1)[phase]
    mean = (1 - share) * looks[:, phase] + share * looks[:, neighbour]
    mean += rng.normal(size=len(Tissue)) * [_LOOKS[tissue].spread for tissue in Tissue]
    # both kidneys are fed alike
    mean[Tissue.LEFT_CORTEX] = mean[Tissue.RIGHT_CORTEX] + rng.normal(0, 3)
    mean[Tissue.LEFT_MEDULLA] = mean[Tissue.RIGHT_MEDULLA] + rng.normal(0, 3)
    mean[Tissue.MESENTERIC_VEIN] = mean[Tissue.PORTAL]
    if rng.random() < _FATTY_LIVER_CHANCE:
        mean[Tissue.LIVER] -= rng.uniform(*_FATTY_LIVER_DROP_HU)
    if rng.random() < _ORAL_CONTRAST_CHANCE:
        mean[[Tissue.STOMACH_CONTENT, Tissue.BOWEL_FLUID]] = rng.uniform(*_ORAL_CONTRAST_HU, size=2)
    return mean.astype(np.float32)
