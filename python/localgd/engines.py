"""Which engine takes the local steps, and on how many threads: by what the core foresees.

The core counts the work of each engine by kinds (``forecast`` in ``cpp/core/engine.hpp``), without
the local steps and server products that late rounds do without, and knows what each kind takes
(``cpp/core/cost.hpp``). Nothing is asked of the machine, so that an engine, and with it the bits of
a run, is a function of the problem and the options alone. Beside the rows, in reals:

========  =============================
engine    memory
========  =============================
gram      N²/2 + Σ n_i²
hybrid    Σ n_i² + G d, G ≤ 512 groups of the M clients
primal    G d
========  =============================
"""

from __future__ import annotations

import dataclasses
import os
from dataclasses import dataclass
from typing import Any

from . import _validation as check
from ._backend import core
from .cgroups import cpu_quota
from .errors import UnsupportedError
from .losses import LOSSES, LossLike
from .methods import Method
from .problem import Problem
from .schedules import by_core
from .servers import CALLED

ENGINES = ("gram", "hybrid", "primal")
DEFAULT_MEMORY_LIMIT = 4 * 2**30
SLICED_COPIES = 2  # of sparse rows: by row and by column

MAX_THREADS = 256  # or the machine's cores, if it has more
# Of an early round, per thread; below this the hand-over costs more than it brings.
MIN_SECONDS_PER_THREAD = 7e-6


@dataclass(frozen=True)
class Plan:
    """An engine with its predicted cost, and among how many threads its work can be divided.

    ``seconds_round`` is the mean over all rounds, ``seconds_early`` that of rounds in which every
    local step is taken and every product computed; ``unable`` says what the engine cannot do, if
    anything.
    """

    engine: str
    phase: str
    seconds_setup: float
    seconds_round: float
    seconds_early: float
    bytes: float
    parts: int
    unable: str = ""

    def seconds(self, rounds: int) -> float:
        """Of so many rounds."""
        return self.seconds_setup + rounds * self.seconds_round


def forecasts(
    problem: Problem,
    method: Method,
    rounds: int,
    *,
    loss: LossLike,
    itemsize: int,
    every_step: bool = False,
    l2: float = 0.0,
) -> dict[str, Any]:
    """What the core foresees of each engine."""
    rule = method.rule
    found: dict[str, Any] = core.forecast(
        problem.offsets,
        problem.n_features,
        outputs=problem.n_outputs,
        loss=LOSSES[loss].core,
        single=itemsize == 4,
        steps=rule.core_steps(problem.n_clients),
        batches=rule.batches(problem.sizes),
        solve=rule.solve,
        every_step=every_step,
        correction=rule.correction,
        server=method.server.kind,
        rounds=float(max(rounds, 1)),
        share=method.clients_per_round(problem.n_clients) / problem.n_clients,
        rates=by_core(getattr(method, "lr", None))["kind"],
        entries_before=problem.entries_before,
        frees_intercept=problem.free_intercept and l2 > 0,
        sharing=problem.n_clients if problem.shares_rows else 0,
    )
    return found


def plans(problem: Problem, method: Method, rounds: int, **options: Any) -> dict[str, Plan]:
    """The predicted cost of each engine on one core, and of each run that goes side by side."""
    foreseen = forecasts(problem, method, rounds, **options)
    early = foreseen
    if not options.get("every_step"):
        early = forecasts(problem, method, rounds, **{**options, "every_step": True})
    return {
        engine: Plan(
            engine,
            found["phase"],
            found["setup"]["seconds"],
            found["round"]["seconds"],
            early[engine]["round"]["seconds"],
            found["memory"],
            found["parts"],
            found["unable"],
        )
        for engine, found in foreseen.items()
    }


