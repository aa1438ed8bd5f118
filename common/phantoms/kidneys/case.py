"""One case of the kidney phantom: a patient of the abdomen phantom with renal masses, and three annotators.

A tumor takes up contrast, less than the cortex around it and unevenly, with a dark core where it is large;
a cyst is mostly water, but one in four is dense or has taken up contrast and looks much like a tumor.
Annotators differ by a bias of their own and by a smooth error along the surface.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.ndimage import distance_transform_edt, gaussian_filter

from common.datasets.raw.kits21_annotations import aggregate
from common.phantoms.abdomen.case import paint_patient
from common.phantoms.abdomen.tissues import Tissue, draw_attenuation, texture_of_tissue
from common.phantoms.making.ct import block_mean, scan
from common.phantoms.making.placement import scanner_affine
from common.phantoms.making.shapes import Canvas

__all__ = ["ANNOTATORS", "KidneyCase", "make_case"]

ANNOTATORS = 3

_ARTERIAL = (0.0, 1.0, 0.0)
_KIDNEYS = ((Tissue.RIGHT_CORTEX, Tissue.RIGHT_MEDULLA), (Tissue.LEFT_CORTEX, Tissue.LEFT_MEDULLA))
_YIELDS = (
    Tissue.RENAL_FAT,
    Tissue.CAVITY,
    Tissue.LIVER,
    Tissue.SPLEEN,
    Tissue.BOWEL_WALL,
    Tissue.BOWEL_FLUID,
)
_FIRST_MASS = max(Tissue) + 1  # tissue numbers above the abdomen's: two for each mass, rim and core
_TUMORS, _CYSTS = ((1, 2), (0.75, 0.25)), ((0, 1, 2), (0.3, 0.45, 0.25))  # how many, and how often
_TUMOR_RADIUS_MM, _CYST_RADIUS_MM = (11.0, 27.0), (7.0, 18.0)
_TUMOR_HU, _TUMOR_CORE_HU = (60.0, 135.0), (20.0, 55.0)
_CORE_FROM_MM = 18.0
_WATER_HU, _DENSE_HU, _DENSE_CHANCE = (0.0, 20.0), (40.0, 90.0), 0.25
_TUMOR_TEXTURE_HU, _CYST_TEXTURE_HU = 22.0, 4.0
_BIAS_SD_MM, _WAVE_SD_MM, _WAVE_MM = 0.5, 1.4, 9.0


@dataclass(frozen=True)
class KidneyCase:
    """One scan.

    Attributes:
        image: (X, Y, Z) int16 HU.
        label: (X, Y, Z) uint8, the majority of the annotators.
        annotations: region -> instances -> annotators' masks, bool (X, Y, Z).
        affine: (4, 4), voxel index to RAS+ mm.
    """

    image: np.ndarray
    label: np.ndarray
    annotations: dict[str, list[list[np.ndarray]]]
    affine: np.ndarray


@dataclass
class _Mass:
    region: str
    tissue: int  # of its rim; its core has the next number
    rim_hu: float
    core_hu: float
    texture: float


def make_case(shape: Sequence[int], spacing: Sequence[float], rng: np.random.Generator) -> KidneyCase:
    """Draw, paint, scan and annotate one patient.

    Args:
        shape: voxels (X, Y, Z).
        spacing: mm (X, Y, Z), before the case's own deviation of at most 6 percent.
        rng: this case's random numbers.
    """
    patient = paint_patient(shape, spacing, rng)
    canvas, voxel = patient.canvas, patient.spacing
    sides = [np.isin(canvas.tissue, kidney) for kidney in _KIDNEYS]
    masses = _paint_masses(canvas, sides, rng)
    attenuation = [*draw_attenuation(rng, phase_chances=_ARTERIAL), *_of_each(masses, "rim_hu", "core_hu")]
    texture = [*texture_of_tissue(), *_of_each(masses, "texture", "texture")]
    image = scan(
        canvas.tissue,
        attenuation=np.array(attenuation, np.float32),
        texture=np.array(texture, np.float32),
        rng=rng,
    )
    truth = _instances(canvas.tissue, sides, masses)
    annotations = {
        region: [_annotated(mask, voxel / 2, rng) for mask in instances]
        for region, instances in truth.items()
    }
    return KidneyCase(image, aggregate(annotations), annotations, scanner_affine(shape, voxel, rng))


def _of_each(masses: Sequence[_Mass], *names: str) -> list[float]:
    return [getattr(mass, name) for mass in masses for name in names]


def _paint_masses(canvas: Canvas, sides: Sequence[np.ndarray], rng: np.random.Generator) -> list[_Mass]:
    """Put tumors and then cysts on the kidneys; what is painted first keeps its place."""
    masses: list[_Mass] = []
    numbers = [("tumor", rng.choice(_TUMORS[0], p=_TUMORS[1])), ("cyst", rng.choice(_CYSTS[0], p=_CYSTS[1]))]
    for region, number in numbers:
        for _ in range(number):
            side = int(rng.integers(2))
            mass = _draw_mass(region, _FIRST_MASS + 2 * len(masses), rng)
            places = np.flatnonzero(sides[side] & np.isin(canvas.tissue, _KIDNEYS[side]))
            if not places.size:
                continue  # the scan does not reach this kidney
            index = np.unravel_index(rng.choice(places), canvas.tissue.shape)
            center = np.array([axis[index] for axis in canvas.body])
            low, high = _TUMOR_RADIUS_MM if region == "tumor" else _CYST_RADIUS_MM
            radius = np.exp(rng.uniform(np.log(low), np.log(high)))
            bumps = 0.12 if region == "tumor" else 0.03
            axes = radius * np.exp(rng.normal(0, 0.1, 3))
            solid = canvas.ellipsoid(center, axes, bumps=bumps, rng=rng)
            canvas.paint(solid, mass.tissue, over=[*_YIELDS, *_KIDNEYS[side]])
            if region == "tumor" and radius > _CORE_FROM_MM:
                core = canvas.ellipsoid(center, axes * rng.uniform(0.4, 0.65), bumps=0.2, rng=rng)
                canvas.paint(core, mass.tissue + 1, over=[mass.tissue])
            masses.append(mass)
    return masses


def _draw_mass(region: str, tissue: int, rng: np.random.Generator) -> _Mass:
    if region == "tumor":
        return _Mass(region, tissue, rng.uniform(*_TUMOR_HU), rng.uniform(*_TUMOR_CORE_HU), _TUMOR_TEXTURE_HU)
    hu = rng.uniform(*(_DENSE_HU if rng.random() < _DENSE_CHANCE else _WATER_HU))
    return _Mass(region, tissue, hu, hu, _CYST_TEXTURE_HU)


def _instances(
    tissue: np.ndarray, sides: Sequence[np.ndarray], masses: Sequence[_Mass]
) -> dict[str, list[np.ndarray]]:
    """Region -> one fine mask for each instance that the scan shows; a kidney continues under its masses."""
    found: dict[str, list[np.ndarray]] = {"kidney": [side for side in sides if side.any()]}
    found |= {"tumor": [], "cyst": []}
    for mass in masses:
        mask = (tissue == mass.tissue) | (tissue == mass.tissue + 1)
        if mask.any():
            found[mass.region].append(mask)
    return found


def _annotated(fine: np.ndarray, spacing: np.ndarray, rng: np.random.Generator) -> list[np.ndarray]:
    """What each annotator draws of an instance, on the scan's grid.

    Args:
        fine: bool, the truth on the canvas.
        spacing: mm, of the canvas.
        rng: draws biases and errors.
    """
    inside = distance_transform_edt(fine, sampling=spacing) - distance_transform_edt(~fine, sampling=spacing)
    masks = []
    for _ in range(ANNOTATORS):
        wave = gaussian_filter(rng.standard_normal(fine.shape, dtype=np.float32), _WAVE_MM / 2 / spacing)
        error = rng.normal(0, _BIAS_SD_MM) + _WAVE_SD_MM * wave / wave.std()
        masks.append(block_mean((inside + error > 0).astype(np.float32)) >= 0.5)
    return masks
