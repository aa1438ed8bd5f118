"""K folds of a training list, as nnU-Net makes them.

Case names are sorted as strings, their positions shuffled once by NumPy's ``RandomState(seed)``, and cut into
K runs whose lengths differ by one at most, the longer ones first; fold f validates on the f-th run and trains
on the rest.  This is what scikit-learn's ``KFold(K, shuffle=True, random_state=seed)`` gives.

Source: Isensee et al., nnU-Net, Nature Methods 2021, version 1 of the code.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from common.errors import InputError

__all__ = ["SEED", "fold_of"]

SEED = 12345


def fold_of(
    names: Sequence[str], fold: int, folds: int = 5, *, source: str | Path, seed: int = SEED
) -> tuple[list[int], list[int]]:
    """Positions in ``names`` to train on and to validate on, each in the order of sorted names.

    Args:
        names: of the cases.
        fold: 0 to ``folds`` - 1.
        folds: K.
        source: where the cases come from, for the error.
        seed: of the shuffle.

    Raises:
        InputError: there is no such fold, there are fewer cases than folds, or two cases share a name.
    """
    for option, value, least in (("folds", folds, 2), ("fold", fold, 0)):
        if not isinstance(value, int) or isinstance(value, bool) or value < least:
            raise InputError(f"--{option} is {value!r}; expected a whole number of {least} or more")
    if fold >= folds:
        raise InputError(f"--fold is {fold}; with --folds {folds} expected 0 to {folds - 1}")
    if len(names) < folds:
        raise InputError(
            f"{source}: {len(names)} training cases make no {folds} folds; expected one for each at least: "
            f"give fewer, such as  --folds {max(len(names), 2)}"
        )
    if len(set(names)) < len(names):
        twice = sorted({name for name in names if list(names).count(name) > 1})
        raise InputError(f"{source}: two training cases are called {twice[0]}; folds go by name: rename one")
    order = sorted(range(len(names)), key=lambda position: names[position])
    shuffled = np.random.RandomState(seed).permutation(len(names))
    held = set(np.array_split(shuffled, folds)[fold].tolist())
    return (
        [position for rank, position in enumerate(order) if rank not in held],
        [position for rank, position in enumerate(order) if rank in held],
    )
