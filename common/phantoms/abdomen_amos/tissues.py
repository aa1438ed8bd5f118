"""Tissues from the diaphragm to the pelvis: the abdomen's, what this phantom adds, and how MR shows them.

MR is a T2-weighted turbo spin echo, signals relative to subcutaneous fat: fluid and fat are bright, flowing
blood is dark, so that much of CT's order is turned round.
"""

from __future__ import annotations

from enum import IntEnum

import numpy as np

from common.phantoms.abdomen.bowel import Gut
from common.phantoms.abdomen.tissues import Tissue, draw_attenuation, label_of_tissue, texture_of_tissue
from common.phantoms.making.looks import Look, draw_signals

__all__ = [
    "DUODENUM",
    "ORGANS",
    "Part",
    "ct_texture",
    "draw_ct",
    "draw_mr",
    "label_of_part",
    "mr_texture",
]

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
    "postcava",
    "pancreas",
    "right adrenal gland",
    "left adrenal gland",
    "duodenum",
    "bladder",
    "prostate or uterus",
)
"""Names by label value: AMOS22's order."""

_FIRST = max(Tissue) + 1


class Part(IntEnum):
    """Tissue numbers above the abdomen's."""

    RIGHT_ADRENAL = _FIRST
    LEFT_ADRENAL = _FIRST + 1
    DUODENUM_WALL = _FIRST + 2
    DUODENUM_FLUID = _FIRST + 3
    DUODENUM_SOLID = _FIRST + 4
    DUODENUM_GAS = _FIRST + 5
    BLADDER_WALL = _FIRST + 6
    URINE = _FIRST + 7
    PROSTATE = _FIRST + 8
    PROSTATE_INNER = _FIRST + 9
    UTERUS = _FIRST + 10
    UTERUS_LINING = _FIRST + 11
    ILIAC_ARTERY = _FIRST + 12
    ILIAC_VEIN = _FIRST + 13


DUODENUM = Gut(Part.DUODENUM_WALL, Part.DUODENUM_FLUID, Part.DUODENUM_SOLID, Part.DUODENUM_GAS)

_LABELS = {
    Part.RIGHT_ADRENAL: 11,
    Part.LEFT_ADRENAL: 12,
    **dict.fromkeys(DUODENUM, 13),
    **dict.fromkeys((Part.BLADDER_WALL, Part.URINE), 14),
    **dict.fromkeys((Part.PROSTATE, Part.PROSTATE_INNER, Part.UTERUS, Part.UTERUS_LINING), 15),
}
_PANCREAS_LABEL = 10

_AS_IN_CT = {  # part -> the abdomen's tissue, HU above it, sd between cases, sd inside
    Part.RIGHT_ADRENAL: (Tissue.PANCREAS, -12, 6, 8),
    Part.LEFT_ADRENAL: (Tissue.PANCREAS, -12, 6, 8),
    Part.DUODENUM_WALL: (Tissue.BOWEL_WALL, 0, 6, 10),
    Part.DUODENUM_FLUID: (Tissue.BOWEL_FLUID, 4, 6, 8),
    Part.DUODENUM_SOLID: (Tissue.BOWEL_SOLID, -8, 10, 25),
    Part.DUODENUM_GAS: (Tissue.GAS, 0, 0, 0),
    Part.BLADDER_WALL: (Tissue.MUSCLE, -6, 5, 6),
    Part.URINE: (Tissue.GALLBLADDER, -2, 4, 3),
    Part.PROSTATE: (Tissue.MUSCLE, 2, 5, 9),
    Part.PROSTATE_INNER: (Tissue.MUSCLE, 14, 8, 14),
    Part.UTERUS: (Tissue.SPLEEN, -16, 10, 14),
    Part.UTERUS_LINING: (Tissue.MUSCLE, -8, 6, 8),
    Part.ILIAC_ARTERY: (Tissue.AORTA, 0, 6, 4),
    Part.ILIAC_VEIN: (Tissue.VENA_CAVA, -12, 10, 10),
}

