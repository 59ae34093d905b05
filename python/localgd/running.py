"""``localgd.run``: from a problem and a method to a result."""

from __future__ import annotations

import dataclasses
import time
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np

from . import _validation as check
from ._backend import core
from .checkpointing import Checkpoint, fingerprint
from .engines import DEFAULT_MEMORY_LIMIT, choose_engine, choose_threads
from .methods import Method, check_method
from .problem import Problem
from .progress import Report, progress_report
from .recording import LogSpaced, log_spaced, record_rounds
from .result import Run
from .schedules import Schedule, rates

__all__ = ["run"]

LOSSES = {"exponential": ("binary",), "logistic": ("binary",), "squared": ("regression", "binary")}
SIGNED_LOSSES = ("exponential", "logistic")
DTYPES = {"float64": 8, "float32": 4}
MAX_ROUNDS = 2**53  # rounds are exact in float64 columns up to here


def run(
    problem: Problem,
    method: Method,
    *,
    rounds: int,
    loss: str = "exponential",
    init: Any = None,
    engine: str = "auto",
    dtype: Any = "float64",
    threads: int | None = None,
    seed: int = 0,
    record: Any = None,
    reference: Any = None,
    progress: bool | Callable[[int], None] = False,
    checkpoint: Any = None,
    keep_weights: bool = False,
    memory_limit: int = DEFAULT_MEMORY_LIMIT,
) -> Run:
    """Run a method for a number of communication rounds.

    ``w_0 → w_1 → … → w_R`` for ``f(w) = Σ_i p_i (1/n_i) Σ_j ℓ(z_ij·w)``

    Parameters
    ----------
    problem : Problem
    method : GD or LocalGD
    rounds : int >= 0
        R, the communication rounds.
    loss : "exponential", "logistic" or "squared", default "exponential"
        ℓ(m) = exp(-m), log(1 + exp(-m)), or ½ (x·w - y)².
    init : array of shape (d,), optional
        w_0; zeros if not given.
    engine : "auto", "gram", "hybrid" or "primal", default "auto"
        The same trajectory at different cost; "auto" takes the cheapest that fits in memory.
    dtype : "float64" or "float32", default "float64"
        Type of the rows and of the local phase; the server's state is float64 always.
    threads : int >= 1, optional
        Threads across clients; as many as help, if not given. The result has the same bits for
        any number.
    seed : int >= 0, default 0
        Reserved for stochastic methods; kept in ``config``.
    record : log_spaced(...), or sequence of rounds, optional
        When to measure; default ``log_spaced(per_decade=10)``. Round 0 and R are always measured.
    reference : array of shape (d,), or object with a ``direction``, optional
        Direction to which the angle is recorded, e.g. ``reference.max_margin(problem)``.
    progress : bool or callable, default False
        True: a progress bar if standard error is a terminal. A callable is given the present round
        about 20 times a second.
    checkpoint : path, optional
        File that keeps the state. If it exists the run continues from it, with the same bits as a
        run that was never stopped; it is written every 30 s and at the end.
    keep_weights : bool, default False
        Keep the model of every record in ``Run.recorded_weights``: memory records × d.
    memory_limit : int, default 4 GiB
        Bytes that Gram matrices may take.

    Returns
    -------
    Run
        Its ``status`` is "completed"; "interrupted" after Ctrl-C; or "diverged" if an iterate
        overflowed or became NaN (with a RuntimeWarning). In each case the weights are those of the
        last whole round and the history is kept.

    Raises
    ------
    ValueError
        For ranges and shapes, a loss that does not fit the task, an ``init`` of infinite loss, or
        a checkpoint of another run.
    TypeError
        For arguments of the wrong kind.
    UnsupportedError
        For an engine whose Gram matrices exceed ``memory_limit``.

    References
    ----------
    Zhu, Vardhan, Mazumdar, arXiv:2412.07971; McMahan et al., AISTATS 2017, arXiv:1602.05629.

    Examples
    --------
    >>> import localgd as lg
    >>> problem = lg.datasets.make_separable(n_clients=5, n_samples=10, n_features=100, seed=0)
    >>> best = lg.reference.max_margin(problem)
    >>> run = lg.run(problem, lg.LocalGD(local_steps=10, lr=1.0), rounds=1000, reference=best)
    >>> print(f"{run.history['angle'][-1]:.3f} radians")
    0.171 radians
    """
    if not isinstance(problem, Problem):
        raise TypeError(f"problem: got {type(problem).__name__}; want a localgd.Problem")
    check_method(method)
    rounds = check.integer("rounds", rounds, 0)
    if rounds > MAX_ROUNDS:
        raise ValueError(f"rounds: got {rounds}; want at most 2**53 for a step-by-step run")
    check.integer("seed", seed, 0)
    dtype = _check_dtype(dtype)
    _check_loss(loss, problem)
    w0 = _check_init(init, problem)
    direction = _check_reference(reference, problem)
    schedule = record_rounds(log_spaced() if record is None else record, rounds)
    memory_limit = check.integer("memory_limit", memory_limit, 1)
    if not isinstance(keep_weights, bool):
        raise TypeError(f"keep_weights: got {keep_weights!r}; want True or False")
    saved = None if checkpoint is None else Checkpoint(checkpoint)

    plan = choose_engine(
        problem,
        method.local_steps,
        rounds,
        engine=(saved.engine if saved and engine == "auto" else None) or engine,
        itemsize=DTYPES[dtype],
        memory_limit=memory_limit,
    )
    threads = choose_threads(threads, problem, plan)
    config = _config(problem, method, rounds, loss, init, engine, dtype, seed, record)
    session = core.Simulation(
        problem.signed_rows if loss in SIGNED_LOSSES else problem.X,
        problem.y,
        problem.offsets,
        problem.weights,
        w0,
        engine=plan.engine,
        loss=loss,
        single=dtype == "float32",
        local_steps=method.local_steps,
        record_rounds=schedule,
        reference=direction,
        threads=threads,
        keep_weights=keep_weights,
    )
    if saved is not None:
        saved.resume(
            session,
            {
                **_identity(config, plan.engine, fingerprint(problem, w0, direction)),
                "keep_weights": keep_weights,
            },
            lr=method.lr,
            rounds=rounds,
            schedule=schedule,
        )

    start = time.perf_counter()
    with progress_report(progress, rounds) as report:
        status = _advance(session, rounds, method.lr, report, saved, start)
    elapsed = time.perf_counter() - start
    if status == "diverged" and session.round == 0 and not len(session.history()["round"]):
        raise ValueError(f"init: its {loss} loss is not finite; start closer to 0")
    if saved is not None:
        saved.write(session, elapsed)
    if status != "completed":
        session.record_now()
    message = _message(status, session.round, rounds, loss, dtype)
    if status == "diverged":
        warnings.warn(message, RuntimeWarning, stacklevel=2)
    history = session.history() if saved is None else saved.joined(session.history())
    return Run(
        weights=session.weights(),
        coefficients=session.coefficients(),
        history=_columns(history, problem, method, direction),
        config=config,
        engine=plan.engine,
        threads=threads,
        elapsed=elapsed + (saved.elapsed if saved is not None else 0.0),
        status=status,
        round=session.round,
        message=message,
        recorded_weights=history.get("weights"),
    )


