r"""What BA-Net's boundary decoder and its gate are worth: equal data and CPU time.

    python -m benchmarks.comparisons.boundaries train DIR --method gate --minutes 15 --target OUT
    python -m benchmarks.comparisons.boundaries train DIR --method no_gate --minutes 15 --target OUT
    python -m benchmarks.comparisons.boundaries train DIR --method no_boundary_decoder --minutes 15 \
        --target OUT
    python -m benchmarks.comparisons.boundaries report --target OUT

``train`` runs banet_kidney's train.json until the process has used its CPU time, takes the weights of the
last iteration (nothing is selected, so no case is held out), and scores them on the test list with
evaluate.json: Dice and surface Dice.  The learning rate falls with the used share of the time.  ``no_gate``
has both decoders, which share the encoder alone; ``no_boundary_decoder`` is the plain U-Net, with a head at
every level.  Repeat with ``--seed 1``, ``--seed 2``; ``report`` prints one line for each method.

Source: banet_kidney/docs/method.md#how-to-know-it-works.
"""

from __future__ import annotations

from typing import Any

from benchmarks.comparisons.budget import budget_overlay, train_method
from benchmarks.comparisons.summaries import table_of_methods
from common.commands import run_commands

#: Method -> what differs from train.json.
METHODS: dict[str, dict[str, Any]] = {
    "gate": {},
    "no_gate": {"network_def#gate": False},
    "no_boundary_decoder": {
        "network_def": {
            "_target_": "common.networks.plain_unet.network.PlainUNet",
            "in_channels": "@in_channels",
            "out_channels": "@num_classes",
            "strides": [[2, 2, 2], [2, 2, 2], [2, 2, 2], [2, 2, 2], [2, 2, 1]],
        }
    },
}
METRICS = ("dice", "nsd")


def train(
    dataset_dir: str,
    *,
    method: str,
    target: str,
    minutes: float = 15,
    seed: int = 0,
    **overrides: Any,
) -> None:
    """Train one method within the CPU time, then evaluate it on the test list.

    Args:
        dataset_dir: Decathlon-style folder.
        method: one of ``METHODS``.
        target: results go to ``<target>/<method>/seed<seed>``.
        minutes: CPU time of the training.
        seed: of weights and patches.
        overrides: further keys of train.json, such as ``--num_classes 3``.
    """
    decay = {"lr_scheduler#lr_lambda": "$@budget.learning_rate_factor"}
    overlay = budget_overlay(minutes, **decay, **{"datalist#holdout": 0})
    train_method(
        "banet_kidney",
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

    ``nsd`` is the surface Dice.

    Args:
        target: where ``train`` wrote.
    """
    return table_of_methods(METHODS, METRICS, target)


if __name__ == "__main__":
    run_commands({"train": train, "report": report}, name="python -m benchmarks.comparisons.boundaries")
