"""Scans in several orientations, and their preprocessing for a network."""

from __future__ import annotations

import numpy as np
import torch
from monai.data import MetaTensor
from monai.transforms import Compose, Orientationd
from nibabel.orientations import axcodes2ornt, inv_ornt_aff, ornt_transform

from common.transforms.planned import planned_spacing


def turn(*degrees: float) -> np.ndarray:
    """A rotation about three axes, one after another."""
    matrix = np.eye(4)
    for (a, b), angle in zip(((1, 2), (2, 0), (0, 1)), np.deg2rad(degrees), strict=True):
        step = np.eye(4)
        step[[a, b, a, b], [a, b, b, a]] = np.cos(angle), np.cos(angle), -np.sin(angle), np.sin(angle)
        matrix = step @ matrix
    return matrix


def affine_of(axcodes: str, shape, spacing, *, turned=(0, 0, 0), shear: float = 0.0) -> np.ndarray:
    """The affine of a scan of this shape whose axes point along ``axcodes``; ``spacing`` along R, A, S."""
    ornt = ornt_transform(axcodes2ornt("RAS"), axcodes2ornt(tuple(axcodes)))
    sides = [shape[int(axis)] for axis in ornt[:, 0]]
    ras = np.diag([*spacing, 1.0])
    ras[0, 2] = shear * spacing[2]  # a tilted gantry
    ras[:3, 3] = -31, 17, 5
    affine = turn(*turned) @ ras @ inv_ornt_aff(ornt, tuple(sides))
    return affine


def scan(shape, affine: np.ndarray, channels: int = 1) -> MetaTensor:
    """Random values from -1 to 1."""
    values = torch.rand((channels, *shape), generator=torch.Generator().manual_seed(1)) * 2 - 1
    return MetaTensor(values, affine=torch.tensor(affine), meta={"filename_or_obj": "a scan.nii.gz"})


def preprocessing(spacing, axcodes: str = "SPL") -> Compose:
    return Compose([Orientationd("image", axcodes=axcodes, labels=None), planned_spacing("image", spacing)])