def refusal(method: Method, plan: Plan, loss: LossLike) -> str:
    """Why an engine cannot run a method, for its user."""
    if plan.unable.startswith("ranks"):
        return plan.unable
    own_rates = by_core(getattr(method, "lr", None))["kind"] == "own_risk"
    if plan.unable == "rates" or (own_rates and method.server.coordinate_wise):
        return (
            "rates by each client's own risk are had on the Gram blocks of the clients, or their "
            "sparse rows; want engine='gram' or 'hybrid' and a server such as Average(), or "
            "RiskAdapted without own"
        )
    if plan.unable == "outputs":
        return (
            "the exact local solve projects on the rows' own half spaces, which fits binary and "
            f"regression tasks; want a method with local steps for {loss}"
        )
    if plan.unable == "shared":
        return (
            "clients that share their rows take steps in the weights, with batches and without "
            "control variates or displacements: want engine='primal' and a method such as "
            "LocalSGD(…, batch_size=…). With full batches every client takes the same steps: "
            "want one client that holds the rows"
        )
    if method.rule.solve and method.server.coordinate_wise:
        return (
            "exact local solves work in the span of the rows, which "
            f"{type(method.server).__name__} leaves; want Average(), Anchored() or ServerSGD()"
        )
    if plan.unable == "server" and method.server.kind == CALLED:
        return (
            f"{type(method.server).__name__} is your own, and may leave the span of the rows that "
            f"{plan.engine!r} works in; want engine='primal'"
        )
    if plan.unable == "server":
        return (
            f"{type(method.server).__name__} treats each coordinate of the weights by itself, "
            f"which leaves the span of the rows that {plan.engine!r} works in; want engine='primal'"
        )
    return (
        f"the exact local solve of {type(method).__name__} works on the Gram blocks of the "
        "clients; want engine='gram' or 'hybrid'"
    )


def choose_engine(
    problem: Problem,
    method: Method,
    rounds: int,
    *,
    loss: LossLike,
    engine: str,
    itemsize: int,
    memory_limit: int,
    every_step: bool = False,
    l2: float = 0.0,
) -> Plan:
    """The cheapest engine for so many rounds that fits in memory, or the one asked for."""
    check.one_of("engine", engine, ("auto", *ENGINES))
    options: Any = {"loss": loss, "itemsize": itemsize, "every_step": every_step, "l2": l2}
    found = plans(problem, method, rounds, **options)
    for name, why in problem.ranks.unable().items():
        found[name] = dataclasses.replace(found[name], unable=why)
    return _chosen(found, problem, method, rounds, loss, engine, memory_limit)


def _chosen(
    found: dict[str, Plan],
    problem: Problem,
    method: Method,
    rounds: int,
    loss: LossLike,
    engine: str,
    memory_limit: int,
) -> Plan:
    candidates = {name: found[name] for name in ENGINES}
    able = [plan for plan in candidates.values() if not plan.unable]
    if not able:
        raise UnsupportedError(f"method: {method!r}: {refusal(method, candidates['gram'], loss)}")
    if engine != "auto" and candidates[engine].unable:
        raise UnsupportedError(
            f"engine: got {engine!r}; {refusal(method, candidates[engine], loss)}"
        )
    fitting = [p for p in able if p.bytes <= memory_limit or p.engine == "primal"]
    if not fitting:
        raise UnsupportedError(
            f"method: {method!r} needs {min(p.bytes for p in able) / 1e9:.1f} GB of Gram matrices "
            f"for {problem.n_samples:,} rows, the limit is {memory_limit / 1e9:.1f} GB; raise "
            "memory_limit (in bytes)"
        )
    cheapest = min(fitting, key=lambda p: p.seconds(rounds))
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
    loss: LossLike,
    engine: str,
    itemsize: int,
    memory_limit: int,
    every_step: bool = False,
) -> Plan | None:
    """What each of so many runs side by side costs, or None where they are better taken one by one.

    Their local steps and the server's are products of Gram matrices with matrices, which read each
    number once for all of them.
    """
    options: Any = {"loss": loss, "itemsize": itemsize, "every_step": every_step}
    found = plans(problem, method, rounds, **options)
    alone = _chosen(found, problem, method, rounds, loss, engine, memory_limit)
    plan = found["side_by_side"]
    if engine not in ("auto", "gram") or plan.unable or plan.bytes > memory_limit:
        return None
    together = plan.seconds(runs * rounds)
    return plan if engine == "gram" or together <= runs * alone.seconds(rounds) else None


def choose_threads(threads: Any, plan: Plan, cores: int | None = None) -> int:
    """The threads asked for, or as many as parts, ``cores`` and work per round merit."""
    if threads is not None:
        threads = check.integer("threads", threads, 1)
    if not core.build_info()["openmp"]:
        return 1
    if threads is not None:
        # OpenMP ends the process when the system refuses it a thread.
        most = MAX_THREADS if threads <= MAX_THREADS else max(MAX_THREADS, os.cpu_count() or 1)
        return min(threads, plan.parts, most)
    worthwhile = int(plan.seconds_early / MIN_SECONDS_PER_THREAD)
    return max(1, min(cores or usable_cores(), plan.parts, worthwhile))


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
