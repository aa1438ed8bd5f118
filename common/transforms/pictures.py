"""Pictures into tensors and back: readers for ``LoadImaged``, and resizing as Pillow does it.

Readers give MONAI's order, (W, H[, C]) with x first, as for every other file; networks pretrained on
ImageNet take (C, H, W), so a ``Transposed`` with indices [0, 2, 1] follows ``EnsureChannelFirstd``.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from monai.config import KeysCollection, PathLike
from monai.data import ImageReader, MetaTensor
from monai.transforms import InvertibleTransform, MapTransform
from monai.utils import MetaKeys, TraceKeys, convert_to_dst_type
from PIL import Image
from torch import Tensor
from torch.nn import functional

from common.pictures import read_label_picture, read_picture

__all__ = ["LabelPictureReader", "LabelServerPictured", "PictureReader", "ResizePicture", "ResizePictured"]

_SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff")


class PictureReader(ImageReader):
    """Reads pictures of any size as 8-bit RGB or grey; see :mod:`common.pictures`.

    Args:
        channels: 3 for RGB, 1 for grey.

    Raises:
        InputError: while reading: a picture that cannot be used.
    """

    def __init__(self, channels: int = 3) -> None:
        super().__init__()
        self.channels = channels

    def verify_suffix(self, filename: Sequence[PathLike] | PathLike) -> bool:
        """Whether all names have a picture's suffix."""
        names = [filename] if isinstance(filename, str | Path) else list(filename)
        return all(str(name).lower().endswith(_SUFFIXES) for name in names)

    def read(self, data: Sequence[PathLike] | PathLike, **_: object) -> np.ndarray:
        """(H, W) or (H, W, 3) uint8."""
        name = data if isinstance(data, str | Path) else data[0]
        return np.asarray(read_picture(name, self.channels))

    def get_data(self, img: np.ndarray) -> tuple[np.ndarray, dict]:
        """(W, H) or (W, H, 3), and what MONAI needs to know of it."""
        values = np.ascontiguousarray(np.swapaxes(img, 0, 1))
        channel_dim = -1 if values.ndim == 3 else float("nan")
        meta = {
            MetaKeys.SPATIAL_SHAPE: np.asarray(values.shape[:2]),
            MetaKeys.ORIGINAL_CHANNEL_DIM: channel_dim,
        }
        return values, meta


class LabelPictureReader(PictureReader):
    """Reads the class numbers of label pictures, palettes among them."""

    def __init__(self) -> None:
        super().__init__(channels=1)

    def read(self, data: Sequence[PathLike] | PathLike, **_: object) -> np.ndarray:
        """(H, W) whole numbers."""
        return read_label_picture(data if isinstance(data, str | Path) else data[0])


class ResizePicture(InvertibleTransform):
    """Resize (C, H, W) to a fixed size, whatever its aspect ratio; the inverse restores the original size.

    "bicubic" and "bilinear" are Pillow's filters, which widen when they shrink a picture; "nearest" takes the
    pixel at the centre.  Values stay in the input's range.

    Args:
        size: (H, W) in pixels.
        mode: "bicubic", "bilinear" or "nearest".
        eight_bit: resize with Pillow itself, whose results are whole numbers from 0 to 255, as the published
            loaders do; for pictures as they are read.

    Raises:
        ValueError: an unknown mode.
    """

    MODES = ("bicubic", "bilinear", "nearest")

    def __init__(self, size: Sequence[int], mode: str = "bicubic", *, eight_bit: bool = False) -> None:
        if mode not in self.MODES:
            raise ValueError(f"ResizePicture: mode={mode!r}; expected one of {', '.join(self.MODES)}")
        self.size, self.mode, self.eight_bit = [int(n) for n in size], mode, eight_bit

    def __call__(self, image: Tensor) -> Tensor:
        """(C, H, W) of any type to (C, *size); float32, or the input's type with "nearest".

        Raises:
            ValueError: with ``eight_bit``, other values than whole numbers from 0 to 255.
        """
        resize = _resized_by_pillow if self.eight_bit else _resized
        resized = resize(image, self.size, self.mode)
        return self._traced(resized, image, list(image.shape[1:]))

    def _traced(self, resized: Tensor, image: Tensor, before: list[int]) -> Tensor:
        if isinstance(image, MetaTensor) and isinstance(resized, MetaTensor):
            resized.copy_meta_from(image)
            self.push_transform(resized, orig_size=before, extra_info={"mode": self.mode})
        return resized

    def inverse(self, image: Tensor) -> Tensor:
        """(C, *size) back to the original (C, H, W); with "nearest" if the trace says so."""
        done = self.pop_transform(image)
        mode = done[TraceKeys.EXTRA_INFO]["mode"]
        resized = _resized(image, done[TraceKeys.ORIG_SIZE], mode)
        if isinstance(resized, MetaTensor) and isinstance(image, MetaTensor):
            resized.copy_meta_from(image)
        return resized


