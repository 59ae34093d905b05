"""Local steps per second of localgd beside a Numba-parallel loop over BLAS calls, in one run.

    .venv/bin/pip install '.[bench]' && .venv/bin/python bench/against_numba.py

Both take the same local steps of Local-GD (exponential loss, equal weights) from the same start,
and the answers are compared before anything is timed. The sides are timed in turn (A B A B ...), so
that what else the machine does falls on both alike; the table gives medians, and the ratio is the
median of the ratios of neighbouring timings.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

# Numba spreads the clients over the cores itself: one BLAS thread each. Read when BLAS is loaded.
for variable in ("OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(variable, "1")

import numba  # noqa: E402
import numpy as np  # noqa: E402

import localgd as lg  # noqa: E402
from localgd._backend import core  # noqa: E402

TOLERANCE = {"float64": 1e-9, "float32": 1e-3}


@numba.njit(parallel=True, cache=True)
def numba_rounds(Z: np.ndarray, w: np.ndarray, lr: float, steps: int, rounds: int) -> np.ndarray:
    """Local-GD with the weights kept, Z (M, n, d): two BLAS matrix-vector products per step."""
    M, n, d = Z.shape
    local = np.empty((M, d), Z.dtype)
    for _ in range(rounds):
        for i in numba.prange(M):
            v = w.copy()
            for _ in range(steps):
                e = np.exp(-(Z[i] @ v))
                v += Z.dtype.type(lr / n) * (Z[i].T @ e)
            local[i] = v
        w = local.sum(axis=0) / Z.dtype.type(M)
    return w


def timed(work: Callable[[], object]) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def compare(
    problem: lg.Problem, engine: str, dtype: str, threads: int, args: Any
) -> dict[str, Any]:
    """One row of the table: one engine on one dtype and thread count beside Numba."""
    method = lg.LocalGD(local_steps=args.local_steps, lr=1.0)
    few, rounds = 30, 30 if engine == "primal" else 3000  # about as long as the rival's
    Z = problem.signed_rows.reshape(args.clients, args.samples, -1).astype(dtype)

    def rival() -> np.ndarray:
        return numba_rounds(Z, np.zeros(Z.shape[2], dtype), 1.0, args.local_steps, few)

    def ours(rounds: int) -> lg.Run:
        return lg.run(
            problem, method, rounds=rounds, engine=engine, threads=threads, dtype=dtype, record=[]
        )

    theirs, mine = rival(), ours(few).weights
    deviation = np.linalg.norm(theirs - mine) / np.linalg.norm(mine)
    if not deviation < TOLERANCE[dtype]:
        raise SystemExit(f"{engine} {dtype}: the two sides differ by {deviation:.1e}")
    pairs = []
    for _ in range(args.repeats):
        seconds = timed(rival) / few, timed(lambda: ours(rounds)) / rounds
        pairs.append([args.clients * args.local_steps / s for s in seconds])
    return {
        "engine": engine,
        "dtype": dtype,
        "threads": threads,
        "localgd": statistics.median(b for _, b in pairs),
        "numba": statistics.median(a for a, _ in pairs),
        "ratio": statistics.median(b / a for a, b in pairs),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--clients", type=int, default=10)
    parser.add_argument("--samples", type=int, default=50, help="rows per client")
    parser.add_argument("--features", type=int, default=600)
    parser.add_argument("--local-steps", type=int, default=100)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--repeats", type=int, default=7)
    parser.add_argument("--json", type=Path, help="write the figures and build_info here")
    args = parser.parse_args()
    numba.set_num_threads(args.threads)
    problem = lg.datasets.make_separable(
        n_clients=args.clients, n_samples=args.samples, n_features=args.features, seed=0
    )
    print(
        f"M={args.clients} n={args.samples} d={args.features} L={args.local_steps}, exponential "
        f"loss; Numba on {args.threads} threads; local steps per second, median of {args.repeats}"
    )
    print(
        f"{'engine':8} {'dtype':8} {'threads':>7} {'localgd':>12} {'Numba+BLAS':>12} {'ratio':>6}"
    )
    rows = []
    for dtype in TOLERANCE:
        for engine in ("gram", "hybrid", "primal"):
            for threads in sorted({1, args.threads}):
                row = compare(problem, engine, dtype, threads, args)
                print(
                    f"{engine:8} {dtype:8} {threads:7} {row['localgd']:12,.0f} "
                    f"{row['numba']:12,.0f} {row['ratio']:6.1f}"
                )
                rows.append(row)
    if args.json:
        case = {key: value for key, value in vars(args).items() if key != "json"}
        report = {"case": case, "rows": rows, "build_info": core.build_info()}
        args.json.write_text(json.dumps(report, indent=2))


if __name__ == "__main__":
    main()
