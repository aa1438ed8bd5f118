"""Recordings and photographs, measured as in the paper's audio and picture experiments.

The signals are the user's files, the measurements are simulated: an operator is drawn for every repetition,
or one for all, and noise is added (divsbl/docs/method.md#recipe).
"""

from __future__ import annotations

import hashlib
import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np
from PIL import Image
from scipy.io import wavfile

from common.errors import InputError
from common.phantoms.making.arguments import require_seed
from common.phantoms.making.store import SECTIONS, ensure_phantom
from common.phantoms.signals.measuring import Measuring
from common.pictures import read_picture

__all__ = ["KINDS", "make", "read_photograph", "read_recording"]

_VERSION = 1  # raise it with every change to what the cases hold: folders of older versions are rebuilt


def read_recording(path: str | Path, length: int) -> np.ndarray:
    """The first samples (N,) of a WAV file's first channel, float64.

    They are in -1..1, as MATLAB's ``audioread`` gives them.

    Args:
        path: PCM of 8 to 64 bits, or floats.
        length: N.

    Raises:
        InputError: the file cannot be read, is shorter, or is silent.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", wavfile.WavFileWarning)  # editors add chunks of text
            _, stored = wavfile.read(path)
    except Exception as error:  # SciPy's reader raises half a dozen kinds
        reason = (str(error).strip() or type(error).__name__).splitlines()[0][:120]
        raise InputError(f"{path}: cannot be read ({reason}); expected a WAV file: save it as one") from error
    samples = (stored if stored.ndim == 1 else stored[:, 0])[:length]
    if len(samples) < length:
        raise InputError(f"{path}: has {len(samples)} samples; expected {length} or more: take another clip")
    signal = samples.astype(np.float64)
    if samples.dtype == np.uint8:
        signal = signal / 128 - 1
    elif np.issubdtype(samples.dtype, np.integer):
        signal = signal / -float(np.iinfo(samples.dtype).min)
    if not (np.isfinite(signal).all() and signal.any()):
        raise InputError(
            f"{path}: its first {length} samples are silent or not finite; expected a sound: cut the clip "
            "so that it begins with one"
        )
    return signal


def read_photograph(path: str | Path, length: int) -> np.ndarray:
    """A picture in grey, resized to (N, N) by cubic interpolation with antialiasing; whole numbers 0..255.

    Args:
        path: of 8 bits; colours become grey by their luminance.
        length: N; an oblong picture is not cut but distorted, as in the authors' code.

    Raises:
        InputError: it cannot be read, or has one value everywhere.
    """
    grey = read_picture(path).convert("L").resize((length, length), Image.Resampling.BICUBIC)
    signal = np.asarray(grey, np.float64)
    if signal.min() == signal.max():
        raise InputError(f"{path}: has the value {signal.min():g} everywhere; expected a picture")
    return signal


#: kind -> (reader, suffixes of its files)
KINDS: dict[str, tuple[Callable[[str | Path, int], np.ndarray], tuple[str, ...]]] = {
    "audio": (read_recording, (".wav",)),
    "picture": (read_photograph, (".png", ".tif", ".tiff", ".bmp", ".jpg", ".jpeg")),
}


def make(
    folder: str | Path,
    *,
    source: str | Path | None,
    kind: str,
    length: int,
    measurements: int,
    snr_db: float,
    repetitions: int,
    basis: str,
    seed: int = 0,
    shared_operator: bool = False,
    shared_noise: bool = True,
) -> str:
    """Measure every file of ``source`` and write a data set in ``folder`` on first use; returns the folder.

    Its three lists hold the same signals, each measured ``repetitions`` times anew.  The cases are described
    in :mod:`common.phantoms.signals.measuring`.

    Args:
        folder: the data set; made anew if the files or an argument have changed.
        source: a file, or a folder of files (those directly in it, by name).
        kind: "audio": the operator acts on the coefficients in ``basis``; or "picture": every column is
            measured, by an operator whose columns are not scaled.
        length: N, samples of a recording, or rows and columns of a picture.
        measurements: M.
        snr_db: deviation of the noise-free measurements over that of the noise, in decibel.
        repetitions: of each file in each list.
        basis: in which the signals are sparse, by name.
        seed: whole number from 0.
        shared_operator: one for all cases; otherwise each has its own.
        shared_noise: of a picture: one vector for all its columns, as published, or one for each.

    Raises:
        InputError: there is no such file, a file cannot be used, or an argument is out of range.
    """
    if kind not in KINDS:
        raise InputError(f"kind={kind!r}; expected one of {', '.join(KINDS)}")
    require_seed("signals", seed)
    if not isinstance(repetitions, int) or repetitions < 1:
        raise InputError(f"repetitions={repetitions!r}; expected a whole number from 1")
    measuring = Measuring(
        measurements,
        length,
        snr_db,
        seed,
        basis,
        pictures=kind == "picture",
        shared_operator=shared_operator,
        shared_noise=shared_noise,
        on_coefficients=kind == "audio",
    )
    read, suffixes = KINDS[kind]
    files = _files(source, suffixes)
    signals = {file.stem: read(file, length) for file in files}
    names = {
        section: [f"{stem}_{section}_{number:02d}" for stem in signals for number in range(repetitions)]
        for section in SECTIONS
    }
    signal_of = {
        name: signals[stem]
        for listed in names.values()
        for name, stem in zip(listed, (stem for stem in signals for _ in range(repetitions)), strict=True)
    }
    name = f"measured {kind}"
    return ensure_phantom(
        folder,
        description={
            "name": name,
            "description": f"simulated measurements of {', '.join(file.name for file in files)}",
            **measuring.description,
        },
        parameters={
            "name": name,
            "version": _VERSION,
            "seed": seed,
            "files": {file.name: hashlib.sha256(file.read_bytes()).hexdigest() for file in files},
            "length": length,
            "measurements": measurements,
            "snr_db": float(snr_db),
            "repetitions": repetitions,
            "basis": basis,
            "shared_operator": bool(shared_operator),
            "shared_noise": bool(shared_noise),
        },
        counts={section: len(listed) for section, listed in names.items()},
        write_case=lambda root, subset, case, rng: measuring.write_case(
            root, subset, case, rng, lambda _: signal_of[case]
        ),
        names=names,
    )


def _files(source: str | Path | None, suffixes: tuple[str, ...]) -> list[Path]:
    """The files to measure, no two of one name."""
    expected = f"a file, or a folder of files, ending in {', '.join(suffixes)}"
    if source is None:
        raise InputError(f"no source; expected {expected}: give --dataset_dir#source PATH")
    place = Path(source).expanduser()
    if not place.exists():
        raise InputError(
            f"{place}: no such file or folder; expected {expected}: correct --dataset_dir#source"
        )
    found = sorted(place.iterdir()) if place.is_dir() else [place]
    files = [file for file in found if file.is_file() and file.suffix.lower() in suffixes]
    if not files:
        raise InputError(f"{place}: nothing to measure; expected {expected}: correct --dataset_dir#source")
    stems = [file.stem for file in files]
    if twice := next((stem for stem in stems if stems.count(stem) > 1), None):
        raise InputError(f"{place}: two files are called {twice}; expected different names: rename one")
    return files
