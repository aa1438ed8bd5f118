"""SegRap2023's label algebra: 54 exclusive classes, and the 45 overlapping organs that are unions of them.

Training labels are one map of exclusive classes, results one mask for each organ, and organs overlap: the
brain holds the brain stem, the middle ear the cochlea.  Every class lies in another set of organs, so either
form follows from the other.  Targets of task 2 (GTVp, GTVnd) are a table of the same kind.

"Left" is the patient's.  Classes 2k and 2k+1 are a left and a right one for 2k = 4 to 32 and 36 to 44 alone:
34 (pituitary) and 35 (oral cavity) have no partner.

Source: Luo et al., Medical Image Analysis 101:103447, 2025; the table is the challenge's.
Axes: N structures in the challenge's order of channels; *S spatial, any order.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np

__all__ = [
    "GTVS",
    "ORGANS",
    "Conflict",
    "Structures",
    "channel_pairs",
    "class_names",
    "class_pairs",
    "compose",
    "expand",
    "membership",
]

Structures = Mapping[str, tuple[int, ...]]
"""Name of a structure -> the exclusive classes it is the union of; at most 64, in the order of channels."""

ORGANS: Structures = {
    "Brain": (1, 2, 3, 4, 5, 6, 7, 8, 9),
    "BrainStem": (2,),
    "Chiasm": (3,),
    "TemporalLobe_L": (4, 6),
    "TemporalLobe_R": (5, 7),
    "Hippocampus_L": (6, 8),
    "Hippocampus_R": (7, 9),
    "Eye_L": (10, 12),
    "Eye_R": (11, 13),
    "Lens_L": (12,),
    "Lens_R": (13,),
    "OpticNerve_L": (14,),
    "OpticNerve_R": (15,),
    "MiddleEar_L": (16, 18, 20, 24, 28, 30),
    "MiddleEar_R": (17, 19, 21, 25, 29, 31),
    "IAC_L": (18,),
    "IAC_R": (19,),
    "TympanicCavity_L": (20, 22),
    "TympanicCavity_R": (21, 23),
    "VestibulSemi_L": (24, 26),
    "VestibulSemi_R": (25, 27),
    "Cochlea_L": (28,),
    "Cochlea_R": (29,),
    "ETbone_L": (30, 32),
    "ETbone_R": (31, 33),
    "Pituitary": (34,),
    "OralCavity": (35,),
    "Mandible_L": (36,),
    "Mandible_R": (37,),
    "Submandibular_L": (38,),
    "Submandibular_R": (39,),
    "Parotid_L": (40,),
    "Parotid_R": (41,),
    "Mastoid_L": (42,),
    "Mastoid_R": (43,),
    "TMjoint_L": (44,),
    "TMjoint_R": (45,),
    "SpinalCord": (46,),
    "Esophagus": (47,),
    "Larynx": (48, 49, 50, 51),
    "Larynx_Glottic": (49,),
    "Larynx_Supraglot": (50,),
    "PharynxConst": (51, 52),
    "Thyroid": (53,),
    "Trachea": (54,),
}
"""Task 1: 45 organs at risk; the map's other value, 0, is the background."""

GTVS: Structures = {"GTVp": (1,), "GTVnd": (2,)}
"""Task 2: the gross tumour volumes, of the primary tumour and of lymph nodes; they do not overlap."""


@dataclass(frozen=True)
class Conflict:
    """Voxels whose masks no exclusive class has: ``structures`` hold them, and no other."""

    structures: tuple[str, ...]
    voxels: int

    def __str__(self) -> str:
        alone = "alone " if len(self.structures) == 1 else ""
        return f"{' and '.join(self.structures)} {alone}in {self.voxels} voxels"


def membership(structures: Structures = ORGANS) -> np.ndarray:
    """Whether a structure holds a class: (N, 1 + classes), bool; column 0, the background, is False."""
    table = np.zeros((len(structures), 1 + max(map(max, structures.values()))), bool)
    for row, classes in zip(table, structures.values(), strict=True):
        row[list(classes)] = True
    return table


