"""Test-time methods on the phantom ``fundus``: one source network, the other domains streamed through each.

    python -m benchmarks.comparisons.adaptation stream --source A --target OUT
    python -m benchmarks.comparisons.adaptation report --target OUT

``stream`` trains vptta's train.json on one domain (unless OUT has its weights), then sends the pictures
of the other four, several rounds without a reset, through the source network as it is, each image's own
batch norm statistics, TENT, VPTTA and parts of it, and GraTa.  All start from the same weights.  Repeat for
other sources; ``report`` prints a line for each method.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import fmean, stdev
from typing import Any

from benchmarks.comparisons.budget import run_bundle
from benchmarks.comparisons.streams import dice_of_stream, read_streams, source_run
from common.commands import run_commands
from common.errors import InputError
from common.evaluation.tables import format_table, write_rows

_GRATA = {"_target_": "grata.inferer.GradientAlignmentInferer"}
_TENT = {"_target_": "common.adaptation.tent.Tent"}
#: Method -> what differs from vptta's evaluate.json.
METHODS: dict[str, dict[str, Any]] = {
    "source": {"adapt": False},
    "own_statistics": {"stream_inferer": {**_TENT, "lr": 0.0}},
    "tent": {"stream_inferer": _TENT},
    "vptta": {},
    "vptta_no_memory": {"stream_inferer#memory_size": 0},
    "vptta_to_source": {"stream_inferer#memory_size": 0, "stream_inferer#tau": 0.0},
    "grata": {"stream_inferer": _GRATA},
    "grata_lr_0.01": {"stream_inferer": {**_GRATA, "lr": 0.01}},
}


def stream(
    *,
    source: str,
    target: str,
    seed: int = 0,
    rounds: int = 5,
    methods: Sequence[str] | None = None,
    **overrides: Any,
) -> None:
    """Train on one domain, then stream the others through the methods.

    Args:
        source: a domain of the phantom.
        target: results go to ``<target>/streams``, the phantom and the weights beside them.
        seed: of the training and of what a method draws.
        rounds: through all pictures of the other domains.
        methods: some of ``METHODS``; all by default.
        overrides: further keys of train.json, such as ``--dataset_dir#test 4``.
    """
    unknown = sorted(set(methods or METHODS) - set(METHODS))
    if unknown:
        raise InputError(f"methods: {unknown[0]}: unknown; expected some of: {', '.join(METHODS)}")
    folder = Path(target).absolute()
    run, settings = source_run(folder, source, seed, overrides)
    if not (run / "model.pt").is_file():
        run_bundle("vptta", settings, "train")
    for method in methods or METHODS:
        rows = list(dice_of_stream("vptta", ["train"], {**settings, **METHODS[method]}, rounds))
        known = {"source": source, "seed": seed, "method": method}
        write_rows(folder / "streams" / f"{source}_seed{seed}_{method}.csv", [known | row for row in rows])


def report(*, target: str) -> str:
    """Dice of disc and cup: mean over the stream's pictures, then mean and deviation over the sources.

    ``first`` and ``last`` are the mean of both classes in the first and the last round: their difference is
    the drift.

    Args:
        target: where ``stream`` wrote.
    """
    found = read_streams(Path(target))
    rows = [_row(method, own) for method in METHODS if (own := [r for r in found if r["method"] == method])]
    return format_table(rows)


def _row(method: str, rows: Sequence[Mapping[str, str]]) -> dict[str, Any]:
    runs = sorted({(row["source"], row["seed"]) for row in rows})
    rounds = sorted({int(row["round"]) for row in rows})

    def of_runs(*classes: str, number: int | None = None) -> list[float]:
        return [
            fmean(
                float(row[name])
                for row in rows
                if (row["source"], row["seed"]) == run and number in (None, int(row["round"]))
                for name in classes
            )
            for run in runs
        ]

    both = of_runs("disc", "cup")
    return {
        "method": method,
        "sources": len(runs),
        "pictures": len(rows) // len(runs),
        "disc": fmean(of_runs("disc")),
        "cup": fmean(of_runs("cup")),
        "dice": fmean(both),
        "dice_sd": stdev(both) if len(both) > 1 else None,
        "first": fmean(of_runs("disc", "cup", number=rounds[0])),
        "last": fmean(of_runs("disc", "cup", number=rounds[-1])),
    }


if __name__ == "__main__":
    run_commands({"stream": stream, "report": report}, name="python -m benchmarks.comparisons.adaptation")
