"""The phantom ``signals``: signals or pictures, each with a few linear measurements.

A case is a measurement ``image`` (M,) or (M, W) and the truth ``label`` (N,) or (N, W), W columns of a
picture, float64 in NumPy files; the truth of a picture is an 8-bit PNG.  The operator of all cases is
``operator.npy`` (M, N), which ``dataset.json`` names under ``operator``; where each case has its own, the
case names it.  The basis in which the signals are sparse is in ``dataset.json`` under ``basis``.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from common.errors import InputError
from common.phantoms.making.arguments import require_seed
from common.phantoms.making.store import Entry, ensure_phantom

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
    if not all(isinstance(n, int) and n > 0 for n in (length, measurements)) or length < 64:
        raise InputError(f"signals: length={length}, measurements={measurements}; expected at least 64 and 1")
    if not 1 < measurements < length:
        raise InputError(f"signals: measurements={measurements}; expected 2 to {length - 1} (length - 1)")
    require_seed("signals", seed)
    draw, basis, words = KINDS[kind]

    def write_case(root: Path, subset: str, case: str, rng: np.random.Generator) -> Entry:
        # needs torch, which reuse does not
        from common.blocks.sensing import gaussian_operator, measurement_noise

        entry = {"image": f"images{subset}/{case}.npy", "label": f"labels{subset}/{case}.npy"}
        own_seed, place = seed, "operator.npy"
        if not shared_operator:
            own_seed, place = int(rng.integers(2**63)), f"operators{subset}/{case}.npy"
            entry["operator"] = place
        # Pictures: the paper's operator is not normalised.
        phi = gaussian_operator(measurements, length, seed=own_seed, unit_columns=kind != "picture").numpy()
        if not (root / place).is_file():
            (root / place).parent.mkdir(exist_ok=True)
            np.save(root / place, phi)
        truth = draw(length, rng)
        clean = phi @ truth
        np.save(root / entry["image"], clean + measurement_noise(clean, snr_db, rng, shared=shared_noise))
        if kind == "picture":
            from PIL import Image

            entry["label"] = f"labels{subset}/{case}.png"
            Image.fromarray(truth.astype(np.uint8)).save(root / entry["label"])
        else:
            np.save(root / entry["label"], truth)
        return entry

    return ensure_phantom(
        folder,
        description={
            "name": "signals",
            "description": f"synthetic signals ({words}) and linear measurements of them; no patient data",
            **({"operator": "operator.npy"} if shared_operator else {}),
            "basis": basis,
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
        write_case=write_case,
    )
