"""The phantom ``signals``: signals or pictures, each with a few linear measurements.

The files are those of :mod:`common.phantoms.signals.measuring`.
"""

from __future__ import annotations

from pathlib import Path

from common.errors import InputError
from common.phantoms.making.arguments import require_seed
from common.phantoms.making.store import ensure_phantom
from common.phantoms.signals.measuring import Measuring

__all__ = ["make"]

_VERSION = 2  # raise it with every change to what the cases hold: folders of older versions are rebuilt


def make(
    folder: str | Path,
    *,
    kind: str = "heteroscedastic",
    length: int = 162,
    measurements: int = 80,
    snr_db: float = 15.0,
    training: int = 8,
    validation: int = 8,
    test: int = 8,
    seed: int = 0,
    shared_operator: bool = True,
    shared_noise: bool = True,
) -> str:
    """Make the phantom in ``folder`` on first use, and return the folder.

    Args:
        folder: a Decathlon-style data set; rebuilt if it was made with other arguments.
        kind: heteroscedastic (the paper's), homoscedastic, ecg, pulse, spectrum, picture.
        length: samples N of a signal, or rows and columns of a picture.
        measurements: M, fewer than ``length``; for a picture, of every column.
        snr_db: deviation of the noise-free measurements over that of the noise, in decibel.
        training: number of cases in this list.
        validation: number of cases in this list.
        test: number of cases in this list.
        seed: whole number from 0; a shared operator follows from it alone.
        shared_operator: one for all cases; otherwise each case has its own, as in the paper's experiments.
        shared_noise: of a picture: one vector for all its columns, as published, or one for each.

    Raises:
        InputError: an argument is out of range, the folder cannot be written or was not made here.
    """
    from common.phantoms.signals.kinds import KINDS

    if kind not in KINDS:
        raise InputError(f"signals: kind={kind!r}; expected one of {', '.join(KINDS)}")
    require_seed("signals", seed)
    draw, basis, words = KINDS[kind]

    measuring = Measuring(
        measurements,
        length,
        snr_db,
        seed,
        basis,
        pictures=kind == "picture",
        shared_operator=shared_operator,
        shared_noise=shared_noise,
    )
    return ensure_phantom(
        folder,
        description={
            "name": "signals",
            "description": f"synthetic signals ({words}) and linear measurements of them; no patient data",
            **measuring.description,
        },
        parameters={
            "name": "signals",
            "version": _VERSION,
            "seed": seed,
            "kind": kind,
            "length": length,
            "measurements": measurements,
            "snr_db": float(snr_db),
            "shared_operator": bool(shared_operator),
            "shared_noise": bool(shared_noise),
        },
        counts={"training": training, "validation": validation, "test": test},
        write_case=lambda root, subset, case, rng: measuring.write_case(
            root, subset, case, rng, lambda rng: draw(length, rng)
        ),
    )
