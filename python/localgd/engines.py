"""Which engine takes the local steps, and on how many threads: by counting flops and bytes.

For one local step of client i and for one round of the server:

========  ==================  ==============  =====================
engine    local step          server          memory (reals)
========  ==================  ==============  =====================
gram      2 n_i² flops        2 N² flops      N² + Σ n_i²
hybrid    2 n_i² flops        4 N d flops     Σ n_i² + M d
primal    4 n_i d flops       2 M d flops     M d
========  ==================  ==============  =====================
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Any

import numpy as np

from . import _validation as check
from ._backend import core
from .errors import UnsupportedError
from .problem import Problem

ENGINES = ("gram", "hybrid", "primal")
DEFAULT_MEMORY_LIMIT = 4 * 2**30

# Rates of one core, good to a factor of two on current machines; only their ratios matter.
FLOPS = 8e9
BANDWIDTHS = ((256 * 2**10, 60e9), (16 * 2**20, 25e9), (np.inf, 8e9))  # working set, bytes/s
MAX_THREADS = 256  # or the machine's cores, if it has more
MIN_SECONDS_PER_THREAD = 10e-6  # per round; below this the hand-over costs more than it brings


@dataclass(frozen=True)
class Plan:
    """An engine with its predicted cost."""

    engine: str
    seconds_setup: float
    seconds_round: float
    bytes: float


def _seconds(flops: np.ndarray | float, bytes: np.ndarray | float) -> float:
    """Time of passes over working sets of the given sizes: bound by arithmetic or by reading."""
    flops, bytes = np.atleast_1d(flops), np.atleast_1d(bytes)
    rates = np.select([bytes <= size for size, _ in BANDWIDTHS], [rate for _, rate in BANDWIDTHS])
    return float(np.maximum(flops / FLOPS, bytes / rates).sum())


def plans(problem: Problem, local_steps: int, itemsize: int) -> dict[str, Plan]:
    """The predicted cost of each engine on one core."""
    n, N = problem.sizes.astype(np.float64), float(problem.n_samples)
    M, d = float(problem.n_clients), float(problem.n_features)
    blocks = itemsize * float((n**2).sum())
    # Nobody reads the margins after the last local step, so its product is left out.
    span_steps = (local_steps - 1) * _seconds(2 * n**2, itemsize * n**2)
    rows = _seconds(2 * n * d, itemsize * n * d)
    return {
        "gram": Plan(
            "gram",
            2 * (N**2 + float((n**2).sum())) * d / FLOPS,
            span_steps + _seconds(2 * N**2, itemsize * N**2),
            blocks + itemsize * N**2,
        ),
        "hybrid": Plan(
            "hybrid",
            2 * float((n**2).sum()) * d / FLOPS,
            span_steps + 2 * rows,
            blocks + itemsize * M * d,
        ),
        "primal": Plan(
            "primal",
            0.0,
            local_steps * _seconds(4 * n * d, itemsize * n * d) + _seconds(2 * M * d, 8 * M * d),
            itemsize * M * d,
        ),
    }


def choose_engine(
    problem: Problem,
    local_steps: int,
    rounds: int,
    *,
    engine: str,
    itemsize: int,
    memory_limit: int,
) -> Plan:
    """The cheapest engine for so many rounds that fits in memory, or the one asked for."""
    check.one_of("engine", engine, ("auto", *ENGINES))
    candidates = plans(problem, local_steps, itemsize)
    fitting = [p for p in candidates.values() if p.bytes <= memory_limit or p.engine == "primal"]
    cheapest = min(fitting, key=lambda p: p.seconds_setup + rounds * p.seconds_round)
    if engine == "auto":
        return cheapest
    if candidates[engine] not in fitting:
        raise UnsupportedError(
            f"engine: {engine!r} needs {candidates[engine].bytes / 1e9:.1f} GB of Gram matrices "
            f"for {problem.n_samples:,} rows, the limit is {memory_limit / 1e9:.1f} GB; use "
            f"engine='auto' (here {cheapest.engine!r}) or raise memory_limit (in bytes)"
        )
    return candidates[engine]


def choose_threads(threads: Any, problem: Problem, plan: Plan) -> int:
    """The threads asked for, or as many as clients, machine and work per round merit."""
    if threads is not None:
        threads = check.integer("threads", threads, 1)
    if not core.build_info()["openmp"]:
        return 1
    if threads is not None:
        # OpenMP ends the process when the system refuses it a thread.
        return min(threads, problem.n_clients, max(MAX_THREADS, os.cpu_count() or 1))
    worthwhile = int(plan.seconds_round / MIN_SECONDS_PER_THREAD)
    return max(1, min(usable_cores(), problem.n_clients, worthwhile))


def usable_cores() -> int:
    """Cores that this process may use: its affinity, or fewer if OMP_NUM_THREADS says so."""
    cores = (
        len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    )
    wanted = os.environ.get("OMP_NUM_THREADS", "").split(",")[0]
    return min(cores, int(wanted)) if wanted.isdigit() and int(wanted) > 0 else cores
