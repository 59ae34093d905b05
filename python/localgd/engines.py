"""Which engine takes the local steps, and on how many threads: by counting flops and bytes.

For one local step of client i on batches of b rows (n_i if full) and for one round of the server,
per output:

========  ==================  ==============  =====================
engine    local step          server          memory (reals)
========  ==================  ==============  =====================
gram      2 n_i b flops       2 N² flops      N²/2 + Σ n_i²
hybrid    2 n_i b flops       4 N d + 2 M d   Σ n_i² + G d
primal    4 b d flops         2 M d flops     G d
========  ==================  ==============  =====================

with G = M groups of clients, but never more than 512.

The steps are counted one by one, although most of those of a long run are extrapolated from fewer.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Any

import numpy as np

from . import _validation as check
from ._backend import core
from .cgroups import cpu_quota
from .errors import UnsupportedError
from .losses import LOSSES
from .methods import LocalRule, Method
from .problem import Problem

ENGINES = ("gram", "hybrid", "primal")
DEFAULT_MEMORY_LIMIT = 4 * 2**30

# Rates of one core, good to a factor of two on current machines; only their ratios matter.
FLOPS = 8e9
PRODUCT_FLOPS = 25e9  # of large matrix products
# Bytes per second of working sets up to so many bytes.
WORKING_SETS, BANDWIDTHS = np.array([256 * 2**10, 16 * 2**20, np.inf]), np.array([60e9, 25e9, 8e9])
MAX_THREADS = 256  # or the machine's cores, if it has more
LARGE_CLIENT, CHUNK = 4 * 2**20, 512 * 2**10  # bytes of rows: what primal shares out, and in what
MOST_GROUPS = 512  # of clients, each with a sum of what they change
MIN_SECONDS_PER_THREAD = 10e-6  # per round; below this the hand-over costs more than it brings


@dataclass(frozen=True)
class Plan:
    """An engine with its predicted cost, and among how many threads its work can be divided."""

    engine: str
    seconds_setup: float
    seconds_round: float
    bytes: float
    parts: int


def _times(flops: np.ndarray | float, bytes: np.ndarray | float) -> np.ndarray:
    """Time of each of some passes over working sets: bound by arithmetic or by reading."""
    rates = BANDWIDTHS[np.searchsorted(WORKING_SETS, bytes)]
    return np.maximum(flops / FLOPS, bytes / rates)


def _seconds(flops: np.ndarray | float, bytes: np.ndarray | float) -> float:
    return float(_times(flops, bytes).sum())


def plans(problem: Problem, rule: LocalRule, itemsize: int) -> dict[str, Plan]:
    """The predicted cost of each engine on one core."""
    n, N = problem.sizes.astype(np.float64), float(problem.n_samples)
    M, d, C = float(problem.n_clients), float(problem.n_features), float(problem.n_classes)
    blocks = itemsize * float((n**2).sum())
    steps = rule.core_steps(problem.n_clients).astype(np.float64)
    drawn = rule.batches(problem.sizes).astype(np.float64)
    b = np.where(drawn > 0, drawn, n)
    # Nobody reads the margins after the last local step, so its product is left out.
    span = (steps - 1) @ _times(2 * n * b * C, itemsize * n * b)
    primal = steps @ _times((4 + 2 * (drawn > 0)) * b * d * C, itemsize * b * d)
    rows = _seconds(2 * n * d * C, itemsize * n * d)
    gram = _seconds(2 * N**2 * C, itemsize * N**2 / 2)
    more = 0 if rule.correction == "none" else 1
    groups = min(M, MOST_GROUPS)
    changes = _seconds(2 * M * d * C, 8 * groups * d * C)  # their mean
    row_bytes = itemsize * n * d
    chunks = np.where((row_bytes > LARGE_CLIENT) & (drawn == 0), row_bytes // CHUNK, 1)
    return {
        "gram": Plan(
            "gram",
            (N**2 + 2 * float((n**2).sum())) * d / PRODUCT_FLOPS,
            span + (1 + more) * gram,
            blocks + itemsize * N**2 / 2,
            problem.n_clients,
        ),
        "hybrid": Plan(
            "hybrid",
            2 * float((n**2).sum()) * d / PRODUCT_FLOPS,
            span + (2 + more) * rows + changes,
            blocks + 8 * groups * d * C,
            problem.n_clients,
        ),
        "primal": Plan(
            "primal",
            0.0,
            primal + more * rows + changes,
            8 * groups * d * C,
            int(chunks.sum()),
        ),
    }


def refusal(engine: str, method: Method, loss: str) -> str | None:
    """Why an engine cannot run a method, or None if it can."""
    if method.rule.solve and LOSSES[loss].tasks == ("multiclass",):
        return (
            "the exact local solve projects on the rows' own half spaces, which fits binary and "
            f"regression tasks; want a method with local steps for {loss}"
        )
    if method.rule.solve and method.server.coordinate_wise:
        return (
            "exact local solves work in the span of the rows, which "
            f"{type(method.server).__name__} leaves; want Average(), Anchored() or ServerSGD()"
        )
    if method.server.coordinate_wise and engine != "primal":
        return (
            f"{type(method.server).__name__} treats each coordinate of the weights by itself, "
            f"which leaves the span of the rows that {engine!r} works in; want engine='primal'"
        )
    if method.rule.solve and engine == "primal":
        return (
            f"the exact local solve of {type(method).__name__} works on the Gram blocks of the "
            "clients; want engine='gram' or 'hybrid'"
        )
    return None


def choose_engine(
    problem: Problem,
    method: Method,
    rounds: int,
    *,
    loss: str,
    engine: str,
    itemsize: int,
    memory_limit: int,
) -> Plan:
    """The cheapest engine for so many rounds that fits in memory, or the one asked for."""
    check.one_of("engine", engine, ("auto", *ENGINES))
    reasons = {name: refusal(name, method, loss) for name in ENGINES}
    if all(reasons.values()):
        raise UnsupportedError(f"method: {method!r}: {next(iter(reasons.values()))}")
    if engine != "auto" and reasons[engine]:
        raise UnsupportedError(f"engine: got {engine!r}; {reasons[engine]}")
    candidates = plans(problem, method.rule, itemsize)
    able = [plan for name, plan in candidates.items() if not reasons[name]]
    fitting = [p for p in able if p.bytes <= memory_limit or p.engine == "primal"]
    if not fitting:
        raise UnsupportedError(
            f"method: {method!r} needs {min(p.bytes for p in able) / 1e9:.1f} GB of Gram matrices "
            f"for {problem.n_samples:,} rows, the limit is {memory_limit / 1e9:.1f} GB; raise "
            "memory_limit (in bytes)"
        )
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


def choose_side_by_side(
    problem: Problem,
    method: Method,
    rounds: int,
    runs: int,
    *,
    loss: str,
    engine: str,
    itemsize: int,
    memory_limit: int,
) -> Plan | None:
    """What each of so many runs side by side costs, or None where they are better taken one by one.

    Their local steps and the server's are products of Gram matrices with matrices, which read each
    number once for all of them.
    """
    options: Any = {"loss": loss, "itemsize": itemsize, "memory_limit": memory_limit}
    alone = choose_engine(problem, method, rounds, engine=engine, **options)
    if engine not in ("auto", "gram") or refusal("gram", method, loss):
        return None
    n, N = problem.sizes.astype(np.float64), float(problem.n_samples)
    steps = method.rule.core_steps(problem.n_clients).astype(np.float64)
    blocks = float((n**2).sum())
    flops = float((steps - 1) @ (2 * n**2)) + 2 * N**2
    plan = Plan(
        "gram",
        (N**2 + blocks) * problem.n_features / PRODUCT_FLOPS,
        flops / PRODUCT_FLOPS,
        itemsize * (blocks + N**2),
        problem.n_clients,
    )
    if plan.bytes > memory_limit:
        return None
    together = plan.seconds_setup + runs * rounds * plan.seconds_round
    apart = runs * (alone.seconds_setup + rounds * alone.seconds_round)
    return plan if engine == "gram" or together <= apart else None


def choose_threads(threads: Any, plan: Plan) -> int:
    """The threads asked for, or as many as parts, machine and work per round merit."""
    if threads is not None:
        threads = check.integer("threads", threads, 1)
    if not core.build_info()["openmp"]:
        return 1
    if threads is not None:
        # OpenMP ends the process when the system refuses it a thread.
        most = MAX_THREADS if threads <= MAX_THREADS else max(MAX_THREADS, os.cpu_count() or 1)
        return min(threads, plan.parts, most)
    worthwhile = int(plan.seconds_round / MIN_SECONDS_PER_THREAD)
    return max(1, min(usable_cores(), plan.parts, worthwhile))


def usable_cores() -> int:
    """Cores that this process may use: its affinity, or fewer by a quota or OMP_NUM_THREADS."""
    cores = (
        len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    )
    wanted = os.environ.get("OMP_NUM_THREADS", "").split(",")[0]
    if wanted.isdigit() and int(wanted) > 0:
        cores = min(cores, int(wanted))
    # With a thread for a part of a core the others would wait until it is let run again.
    return int(max(1, min(cores, cpu_quota())))