def _advance(
    session: Any,
    rounds: int,
    lr: Schedule,
    report: Report | None,
    saved: Checkpoint | None,
    start: float,
) -> str:
    """Run to the end in chunks of about a second; the status."""
    chunk = 1
    try:
        while True:  # at least once: a run of 0 rounds records round 0
            until = min(rounds, session.round + chunk)
            begin = time.perf_counter()
            outcome = session.advance(until, rates(lr, session.round, until) or [1.0], report)
            if outcome == "diverged":
                return "diverged"
            if session.round >= rounds:
                return "completed"
            chunk = _next_chunk(chunk, time.perf_counter() - begin, constant=not callable(lr))
            if saved is not None:
                saved.write_if_due(session, time.perf_counter() - start)
    except KeyboardInterrupt:
        return "interrupted"


def _next_chunk(chunk: int, seconds: float, *, constant: bool) -> int:
    if seconds > 2:
        return max(1, chunk // 2)
    if seconds < 0.5:
        return min(2 * chunk, 2**50 if constant else 2**16)  # a schedule's rates are kept in memory
    return chunk


def _message(status: str, round: int, rounds: int, loss: str, dtype: str) -> str:
    if status == "interrupted":
        return f"interrupted after round {round:,} of {rounds:,}"
    if status == "diverged":
        limit = {"float64": -709, "float32": -88}[dtype]
        cause = f" (a margin below {limit})" if loss == "exponential" else ""
        return (
            f"diverged in round {round + 1:,} of {rounds:,}: an iterate overflowed{cause}; "
            f"use a smaller lr, or divide the rows by their largest norm. The result is that of "
            f"round {round:,}"
        )
    return ""


def _columns(
    history: dict[str, np.ndarray], problem: Problem, method: Method, direction: np.ndarray
) -> dict[str, np.ndarray]:
    columns = {
        "round": history["round"],
        "local_steps": history["round"] * method.local_steps,
        "loss": history["loss"],
    }
    if problem.task == "binary":
        columns["margin"] = history["margin"]
    columns["norm"] = history["norm"]
    if len(direction):
        columns["angle"] = history["angle"]
    columns["drift"] = history["drift"]
    return columns


def _check_dtype(dtype: Any) -> str:
    try:
        name = np.dtype(dtype).name
    except TypeError:
        raise TypeError(f"dtype: got {dtype!r}; want 'float64' or 'float32'") from None
    return check.one_of("dtype", name, DTYPES)


def _check_loss(loss: Any, problem: Problem) -> None:
    check.one_of("loss", loss, LOSSES)
    if problem.task not in LOSSES[loss]:
        fitting = [name for name, tasks in LOSSES.items() if problem.task in tasks]
        raise ValueError(
            f"loss: {loss!r} does not fit a {problem.task} task; want {' or '.join(fitting)}"
        )


def _check_init(init: Any, problem: Problem) -> np.ndarray:
    if init is None:
        return np.zeros(problem.n_features)
    w0 = check.real_array("init", init, 1, advice="")
    if len(w0) != problem.n_features:
        raise ValueError(f"init: got {len(w0)} numbers; want {problem.n_features}, one per feature")
    return w0


def _check_reference(reference: Any, problem: Problem) -> np.ndarray:
    if reference is None:
        return np.zeros(0)
    direction = getattr(reference, "direction", getattr(reference, "weights", reference))
    direction = check.real_array("reference", direction, 1, advice="")
    if len(direction) != problem.n_features:
        raise ValueError(
            f"reference: got {len(direction)} numbers; want {problem.n_features}, one per feature"
        )
    if not direction.any():
        raise ValueError("reference: all numbers are 0; want a direction")
    return direction


def _config(
    problem: Problem,
    method: Method,
    rounds: int,
    loss: str,
    init: Any,
    engine: str,
    dtype: str,
    seed: int,
    record: Any,
) -> dict[str, Any]:
    return {
        "method": describe(method),
        "loss": loss,
        "rounds": rounds,
        "init": "zeros" if init is None else "given",
        "engine": engine,
        "dtype": dtype,
        "seed": int(seed),
        "record": describe(record if isinstance(record, LogSpaced) else log_spaced())
        if record is None or isinstance(record, LogSpaced)
        else "given",
        "problem": {
            "task": problem.task,
            "n_clients": problem.n_clients,
            "n_samples": problem.n_samples,
            "n_features": problem.n_features,
        },
        "versions": {"localgd": core.build_info()["version"], "numpy": np.__version__},
    }


def _identity(config: dict[str, Any], engine: str, data: str) -> dict[str, Any]:
    """What a run must share with a checkpoint; a schedule that has but a name is compared there."""
    method = config["method"]
    if isinstance(method["lr"], str):
        method = {**method, "lr": "callable"}
    kept = {key: config[key] for key in ("loss", "init", "dtype", "seed", "problem")}
    return {**kept, "method": method, "engine": engine, "data": data}


def describe(option: Any) -> Any:
    """An option object as plain values: dataclasses become dicts with their name."""
    if dataclasses.is_dataclass(option) and not isinstance(option, type):
        fields = {f.name: describe(getattr(option, f.name)) for f in dataclasses.fields(option)}
        return {"name": type(option).__name__, **fields}
    if callable(option):
        return getattr(option, "__qualname__", type(option).__qualname__)
    if isinstance(option, np.generic):
        return option.item()
    return option if isinstance(option, str | int | float | None) else repr(option)
