"""Seconds until ‖∇f‖ ≤ 1e-9: logistic loss, λ = 1e-3, rows as they are, 142 clients.

python bench/minimise.py --data FOLDER [--clock cpu] [--repeats 5]

f is that of the pooled rows, so that scikit-learn's LogisticRegression (without intercept) and
``lg.reference.minimizer`` find the same point; each ‖∇f‖ is computed here from the weights.
"""

from __future__ import annotations

import argparse
import math
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from scipy.sparse import csr_array
from scipy.sparse.linalg import svds
from scipy.special import expit
from sparse_rows.sets import found_set, read_set

import localgd as lg

CASES = {"C1": "a9a", "C2": "w8a", "C3": "phishing"}
CLIENTS = 142
L2 = 1e-3
GOAL = 1e-9
EVERY = 10  # rounds between two looks at the gradient
MOST_ROUNDS = 20_000
CLOCKS = {"wall": time.perf_counter, "cpu": time.process_time}

Solver = Callable[[], tuple[np.ndarray, str]]


def heavy_ball(problem: lg.Problem, threads: int | None) -> tuple[np.ndarray, str]:
    """Polyak's: learning rate and momentum by the largest and least curvature of f."""
    high = math.sqrt(smoothness(problem.X) + L2)
    low = math.sqrt(L2)
    server = lg.ServerSGD(lr=1.0, momentum=((high - low) / (high + low)) ** 2)
    return run(problem, lg.GD(lr=4 / (high + low) ** 2, server=server), threads)


def scaffold(problem: lg.Problem, threads: int | None) -> tuple[np.ndarray, str]:
    """Ten local steps of 1/H and the server's momentum."""
    lr = 1 / max(smoothness(problem.X[problem.rows(i)]) for i in range(problem.n_clients))
    server = lg.ServerSGD(lr=1.0, momentum=0.8)
    return run(problem, lg.Scaffold(local_steps=10, lr=lr, server=server), threads)


def smoothness(X: csr_array) -> float:
    """H of the logistic loss: a quarter of the largest eigenvalue of XᵀX/N."""
    start = np.ones(min(X.shape))
    largest = svds(X, k=1, v0=start, return_singular_vectors=False)[0]
    return float(largest**2 / (4 * X.shape[0]))


def run(problem: lg.Problem, method: lg.GD | lg.Scaffold, threads: int | None) -> tuple:
    found = lg.run(
        problem,
        method,
        rounds=MOST_ROUNDS,
        loss="logistic",
        l2=L2,
        record=range(0, MOST_ROUNDS, EVERY),
        stop={"grad_norm": GOAL},
        threads=threads,
    )
    return found.weights, f"{found.round} rounds, engine {found.engine}"


def by_newton(problem: lg.Problem) -> tuple[np.ndarray, str]:
    return lg.reference.minimizer(problem, loss="logistic", l2=L2).weights, ""


def by_scikit_learn(X: csr_array, y: np.ndarray, solver: str, tol: float) -> tuple:
    from sklearn.linear_model import LogisticRegression

    model = LogisticRegression(
        C=1 / (L2 * len(y)), fit_intercept=False, solver=solver, tol=tol, max_iter=10_000
    )
    model.fit(X, y)
    return model.coef_[0], f"tol={tol:g}, {int(model.n_iter_[0])} iterations"


def gradient_norm(X: csr_array, y: np.ndarray, w: np.ndarray) -> float:
    gradient = L2 * w - X.T @ (y * expit(-y * (X @ w))) / len(y)
    return float(np.linalg.norm(gradient))


def loosest(X: csr_array, y: np.ndarray, solver: str) -> Solver:
    """scikit-learn with the largest power of ten as tolerance that is enough, or else 1e-15."""
    for power in range(4, 16):
        tol = 10.0**-power
        if gradient_norm(X, y, by_scikit_learn(X, y, solver, tol)[0]) <= GOAL:
            break
    return lambda: by_scikit_learn(X, y, solver, tol)


def solvers(X: csr_array, y: np.ndarray, clients: int, threads: int | None) -> dict[str, Solver]:
    problem = lg.partition(X, y, n_clients=clients, seed=0)
    return {
        "GD, server with momentum": lambda: heavy_ball(problem, threads),
        "Scaffold, server with momentum": lambda: scaffold(problem, threads),
        "reference.minimizer": lambda: by_newton(problem),
        "scikit-learn lbfgs": loosest(X, y, "lbfgs"),
        "scikit-learn newton-cholesky": loosest(X, y, "newton-cholesky"),
    }


def compare(
    X: csr_array,
    y: np.ndarray,
    clients: int,
    repeats: int,
    clock: Callable[[], float],
    threads: int | None,
) -> list[str]:
    """A line for each way, timed in turn."""
    ways = solvers(X, y, clients, threads)
    seconds: dict[str, list[float]] = {name: [] for name in ways}
    reached = {}
    for _ in range(repeats):
        for name, solve in ways.items():
            start = clock()
            weights, note = solve()
            seconds[name].append(clock() - start)
            reached[name] = gradient_norm(X, y, weights), note
    return [
        f"{name:32} {statistics.median(times):8.3f} s ({min(times):.3f} to {max(times):.3f})  "
        f"{'' if reached[name][0] <= GOAL else 'NOT REACHED: '}"
        f"{reached[name][0]:.1e}  {reached[name][1]}".rstrip()
        for name, times in seconds.items()
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True, help="folder with the sets of LIBSVM")
    parser.add_argument("--cases", nargs="+", default=list(CASES), choices=list(CASES))
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--threads", type=int, help="of localgd's runs; default: its choice")
    parser.add_argument("--clock", choices=list(CLOCKS), default="wall")
    options = parser.parse_args()
    for case in options.cases:
        file = found_set(options.data, CASES[case])
        if file is None:
            print(f"{case} is left out: no file of {CASES[case]} in {options.data}")
            continue
        X, y = read_set(file)
        print(f"{case}: {CASES[case]}, {X.shape[0]:,} rows, {CLIENTS} clients")
        clock = CLOCKS[options.clock]
        print(
            "\n".join(compare(X, y, CLIENTS, options.repeats, clock, options.threads)), flush=True
        )


if __name__ == "__main__":
    main()