_MR: dict[int, Look] = {
    Tissue.AIR: Look(0.0, 0.0, 0.0),
    Tissue.SKIN: Look(0.40, 0.06, 0.05),
    Tissue.FAT: Look(1.0, 0.06, 0.06),
    Tissue.MUSCLE: Look(0.22, 0.04, 0.06),
    Tissue.CAVITY: Look(0.95, 0.06, 0.10),
    Tissue.LUNG: Look(0.06, 0.02, 0.03),
    Tissue.HEART: Look(0.25, 0.06, 0.08),
    Tissue.BONE_RIM: Look(0.08, 0.02, 0.03),
    Tissue.BONE_MARROW: Look(0.55, 0.08, 0.08),
    Tissue.CANAL: Look(1.10, 0.10, 0.10),
    Tissue.DISC: Look(0.50, 0.15, 0.06),
    Tissue.RENAL_FAT: Look(0.96, 0.06, 0.06),
    Tissue.PSOAS: Look(0.23, 0.04, 0.04),
    Tissue.MESENTERIC_VEIN: Look(0.20, 0.06, 0.04),
    Tissue.BOWEL_WALL: Look(0.42, 0.07, 0.06),
    Tissue.BOWEL_FLUID: Look(1.15, 0.18, 0.15),
    Tissue.BOWEL_SOLID: Look(0.50, 0.15, 0.15),
    Tissue.GAS: Look(0.02, 0.01, 0.0),
    Tissue.TABLE: Look(0.02, 0.01, 0.0),
    Tissue.DIAPHRAGM: Look(0.22, 0.04, 0.03),
    Tissue.SPLEEN: Look(0.66, 0.09, 0.04),
    Tissue.RIGHT_CORTEX: Look(0.72, 0.07, 0.05),
    Tissue.RIGHT_MEDULLA: Look(0.90, 0.08, 0.06),
    Tissue.LEFT_CORTEX: Look(0.72, 0.07, 0.05),
    Tissue.LEFT_MEDULLA: Look(0.90, 0.08, 0.06),
    Tissue.GALLBLADDER: Look(1.35, 0.15, 0.04),
    Tissue.OESOPHAGUS: Look(0.40, 0.07, 0.07),
    Tissue.LIVER: Look(0.36, 0.06, 0.05),
    Tissue.STOMACH_WALL: Look(0.42, 0.06, 0.06),
    Tissue.STOMACH_CONTENT: Look(1.05, 0.25, 0.18),
    Tissue.STOMACH_GAS: Look(0.02, 0.01, 0.0),
    Tissue.AORTA: Look(0.12, 0.04, 0.04),
    Tissue.VENA_CAVA: Look(0.18, 0.06, 0.05),
    Tissue.PORTAL: Look(0.20, 0.06, 0.04),
    Tissue.PANCREAS: Look(0.50, 0.07, 0.09),
    Tissue.OESOPHAGUS_GAS: Look(0.05, 0.02, 0.0),
    Part.RIGHT_ADRENAL: Look(0.40, 0.05, 0.05),
    Part.LEFT_ADRENAL: Look(0.40, 0.05, 0.05),
    Part.DUODENUM_WALL: Look(0.42, 0.07, 0.06),
    Part.DUODENUM_FLUID: Look(1.10, 0.18, 0.15),
    Part.DUODENUM_SOLID: Look(0.52, 0.12, 0.15),
    Part.DUODENUM_GAS: Look(0.02, 0.01, 0.0),
    Part.BLADDER_WALL: Look(0.30, 0.05, 0.04),
    Part.URINE: Look(1.40, 0.12, 0.03),
    Part.PROSTATE: Look(0.80, 0.10, 0.10),
    Part.PROSTATE_INNER: Look(0.48, 0.08, 0.12),
    Part.UTERUS: Look(0.46, 0.07, 0.07),
    Part.UTERUS_LINING: Look(0.95, 0.12, 0.06),
    Part.ILIAC_ARTERY: Look(0.12, 0.04, 0.04),
    Part.ILIAC_VEIN: Look(0.30, 0.12, 0.05),
}
_MR_LOOKS = [_MR[number] for number in (*Tissue, *Part)]
_ECHO = (0.8, 1.25)  # exponent on the signal, by the echo time: above 1 dark tissues get darker
_FAT_FACTOR = (0.65, 1.15)  # by the echo train
_FAT = [Tissue.FAT, Tissue.CAVITY, Tissue.RENAL_FAT, Tissue.BONE_MARROW]
_SAME_SIDES = ((Tissue.LEFT_CORTEX, Tissue.RIGHT_CORTEX), (Tissue.LEFT_MEDULLA, Tissue.RIGHT_MEDULLA),
               (Part.LEFT_ADRENAL, Part.RIGHT_ADRENAL))  # fmt: skip


def label_of_part() -> np.ndarray:
    """uint8 (number of tissues,): the label value of each tissue number."""
    labels = np.concatenate([label_of_tissue(), [_LABELS.get(part, 0) for part in Part]]).astype(np.uint8)
    labels[Tissue.PORTAL] = 0
    labels[Tissue.PANCREAS] = _PANCREAS_LABEL
    return labels


def ct_texture() -> np.ndarray:
    """float32 (number of tissues,): sd of the structure inside each tissue, in HU."""
    return np.concatenate([texture_of_tissue(), [_AS_IN_CT[part][3] for part in Part]]).astype(np.float32)


def mr_texture() -> np.ndarray:
    """float32 (number of tissues,): sd of the structure inside each tissue, relative to fat."""
    return np.array([look.texture for look in _MR_LOOKS], np.float32)


def draw_ct(rng: np.random.Generator) -> np.ndarray:
    """float32 (number of tissues,): each tissue's mean HU in one case, with its contrast phase."""
    known = draw_attenuation(rng)
    added = [known[_AS_IN_CT[part][0]] + rng.normal(*_AS_IN_CT[part][1:3]) for part in Part]
    return _sides_alike(np.concatenate([known, added]))


def draw_mr(rng: np.random.Generator) -> np.ndarray:
    """float32 (number of tissues,): each tissue's mean signal in one case, relative to fat."""
    signal = np.maximum(draw_signals(_MR_LOOKS, rng), 0) ** rng.uniform(*_ECHO)
    signal[_FAT] *= rng.uniform(*_FAT_FACTOR)
    return _sides_alike(signal)


def _sides_alike(mean: np.ndarray) -> np.ndarray:
    for left, right in _SAME_SIDES:
        mean[left] = mean[right]
    return mean.astype(np.float32)
