"""``localgd.run``: from a problem and a method to a result."""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from . import _validation as check
from ._backend import core
from .arguments import check_init, check_reference
from .checkpointing import SECONDS_BETWEEN, Checkpoint
from .configuration import (
    identity,
    local_options,
    make_config,
    run_options,
    unidentified_lr,
)
from .engines import DEFAULT_MEMORY_LIMIT, choose_engine, choose_threads
from .errors import NotSeparableError
from .identification import digest
from .losses import LOSSES, check_loss, default_loss, margin_rows
from .measuring import Measure, Recording, columns, further_measures, identified
from .methods import Method, check_method
from .problem import Problem
from .progress import Report, progress_report
from .recording import log_spaced, record_rounds
from .result import Run
from .rounds import RoundInputs, learning_rate, shortened_rounds

__all__ = ["LOSSES", "run"]

DTYPES = {"float64": 8, "float32": 4}
MAX_ROUNDS = 2**53  # rounds are exact in float64 columns up to here


def run(
    problem: Problem,
    method: Method,
    *,
    rounds: int,
    loss: str | None = None,
    init: Any = None,
    engine: str = "auto",
    dtype: Any = "float64",
    threads: int | None = None,
    seed: int = 0,
    record: Any = None,
    reference: Any = None,
    test: Any = None,
    asymptote: Any = None,
    measures: Mapping[str, Measure] | None = None,
    progress: bool | Callable[[int], None] = False,
    checkpoint: Any = None,
    checkpoint_seconds: float = SECONDS_BETWEEN,
    keep_weights: bool = False,
    every_step: bool = False,
    memory_limit: int = DEFAULT_MEMORY_LIMIT,
) -> Run:
    """Run a method for a number of communication rounds.

    ``w_0 → w_1 → … → w_R`` for ``f(w) = Σ_i p_i (1/n_i) Σ_j ℓ(z_ij·w)``

    Parameters
    ----------
    problem : Problem
    method : Method
        One of ``GD``, ``LocalGD``, ``LocalSGD``, ``MinibatchSGD``, ``ModifiedLocalGD``,
        ``LocalSolve``, ``FedProx``, ``Scaffold``, ``GradAlign`` and ``FedGA``, with its server and
        participation.
    rounds : int >= 0
        R, the communication rounds.
    loss : "exponential", "logistic", "squared" or "softmax", optional
        ℓ(m) = exp(-m), log(1 + exp(-m)), ½ (x·w - y)², or the cross-entropy over C classes. The
        exponential loss if not given; squared for regression, softmax for several classes.
    init : array of shape (d,), or (d, C) for several classes, optional
        w_0; zeros if not given.
    engine : "auto", "gram", "hybrid" or "primal", default "auto"
        The same trajectory at different cost; "auto" takes the cheapest that fits in memory and
        can run the method.
    dtype : "float64" or "float32", default "float64"
        Type of the rows and of the local phase; the server's state is float64 always.
    threads : int >= 1, optional
        Threads across clients; as many as help, if not given. The result has the same bits for
        any number.
    seed : int >= 0, default 0
        Of batches and of the clients' participation. Draws are keyed by (seed, client, round):
        they are the same in every engine and after a resume.
    record : log_spaced(...), or sequence of rounds, optional
        When to measure; default ``log_spaced(per_decade=10)``. Round 0 and R are always measured.
    reference : array of the model's shape, or object with a ``direction``, optional
        Direction to which the angle is recorded, e.g. ``reference.max_margin(problem)``.
    test : pair (X, y), optional
        Held-out rows, (n, d) and (n,): the share of them that the model classifies rightly is
        recorded as ``test_accuracy`` (``test_loss``, the mean loss, for regression).
    asymptote : result of ``reference.asymptote(problem)``, optional
        Records ``residual``, ‖ρ_k‖ with ρ_k = w_k - ŵ log(η L k), and ``residual_distance``,
        ‖P_S ρ_k - ρ_S‖/‖ρ_S‖.
    measures : mapping of names to functions of the weights, optional
        Further columns of the history: each function is given w_k, an array of the model's shape,
        and returns a number.
    progress : bool or callable, default False
        True: a progress bar if standard error is a terminal. A callable is given the present round
        about 20 times a second.
    checkpoint : path, optional
        File that keeps the state. If it exists the run continues from it, with the same bits as a
        run that was never stopped. Further ``measures`` are functions, which cannot be told from
        others: their columns are computed anew then, from the models of all records, which the
        file keeps for it. A file that cannot be written is refused before the run; when that
        happens later, there is a RuntimeWarning and the run goes on.
    checkpoint_seconds : float >= 0, default 30
        Seconds between two times that the file is written, rounded up to whole chunks of rounds of
        about a second; it is written at the end always, and when a callable raises an error.
    keep_weights : bool, default False
        Keep the model of every record in ``Run.recorded_weights``: memory records × d.
    every_step : bool, default False
        Take every local step one by one. Otherwise full-batch local steps are extrapolated from
        fewer wherever the result is the same to rounding: from rounds on that move a client's
        margins by some hundredths. ``Run.shortened`` counts those rounds. In the gram engine the
        server's products, too, follow from those of earlier rounds.
    memory_limit : int, default 4 GiB
        Bytes that Gram matrices may take.

    Returns
    -------
    Run
        Its ``status`` is "completed"; "interrupted" after Ctrl-C; or "diverged" if an iterate
        overflowed or became NaN, or if a logistic or softmax loss has grown so far that margins
        are lost in rounding (with a RuntimeWarning). In each case the weights are those of the
        last whole round and the history is kept.

    Raises
    ------
    ValueError
        For ranges and shapes, a loss that does not fit the task, an ``init`` of infinite loss, or
        a checkpoint of another run.
    OSError
        For a checkpoint that cannot be written, before the run.
    TypeError
        For arguments of the wrong kind.
    UnsupportedError
        For an engine that cannot run the method, or whose Gram matrices exceed ``memory_limit``.
    NotSeparableError
        For exact local solves of a client whose own rows are not separable.

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
        raise ValueError(
            f"rounds: got {float(rounds) if rounds < 10**300 else 'a number above 1e300'}; want at "
            "most 2**53 step by step; see localgd.fast_forward for more"
        )
    seed = check.integer("seed", seed, 0)
    dtype = check_dtype(dtype)
    loss = default_loss(problem.task) if loss is None else check_loss(loss, problem)
    w0 = check_init(init, problem)
    direction = check_reference(reference, problem)
    schedule = record_rounds(log_spaced() if record is None else record, rounds)
    memory_limit = check.integer("memory_limit", memory_limit, 1)
    check.flag("keep_weights", keep_weights)
    check.flag("every_step", every_step)
    lr = learning_rate(problem, method, loss)
    further = further_measures(problem, method, loss, lr, test, asymptote, measures)
    seconds = check.number("checkpoint_seconds", checkpoint_seconds, minimum=0)
    saved = None if checkpoint is None else Checkpoint(checkpoint, seconds)
    known, unknown = identified(problem, test, asymptote, measures) if saved else ({}, ())
    keeps = keep_weights or bool(unknown)
    if unknown:
        _check_records_fit(len(schedule) * w0.nbytes, memory_limit)

    plan = choose_engine(
        problem,
        method,
        rounds,
        loss=loss,
        engine=(saved.engine if saved and engine == "auto" else None) or engine,
        itemsize=DTYPES[dtype],
        memory_limit=memory_limit,
        every_step=every_step,
    )
    threads = choose_threads(threads, plan)
    inputs = RoundInputs(problem, method, lr, seed)
    config = make_config(
        problem, method, rounds, loss, init, engine, dtype, seed, record, every_step
    )
    session = core.Simulation(
        margin_rows(problem, loss),
        problem.y,
        problem.offsets,
        problem.weights,
        [run_options(method, w0, schedule, direction, keep_weights=keeps)],
        engine=plan.engine,
        loss=loss,
        single=dtype == "float32",
        local=local_options(problem, method, seed, every_step),
        threads=threads,
    )
    recording = Recording(session, problem, schedule, further, unknown)
    if saved is not None:
        saved.resume(
            session,
            {
                **identity(
                    method, config, plan.engine, [problem.fingerprint, digest(w0, direction)]
                ),
                "keep_weights": keep_weights,
                **known,
            },
            recording,
            lr=unidentified_lr(method),
            rounds=rounds,
            schedule=schedule,
        )
        saved.probe(session, recording)

    start = time.perf_counter()
    try:
        with progress_report(progress, rounds) as report:
            status = _advance(session, rounds, inputs, recording, report, saved, start)
    except Exception:  # of a schedule, a measure or the report: all of the caller's
        if saved is not None:
            saved.write(session, recording, time.perf_counter() - start)
        raise
    elapsed = time.perf_counter() - start
    if status == "infeasible":
        raise _not_separable(problem, session.infeasible_client)
    if status == "diverged" and session.round == 0 and not len(session.history()["round"]):
        raise ValueError(f"init: its {loss} loss is not finite; start closer to 0")
    if saved is not None:
        saved.write(session, recording, elapsed)
    if status != "completed":
        recording.record_now()
    history = recording.history() if saved is None else saved.joined(recording.history())
    status, message = ending(status, session.round, rounds, loss, dtype, history["loss"])
    if status == "diverged":
        warnings.warn(message, RuntimeWarning, stacklevel=2)
    kept = history["weights"] if keep_weights else None
    return Run(
        weights=None if problem.kernel else session.weights().reshape(problem.weights_shape),
        coefficients=_coefficients(session, problem, method),
        history=columns(history, problem, method, dtype, bool(direction.size), further),
        config=config,
        engine=plan.engine,
        threads=threads,
        elapsed=elapsed + (saved.elapsed if saved is not None else 0.0),
        status=status,
        round=session.round,
        message=message,
        shortened=shortened_rounds(session) + (saved.shortened if saved is not None else 0),
        recorded_weights=None if kept is None else kept.reshape(-1, *problem.weights_shape),
    )


def _coefficients(session: Any, problem: Problem, method: Method) -> np.ndarray | None:
    """a; a coordinate-wise server leaves the span of the rows."""
    if method.server.coordinate_wise:
        return None
    a: np.ndarray = session.coefficients()
    return a if problem.task == "multiclass" else a[:, 0]


def _advance(
    session: Any,
    rounds: int,
    inputs: RoundInputs,
    recording: Recording,
    report: Report | None,
    saved: Checkpoint | None,
    start: float,
) -> str:
    """Run to the end in chunks of about a second; the status."""
    chunk = 1
    try:
        while True:  # at least once: a run of 0 rounds records round 0
            first = session.round
            until = recording.stop_before(min(rounds, first + chunk))
            begin = time.perf_counter()
            lrs, shares = inputs.of(first, until)
            if saved is not None:
                saved.begin(first, lrs)
            outcome = session.advance(
                until, lrs, shares.shares, report, shares.clients, shares.offsets
            )
            if outcome != "completed":
                return str(outcome)
            recording.measure()
            if session.round >= rounds:
                return "completed"
            if until == first + chunk:
                chunk = next_chunk(chunk, time.perf_counter() - begin, inputs.at_once)
            if saved is not None:
                saved.write_if_due(session, recording, time.perf_counter() - start)
    except KeyboardInterrupt:
        return "interrupted"


def next_chunk(chunk: int, seconds: float, most: int) -> int:
    if seconds > 2:
        return max(1, chunk // 2)
    return min(2 * chunk, most) if seconds < 0.5 else chunk


def _not_separable(problem: Problem, client: int) -> NotSeparableError:
    return NotSeparableError(
        f"problem: the rows of client {problem.client_ids[client]!r} are not linearly separable, "
        "so its exact local solve has no solution; want a method with local steps, or other rows"
    )


def _check_records_fit(size: int, memory_limit: int) -> None:
    if size > memory_limit:
        raise ValueError(
            f"measures: a checkpoint keeps the models of all records for them, {size / 1e9:.3g} "
            "GB; want fewer records, or a larger memory_limit"
        )


def ending(
    status: str, round: int, rounds: int, loss: str, dtype: str, losses: np.ndarray
) -> tuple[str, str]:
    """The status at the end and what is to be said of it; ``losses`` are those of the records."""
    if status == "interrupted":
        return status, f"interrupted after round {round:,} of {rounds:,}"
    advice = "use a smaller lr, or divide the rows by their largest norm"
    if status == "diverged":
        limit = {"float64": -709, "float32": -88}[dtype]
        cause = f" (a margin below {limit})" if loss == "exponential" else ""
        return status, (
            f"diverged in round {round + 1:,} of {rounds:,}: an iterate overflowed{cause}; "
            f"{advice}. The result is that of round {round:,}"
        )
    if LOSSES[loss].bounded and losses[-1] > max(losses[0], 1 / np.finfo(dtype).eps):
        return "diverged", (
            f"diverged within {rounds:,} rounds: the loss has grown from {losses[0]:.3g} to "
            f"{losses[-1]:.3g}, where rounding moves margins by more than 1; {advice}"
        )
    return status, ""


def check_dtype(dtype: Any) -> str:
    try:
        name = np.dtype(dtype).name
    except TypeError:
        raise TypeError(f"dtype: got {dtype!r}; want 'float64' or 'float32'") from None
    return check.one_of("dtype", name, DTYPES)