def class_names(structures: Structures = ORGANS) -> list[str]:
    """A name for every value of the map, from ``background`` on.

    It names the structures that hold the class, less those that hold one of the others whole: class 2 is
    ``BrainStem``, 6 (in brain, temporal lobe and hippocampus) is ``TemporalLobe_L+Hippocampus_L``.
    """
    names = ["background"]
    for value in range(1, membership(structures).shape[1]):
        around = {name: set(classes) for name, classes in structures.items() if value in classes}
        kept = [name for name, classes in around.items() if not any(o < classes for o in around.values())]
        names.append("+".join(kept))
    return names


def class_pairs(structures: Structures = ORGANS) -> tuple[tuple[int, int], ...]:
    """Left class and right class of every pair, ascending."""
    names = list(structures)
    sides = [(names[left], names[right]) for left, right in channel_pairs(structures)]
    both = {
        pair
        for left, right in sides
        for pair in zip(sorted(structures[left]), sorted(structures[right]), strict=True)
    }
    return tuple(sorted(both))


def channel_pairs(structures: Structures = ORGANS) -> tuple[tuple[int, int], ...]:
    """Left channel and right channel of every structure that is there twice (``Eye_L``, ``Eye_R``)."""
    names = list(structures)
    lefts = [name for name in names if name.endswith("_L")]
    return tuple((names.index(left), names.index(f"{left[:-1]}R")) for left in lefts)


def expand(fine: np.ndarray, structures: Structures = ORGANS) -> np.ndarray:
    """The masks of all structures in a map of exclusive classes.

    All of them take N bytes a voxel; one is ``membership(structures)[n][fine]``.

    Args:
        fine: (*S), whole numbers from 0 to the number of classes.
        structures: ``ORGANS`` or ``GTVS``.

    Returns:
        (N, *S), bool.

    Raises:
        ValueError: the map has another value, or no integers.
    """
    table = membership(structures)
    if fine.dtype.kind not in "iu" or (fine.size and not 0 <= fine.min() <= fine.max() < table.shape[1]):
        raise ValueError(
            f"a map of {fine.dtype}, {fine.min():g} to {fine.max():g}; expected whole numbers from 0 to "
            f"{table.shape[1] - 1}"
        )
    return table[:, fine]


def compose(
    channels: Iterable[np.ndarray], structures: Structures = ORGANS
) -> tuple[np.ndarray, list[Conflict]]:
    """The map of exclusive classes whose structures these masks are; the inverse of :func:`expand`.

    A voxel whose masks are not those of a class (a brain stem outside the brain, a parotid within the
    trachea) becomes background, and is counted.

    Args:
        channels: N masks (*S), one after the other; whatever is not 0 belongs.  Only one need be in memory.
        structures: ``ORGANS`` or ``GTVS``.

    Returns:
        (*S), uint8, and the conflicts, those of most voxels first.

    Raises:
        ValueError: not one mask for each structure, or masks of different shapes.
    """
    codes, number = _codes(channels)
    if codes is None or number != len(structures):
        raise ValueError(f"{number} channels; expected {len(structures)}, one for each structure")
    bits = np.uint64(1) << np.arange(number, dtype=np.uint64)
    known = (membership(structures) * bits[:, None]).sum(axis=0, dtype=np.uint64)
    order = np.argsort(known)
    fine = np.zeros(codes.shape, np.uint8)
    at = np.flatnonzero(codes)
    found = codes.reshape(-1)[at]
    place = np.searchsorted(known[order], found).clip(max=len(order) - 1)
    fits = known[order][place] == found
    fine.reshape(-1)[at[fits]] = order[place[fits]]
    names = np.array(list(structures))
    strange, counts = np.unique(found[~fits], return_counts=True)
    conflicts = [
        Conflict(tuple(names[(code & bits) != 0].tolist()), int(count))
        for code, count in zip(strange, counts, strict=True)
    ]
    return fine, sorted(conflicts, key=lambda one: -one.voxels)


def _codes(channels: Iterable[np.ndarray]) -> tuple[np.ndarray | None, int]:
    """A bit for each mask at every voxel, (*S) of uint64, and the number of masks."""
    codes, number = None, 0
    for number, channel in enumerate(channels, start=1):
        codes = np.zeros(channel.shape, np.uint64) if codes is None else codes
        if channel.shape != codes.shape:
            raise ValueError(f"channel {number - 1} is {channel.shape}; expected {codes.shape} as the first")
        if number <= 64:
            codes[channel != 0] |= np.uint64(1) << np.uint64(number - 1)
    return codes, number
