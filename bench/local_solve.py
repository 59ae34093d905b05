"""Exact local solves: 1,000 rounds on M=10, n=50, d=600, in each engine that has them.

python bench/local_solve.py [--repeats 7]
"""

from __future__ import annotations

import argparse
import json
import statistics
import time

import localgd as lg
from localgd._backend import core

ROUNDS = 1000


def seconds(problem: lg.Problem, method, engine: str, threads: int) -> float:
    """Wall time of a run, set-up included."""
    start = time.perf_counter()
    lg.run(problem, method, rounds=ROUNDS, engine=engine, threads=threads)
    return time.perf_counter() - start


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repeats", type=int, default=7)
    repeats = parser.parse_args().repeats
    problem = lg.datasets.make_separable(n_clients=10, n_samples=50, n_features=600, seed=0)
    cases = [
        (method, engine, threads)
        for method in (lg.LocalSolve(), lg.ModifiedLocalGD(local_steps=None))
        for engine in ("gram", "hybrid")
        for threads in (1, 2)
    ]
    times: dict[int, list[float]] = {i: [] for i in range(len(cases))}
    for _ in range(repeats):  # in turn, so that other load falls on all alike
        for i, (method, engine, threads) in enumerate(cases):
            times[i].append(seconds(problem, method, engine, threads))
    print(f"{ROUNDS} rounds, median of {repeats}")
    for i, (method, engine, threads) in enumerate(cases):
        print(f"{method!r:40s} {engine:7s} {threads} threads {statistics.median(times[i]):8.3f} s")
    print(json.dumps(core.build_info()))


if __name__ == "__main__":
    main()
