r"""Nested regions beside classes, and two stages beside one, on KiTS21's labels: equal data and CPU time.

    python -m benchmarks.comparisons.nested_regions train DIR --method coarse_to_fine --minutes 20 \
        --target OUT
    python -m benchmarks.comparisons.nested_regions train DIR --method softmax --minutes 20 \
        --target OUT
    python -m benchmarks.comparisons.nested_regions train DIR --method one_stage --minutes 20 \
        --target OUT
    python -m benchmarks.comparisons.nested_regions report \
        --target OUT

``train`` runs kits21's train.json until the process has used its CPU time, takes the weights of the last
iteration (nothing is selected, so no case is held out), and scores them on the test list with evaluate.json.
The learning rate falls with the used share of the time.  Repeat with ``--seed 1``, ``--seed 2``; ``report``
prints one line for each method.
"""

from __future__ import annotations

from typing import Any

from benchmarks.comparisons.budget import budget_overlay, train_method
from benchmarks.comparisons.summaries import table_of_methods
from common.commands import run_commands

#: Method -> what differs from train.json.
METHODS: dict[str, dict[str, Any]] = {
    "coarse_to_fine": {},
    "softmax": {"softmax": True},
    "one_stage": {"network_def#_target_": "kits21.network.RegionUNet"},
    "one_stage_softmax": {"network_def#_target_": "kits21.network.RegionUNet", "softmax": True},
}
METRICS = ("dice", "surface_dice")


def train(
    dataset_dir: str,
    *,
    method: str,
    target: str,
    minutes: float = 20,
    seed: int = 0,
    **overrides: Any,
) -> None:
    """Train one method within the CPU time, then evaluate it on the test list.

    Args:
        dataset_dir: Decathlon-style folder with nested labels.
        method: one of ``METHODS``.
        target: results go to ``<target>/<method>/seed<seed>``.
        minutes: CPU time of the training.
        seed: of weights and patches.
        overrides: further keys of train.json, such as ``--iterations_per_epoch 5``.
    """
    decay = {"lr_scheduler#lr_lambda": "$@budget.learning_rate_factor"}
    overlay = budget_overlay(minutes, **decay, **{"datalist#holdout": 0})
    train_method(
        "kits21",
        METHODS,
        overlay,
        method=method,
        dataset_dir=dataset_dir,
        target=target,
        seed=seed,
        overrides=overrides,
    )


def report(*, target: str) -> str:
    """The table of all methods under ``target``: means over the test cases, then over the seeds.

    Args:
        target: where ``train`` wrote.
    """
    return table_of_methods(METHODS, METRICS, target)


if __name__ == "__main__":
    run_commands({"train": train, "report": report}, name="python -m benchmarks.comparisons.nested_regions")
