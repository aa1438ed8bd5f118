"""Submissions, references and the challenge's command: segrap2023/docs/method.md#files, #scores."""

from __future__ import annotations

import itk
import nibabel as nib
import numpy as np
import pytest

import common  # noqa: F401 (makes bundles importable)
from common.datasets.raw.segrap_classes import GTVS, ORGANS, expand
from common.errors import InputError
from common.evaluation.tables import read_rows  # noqa: F401
from segrap2023.scoring import score_teams
from segrap2023.stacks import find_structures, write_stack
from tests.of_bundles import run_bundle  # noqa: F401

AFFINE = np.array([[0, -0.5, 0, 3], [0.6, 0, 0, -7], [0, 0, 3.0, 9], [0, 0, 0, 1]])


def fine_map(seed: int) -> np.ndarray:
    """Blocks of classes, (X, Y, Z)."""
    blocks = np.random.default_rng(seed).integers(0, 55, (4, 4, 3))
    return np.kron(blocks, np.ones((3, 3, 2))).astype(np.uint8)
