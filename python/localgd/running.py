"""``localgd.run``: from a problem and a method to a result."""

from __future__ import annotations

import dataclasses
import logging
import time
import warnings
from collections.abc import Callable, Mapping
from typing import Any

from . import _validation as check
from .checkpointing import SECONDS_BETWEEN, Checkpoint
from .configuration import identity
from .engines import DEFAULT_MEMORY_LIMIT, choose_threads
from .errors import NotSeparableError, UnsupportedError
from .history import Recording
from .losses import LOSSES, LossLike
from .measuring import Measure, identified
from .methods import Method
from .networks.two_layer import TwoLayer
from .participation import BIASED, is_biased
from .preparation import Preparation, prepare
from .problem import Problem
from .progress import Report, progress_report
from .ranks import ranks_of
from .result import Run, ending, make_run
from .rounds import RoundInputs, shortened_rounds
from .schedules import asks_for
from .simulation import infinite_start, make_simulation, start_is_finite

__all__ = ["LOSSES", "run"]

log = logging.getLogger("localgd")
SECONDS_BETWEEN_LINES = 10.0  # of the log, about how far a run is


def run(
    problem: Problem | None,
    method: Method,
    *,
    rounds: int,
    loss: LossLike | None = None,
    l2: float | str = 0.0,
    model: TwoLayer | None = None,
    init: Any = None,
    engine: str = "auto",
    dtype: Any = None,
    threads: int | None = None,
    seed: int = 0,
    record: Any = None,
    reference: Any = None,
    test: Any = None,
    asymptote: Any = None,
    measures: Mapping[str, Measure] | None = None,
    stop: Mapping[str, float] | Callable[[dict[str, float]], bool] | None = None,
    callback: Any = None,
    progress: bool | Callable[[int], None] = False,
    checkpoint: Any = None,
    checkpoint_seconds: float = SECONDS_BETWEEN,
    keep_weights: bool = False,
    every_step: bool = False,
    memory_limit: int = DEFAULT_MEMORY_LIMIT,
    comm: Any = None,
) -> Run:
    """Run a method for a number of communication rounds.

    ``w_0 → w_1 → … → w_R`` for ``f(w) = Σ_i p_i (1/n_i) Σ_j ℓ(z_ij·w) + (λ/2)‖w‖²``

    What it takes (engine, loss, threads) and, every ten seconds, how far it is goes to
    ``logging.getLogger("localgd")`` at the level INFO, which nothing shows unless asked to.

    Parameters
    ----------
    problem : Problem
        The rows of the clients, and their weights.
    method : Method
        One of ``GD``, ``LocalGD``, ``FedAvg``, ``LocalSGD``, ``MinibatchSGD``, ``ModifiedLocalGD``,
        ``LocalSolve``, ``FedProx``, ``Scaffold``, ``GradAlign`` and ``FedGA``, with its server and
        participation.
    rounds : int >= 0
        R, the communication rounds.
    loss : str or Loss, optional
        Of margins m = y x·w, "exponential" exp(-m), "logistic" log(1 + exp(-m)) or "squared_hinge"
        ½ max(0, 1 - m)². Of targets and r = x·w - y, "squared" ½ r² or "huber" ½ r² for ``|r| ≤ 1``
        and ``|r| - ½`` beyond (a threshold δ is this loss of y/δ, with weights 1/δ as large). Of
        counts y, "poisson" exp(x·w) - y x·w. "softmax", the cross-entropy over C classes. If not
        given, exponential; squared for regression, softmax for several classes. One of your own is
        a :class:`Loss`.
    l2 : float >= 0, "κ=1e4" or "H/N", default 0
        λ of the objective, which joins every local gradient: the loss, and all measures of
        gradients, are those of f_i with (λ/2)‖w‖². With H of
        :func:`localgd.analysis.smoothness`, ``"κ=1e4"`` (or ``"kappa=1e4"``) is
        ``λ = H/(κ - 1)``, with which no f_i has a condition number (H + λ)/λ above κ, and
        ``"H/N"`` is H over the number of rows. ``Run.config`` has the number.
    model : TwoLayer, optional
        A network in place of the linear model x·w: f and its measures are those of
        ``ℓ(y f(x; θ))``, its parameters θ = (W, V) those of ``Run.model``.
    init : array of shape (d,), or (d, C) for several classes, optional
        w_0; zeros if not given. Of a network "he" (variances 2/d and 1/h, drawn from ``seed``; the
        default), "small" (the same times 1/100), an int (the seed of "he"), arrays (W, V), or
        another run's ``model``.
    engine : "auto", "gram", "hybrid" or "primal", default "auto"
        The same trajectory at different cost; "auto" takes the cheapest that fits in memory and
        can run the method. Of a network "hybrid" takes local steps in the span of the client's
        rows, "primal" in the weights; "auto" decides for each client by the flops.
    dtype : "float64" or "float32", optional
        Type of the rows and of the local phase, which is that of the problem's rows if not given:
        those of another type are copied. The server's state is float64 always.
    threads : int >= 1, optional
        Threads across clients; as many as help, if not given. The result has the same bits for
        any number.
    seed : int >= 0, default 0
        Of batches and of the clients' participation. Draws are keyed by (seed, client, round):
        they are the same in every engine and after a resume.
    record : log_spaced(...), or sequence of rounds, optional
        When to measure; default ``log_spaced(per_decade=10)``. Round 0 and R are always measured.
    reference : array of the model's shape, object with a ``direction``, or Run, optional
        Direction to which the angle is recorded, e.g. ``reference.max_margin(problem)``. Of
        ``reference.minimizer(problem, loss=…, l2=…)`` of the run's objective ``suboptimality`` and
        ``distance`` are, too. Of a network another run of one with layers of the same shapes, such
        as of pooled gradient descent, or its ``model``: beside ``angle`` between the parameters
        ``output_distance``, ``agreement`` and, with ``test``, ``test_agreement`` are recorded.
    test : pair (X, y), optional
        Held-out rows, (n, d) and (n,), on which are recorded ``test_loss``, the mean loss without
        λ, and, but for regression, ``test_accuracy``, ``test_balanced_accuracy``, ``test_f1`` and,
        of two classes, ``test_auc``, as ``analysis.prediction_scores`` has them.
    asymptote : result of ``reference.asymptote(problem)``, optional
        Records ``residual``, ‖ρ_k‖ with ρ_k = w_k - ŵ log(η L k), and ``residual_distance``,
        ‖P_S ρ_k - ρ_S‖/‖ρ_S‖.
    measures : mapping of names to functions, optional
        Further columns of the history. A function is given w_k, an array of the model's shape, and
        returns a number; or it is given what its arguments are named after: ``round``, k;
        ``weights``; ``models``, w_{k-1,i} of the clients in the round that led here, of shape (M,
        d) or (M, d, C), NaN for the others and at round 0; ``gradients``, those of the clients'
        f_i with λ at w_k, of the same shape.
    stop : mapping of columns to numbers, or callable, optional
        Ends the run at the first record at which one of these columns is at most its number, as in
        ``{"grad_norm": 1e-8}``; or at which a callable, given the record as a dict, says True. It
        is asked at records alone, so ``record`` says how often.
    callback : callable or list of callables, optional
        Each is given every record as it is taken, a dict with the columns of ``Run.history``, e.g.
        one of ``localgd.loggers``. If one of them says True the run ends there, with the status
        "stopped".
    progress : bool or callable, default False
        True: a progress bar if standard error is a terminal. A callable is given the present round
        about 20 times a second.
    checkpoint : path, optional
        File that keeps the state. If it exists the run continues from it, with the same bits as a
        run that was never stopped. Further ``measures`` are functions, which cannot be told from
        others: their columns are computed anew then, from the models of all records, which the
        file keeps for it, but those of ``models`` are taken as they are. A file that cannot be
        written is refused before the run; when that happens later, there is a RuntimeWarning and
        the run goes on.
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
        Bytes that Gram matrices may take, and those that copies of sparse rows in the order of
        their products may. Where the latter would take more, the rows are read where they are, in
        two to ten times the time.
    comm : mpi4py.MPI.Intracomm, optional
        The clients are spread over the ranks of this communicator of MPI (``pip install
        'localgd[mpi]'``), all of which call this function alike: ``problem`` is that of a rank's
        own clients, None on ranks that have none, and all ranks return the same run, of the same
        bits for any number of them. Engines hybrid and primal; see :doc:`/howto/ranks`.

    Returns
    -------
    Run
        Its ``status`` is "completed"; "stopped" by ``callback``; "interrupted" after Ctrl-C; or
        "diverged" if an iterate overflowed or became NaN, or if a logistic or softmax loss has
        grown so far that margins are lost in rounding (with a RuntimeWarning). In each case the
        weights are those of the last whole round and the history is kept.

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
    with ranks_of(comm, problem) as ranks:
        if ranks.idle:
            return ranks.awaited()  # type: ignore[no-any-return]
        problem = ranks.joined(problem)
        ranks.share_smoothness(method, loss, l2)
        prepared = ranks.agreed(
            lambda: prepare(
                problem,
                method,
                rounds=rounds,
                loss=loss,
                l2=l2,
                model=model,
                init=init,
                engine=engine,
                dtype=dtype,
                threads=threads,
                seed=seed,
                record=record,
                reference=reference,
                test=test,
                asymptote=asymptote,
                measures=measures,
                stop=stop,
                callback=callback,
                progress=progress,
                keep_weights=keep_weights,
                every_step=every_step,
                memory_limit=memory_limit,
            )
        )
        ranks.check(prepared)
        if ranks.leads and is_biased(prepared.problem, prepared.method):
            warnings.warn(BIASED, UserWarning, stacklevel=2)
        if checkpoint is not None and asks_for(prepared.lr):
            raise UnsupportedError(
                "checkpoint: got one with a function lr that sees the state, which nobody can ask "
                "of earlier rounds again; want RiskAdapted, Polyak or a function of the round"
            )
        seconds = check.number("checkpoint_seconds", checkpoint_seconds, minimum=0)
        saved = None if checkpoint is None else Checkpoint(checkpoint, seconds, ranks)
        result: Run = ranks.share(_run(prepared, saved))
    if ranks.leads and result.status == "diverged":
        warnings.warn(result.message, RuntimeWarning, stacklevel=2)
    return result


def _run(prepared: Preparation, saved: Checkpoint | None) -> Run:
    of_saved = saved.engine if saved is not None and prepared.engine == "auto" else None
    plan = prepared.plan(of_saved or prepared.engine)
    ranks = prepared.problem.ranks
    if plan.phase == "bundled":
        ranks.keep_bundles_whole()
    inputs = RoundInputs(prepared.problem, prepared.method, prepared.lr, prepared.seed)
    threads = choose_threads(prepared.threads, plan, ranks.cores)
    session, recording = _begin(prepared, plan.engine, threads, saved)
    log.info(
        "%s for %s rounds, %s loss, engine %s, %s, threads %d",
        prepared.method,
        f"{prepared.rounds:,}",
        prepared.loss,
        plan.engine,
        prepared.dtype,
        threads,
    )
    start = time.perf_counter()
    try:
        shown = prepared.progress if ranks.leads else False
        with progress_report(shown, prepared.rounds) as report:
            status = _advance(
                session, prepared.rounds, inputs, recording, report, saved, start, ranks
            )
    except Exception as error:  # of a schedule, a measure or the report: all of the caller's
        if saved is not None and ranks.common(error):
            saved.write(session, recording, time.perf_counter() - start)
        raise
    elapsed, threads = ranks.of_first((time.perf_counter() - start, threads))
    log.info("%s after %s rounds, %.3g s", status, f"{session.round:,}", elapsed)
    if status == "infeasible":
        raise _not_separable(prepared.problem, ranks.numbered(session.infeasible_client))
    if not start_is_finite(session):
        raise infinite_start(prepared.loss)
    if saved is not None:
        saved.write(session, recording, elapsed)
    if status not in ("completed", "stopped"):
        recording.record_now()
    history = recording.history() if saved is None else saved.joined(recording.history())
    in_weights = prepared.l2 > 0 and plan.engine != "gram"
    in_span = prepared.model is None and not (
        prepared.method.server.coordinate_wise or in_weights or prepared.problem.shares_rows
    )
    in_span = in_span and ranks.of_core is None  # each rank has those of its own rows
    return make_run(
        prepared,
        history,
        weights=None if prepared.problem.kernel else session.weights(),
        coefficients=session.coefficients() if in_span else None,
        further=prepared.further,
        engine=plan.engine,
        threads=threads,
        elapsed=elapsed + (saved.elapsed if saved is not None else 0.0),
        shortened=shortened_rounds(session, ranks) + (saved.shortened if saved is not None else 0),
        **ending(
            prepared,
            status,
            session.round,
            history["loss"],
            "lr is infinite" if inputs.overflowed else recording.reason,
        ),
    )


def _begin(
    prepared: Preparation, engine: str, threads: int, saved: Checkpoint | None
) -> tuple[Any, Recording]:
    """A simulation and its records, at round 0 or where a checkpoint has left it."""
    if saved is None:
        session = make_simulation([prepared], engine, threads)
        return session, Recording(session, prepared)
    known, unknown = identified(
        prepared.problem, prepared.test, prepared.asymptote, prepared.measures
    )
    keeping = prepared
    if unknown:
        _check_records_fit(prepared)
        keeping = dataclasses.replace(prepared, keep_weights=True)
    session = make_simulation([keeping], engine, threads)
    recording = Recording(session, prepared, unknown)
    saved.resume(session, recording, prepared, {**identity(prepared, engine), **known})
    saved.probe(session, recording)
    return session, recording


def _advance(
    session: Any,
    rounds: int,
    inputs: RoundInputs,
    recording: Recording,
    report: Report | None,
    saved: Checkpoint | None,
    start: float,
    ranks: Any,
) -> str:
    """Run to the end in chunks of about a second; the status."""
    chunk, said = 1, start
    try:
        while True:  # at least once: a run of 0 rounds records round 0
            if time.perf_counter() - said > SECONDS_BETWEEN_LINES:
                said = time.perf_counter()
                log.info(
                    "round %s of %s, %.0f s", f"{session.round:,}", f"{rounds:,}", said - start
                )
            first = session.round
            until = recording.stop_before(min(rounds, first + chunk))
            begin = time.perf_counter()
            lrs, shares = inputs.of(first, until, session)
            if saved is not None:
                saved.begin(first, lrs, shares)
            outcome = ranks.advance(session, until, lrs, shares, report)
            if outcome != "completed":
                return outcome
            recording.measure()
            if session.round >= rounds:
                return "completed"
            if recording.stopped:
                return "stopped"
            if recording.wants_to_stop():
                return "completed"
            if until == first + chunk:
                longer = next_chunk(chunk, time.perf_counter() - begin, inputs.at_once)
                chunk = ranks.of_first(longer)
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


def _check_records_fit(prepared: Preparation) -> None:
    size = len(prepared.records) * prepared.init.nbytes
    if size > prepared.memory_limit:
        raise ValueError(
            f"measures: a checkpoint keeps the models of all records for them, {size / 1e9:.3g} "
            "GB; want fewer records, or a larger memory_limit"
        )
