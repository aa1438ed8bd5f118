"""Files of measurements and signals: NumPy arrays, CSV tables and pictures.

``.npy``: (M,) or (M, W), real numbers.  ``.csv``: M lines of W comma-separated numbers, no header.
``.png``: a grey picture (N, W), 0 to 255, for signals only.  The W signals are columns.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from monai.config import PathLike
from monai.data import ImageReader, MetaTensor
from monai.transforms import MapTransform
from PIL import Image

from common.datasets.lists.output_names import output_path
from common.errors import InputError
from common.files import atomic_path

__all__ = ["SUFFIXES", "SaveSignald", "SignalReader", "read_signal", "write_signal"]

SUFFIXES = (".npy", ".csv", ".png")


def read_signal(path: str | Path) -> np.ndarray:
    """The array of a file, float64, (length,) or (length, W).

    Raises:
        InputError: the file does not exist, is none of the three kinds, is damaged, has more than two axes,
            is empty, or holds NaN or infinity.
    """
    path = Path(path)
    if not path.is_file():
        raise InputError(
            f"{path}: missing; expected a file ending in {', '.join(SUFFIXES)}: correct the path"
        )
    try:
        array = _array(path)
    except Exception as error:  # NumPy's and Pillow's readers raise a dozen kinds
        reason = (str(error).strip() or type(error).__name__).splitlines()[0][:120]
        raise InputError(
            f"{path}: cannot be read ({reason}); expected real numbers in a NumPy "
            "array, a table of numbers separated by commas, or a grey PNG"
        ) from error
    if np.iscomplexobj(array) or not np.issubdtype(array.dtype, np.number):
        raise InputError(
            f"{path}: holds {array.dtype}; expected real numbers: save real and imaginary part as two columns"
        )
    if array.ndim not in (1, 2) or array.size == 0:
        raise InputError(f"{path}: has the shape {array.shape}; expected (length,) or (length, columns)")
    array = array.astype(np.float64)
    if not np.isfinite(array).all():
        where = np.argwhere(~np.isfinite(array))[0].tolist()
        raise InputError(f"{path}: holds NaN or infinity, the first at {where}; expected finite numbers")
    return array


def _array(path: Path) -> np.ndarray:
    if path.suffix == ".npy":
        return np.load(path, allow_pickle=False)
    if path.suffix == ".csv":
        table = np.loadtxt(path, delimiter=",", ndmin=2)
        return table[:, 0] if table.shape[1] == 1 else table
    if path.suffix == ".png":
        with Image.open(path) as image:
            return np.asarray(image.convert("L"))
    raise ValueError(f"it ends in {path.suffix or 'nothing'}")


def write_signal(path: str | Path, signal: np.ndarray) -> None:
    """Write an array (length,) or (length, W) atomically, in the format that the suffix names."""
    with atomic_path(path) as temporary:
        suffix = Path(path).suffix
        if suffix == ".npy":
            np.save(temporary, signal)
        elif suffix == ".csv":
            np.savetxt(temporary, signal, delimiter=",", fmt="%.17g")
        elif suffix == ".png":
            pixels = np.clip(np.round(signal if signal.ndim == 2 else signal[:, None]), 0, 255)
            Image.fromarray(pixels.astype(np.uint8)).save(temporary)
        else:
            raise InputError(f"{path}: cannot write {suffix!r}; expected one of {', '.join(SUFFIXES)}")


class SignalReader(ImageReader):
    """Reader for MONAI's ``LoadImaged``: (length, W); the metadata record whether the file had one axis."""

    def verify_suffix(self, filename: Sequence[PathLike] | PathLike) -> bool:
        """Whether the name has one of :data:`SUFFIXES`."""
        names = [filename] if isinstance(filename, (str, Path)) else filename
        return all(Path(name).suffix in SUFFIXES for name in names)

    def read(self, data: Sequence[PathLike] | PathLike, **kwargs: Any) -> np.ndarray:
        """The array of a file; see :func:`read_signal`."""
        return read_signal(data if isinstance(data, (str, Path)) else data[0])

    def get_data(self, img: np.ndarray) -> tuple[np.ndarray, dict[str, Any]]:
        """The array with two axes, and its metadata."""
        array = img if img.ndim == 2 else img[:, None]
        meta = {"spatial_shape": np.array(array.shape), "original_channel_dim": "no_channel"}
        return array, meta | {"one_axis": img.ndim == 1, "affine": np.eye(4)}


class SaveSignald(MapTransform):
    """Write a signal (1, N, W) in the format, and with the axes, of its measurement.

    Args:
        keys: what to write.
        output_dir: folder.
        postfix: appended to the measurement's name.
        output_ext: another format: ".npy", ".csv" or ".png".
        meta_key: the measurement.
    """

    def __init__(
        self,
        keys: str,
        *,
        output_dir: str,
        postfix: str = "recovered",
        output_ext: str | None = None,
        meta_key: str = "image",
    ) -> None:
        super().__init__(keys)
        self.output_dir, self.postfix, self.output_ext = Path(output_dir), postfix, output_ext
        self.meta_key = meta_key

    def __call__(self, data: dict[str, MetaTensor]) -> dict[str, MetaTensor]:
        """Write the signal and return the case unchanged."""
        meta = data[self.meta_key].meta
        name = Path(meta["filename_or_obj"])
        for key in self.key_iterator(data):
            signal = data[key][0].cpu().double().numpy()
            target = output_path(
                self.output_dir, data, name, f"_{self.postfix}{self.output_ext or name.suffix}"
            )
            write_signal(target, signal[:, 0] if bool(meta["one_axis"]) else signal)
        return data
