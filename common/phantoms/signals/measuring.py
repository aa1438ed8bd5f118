"""Signals become a data set: each with a few linear measurements, noise, and the operator that measured it.

A case is a measurement ``image`` (M,) or (M, W) and the truth ``label`` (N,) or (N, W), W columns of a
picture, float64 in NumPy files; the truth of a picture is an 8-bit PNG.  The operator of all cases is
``operator.npy`` (M, N), which ``dataset.json`` names under ``operator``; where each case has its own, the
case names it.  The basis in which the signals are sparse is in ``dataset.json`` under ``basis``.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from common.errors import InputError
from common.phantoms.making.store import Entry

__all__ = ["Measuring"]


@dataclass(frozen=True)
class Measuring:
    """How signals are measured.

    Attributes:
        measurements: M, fewer than ``length``; of a picture, of every column.
        length: N.
        snr_db: deviation of the noise-free measurements over that of the noise, in decibel.
        seed: whole number from 0; a shared operator follows from it alone.
        basis: in which the signals are sparse; one of :data:`common.blocks.sensing.BASES`.
        pictures: signals are pictures, 0 to 255; the columns of their operator are not scaled to norm 1, as
            in the paper.
        shared_operator: one for all cases; otherwise each case has its own.
        shared_noise: of a picture: one vector for all its columns, or one for each.
        on_coefficients: what is drawn is the operator on the coefficients in ``basis``, Phi; what is
            measured, and stored, is Phi Psi^T on the signal.

    Raises:
        InputError: there are not 2 to N - 1 measurements, or N is below 64.
    """

    measurements: int
    length: int
    snr_db: float
    seed: int
    basis: str
    pictures: bool = False
    shared_operator: bool = True
    shared_noise: bool = True
    on_coefficients: bool = False

    def __post_init__(self) -> None:
        length, measurements = self.length, self.measurements
        if not all(isinstance(n, int) and n > 0 for n in (length, measurements)) or length < 64:
            raise InputError(
                f"signals: length={length}, measurements={measurements}; expected at least 64 and 1"
            )
        if not 1 < measurements < length:
            raise InputError(f"signals: measurements={measurements}; expected 2 to {length - 1} (length - 1)")

    @property
    def description(self) -> dict[str, Any]:
        """What ``dataset.json`` says of it at its head."""
        return {**({"operator": "operator.npy"} if self.shared_operator else {}), "basis": self.basis}

    def write_case(
        self,
        root: Path,
        subset: str,
        case: str,
        rng: np.random.Generator,
        draw: Callable[[np.random.Generator], np.ndarray],
    ) -> Entry:
        """Measure a signal and write both.

        Args:
            root: as :data:`common.phantoms.making.store.WriteCase` has it, like the next three.
            subset: ``Tr`` or ``Ts``.
            case: its name.
            rng: of this case alone.
            draw: gives the signal, (N,) or (N, W).
        """
        from common.blocks.sensing import measurement_noise  # needs torch, which reuse does not

        entry = {"image": f"images{subset}/{case}.npy", "label": f"labels{subset}/{case}.npy"}
        own_seed, place = self.seed, "operator.npy"
        if not self.shared_operator:
            own_seed, place = int(rng.integers(2**63)), f"operators{subset}/{case}.npy"
            entry["operator"] = place
        phi = self._operator(own_seed)
        if not (root / place).is_file():
            (root / place).parent.mkdir(exist_ok=True)
            np.save(root / place, phi)
        truth = draw(rng)
        clean = phi @ truth
        noise = measurement_noise(clean, self.snr_db, rng, shared=self.shared_noise)
        np.save(root / entry["image"], clean + noise)
        if self.pictures:
            from PIL import Image

            entry["label"] = f"labels{subset}/{case}.png"
            Image.fromarray(truth.astype(np.uint8)).save(root / entry["label"])
        else:
            np.save(root / entry["label"], truth)
        return entry

    def _operator(self, seed: int) -> np.ndarray:
        """(M, N), on the signal."""
        from common.blocks.sensing import basis_matrix, gaussian_operator

        phi = gaussian_operator(self.measurements, self.length, seed=seed, unit_columns=not self.pictures)
        if self.on_coefficients:
            phi = phi @ basis_matrix(self.basis, self.length).T
        return phi.numpy()