def _resized(image: Tensor, size: Sequence[int], mode: str) -> Tensor:
    if list(image.shape[1:]) == list(size):
        return image.clone() if mode == "nearest" else image.to(torch.float32, copy=True)
    if mode.startswith("nearest"):
        values = image[None].float()  # holds every class number; integers are not resized on all devices
        return functional.interpolate(values, list(size), mode="nearest-exact")[0].to(image.dtype)
    values = image[None].float()
    resized = functional.interpolate(values, list(size), mode=mode, antialias=True)[0]
    return resized.clamp(float(values.min()), float(values.max()))


def _resized_by_pillow(image: Tensor, size: Sequence[int], mode: str) -> Tensor:
    values = image.detach().cpu().numpy()
    whole = values.astype(np.uint8)
    if not np.array_equal(whole, values):
        raise ValueError("ResizePicture: eight_bit, but the values are not whole numbers from 0 to 255")
    method = Image.Resampling[mode.upper()]
    planes = [np.asarray(Image.fromarray(plane).resize((size[1], size[0]), method)) for plane in whole]
    resized = torch.from_numpy(np.stack(planes)).to(image.dtype if mode == "nearest" else torch.float32)
    return convert_to_dst_type(resized, image, dtype=resized.dtype)[0]


class ResizePictured(MapTransform, InvertibleTransform):
    """:class:`ResizePicture` of some keys.

    Args:
        keys: pictures (C, H, W).
        size: (H, W) in pixels.
        mode: see :class:`ResizePicture`.
        allow_missing_keys: pass cases without the key.
        eight_bit: see :class:`ResizePicture`.
    """

    def __init__(
        self,
        keys: KeysCollection,
        size: Sequence[int],
        mode: str = "bicubic",
        allow_missing_keys: bool = False,
        *,
        eight_bit: bool = False,
    ) -> None:
        super().__init__(keys, allow_missing_keys)
        self.resize = ResizePicture(size, mode, eight_bit=eight_bit)

    def __call__(self, data: Mapping[Hashable, Tensor]) -> dict[Hashable, Tensor]:
        """Resize every key."""
        result = dict(data)
        for key in self.key_iterator(result):
            result[key] = self.resize(result[key])
        return result

    def inverse(self, data: Mapping[Hashable, Tensor]) -> dict[Hashable, Tensor]:
        """Restore every key's original size."""
        result = dict(data)
        for key in self.key_iterator(result):
            result[key] = self.resize.inverse(result[key])
        return result


class LabelServerPictured(MapTransform):
    """Prepares a label picture for MONAI Label to write; does nothing elsewhere.

    Its writer takes pictures without a channel axis, and names the file like the image: a JPEG would
    blur class numbers.  Its requests are recognised by ``image_path``, which nothing else adds to a case.

    Args:
        keys: label maps (1, W, H), which become (W, H).
        extension: extension of the file, if the request names none.
    """

    def __init__(self, keys: KeysCollection, extension: str = ".png") -> None:
        super().__init__(keys)
        self.extension = extension

    def __call__(self, data: Mapping[Hashable, Any]) -> dict[Hashable, Any]:
        """Drop the axis of every key, and set ``result_extension``."""
        result = dict(data)
        if "image_path" not in result:
            return result
        for key in self.key_iterator(result):
            result[key] = result[key][0]
        if not result.get("result_extension"):
            result["result_extension"] = self.extension
        return result
