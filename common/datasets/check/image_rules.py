"""What an image must be: readable, with the right axes and channels, finite, in its modality's units."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial

import numpy as np

from common.datasets.check.facts import CaseFacts, ImageFacts
from common.datasets.check.findings import Finding
from common.datasets.check.rules import Rules, expected_file, repair_file
from common.pictures import picture_problem

__all__ = ["image_findings", "is_affine"]

_UNSIGNED_CT_HIGH = 2000  # bone and metal of a CT in HU + 1024 exceed it; a CT in HU goes below 0


def image_findings(case: CaseFacts, rules: Rules) -> Iterator[Finding]:
    """Everything to repair in the image of one case."""
    image = case.image
    if image.error:
        yield Finding(
            case.name,
            image.bad_file,
            "image",
            image.error,
            expected_file(image.error),
            repair_file(image.error),
        )
        return
    about = partial(Finding, case.name, image.files[0], "image")
    problem = _picture_problem(image, rules)
    if problem is not None:
        yield about(*problem)
    elif not _has_axes(image, rules.dims):
        yield about(
            found=f"has spatial shape {image.shape}",
            expected=f"{rules.dims} spatial axes",
            repair="stack the slices of a case into one NIfTI volume"
            if rules.dims == 3
            else "save the slices as files of their own (PNG or one-slice NIfTI)",
        )
    elif rules.channels is not None and not _has_channels(image, rules.channels):
        yield about(*_channel_mismatch(image, rules.channels), repair=_channel_repair(image, rules.channels))
    if image.affine and not is_affine(image.affine):
        yield about(
            found="has an affine that is singular or not finite",
            expected="a spacing above 0 mm on every axis",
            repair="write the file again with the scanner's spacing and orientation",
        )
    if image.non_finite:
        yield about(
            found=f"has {image.non_finite} voxels that are NaN or infinite",
            expected="finite intensities",
            repair="replace them with the value of air or background (numpy.nan_to_num) and save again",
        )
    yield from _intensities(case, rules, about)


def is_affine(affine: tuple[tuple[float, ...], ...]) -> bool:
    """Whether the matrix places every voxel at a different point."""
    matrix = np.array(affine)
    return bool(np.isfinite(matrix).all() and abs(np.linalg.det(matrix[:3, :3])) > 1e-12)


def _has_axes(image: ImageFacts, dims: int | None) -> bool:
    if dims is None or dims == len(image.shape):
        return True
    return dims == 2 and image.shape[2:] == (1,)  # one slice as NIfTI


def _picture_problem(image: ImageFacts, rules: Rules) -> tuple[str, str, str] | None:
    """The problem with an image for a network of colour or grey pictures: its pixels, or that it is NIfTI."""
    if rules.dims != 2 or rules.channels not in (1, 3):
        return None
    if image.mode:
        return picture_problem(image.mode, rules.channels) if len(image.files) == 1 else None
    if rules.channels == 3 and image.channels != 3:
        return "is a NIfTI file", "an 8-bit RGB or grey picture", "save the slices as PNG"
    return None


def _has_channels(image: ImageFacts, channels: int) -> bool:
    """Whether it can be read with this many channels; a single picture is converted to RGB or grey."""
    if image.mode and len(image.files) == 1 and channels in (1, 3):
        return picture_problem(image.mode, channels) is None
    return image.channels == channels


def _channel_mismatch(image: ImageFacts, channels: int) -> tuple[str, str]:
    counted = f"has {image.channels} channel{'' if image.channels == 1 else 's'}"
    if len(image.files) == 1 and image.affine and image.channels > 1:
        counted += f" (shape {(*image.shape, image.channels)})"
    return counted, str(channels)


def _channel_repair(image: ImageFacts, channels: int) -> str:
    option = f"--in_channels {image.channels}"
    if len(image.files) == 1 and image.affine and image.channels > 1:
        return f"if axis 4 is time, save each volume as a file of its own; if it is channels  {option}"
    if image.affine is None and image.channels == 4 and channels == 3:
        return "remove the alpha channel (save as RGB)"
    if image.affine is None and image.channels > channels:
        return f"convert the picture to {'grey' if channels == 1 else f'{channels} channels'}, or  {option}"
    return f"list the files of the {channels} channels of the case in a dataset.json, or  {option}"


def _intensities(case: CaseFacts, rules: Rules, about: Callable[..., Finding]) -> Iterator[Finding]:
    for channel, (low, high) in enumerate(zip(case.image.low, case.image.high, strict=True)):
        if low is None or high is None:
            continue
        if low == high:
            yield about(
                found=f"is {low:g} in every voxel of channel {channel}",
                expected="an image with contrast",
                repair="look at the file: it is blank; remove the case",
                severity="warning",
            )
        elif low >= 0 and case.image.affine is not None and _is_ct(case, rules, channel):
            unsigned = high > _UNSIGNED_CT_HIGH
            yield about(
                found=f"has values {low:g} to {high:g}",
                expected="CT in HU, air near -1000",
                repair="HU stored unsigned: subtract the offset (mostly 1024) and save as int16"
                if unsigned
                else "MR or scaled values: a network trained on CT in HU does not know them",
                severity="warning",
            )


def _is_ct(case: CaseFacts, rules: Rules, channel: int) -> bool:
    of_channel = rules.modality[channel] if channel < len(rules.modality) else ""
    return (case.modality or of_channel).lower() == "ct"
