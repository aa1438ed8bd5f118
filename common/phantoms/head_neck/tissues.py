"""Tissues of the head and neck: which class they belong to, and how bright they are in both scans.

Attenuations in HU are typical textbook values at 120 kV, without contrast agent and about a minute after its
injection.  Tissues 1 to 54 are the classes of SegRap2023 in their order (a class of the left side is even,
its mirror image on the right the next number); numbers from 60 have no class of their own.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import IntEnum
from typing import NamedTuple

import numpy as np

__all__ = [
    "CLASSES",
    "Part",
    "Tissue",
    "draw_attenuation",
    "gtv_of_tissue",
    "label_of_tissue",
    "texture_of_tissue",
]

CLASSES = 55
"""Label values, background included."""


class Part(IntEnum):
    """SegRap2023's exclusive classes; of a pair, the left one."""

    BRAIN = 1
    BRAIN_STEM = 2
    CHIASM = 3
    TEMPORAL_LOBE = 4
    HIPPOCAMPUS_INSIDE = 6  # the temporal lobe
    HIPPOCAMPUS_OUTSIDE = 8
    EYE = 10
    LENS = 12
    OPTIC_NERVE = 14
    MIDDLE_EAR = 16
    AUDITORY_CANAL = 18  # the internal one
    TYMPANIC_INSIDE = 20  # the middle ear, and so on
    TYMPANIC_OUTSIDE = 22
    VESTIBULE_INSIDE = 24
    VESTIBULE_OUTSIDE = 26
    COCHLEA = 28
    TUBE_INSIDE = 30  # the bony part of the Eustachian tube
    TUBE_OUTSIDE = 32
    PITUITARY = 34
    ORAL_CAVITY = 35
    MANDIBLE = 36
    SUBMANDIBULAR = 38
    PAROTID = 40
    MASTOID = 42
    JAW_JOINT = 44
    SPINAL_CORD = 46
    ESOPHAGUS = 47
    LARYNX = 48
    GLOTTIS = 49
    SUPRAGLOTTIS = 50
    CONSTRICTOR_INSIDE = 51  # the larynx
    CONSTRICTOR = 52
    THYROID = 53
    TRACHEA = 54

    def on(self, side: int) -> int:
        """The class on the left (1) or on the right (-1)."""
        return int(self) + (side < 0)


class Tissue(IntEnum):
    """What has no class of its own."""

    AIR = 0
    SKIN = 60
    FAT = 61
    MUSCLE = 62
    BONE = 63
    MARROW = 64
    DISC = 65
    FLUID = 66  # around brain and cord
    VENTRICLE = 67
    AIRWAY = 68
    MUCOSA = 69
    ARTERY = 70
    VEIN = 71
    NODE = 72  # a lymph node of normal size
    CARTILAGE = 73
    LARYNX_AIR = 74
    GLOTTIS_AIR = 75
    SUPRAGLOTTIS_AIR = 76
    TRACHEA_AIR = 77
    GTV_PRIMARY = 78
    GTV_NODE = 79
    GTV_NODE_CORE = 80


class _Look(NamedTuple):
    native: float  # HU without contrast agent
    contrast: float  # HU with it
    spread: float = 0.0  # HU, sd between cases
    texture: float = 0.0  # HU, sd inside the tissue
    label: int = 0  # of tissues from 60


