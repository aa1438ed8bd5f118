"""NMSE against the preset block size: DivSBL, its two halves, and the baselines, over several seeds.

    python -m benchmarks.comparisons.block_sizes --seeds 6 --signals 2 --target OUT

A seed has its own operator and signals.  One table goes to OUT/KIND.csv: a row for each method and block size
with mean and standard deviation over the seeds (of the seed's mean over its signals), the number of
iterations, and the processor time; a picture of it to OUT/KIND.png.
"""

from __future__ import annotations

import importlib
import time
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from tqdm import tqdm

import common  # noqa: F401 (puts the bundles on sys.path)
from common.blocks.sensing import basis_matrix, gaussian_operator, measurement_noise
from common.commands import run_commands
from common.errors import InputError
from common.evaluation.tables import format_table, write_rows
from common.phantoms.signals.kinds import KINDS

DivSBL = importlib.import_module("divsbl.network").DivSBL  # once common has made it findable
draw_sweep = importlib.import_module("divsbl.history").draw_sweep
FastSBL = importlib.import_module("divsbl.fast_sbl").FastSBL
PCSBL = importlib.import_module("divsbl.pc_sbl").PCSBL
GroupLasso = importlib.import_module("divsbl.group_lasso").GroupLasso

BSBL = {"diversify_variance": False, "diversify_correlation": False, "tolerance": 1e-8}
#: name -> settings of DivSBL
VARIANTS = {
    "divsbl": {},
    "variances only": {"diversify_correlation": False},
    "correlations only": {"diversify_variance": False},
    "bsbl": BSBL,
}

#: Methods without blocks.
UNTOLD = {"sbl": FastSBL, "pc-sbl": PCSBL}


def problems(kind: str, seeds: int, signals: int, m: int, n: int, db: float) -> tuple[Tensor, Tensor, Tensor]:
    """Operators on coefficients (S, M, N), measurements (S, K, M) and coefficients (S, K, N), S seeds."""
    draw, basis, _ = KINDS[kind]
    psi, operators, measured, truth = basis_matrix(basis, n), [], [], []
    for seed in range(seeds):
        rng = np.random.default_rng(seed)
        phi = gaussian_operator(m, n, seed=seed, unit_columns=kind != "picture")
        drawn = [draw(n, rng).reshape(n, -1) for _ in range(signals)]
        clean = [phi.numpy() @ one for one in drawn]
        noisy = [one + measurement_noise(one, db, rng) for one in clean]
        measured.append(torch.from_numpy(np.concatenate(noisy, 1).T))
        operators.append(phi @ psi)
        truth.append(torch.from_numpy(np.concatenate(drawn, 1).T) @ psi)
    return torch.stack(operators), torch.stack(measured), torch.stack(truth)


def run(
    target: str,
    *,
    kind: str = "heteroscedastic",
    seeds: int = 6,
    signals: int = 2,
    block_sizes: tuple[int, ...] = (6, 9, 18, 27, 54),
    measurements: int = 80,
    length: int = 162,
    snr_db: float = 15.0,
    prune: float = 1e-2,
    iterations: int = 800,
) -> None:
    """Measure, print and save the table.

    Args:
        target: folder for KIND.csv.
        kind: of the phantom ``signals``; a picture's columns are recovered one by one and scored together.
        seeds: operators.
        signals: of each seed.
        block_sizes: preset block sizes.
        measurements: M.
        length: N.
        snr_db: of the noise.
        prune: threshold of DivSBL and BSBL.
        iterations: at most so many.
    """
    if kind not in KINDS:
        raise InputError(f"kind={kind!r}; expected one of {', '.join(KINDS)}")
    torch.set_num_threads(1)
    phi, y, x = problems(kind, seeds, signals, measurements, length, snr_db)
    columns = y.shape[1] // signals

    def row(method: str, block_size: int | str, found: Tensor, seconds: float, count: float | None) -> dict:
        wrong = ((found - x) ** 2).reshape(seeds, signals, columns * length).sum(-1)
        nmse = (wrong / (x**2).reshape(seeds, signals, columns * length).sum(-1)).mean(1)
        spread = float(nmse.std()) if seeds > 1 else float("nan")
        return {
            "method": method,
            "block size": block_size,
            "NMSE": round(float(nmse.mean()), 4),
            "sd": round(spread, 4),
            "iterations": count,
            "seconds": round(seconds, 1),
        }

    rows = []
    sizes = {"measurements": measurements, "length": length}
    together, operators = y.flatten(0, 1), phi.repeat_interleave(y.shape[1], 0)
    work = [(name, size) for size in block_sizes for name in (*VARIANTS, "group lasso")]
    for name, size in tqdm([*work, *((name, 0) for name in UNTOLD)]):
        began, count = time.process_time(), None
        if name not in VARIANTS:
            method = UNTOLD[name](**sizes) if name in UNTOLD else GroupLasso(**sizes, block_size=size)
            found = torch.stack([method.coefficients(*one) for one in zip(y, phi, strict=True)])
        else:
            settings = {"prune": prune, "iterations": iterations, **VARIANTS[name]}
            method = DivSBL(**sizes, block_size=size, **settings)
            recovery = method.recover(together, operators)
            count = round(float(recovery.iterations.double().mean()))
            found = recovery.coefficients.reshape(x.shape)
        rows.append(row(name, size or "none", found, time.process_time() - began, count))
    Path(target).mkdir(parents=True, exist_ok=True)
    write_rows(Path(target) / f"{kind}.csv", rows)
    draw_sweep(_by_size(rows), Path(target) / f"{kind}.png")
    print(f"{kind}: {seeds} seeds of {signals} signals, M={measurements}, N={length}, {snr_db} dB")
    print(format_table(rows))


def _by_size(rows: list[dict]) -> list[dict]:
    """One row for each block size, as a sweep's metrics.csv has them; methods that are told none in all."""
    table = []
    for size in [row["block size"] for row in rows if row["method"] == "divsbl"]:
        here = {"block_size": size}
        for row in rows:
            if row["method"] in UNTOLD or row["block size"] == size:
                here |= {f"nmse_{row['method']}": row["NMSE"], f"sd_{row['method']}": row["sd"]}
        table.append(here)
    return table


if __name__ == "__main__":
    run_commands(run, name="python -m benchmarks.comparisons.block_sizes")
