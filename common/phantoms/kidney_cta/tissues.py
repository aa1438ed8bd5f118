"""Tissues of the kidney angiography: the abdomen's, and what this phantom adds.

Attenuations are those of a scan about 30 s after injection: arteries at their brightest, renal veins filled
early since the kidneys pass blood on fast, the cortex brighter than the medulla.
"""

from __future__ import annotations

from enum import IntEnum

import numpy as np

from common.phantoms.abdomen.tissues import Tissue, draw_attenuation, texture_of_tissue

__all__ = ["Part", "draw_angiogram", "label_of_part", "texture_of_part"]


class Part(IntEnum):
    """Tissue numbers above the abdomen's."""

    RENAL_VEIN = max(Tissue) + 1
    RENAL_ARTERY = max(Tissue) + 2
    TUMOR = max(Tissue) + 3
    TUMOR_CORE = max(Tissue) + 4  # necrosis in a large tumor


_KIDNEY = (Tissue.RIGHT_CORTEX, Tissue.RIGHT_MEDULLA, Tissue.LEFT_CORTEX, Tissue.LEFT_MEDULLA)
_LABELS = {
    Part.RENAL_VEIN: 1,
    **dict.fromkeys(_KIDNEY, 2),
    Part.RENAL_ARTERY: 3,
    Part.TUMOR: 4,
    Part.TUMOR_CORE: 4,
}
_TEXTURE_HU = {Part.RENAL_VEIN: 6, Part.RENAL_ARTERY: 4, Part.TUMOR: 28, Part.TUMOR_CORE: 20}

_ARTERIAL = (0.0, 1.0, 0.0)
_ARTERY_HU = (250.0, 400.0)
_VEIN_HU = (150.0, 250.0)
_CAVA_SHARE = (0.5, 0.95)  # of the renal vein's: blood from the legs dilutes it
_CORTEX_HU, _CORTEX_SD_HU = 182.0, 14.0
_MEDULLA_BELOW_HU = (15.0, 80.0)  # the cortex, by how late the scan is
_TUMOR_BELOW_HU = (25.0, 90.0)  # the cortex; the medulla is as dark, so that the edge is weak
_CORE_HU = (30.0, 70.0)


def label_of_part() -> np.ndarray:
    """uint8 (number of tissues,): the label value of each tissue number."""
    return np.array([_LABELS.get(number, 0) for number in range(max(Part) + 1)], np.uint8)


def texture_of_part() -> np.ndarray:
    """float32 (number of tissues,): sd of the structure inside each tissue, in HU."""
    return np.concatenate([texture_of_tissue(), np.array([_TEXTURE_HU[part] for part in Part], np.float32)])


def draw_angiogram(rng: np.random.Generator) -> np.ndarray:
    """float32 (number of tissues,): each tissue's mean HU in one case."""
    mean = np.concatenate([draw_attenuation(rng, phase_chances=_ARTERIAL), np.zeros(len(Part), np.float32)])
    artery, vein = rng.uniform(*_ARTERY_HU), rng.uniform(*_VEIN_HU)
    cortex = rng.normal(_CORTEX_HU, _CORTEX_SD_HU)
    medulla = cortex - rng.uniform(*_MEDULLA_BELOW_HU)
    mean[[Tissue.AORTA, Part.RENAL_ARTERY]] = artery
    mean[Part.RENAL_VEIN] = vein
    mean[Tissue.VENA_CAVA] = vein * rng.uniform(*_CAVA_SHARE)
    mean[[Tissue.RIGHT_CORTEX, Tissue.LEFT_CORTEX]] = cortex
    mean[[Tissue.RIGHT_MEDULLA, Tissue.LEFT_MEDULLA]] = medulla
    mean[Part.TUMOR] = cortex - rng.uniform(*_TUMOR_BELOW_HU)
    mean[Part.TUMOR_CORE] = rng.uniform(*_CORE_HU)
    return mean
