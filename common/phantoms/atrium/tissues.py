"""Tissues of the atrial phantom: which belong to the label and how bright they are.

Signal in a late gadolinium-enhanced inversion recovery sequence, relative to the blood of the left
atrium: healthy myocardium and fat are nulled, blood stays bright, scar is brighter.  Means and
spreads follow what is seen in scans of the 2018 Atrial Segmentation Challenge; no voxel comes from one.
"""

from __future__ import annotations

from enum import IntEnum

import numpy as np

from common.phantoms.making.looks import Look, draw_signals

__all__ = ["BLOOD_POOLS", "LABELS", "Tissue", "draw_signal", "label_of_tissue", "texture_of_tissue"]

LABELS = ("background", "left atrium")
"""Names by label value: the cavity with its appendage and the veins' roots, as the challenge draws it."""


class Tissue(IntEnum):
    """What a voxel is made of."""

    MEDIASTINUM = 0  # suppressed fat and connective tissue: what everything else is painted on
    LUNG = 1
    LUNG_VESSEL = 2
    MUSCLE = 3
    BONE = 4
    OESOPHAGUS = 5
    MYOCARDIUM = 6
    VESSEL_WALL = 7
    RIGHT_ATRIUM = 8
    RIGHT_VENTRICLE = 9
    LEFT_VENTRICLE = 10
    AORTA = 11
    PULMONARY_ARTERY = 12
    VENA_CAVA = 13
    CORONARY_SINUS = 14
    VEIN = 15  # a pulmonary vein beyond the part that readers draw
    ATRIAL_WALL = 16
    SCAR = 17
    LEAFLET = 18
    ATRIUM = 19
    APPENDAGE = 20
    VEIN_ROOT = 21


_LOOKS = {
    Tissue.MEDIASTINUM: Look(0.30, 0.07, 0.16),
    Tissue.LUNG: Look(0.09, 0.03, 0.05),
    Tissue.LUNG_VESSEL: Look(0.75, 0.12, 0.10),
    Tissue.MUSCLE: Look(0.42, 0.08, 0.10),
    Tissue.BONE: Look(0.34, 0.08, 0.12),
    Tissue.OESOPHAGUS: Look(0.62, 0.16, 0.20),
    Tissue.MYOCARDIUM: Look(0.50, 0.12, 0.06),
    Tissue.VESSEL_WALL: Look(0.48, 0.10, 0.06),
    Tissue.RIGHT_ATRIUM: Look(0.96, 0.05, 0.05),
    Tissue.RIGHT_VENTRICLE: Look(0.93, 0.06, 0.06),
    Tissue.LEFT_VENTRICLE: Look(0.97, 0.04, 0.05),
    Tissue.AORTA: Look(1.02, 0.05, 0.04),
    Tissue.PULMONARY_ARTERY: Look(0.96, 0.06, 0.05),
    Tissue.VENA_CAVA: Look(0.97, 0.08, 0.05),
    Tissue.CORONARY_SINUS: Look(0.92, 0.07, 0.04),
    Tissue.VEIN: Look(0.99, 0.03, 0.05),
    Tissue.ATRIAL_WALL: Look(0.55, 0.12, 0.08),
    Tissue.SCAR: Look(1.22, 0.12, 0.12),
    Tissue.LEAFLET: Look(0.74, 0.08, 0.04),
    Tissue.ATRIUM: Look(1.0, 0.0, 0.05, 1),
    Tissue.APPENDAGE: Look(0.95, 0.05, 0.07, 1),
    Tissue.VEIN_ROOT: Look(1.0, 0.0, 0.05, 1),
}

BLOOD_POOLS = (
    Tissue.RIGHT_ATRIUM,
    Tissue.RIGHT_VENTRICLE,
    Tissue.LEFT_VENTRICLE,
    Tissue.AORTA,
    Tissue.PULMONARY_ARTERY,
    Tissue.VENA_CAVA,
    Tissue.CORONARY_SINUS,
    Tissue.VEIN,
)
"""Unlabelled, and as bright as the atrium within a few percent."""

_LATE_SPREAD = 0.12  # sd of the nulled tissues' common factor: inversion time and delay differ


def label_of_tissue() -> np.ndarray:
    """uint8 (number of tissues,): the label value of each tissue."""
    return np.array([_LOOKS[tissue].label for tissue in Tissue], np.uint8)


def texture_of_tissue() -> np.ndarray:
    """float32 (number of tissues,): sd of the structure inside each tissue, relative to blood."""
    return np.array([_LOOKS[tissue].texture for tissue in Tissue], np.float32)


def draw_signal(rng: np.random.Generator) -> np.ndarray:
    """float32 (number of tissues,): each tissue's mean signal in one case, relative to atrial blood."""
    signal = draw_signals([_LOOKS[tissue] for tissue in Tissue], rng)
    nulled = [t for t in Tissue if _LOOKS[t].signal < 0.7]
    signal[nulled] *= np.exp(rng.normal(0, _LATE_SPREAD))
    return np.maximum(signal, 0.02).astype(np.float32)
