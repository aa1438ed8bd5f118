"""One case of the prostate phantom: a random pelvis, painted and scanned at one of six sites.

Body coordinates in mm, LAS+ (x to the patient's left, y forwards, z up), origin in the middle of the
prostate.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from common.phantoms.making.ct import SUPERSAMPLING, majority_label
from common.phantoms.making.mr import magnitude_scan
from common.phantoms.making.placement import scanner_affine
from common.phantoms.making.shapes import Canvas, Pose, rotation_matrix
from common.phantoms.prostate.pelvis import paint_pelvis, paint_prostate
from common.phantoms.prostate.tissues import draw_signal, label_of_tissue, texture_of_tissue

__all__ = ["SITES", "make_case"]


@dataclass(frozen=True)
class Site:
    """How one site scans.

    Attributes:
        finer: voxels per length in plane, relative to site A.
        slice_mm: thickness, without gaps.
        echo: see :func:`common.phantoms.prostate.tissues.draw_signal`.
        fat: see the same function.
        noise: lowest and highest sd, relative to the peripheral zone.
        blur: lowest and highest sd in voxels.
        gain: lowest and highest stored value of a signal of 1.
        coil: how much brighter a coil in the rectum makes what touches it; 0 for a surface coil.
        shading: how much brighter the front is than the back, as a logarithm over 100 mm.
    """

    finer: float
    slice_mm: float
    echo: float
    fat: float
    noise: tuple[float, float]
    blur: tuple[float, float]
    gain: tuple[float, float]
    coil: float = 0.0
    shading: float = 0.0


SITES = {
    "A": Site(1.00, 3.6, 1.00, 1.00, (0.04, 0.08), (0.3, 0.5), (300, 500)),
    "B": Site(1.00, 4.0, 0.80, 1.15, (0.10, 0.15), (0.5, 0.8), (700, 1100), shading=-0.4),
    "C": Site(1.10, 3.0, 1.15, 0.90, (0.05, 0.09), (0.4, 0.6), (150, 260), coil=2.2),
    "D": Site(1.25, 3.0, 0.90, 1.30, (0.07, 0.12), (0.6, 1.0), (90, 160), shading=0.6),
    "E": Site(0.90, 3.3, 1.30, 0.75, (0.06, 0.10), (0.3, 0.6), (450, 800), shading=0.3),
    "F": Site(1.15, 3.6, 0.85, 1.05, (0.09, 0.14), (0.5, 0.9), (1200, 2200), coil=4.0),
}

_WIDTH_MM = 128.0
_HEIGHT_MM = 74.0
_COIL_REACH_MM = 28.0
_TILT_SD_DEG = (5.0, 3.0, 3.0)
_SCALE_SD = 0.06
_OFF_CENTRE_SD_MM = (8.0, 8.0, 3.5)
_FARTHEST_MM = np.array((20.0, 16.0, 6.0))  # so that the prostate's ends stay inside the volume
_SCANNER_ORIGIN_MM = ((-10.0, -20.0, -60.0), (10.0, 20.0, 20.0))  # the scan's middle, lowest and highest


def make_case(domain: str, size: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Draw, paint and scan one patient.

    Args:
        domain: a key of ``SITES``.
        size: voxels along X and Y at site A.
        rng: this case's random numbers.

    Returns:
        image (X, Y, Z) int16, arbitrary units from 0; label (X, Y, Z) uint8, 1 for the prostate; affine
        (4, 4), voxel index to RAS+ mm.
    """
    site = SITES[domain]
    voxels = round(size * site.finer)
    slices = round(_HEIGHT_MM / site.slice_mm)
    spacing = np.array([_WIDTH_MM / voxels, _WIDTH_MM / voxels, site.slice_mm])
    pose = Pose(
        rotation=rotation_matrix(rng.normal(0, _TILT_SD_DEG)),
        scale=np.exp(np.clip(rng.normal(0, _SCALE_SD, 3), -2 * _SCALE_SD, 2 * _SCALE_SD)),
        shift=np.clip(rng.normal(0, _OFF_CENTRE_SD_MM), -_FARTHEST_MM, _FARTHEST_MM),
    )
    shape = np.array([voxels, voxels, slices])
    canvas = Canvas(shape * SUPERSAMPLING, spacing / SUPERSAMPLING, pose)
    rectum = paint_pelvis(canvas, rng, balloon=site.coil > 0)
    paint_prostate(canvas, rng, flattened=0.85 if site.coil else 1.0)
    sensitivity = _sensitivity(canvas, site, rectum, rng)

    image = magnitude_scan(
        canvas.tissue,
        signal=draw_signal(site.echo, site.fat, rng),
        texture=texture_of_tissue(),
        rng=rng,
        noise_sd=site.noise,
        blur_voxels=site.blur,
        gain=site.gain,
        sensitivity=sensitivity,
    )
    label = majority_label(label_of_tissue()[canvas.tissue], classes=2)
    return image, label, scanner_affine(shape, spacing, rng, middle=_SCANNER_ORIGIN_MM)


def _sensitivity(canvas: Canvas, site: Site, rectum: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """float32, (X, Y, Z) of the scan: front against back, and brighter near the coil in the rectum."""
    first = tuple(slice(0, None, SUPERSAMPLING) for _ in range(3))
    x, y, z = (axis[first] for axis in canvas.body)
    field = np.exp(np.float32(site.shading / 100) * y)
    if site.coil:
        away = np.hypot(np.hypot(x - rectum[0], y - rectum[1]), 0.5 * (z - rectum[2]))
        strength = np.float32(site.coil * rng.uniform(0.8, 1.2))
        field = field * (1 + strength * np.exp(-((away / np.float32(_COIL_REACH_MM)) ** 2)))
    return field.astype(np.float32)
