"""``localgd.fast_forward``: from a problem and a method to a result at any round."""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from .. import _validation as check
from ..arguments import MAX_ROUNDS
from ..engines import DEFAULT_MEMORY_LIMIT
from ..errors import UnsupportedError
from ..losses import LOSSES, LossLike
from ..measuring import Measure
from ..methods import Method
from ..preparation import Preparation, prepare
from ..problem import Problem
from ..result import Run
from .contraction import contraction_run
from .job import Job, threads_of
from .linear import linear_run
from .log_time import log_time_run
from .refusals import check_contracting, check_smooth
from .verify import deviations

__all__ = ["fast_forward"]


def fast_forward(
    problem: Problem,
    method: Method,
    *,
    rounds: float,
    loss: LossLike | None = None,
    l2: float = 0.0,
    init: Any = None,
    rtol: float = 1e-8,
    threads: int | None = None,
    seed: int = 0,
    record: Any = None,
    reference: Any = None,
    test: Any = None,
    asymptote: Any = None,
    measures: Mapping[str, Measure] | None = None,
    progress: bool | Callable[[float], None] = False,
    keep_weights: bool = False,
    max_exact_rounds: int = 10**6,
    verify: bool | int = False,
    memory_limit: int = DEFAULT_MEMORY_LIMIT,
) -> Run:
    """Run a method for any number of rounds, up to 1e300, with control of the error.

    ``da/d(log k) = k (Δ_1 - ½ Δ_2 + ⅓ Δ_3 - …)`` with Δ_p the forward differences of real rounds

    The first rounds are exact, as many as it takes for the differences to fall smoothly. From there
    the coefficients are integrated in log k with scipy's integrators. Local steps are real, or
    extrapolated from fewer and larger ones where that is much cheaper (L in the hundreds and more),
    as long as margins move within a round by more than the tolerance; after that, rows that do not
    move the model any more are left out. Along the way perturbations are watched: where a round
    makes them overshoot and grow, real rounds leave the smooth path, and exact rounds are taken to
    beyond that, or the run is refused. A second, coarser integration gives the error estimate of
    every record. With the squared loss the round map is affine and any power of it is computed by
    repeated squaring. Rows that are not separable, and all with λ, to whose fixed point rounds go
    geometrically: exact rounds until the model stands still.

    Parameters
    ----------
    problem, method, loss, l2, init, threads, reference, test, asymptote, measures, keep_weights
        As for :func:`localgd.run`. The method must be deterministic, with all clients.
    rounds : int or float, 0 to 1e300
        R, a whole number.
    rtol : float from 1e-11 to 1e-2, default 1e-8
        Relative accuracy of w that is aimed at.
    seed : int
        Kept in ``config``; nothing here is random.
    record : log_spaced(...), or sequence of rounds, optional
        When to measure; default ``log_spaced(per_decade=10)``.
    progress : bool or callable, default False
        True: a progress bar in decades if standard error is a terminal. A callable is given the
        present round.
    max_exact_rounds : int, default 10**6
        Exact rounds to take at the most before the run is given up as unstable.
    verify : bool or int, default False
        Exact rounds, with every local step, to run beside; the relative deviation in w is the
        column ``deviation`` of the records up to there (True: 10,000 rounds).
    memory_limit : int, default 4 GiB
        Bytes that the Gram matrix may take.

    Returns
    -------
    Run
        Of the same type as from :func:`localgd.run`; ``history["round"]`` is float64, and
        ``history["error"]`` estimates the relative error of w_k: the largest difference from the
        coarser integration within a decade of rounds, never less than the integrator's tolerance.
        For exact rounds it is 0, unless they amplify rounding errors (as unstable rounds do): then
        it is what two runs beside them show. ``config["fast_forward"]`` holds the exact rounds, the
        rounds that were evaluated, how their local steps were taken and from which round on at
        once. Drift at a record is that of the round before it.

    Raises
    ------
    UnsupportedError
        For what is not smooth (batches, sampled clients, exact solves, coordinate-wise servers,
        rows of which only a part is separable), a loss whose second derivatives are not known or,
        on separable rows, whose tail is not, a run that is still unstable after
        ``max_exact_rounds`` or becomes so later, rows that are not separable where the model is not
        at rest by then, rounds that cannot be integrated to ``rtol``, and rows whose squares leave
        the range of float64.
    DivergedError
        If the rounds overflow: with the squared loss, or in the integration. A run that overflows
        among its exact rounds comes back with ``status`` "diverged" and a RuntimeWarning.
    ValueError, TypeError
        As :func:`localgd.run`, and for rounds beyond 1e300.

    References
    ----------
    Zhu, Vardhan, Mazumdar, arXiv:2412.07971; Soudry et al., JMLR 19 (2018), arXiv:1710.10345.
    LSODA: Petzold, SIAM J. Sci. Stat. Comput. 4 (1983), doi:10.1137/0904010.

    Examples
    --------
    >>> import localgd as lg
    >>> problem = lg.datasets.make_separable(n_clients=5, n_samples=10, n_features=100, seed=0)
    >>> best = lg.reference.max_margin(problem)
    >>> far = lg.fast_forward(problem, lg.LocalGD(local_steps=10, lr=1.0), rounds=1e100,
    ...                       reference=best)
    >>> print(f"{far.history['angle'][-1]:.5f} radians")
    0.00661 radians
    """
    prepared = prepare(
        problem,
        method,
        rounds=rounds,
        loss=loss,
        l2=l2,
        init=init,
        engine="gram",
        dtype="float64",
        threads=threads,
        seed=seed,
        record=record,
        reference=reference,
        test=test,
        asymptote=asymptote,
        measures=measures,
        progress=progress,
        keep_weights=keep_weights,
        memory_limit=memory_limit,
        far=True,
    )
    _check_objective(prepared)
    contracts = prepared.l2 > 0
    rtol = _check_rtol(rtol)
    max_exact_rounds = check.integer("max_exact_rounds", max_exact_rounds, 1)
    beside = _check_verify(verify)
    (check_contracting if contracts else check_smooth)(problem, method, prepared.loss, prepared.lr)
    job = Job(
        prepared=prepared,
        separable=hasattr(reference, "kkt_residual"),
        rtol=rtol,
        max_exact_rounds=max_exact_rounds,
        threads=threads_of(prepared),
    )
    start = time.perf_counter()
    with np.errstate(all="ignore"):  # whatever the caller's state: underflows are of no account
        if contracts:
            found = contraction_run(job)
        else:
            found = linear_run(job) if LOSSES[prepared.loss].affine else log_time_run(job)
    if found.status == "diverged":
        warnings.warn(found.message, RuntimeWarning, stacklevel=2)
    if beside:
        found.further["deviation"] = deviations(job, found, beside)
    return found.result(job, time.perf_counter() - start)


def _check_objective(prepared: Preparation) -> None:
    if prepared.problem.sample_weight is not None and prepared.l2 == 0:
        raise UnsupportedError(
            "problem: rows with weights of their own are not fast-forwarded; use localgd.run"
        )


def _check_rtol(rtol: Any) -> float:
    rtol = check.number("rtol", rtol, above=0)
    if not 1e-11 <= rtol <= 1e-2:
        raise ValueError(f"rtol: got {rtol:g}; want a number from 1e-11 to 1e-2")
    return rtol


def _check_verify(verify: Any) -> int:
    """The exact rounds to run beside; 0 for none."""
    if isinstance(verify, bool):
        return 10_000 if verify else 0
    return min(check.integer("verify", verify, 1), MAX_ROUNDS)