_LOOKS: dict[int, _Look] = {
    Tissue.AIR: _Look(-1000, -1000),
    Part.BRAIN: _Look(34, 40, 2, 6),
    Part.BRAIN_STEM: _Look(31, 37, 2, 5),
    Part.CHIASM: _Look(36, 42, 2, 4),
    Part.TEMPORAL_LOBE: _Look(34, 40, 2, 6),
    Part.HIPPOCAMPUS_INSIDE: _Look(36, 43, 2, 5),
    Part.HIPPOCAMPUS_OUTSIDE: _Look(36, 43, 2, 5),
    Part.EYE: _Look(14, 16, 3, 4),
    Part.LENS: _Look(95, 95, 8, 6),
    Part.OPTIC_NERVE: _Look(34, 44, 4, 5),
    Part.MIDDLE_EAR: _Look(520, 520, 60, 180),
    Part.AUDITORY_CANAL: _Look(30, 34, 8, 10),
    Part.TYMPANIC_INSIDE: _Look(-620, -620, 130, 60),
    Part.TYMPANIC_OUTSIDE: _Look(-620, -620, 130, 60),
    Part.VESTIBULE_INSIDE: _Look(120, 120, 30, 60),
    Part.VESTIBULE_OUTSIDE: _Look(120, 120, 30, 60),
    Part.COCHLEA: _Look(260, 260, 40, 80),
    Part.TUBE_INSIDE: _Look(-180, -180, 80, 80),
    Part.TUBE_OUTSIDE: _Look(-180, -180, 80, 80),
    Part.PITUITARY: _Look(46, 110, 6, 5),
    Part.ORAL_CAVITY: _Look(48, 66, 5, 13),
    Part.MANDIBLE: _Look(720, 725, 90, 180),
    Part.SUBMANDIBULAR: _Look(38, 92, 8, 8),
    Part.PAROTID: _Look(-4, 44, 14, 14),
    Part.MASTOID: _Look(-180, -180, 110, 190),
    Part.JAW_JOINT: _Look(430, 432, 60, 150),
    Part.SPINAL_CORD: _Look(36, 42, 3, 4),
    Part.ESOPHAGUS: _Look(36, 62, 6, 8),
    Part.LARYNX: _Look(30, 46, 8, 18),
    Part.GLOTTIS: _Look(46, 64, 5, 8),
    Part.SUPRAGLOTTIS: _Look(34, 54, 8, 14),
    Part.CONSTRICTOR_INSIDE: _Look(48, 68, 4, 7),
    Part.CONSTRICTOR: _Look(48, 68, 4, 7),
    Part.THYROID: _Look(100, 172, 12, 10),
    Part.TRACHEA: _Look(40, 52, 8, 8),
    Tissue.SKIN: _Look(15, 22, 8, 6),
    Tissue.FAT: _Look(-100, -99, 4, 10),
    Tissue.MUSCLE: _Look(50, 62, 3, 9),
    Tissue.BONE: _Look(900, 905, 90, 130),
    Tissue.MARROW: _Look(280, 285, 50, 70),
    Tissue.DISC: _Look(80, 84, 8, 8),
    Tissue.FLUID: _Look(8, 9, 2, 3),
    Tissue.VENTRICLE: _Look(6, 7, 2, 2, Part.BRAIN),
    Tissue.AIRWAY: _Look(-980, -980),
    Tissue.MUCOSA: _Look(40, 72, 6, 8),
    Tissue.ARTERY: _Look(44, 255, 8, 5),
    Tissue.VEIN: _Look(44, 195, 8, 6),
    Tissue.NODE: _Look(40, 78, 5, 5),
    Tissue.CARTILAGE: _Look(130, 135, 40, 60, Part.LARYNX),
    Tissue.LARYNX_AIR: _Look(-980, -980, label=Part.LARYNX),
    Tissue.GLOTTIS_AIR: _Look(-980, -980, label=Part.GLOTTIS),
    Tissue.SUPRAGLOTTIS_AIR: _Look(-980, -980, label=Part.SUPRAGLOTTIS),
    Tissue.TRACHEA_AIR: _Look(-980, -980, label=Part.TRACHEA),
    Tissue.GTV_PRIMARY: _Look(47, 98, 3, 9),
    Tissue.GTV_NODE: _Look(44, 104, 4, 9),
    Tissue.GTV_NODE_CORE: _Look(32, 42, 5, 8),
}
_NUMBERS = max(Tissue) + 1
_ENHANCEMENT = (0.8, 1.2)  # of the textbook's difference: dose and delay of the contrast agent
_GTVS = {Tissue.GTV_PRIMARY: 1, Tissue.GTV_NODE: 2, Tissue.GTV_NODE_CORE: 2}


def label_of_tissue() -> np.ndarray:
    """uint8 (number of tissues,): the class of each tissue number, 0 to 54."""
    labels = np.where(np.arange(_NUMBERS) < CLASSES, np.arange(_NUMBERS), 0).astype(np.uint8)
    for tissue in Tissue:
        labels[tissue] = _LOOKS[tissue].label
    return labels


def gtv_of_tissue() -> np.ndarray:
    """uint8 (number of tissues,): 1 for the primary tumor, 2 for lymph nodes with tumor, else 0."""
    return np.array([_GTVS.get(number, 0) for number in range(_NUMBERS)], np.uint8)


def texture_of_tissue() -> np.ndarray:
    """float32 (number of tissues,): sd of the structure inside each tissue, in HU."""
    return _by_number({number: look.texture for number, look in _LOOKS.items()})


def draw_attenuation(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Each tissue's mean HU in one patient without and with contrast agent, float32 (number of tissues,).

    Both sides are alike: their places alone tell a left class from a right one.
    """
    deviation = {
        number: rng.normal(0, look.spread) if look.spread else 0.0 for number, look in _LOOKS.items()
    }
    enhancement = rng.uniform(*_ENHANCEMENT)
    native = {number: look.native + deviation[number] for number, look in _LOOKS.items()}
    contrast = {
        number: native[number] + enhancement * (look.contrast - look.native)
        for number, look in _LOOKS.items()
    }
    return _by_number(native), _by_number(contrast)


def _by_number(values: Mapping[int, float]) -> np.ndarray:
    """float32 (number of tissues,): a right class has its left one's value."""
    return np.array(
        [values.get(number, values.get(number - 1, 0.0)) for number in range(_NUMBERS)], np.float32
    )
