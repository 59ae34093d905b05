"""Seconds of fast_forward to 10^100 rounds, and how constant angle · log(ηLk) is there.

    python bench/fast_forward.py [--mnist] [--repeats 5] [--json FILE]

Prints medians over the repeats, with the least and the largest, and the load of the machine.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import time
from collections.abc import Callable
from typing import Any

# BLAS threads cost more than such small products, the more so on a busy machine. Read at loading.
for variable in ("OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(variable, "1")

import numpy as np  # noqa: E402

import localgd as lg  # noqa: E402
from localgd._backend import core  # noqa: E402


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--mnist", action="store_true", help="also MNIST 0 against 1, 1,000 rows")
    parser.add_argument("--json", help="write the figures there")
    options = parser.parse_args()
    cases = [
        ("M=5, n=10, d=100", lambda: separable(5, 10, 100), steps, 1e100)
        for steps in (1, 10, 100, 1000, 10_000)
    ]
    cases += [
        ("M=10, n=50, d=600", lambda: separable(10, 50, 600), steps, 1e100) for steps in (10, 100)
    ]
    if options.mnist:
        cases.append(("MNIST 0/1, Dirichlet(0.3)", mnist, 10, 1e50))
    figures = []
    print(f"load {os.getloadavg()[0]:.1f}, {os.cpu_count()} cores")
    for name, make, steps, rounds in cases:
        figures.append(measure(name, make, steps, rounds, options.repeats))
        print(line(figures[-1]), flush=True)
    if options.json:
        with open(options.json, "w") as file:
            json.dump({"figures": figures, "build": core.build_info()}, file, indent=2, default=str)


def separable(n_clients: int, n_samples: int, n_features: int) -> lg.Problem:
    return lg.datasets.make_separable(
        n_clients=n_clients, n_samples=n_samples, n_features=n_features, seed=1
    )


def mnist() -> lg.Problem:
    X, y = lg.datasets.load_mnist(classes=(0, 1))
    return lg.partition(X[:1000], y[:1000], n_clients=10, scheme=lg.Dirichlet(0.3), seed=1)


def measure(
    name: str, make: Callable[[], lg.Problem], steps: int, rounds: float, repeats: int
) -> dict[str, Any]:
    problem = make()
    best = lg.reference.max_margin(problem)
    method = lg.LocalGD(local_steps=steps, lr=1.0)

    def once() -> lg.Run:
        return lg.fast_forward(problem, method, rounds=rounds, loss="exponential", reference=best)

    once()  # imports, caches
    seconds = []
    for _ in range(repeats):
        start = time.perf_counter()
        run = once()
        seconds.append(time.perf_counter() - start)
    k, angle = run.history["round"], run.history["angle"]
    late = k >= np.sqrt(rounds)
    product = angle[late] * np.log(steps * k[late])
    return {
        "problem": name,
        "L": steps,
        "rounds": rounds,
        "seconds": seconds,
        "spread": float((product.max() - product.min()) / (product.max() + product.min())),
        "angle": float(angle[-1]),
        "error": float(run.history["error"].max()),
        **run.config["fast_forward"],
    }


def line(figures: dict[str, Any]) -> str:
    seconds = figures["seconds"]
    return (
        f"{figures['problem']:<26} L={figures['L']:<6} {figures['rounds']:.0e} rounds: "
        f"{statistics.median(seconds):.3f} s ({min(seconds):.3f} to {max(seconds):.3f}), "
        f"{figures['exact_rounds']} rounds exact, {figures['evaluations']} evaluated; "
        f"angle · log(ηLk) ± {100 * figures['spread']:.2f} % over the last half of the decades; "
        f"largest error claimed {figures['error']:.1e}"
    )


if __name__ == "__main__":
    main()
