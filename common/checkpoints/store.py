"""Weights in files, read and written with every key accounted for."""

from __future__ import annotations

import argparse
import os
import pickle
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file
from torch import Tensor, nn
from tqdm import tqdm

from common.bundles import bundle_folder, bundle_package
from common.checkpoints.folds import fold_weights
from common.checkpoints.origin import origin_of
from common.checkpoints.stamp import Stamp, stamped
from common.checkpoints.writing import write_checkpoint
from common.errors import InputError
from common.processes import rank

__all__ = [
    "load_state",
    "load_weights",
    "read_checkpoint",
    "require_finite",
    "require_weights",
    "save_state",
    "state_of",
]

# Where training programs keep the network's state dict inside a checkpoint.
_STATE_KEYS = ("state_dict", "network_weights", "model_state_dict", "model", "net", "network")


def _harmless() -> list[Any]:
    """What training programs save beside tensors and can run nothing: NumPy's numbers, as in nnU-Net's
    ``plot_stuff``, and the parsed command line.
    """
    import numpy as np
    from numpy._core import multiarray

    dtypes = [type(np.dtype(kind)) for kind in ("f8", "f4", "i8", "i4", "b1")]
    numbers = [(multiarray.scalar, "numpy.core.multiarray.scalar"), multiarray.scalar, np.dtype, *dtypes]
    return [*numbers, argparse.Namespace]


def read_checkpoint(source: str | Path, *, trust: bool = False) -> Any:
    """Whatever ``torch.save`` put into a file, or the tensors of a ``.safetensors`` file, on the CPU.

    Args:
        source: the file.
        trust: unpickle it whole, which runs any code that the file holds.

    Raises:
        InputError: no such file, not a checkpoint, or one that holds more than tensors and numbers.
    """
    source = Path(source)
    if not source.is_file():
        raise InputError(f"{source}: there is no such file")
    if source.suffix == ".safetensors":
        return _read_safetensors(source)
    try:
        with torch.serialization.safe_globals(_harmless()):
            return torch.load(source, map_location="cpu", weights_only=not trust)
    except pickle.UnpicklingError as error:
        wanted = re.search(r"GLOBAL ([\w.]+)", str(error))  # else not a pickle by torch.save
        if wanted is None:
            raise InputError(f"{source}: not a PyTorch checkpoint, or a damaged one") from error
        raise InputError(
            f"{source}: holds a Python object ({wanted.group(1)}) besides tensors, and loading it could run "
            "code. If you trust where the file comes from, repeat with --trust true"
        ) from error
    except Exception as error:  # damaged bytes make unpickling raise anything: IndexError, struct.error, ...
        raise InputError(f"{source}: not a PyTorch checkpoint, or a damaged one") from error


def _read_safetensors(source: Path) -> dict[str, Tensor]:
    try:
        return load_file(source)
    except Exception as error:  # its own error, and those of torch about shapes and kinds of numbers
        raise InputError(f"{source}: not a safetensors file, or a damaged one ({error})") from error


def state_of(checkpoint: Any, source: str | Path) -> dict[str, Tensor]:
    """The network's state dict in a checkpoint, bare or under one of the usual keys.

    Raises:
        InputError: none is found.
    """
    for candidate in (
        checkpoint,
        *(checkpoint.get(k) for k in _STATE_KEYS if isinstance(checkpoint, Mapping)),
    ):
        if isinstance(candidate, Mapping) and candidate:
            tensors = {k: v for k, v in candidate.items() if isinstance(k, str) and isinstance(v, Tensor)}
            if len(tensors) == len(candidate):
                return tensors
    held = ", ".join(map(str, checkpoint)) if isinstance(checkpoint, Mapping) else type(checkpoint).__name__
    raise InputError(f"{source}: found no network weights in it; it holds: {held[:200]}")


def require_finite(value: Any, source: str | Path, place: str = "") -> None:
    """Prove that no tensor holds NaN or infinity, in a state dict, or in mappings and lists of these.

    Args:
        value: what a checkpoint holds, or a part of it.
        source: named in messages.
        place: the keys that lead to ``value``.

    Raises:
        InputError: the first such tensor is named; with such weights every prediction is worthless.
    """
    if isinstance(value, Tensor):
        if value.is_floating_point() and not torch.isfinite(value).all():
            raise InputError(
                f"{source}: {place} holds NaN or infinity; expected finite numbers: the training that wrote "
                "it diverged, or the file is damaged. Take an earlier one, or train again"
            )
    elif isinstance(value, Mapping | list | tuple):
        for key, item in value.items() if isinstance(value, Mapping) else enumerate(value):
            require_finite(item, source, f"{place}.{key}" if place else str(key))


def _some(keys: Sequence[str]) -> str:
    shown = ", ".join(keys[:4])
    return shown + (f" and {len(keys) - 4} more" if len(keys) > 4 else "")


