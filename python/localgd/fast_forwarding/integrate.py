"""From the settled start to the last round: scipy's integrators in log k."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

import numpy as np

from ..errors import UnsupportedError
from .flow import Flow
from .late import LateFlow
from .series import Series

__all__ = ["Trajectory", "trajectory"]

DENSE = 600  # unknowns up to which LSODA's own factorisations are fast
FEW = 40  # rows of which it is not worth to leave out some
NEGLIGIBLE = 1e-3  # what left-out rows may still add to the coefficients, in units of rtol
RETURNS = 3  # of rows that were left out, after which none are any more
SHRUNK = 0.1  # of the coefficients, after which the integrator begins anew
GROWTH = 4.0  # that is allowed to what falls like 1/k, if it falls a little more slowly
MOST_STEPS = 50_000  # of the integrator: a hundred decades take some hundred
MOST_EVALUATIONS = 150_000  # of rounds, of which the same take some thousand
LAST = 1e305  # a round that is later than any
TINY = float(np.finfo(np.float64).tiny)

RightHandSide = Callable[[float, np.ndarray], np.ndarray]
_Condition = Callable[[float, np.ndarray], bool]  # of log k and the coefficients


@dataclass
class Trajectory:
    """The coefficients at some rounds, one row each, as far as they have been found."""

    xs: np.ndarray  # log k, increasing
    found: np.ndarray  # (R, N C)
    series: Series  # by which they were found
    done: int = 0
    interrupted: bool = False
    report: Callable[[float], object] = field(default=lambda k: None)
    unsteady: float = 0.0  # relative error of the increments where the late flow began
    steps: int = 0
    most_evaluations: int = 0

    @property
    def coefficients(self) -> np.ndarray:
        return self.found[: self.done]


def trajectory(
    flow: Flow,
    series: Series,
    first: float,
    a: np.ndarray,
    rounds: np.ndarray,
    *,
    rtol: float,
    report: Callable[[float], object],
) -> Trajectory:
    """The coefficients at some rounds after ``first``, one row each, shape (R, N C).

    LSODA, which is stiff or not as the support rows' relaxation asks, and BDF where the unknowns
    are many. Once margins stand still within a round only rows that still move the model are
    unknowns. Fewer rows come back if ``report`` (or Ctrl-C) raises KeyboardInterrupt.
    """
    way = Trajectory(np.log(rounds), np.empty((len(rounds), a.size)), series, report=report)
    way.most_evaluations = flow.evaluations + MOST_EVALUATIONS
    x, last = math.log(first), float(np.log(rounds[-1]))
    while x < last and not way.interrupted:
        until = min(max(math.log(min(way.series.frozen_from, LAST)), x), last)
        if until > x:
            ahead = flow.derivative(way.series), flow.jacobian()
            x, a = _integrate(way, flow, *ahead, x, a, until, rtol=rtol, enough=_shrunk(a))
            if x < until:
                continue
        if x >= last or way.interrupted:
            break
        k = math.exp(x)
        way.unsteady = flow.changing(k, a, replace(way.series, within=math.inf))
        if way.unsteady <= series.tolerance:
            _late(way, flow, x, a, last, rtol=rtol)
            break
        # It fell more slowly than it promised, as with small rates before they have moved much.
        later = GROWTH * max(way.unsteady * k, way.series.unsteady)
        way.series = replace(way.series, within=later)
    return way


def _shrunk(a: np.ndarray) -> _Condition:
    """Whether the coefficients are so much smaller that their tolerance must follow them.

    The anchor draws a model that no longer moves by itself back like 1/k.
    """
    least = SHRUNK * float(np.abs(a).max())
    return lambda x, y: bool(np.abs(y).max() < least)


def _integrate(
    way: Trajectory,
    flow: Flow,
    derivative: RightHandSide,
    jacobian: RightHandSide,
    x: float,
    a: np.ndarray,
    until: float,
    *,
    rtol: float,
    whole: Callable[[np.ndarray, np.ndarray], np.ndarray] = lambda xs, rows: rows,
    enough: _Condition = lambda x, a: False,
) -> tuple[float, np.ndarray]:
    """Steps until log k = ``until`` or ``enough``, storing what is passed; where it ended."""
    from scipy.integrate import BDF, LSODA

    method: Any = LSODA if a.size <= DENSE else BDF
    atol = max(rtol * float(np.abs(a).max()), TINY)
    solver = method(derivative, x, a, until, rtol=rtol, atol=atol, jac=jacobian)
    try:
        while solver.status == "running":
            before = solver.t
            solver.step()
            way.steps += 1
            stuck = way.steps > MOST_STEPS or flow.evaluations > way.most_evaluations
            if solver.status == "failed" or solver.t <= before or stuck:
                raise UnsupportedError(
                    f"rounds: after round {math.exp(before):.6g} the integrator's steps become too "
                    f"small for rtol {rtol:.2g}: rounds do not follow a flow that is smooth to "
                    "this accuracy; use a smaller lr, a larger rtol, or run"
                )
            ready = int(np.searchsorted(way.xs, solver.t, side="right"))
            if ready > way.done:
                part = slice(way.done, ready)
                way.found[part] = whole(way.xs[part], solver.dense_output()(way.xs[part]).T)
                way.done = ready
            way.report(math.exp(solver.t))
            if enough(solver.t, solver.y):
                break
    except KeyboardInterrupt:
        way.interrupted = True
    return solver.t, solver.y


def _late(
    way: Trajectory,
    flow: Flow,
    x: float,
    a: np.ndarray,
    last: float,
    *,
    rtol: float,
) -> None:
    """Segments of which each has fewer rows than the one before."""
    everything = np.arange(len(flow.gram))
    rows, returns = everything, 0
    while x < last and not way.interrupted:
        least = NEGLIGIBLE * 100.0**-returns
        limit = least * rtol * float(np.abs(a).max()) / (last - x)
        late = LateFlow(flow, x, a, rows)
        paces = late.pace(x, late.start())
        moves = (paces > limit) | (paces == paces.max())
        if returns < RETURNS and len(rows) > FEW and not moves.all():
            late = LateFlow(flow, x, a, rows[moves])
        begun, before = way.done, (x, a)
        x, active = _integrate(
            way,
            flow,
            late.derivative,
            late.jacobian,
            x,
            late.start(),
            last,
            rtol=rtol,
            whole=late.whole,
            enough=_either(_shrunk(late.start()), partial(_half_rest, late, limit)),
        )
        a = late.whole(np.array([x]), active[None])[0]
        rows = late.rows
        if len(rows) < len(everything):
            # Rows that were left out must not have come back.
            paces = LateFlow(flow, x, a, everything).pace(x, a)
            if (np.delete(paces, rows) > 10 * limit).any():
                (x, a), rows, way.done = before, everything, begun
                returns += 1


def _either(*conditions: _Condition) -> _Condition:
    return lambda x, a: any(holds(x, a) for holds in conditions)


def _half_rest(late: LateFlow, limit: float, x: float, a: np.ndarray) -> bool:
    """Whether the model would be followed as well by half of the rows."""
    if len(late.rows) <= FEW:
        return False
    return 2 * np.count_nonzero(late.pace(x, a) > limit) < len(late.rows)
