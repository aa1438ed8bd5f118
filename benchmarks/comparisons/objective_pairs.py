"""GraTa's pairs of objectives on the phantom ``fundus``: a table, auxiliary by pseudo.

    python -m benchmarks.comparisons.objective_pairs stream --source A --target OUT
    python -m benchmarks.comparisons.objective_pairs report --target OUT

``stream`` trains grata's train.json with branches.json on one domain (unless OUT has its weights), then
sends the pictures of each other domain through the network, once for every pair and from the source's
weights each time.  Pairs that are there already are skipped.  Repeat for other sources; ``report`` prints
the table.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import fmean
from typing import Any

from tqdm import tqdm

from benchmarks.comparisons.budget import run_bundle
from benchmarks.comparisons.streams import dice_of_stream, read_streams, source_run
from common.commands import run_commands
from common.errors import InputError
from common.evaluation.tables import format_table, write_rows

TRAINING = ["train", "branches"]


def _objectives() -> tuple[str, ...]:
    from grata.objectives import OBJECTIVES

    return OBJECTIVES


def _chosen(words: Sequence[str] | None, key: str) -> Sequence[str]:
    known = _objectives()
    unknown = sorted(set(words or known) - set(known))
    if unknown:
        raise InputError(f"{key}: {unknown[0]}: unknown; expected some of: {', '.join(known)}")
    return words or known


def stream(
    *,
    source: str,
    target: str,
    seed: int = 0,
    auxiliary: Sequence[str] | None = None,
    pseudo: Sequence[str] | None = None,
    **overrides: Any,
) -> None:
    """Train on one domain, then stream the others through each pair.

    Args:
        source: a domain of the phantom.
        target: results go to ``<target>/streams``, the phantom and the weights beside them.
        seed: of the training and of what the adaptation draws.
        auxiliary: some of the six objectives; all by default.
        pseudo: likewise; all pairs of both are run.
        overrides: further keys of train.json, such as ``--dataset_dir#test 4``.
    """
    pairs = [(a, p) for a in _chosen(auxiliary, "auxiliary") for p in _chosen(pseudo, "pseudo")]
    folder = Path(target).absolute()
    run, settings = source_run(folder, source, seed, overrides)
    if not (run / "model.pt").is_file():
        run_bundle("grata", settings, *TRAINING)
    for first, second in tqdm(pairs, desc="pairs"):
        file = folder / "streams" / f"{source}_seed{seed}_{first}_{second}.csv"
        if file.is_file():
            continue
        own = {**settings, "auxiliary": first, "pseudo": second, "adaptation_seed": seed}
        known = {"source": source, "seed": seed, "auxiliary": first, "pseudo": second}
        write_rows(file, [known | row for row in dice_of_stream("grata", TRAINING, own, rounds=1)])


def report(*, target: str) -> str:
    """Mean Dice of disc and cup: rows are auxiliary objectives, columns pseudo objectives.

    The mean over the pictures of a domain, over the domains, then over sources and seeds; a pair that was
    not run is empty.

    Args:
        target: where ``stream`` wrote.
    """
    found = read_streams(Path(target))
    columns = [word for word in _objectives() if any(row["pseudo"] == word for row in found)]
    rows = []
    for word in _objectives():
        own = [row for row in found if row["auxiliary"] == word]
        if own:
            scores = {name: _score([row for row in own if row["pseudo"] == name]) for name in columns}
            rows.append({"auxiliary": word, **scores})
    return format_table(rows)


def _score(rows: Sequence[Mapping[str, str]]) -> float | None:
    runs: dict[tuple[str, str], dict[str, list[float]]] = {}
    for row in rows:
        domains = runs.setdefault((row["source"], row["seed"]), {})
        domains.setdefault(row["domain"], []).append((float(row["disc"]) + float(row["cup"])) / 2)
    means = [fmean(fmean(values) for values in domains.values()) for domains in runs.values()]
    return fmean(means) if means else None


if __name__ == "__main__":
    run_commands(
        {"stream": stream, "report": report}, name="python -m benchmarks.comparisons.objective_pairs"
    )