def _differences(network: nn.Module, state: Mapping[str, Tensor]) -> tuple[list[str], list[str], list[str]]:
    """Keys missing from ``state``, keys that the network lacks, and keys of another shape (with both)."""
    own = network.state_dict()
    missing = [k for k in own if k not in state]
    left_over = [k for k in state if k not in own]
    reshaped = [
        f"{k} {tuple(state[k].shape)} for {tuple(own[k].shape)}"
        for k in own
        if k in state and own[k].shape != state[k].shape
    ]
    return missing, left_over, reshaped


def load_state(
    network: nn.Module, state: Mapping[str, Tensor], source: str | Path, *, partial: bool = False
) -> list[str]:
    """Copy a state dict into a network.

    Args:
        network: receives the weights in place.
        state: bare state dict.
        source: named in messages.
        partial: take what fits and leave the rest of the network as it is.

    Returns:
        What was not loaded, one line each; empty unless ``partial``.

    Raises:
        InputError: keys are missing, left over, or of another shape (and not ``partial``), or values are
            not finite.
    """
    missing, left_over, reshaped = _differences(network, state)
    notes = [
        f"{len(keys)} {what}: {_some(keys)}"
        for keys, what in (
            (missing, "missing"),
            (left_over, "left over"),
            (reshaped, "of another shape"),
        )
        if keys
    ]
    if notes and not partial:
        raise InputError(
            f"{source}: the weights do not fit this network: {'; '.join(notes)}. "
            "Are they this bundle's, and num_classes and in_channels those of the training?"
        )
    own = network.state_dict()
    fitting = {k: v for k, v in state.items() if k in own and own[k].shape == v.shape}
    if not fitting:
        raise InputError(
            f"{source}: not one of its {len(state)} keys fits this network; it is of another one"
        )
    try:
        require_finite(fitting, source)
        network.load_state_dict(fitting, strict=False)
    except RuntimeError as error:  # a sparse or quantised tensor, or one without numbers (meta)
        reason = str(error).strip().splitlines()[-1].strip()
        raise InputError(f"{source}: cannot be copied into this network ({reason})") from error
    return notes


def require_weights(path: str | Path, *, bundle: str) -> None:
    """Stop at once if there are no weights, before anything else is read.

    Raises:
        InputError: there is no such file; the message says how to get one.
    """
    if not Path(path).is_file():
        if folds := fold_weights(Path(path).parent):
            raise InputError(
                f"{path}: not there, but weights of {len(folds)} folds are, of which this bundle uses one: "
                f"repeat with  --ckpt_dir {folds[0].parent}"
            )
        config = os.path.relpath(bundle_folder(bundle) / "configs" / "train.json")
        raise InputError(
            f"{path}: no weights yet. Train (python -m monai.bundle run --config_file {config}) or import "
            f"(python -m common.checkpoints import --bundle {bundle} --source FILE)"
        )


def load_weights(
    network: nn.Module, path: str | Path, *, bundle: str, partial: bool = False, tell: bool = True
) -> list[str]:
    """Load ``models/model.pt`` (or another bare state dict) into a network.

    Of imported weights one line is printed, unless ``tell`` is off: what they are and where they come from.
    Where the bundle's ``checkpoint.py`` has a ``from_earlier``, weights of its earlier versions fit too.

    Raises:
        InputError: the file is missing (the message says how to get one), damaged, or of another network.
    """
    require_weights(path, bundle=bundle)
    checkpoint = read_checkpoint(path)
    origin = origin_of(checkpoint)
    if origin is not None and tell and rank() == 0:
        tqdm.write(f"{path}: {origin.line()}")
    state = _renamed(state_of(checkpoint, path), bundle)
    return load_state(network, state, path, partial=partial)


def _renamed(state: dict[str, Tensor], bundle: str) -> dict[str, Tensor]:
    """Weights of an earlier version under today's names, where the bundle has changed them."""
    try:
        converter = bundle_package(bundle, "checkpoint")
    except InputError:  # nothing to import, nothing to rename
        return state
    return converter.from_earlier(state) if hasattr(converter, "from_earlier") else state


def save_state(
    network: nn.Module, path: str | Path, stamp: Stamp | None = None, *, kept: str | None = None
) -> None:
    """Write the bare state dict (tensors only, on the CPU), as :func:`write_checkpoint` does.

    Args:
        network: whose weights are written.
        path: the file.
        stamp: of which run they are, for weights that were trained here.
        kept: what is there if the disk is full.
    """
    module = getattr(network, "module", network)  # what DistributedDataParallel wraps
    state = {key: value.detach().cpu() for key, value in module.state_dict().items()}
    write_checkpoint(path, state if stamp is None else stamped(state, stamp), kept=kept)
