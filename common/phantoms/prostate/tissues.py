"""Tissues of the prostate phantom: which belong to the label and how bright they are.

Signal in a T2-weighted turbo spin echo, relative to the peripheral zone.  Order and spread follow what
textbooks say about T2 contrast in the pelvis; the transition zone lies between muscle and peripheral zone and
is as bright as some of what surrounds the prostate.
"""

from __future__ import annotations

from enum import IntEnum

import numpy as np

from common.phantoms.making.looks import Look, draw_signals

__all__ = ["Tissue", "draw_signal", "label_of_tissue", "texture_of_tissue"]


class Tissue(IntEnum):
    """What a voxel is made of."""

    FAT = 0  # what everything else is painted on
    MUSCLE = 1
    BONE_RIM = 2
    MARROW = 3
    BLADDER_WALL = 4
    URINE = 5
    RECTAL_WALL = 6
    RECTUM = 7  # gas and stool, or the balloon of the coil
    VESICLE = 8
    VEIN = 9  # plexus in front and beside
    FASCIA = 10
    CAPSULE = 11
    TRANSITION_ZONE = 12
    NODULE = 13
    PERIPHERAL_ZONE = 14
    LESION = 15
    URETHRA = 16


_LOOKS = {
    Tissue.FAT: Look(0.72, 0.10, 0.12),
    Tissue.MUSCLE: Look(0.26, 0.05, 0.06),
    Tissue.BONE_RIM: Look(0.10, 0.03, 0.03),
    Tissue.MARROW: Look(0.52, 0.10, 0.10),
    Tissue.BLADDER_WALL: Look(0.38, 0.06, 0.05),
    Tissue.URINE: Look(1.35, 0.15, 0.04),
    Tissue.RECTAL_WALL: Look(0.48, 0.08, 0.08),
    Tissue.RECTUM: Look(0.12, 0.08, 0.10),
    Tissue.VESICLE: Look(0.98, 0.14, 0.26),
    Tissue.VEIN: Look(0.88, 0.12, 0.16),
    Tissue.FASCIA: Look(0.40, 0.08, 0.08),
    Tissue.CAPSULE: Look(0.36, 0.06, 0.05, 1),
    Tissue.TRANSITION_ZONE: Look(0.54, 0.08, 0.14, 1),
    Tissue.NODULE: Look(0.70, 0.16, 0.12, 1),
    Tissue.PERIPHERAL_ZONE: Look(1.0, 0.10, 0.12, 1),
    Tissue.LESION: Look(0.42, 0.06, 0.06, 1),
    Tissue.URETHRA: Look(0.86, 0.10, 0.08, 1),
}


def label_of_tissue() -> np.ndarray:
    """uint8 (number of tissues,): the label value of each tissue."""
    return np.array([_LOOKS[tissue].label for tissue in Tissue], np.uint8)


def texture_of_tissue() -> np.ndarray:
    """float32 (number of tissues,): sd of the structure inside each tissue."""
    return np.array([_LOOKS[tissue].texture for tissue in Tissue], np.float32)


def draw_signal(echo: float, fat: float, rng: np.random.Generator) -> np.ndarray:
    """float32 (number of tissues,): each tissue's mean signal in one case.

    Args:
        echo: exponent on the signal, by the echo time: above 1 dark tissues get darker.
        fat: factor on fat and marrow, by the echo train and fat suppression.
        rng: this case's random numbers.
    """
    signal = draw_signals([_LOOKS[tissue] for tissue in Tissue], rng)
    signal = np.maximum(signal, 0.03) ** echo
    signal[[Tissue.FAT, Tissue.MARROW]] *= fat
    return signal.astype(np.float32)
