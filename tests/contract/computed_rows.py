"""Rows of a recipe's table that no single node holds: computed from the whole of the resolved config.

A row is written ``name@argument``.  ``lr@half`` is the learning rate in the middle of the schedule,
``iterations@all`` how many there are, ``iterations@159`` with 159 cases to train on where that decides; the
functions below say what each is.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from monai.bundle import ConfigComponent

from tests.contract.resolved import ABSENT, Resolved

__all__ = ["ROWS", "compute"]

Row = Callable[[Resolved, str], Any]


def epochs(config: Resolved, cases: str = "all") -> int:
    """As the trainer counts them; with that many cases in a pass where that decides."""
    stand_ins = {} if cases == "all" else {"train#sampler": range(int(cases))}
    return Resolved(config.raw, stand_ins).value(config.node("train#trainer#max_epochs"))


def iterations(config: Resolved, cases: str) -> int:
    """Until the end."""
    return epochs(config, cases) * per_epoch(config, cases)


def per_epoch(config: Resolved, cases: str) -> int:
    """Iterations of an epoch."""
    if config.at("train#sampler#iterations") is not ABSENT:
        return config.value(config.node("train#sampler#iterations"))
    stand_in = range(0 if cases == "all" else int(cases))
    length = Resolved(config.raw, {"train#dataset": stand_in}).at("train#sampler#num_samples")
    length = len(stand_in) if length is None else length
    size = config.value(config.node("train#dataloader#batch_size"))
    return length // size if config.at("train#dataloader#drop_last") is True else -(-length // size)


def batch(config: Resolved, _: str) -> Any:
    """How many cases, or how many with and without a label."""
    if config.at("train#sampler#labelled") is not ABSENT:
        return [config.at(f"train#sampler#{part}") for part in ("labelled", "unlabelled")]
    return config.at("train#dataloader#batch_size")


def foreground(config: Resolved, _: str) -> list[int]:
    """The places in the batch whose patch is put on foreground."""
    crop = {key: config.at(f"crop#{key}") for key in ("_target_", "batch_size", "share")}
    assert crop.pop("_target_") == "ByBatchPosition"
    built = _built(config.node("crop"), first=None, last=None, **crop)
    return list(range(built.first_count, built.batch_size))


def lr(config: Resolved, when: str) -> float:
    """The learning rate of the first, the middle or the last epoch, or of the epoch of that number from 0.

    A stand-in of one weight is optimised, and the scheduler stepped as ``LrScheduleHandler`` does.
    """
    optimizer = _built(config.node("optimizer"), config, params=[torch.nn.Parameter(torch.zeros(1))])
    if config.at("train#handlers#LrScheduleHandler") is not ABSENT:
        assert config.at("train#handlers#LrScheduleHandler#epoch_level") in (ABSENT, True)
        count = epochs(config)
        epoch = {"half": count // 2, "end": count - 1}.get(when)
        scheduler = _built(config.node("lr_scheduler"), config, optimizer=optimizer)
        for _ in range(int(when) if epoch is None else epoch):
            optimizer.step()
            scheduler.step()
    (group,) = optimizer.param_groups
    return group["lr"]


def ramp(config: Resolved, iteration: str) -> float:
    """The weight of the consistency loss in an iteration, counted from 1 as the trainer does."""
    return _built(config.node("ramp_up"), config)(int(iteration))


def _built(node: dict[str, Any], config: Resolved | None = None, **given: Any) -> Any:
    """The object of a node whose other arguments are plain."""
    values = {key: value for key, value in node.items() if key not in given}
    if config is not None:
        target = values.pop("_target_")
        values = {"_target_": target} | {key: config.value(value) for key, value in values.items()}
    return ConfigComponent({**values, **given}).instantiate()


ROWS: dict[str, Row] = {
    "epochs": epochs,
    "iterations": iterations,
    "batch": batch,
    "foreground": foreground,
    "lr": lr,
    "ramp": ramp,
}


def compute(config: Resolved, row: str) -> Any:
    """The value of ``name@argument``."""
    name, _, argument = row.partition("@")
    return ROWS[name](config, argument)
