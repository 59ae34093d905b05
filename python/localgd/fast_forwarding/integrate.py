"""From the settled start to the last round: scipy's integrators in log k."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np

from .flow import Flow
from .late import LateFlow, has_late_flow
from .series import Series

__all__ = ["Trajectory", "trajectory"]

DENSE = 600  # unknowns up to which LSODA's own factorisations are fast
FEW = 40  # rows of which it is not worth to leave out some
NEGLIGIBLE = 1e-3  # what left-out rows may still add to the coefficients, in units of rtol

RightHandSide = Callable[[float, np.ndarray], np.ndarray]


@dataclass
class Trajectory:
    """The coefficients at some rounds, one row each, as far as they have been found."""

    xs: np.ndarray  # log k, increasing
    found: np.ndarray  # (R, N C)
    done: int = 0
    interrupted: bool = False
    report: Callable[[float], object] = field(default=lambda k: None)

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
    gram: np.ndarray,
    report: Callable[[float], object],
) -> np.ndarray:
    """The coefficients at some rounds after ``first``, one row each, shape (R, N C).

    LSODA, which is stiff or not as the support rows' relaxation asks, and BDF where the unknowns
    are many. Once margins stand still within a round only rows that still move the model are
    unknowns. Fewer rows come back if ``report`` (or Ctrl-C) raises KeyboardInterrupt.
    """
    way = Trajectory(np.log(rounds), np.empty((len(rounds), a.size)), report=report)
    x, last = math.log(first), float(np.log(rounds[-1]))
    late = min(max(math.log(series.frozen_from), x), last) if has_late_flow(flow) else last
    if late > x:
        x, a = _integrate(way, flow.derivative(series), flow.jacobian(gram), x, a, late, rtol=rtol)
    if late < last and not way.interrupted:
        _late(way, flow, x, a, last, rtol=rtol, gram=gram)
    return way.coefficients


def _integrate(
    way: Trajectory,
    derivative: RightHandSide,
    jacobian: RightHandSide,
    x: float,
    a: np.ndarray,
    until: float,
    *,
    rtol: float,
    whole: Callable[[np.ndarray, np.ndarray], np.ndarray] = lambda xs, rows: rows,
    enough: Callable[[float, np.ndarray], bool] = lambda x, a: False,
) -> tuple[float, np.ndarray]:
    """Steps until log k = ``until`` or ``enough``, storing what is passed; where it ended."""
    from scipy.integrate import BDF, LSODA

    method: Any = LSODA if a.size <= DENSE else BDF
    solver = method(
        derivative, x, a, until, rtol=rtol, atol=rtol * float(np.abs(a).max()), jac=jacobian
    )
    try:
        while solver.status == "running":
            message = solver.step()
            if solver.status == "failed":
                raise ArithmeticError(
                    f"the integrator stopped at round e^{solver.t:.6g}: {message}"
                )
            ready = int(np.searchsorted(way.xs, solver.t, side="right"))
            if ready > way.done:
                place = slice(way.done, ready)
                way.found[place] = whole(way.xs[place], solver.dense_output()(way.xs[place]).T)
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
    gram: np.ndarray,
) -> None:
    """Segments of which each has fewer rows than the one before."""
    limit = NEGLIGIBLE * rtol * float(np.abs(a).max()) / (last - x)
    everything = np.arange(len(a))
    rows = everything
    while x < last and not way.interrupted:
        late = LateFlow(flow, gram, x, a, rows)
        moves = np.abs(late.pace(x, late.start())) > limit
        if len(rows) > FEW and not moves.all():
            late = LateFlow(flow, gram, x, a, rows[moves])
        begun, before = way.done, (x, a)
        x, active = _integrate(
            way,
            late.derivative,
            late.jacobian,
            x,
            late.start(),
            last,
            rtol=rtol,
            whole=late.whole,
            enough=partial(_half_rest, late, limit),
        )
        a = late.whole(np.array([x]), active[None])[0]
        rows = late.rows
        if len(rows) < len(everything):
            # Rows that were left out must not have come back.
            paces = LateFlow(flow, gram, x, a, everything).pace(x, a)
            if (np.abs(np.delete(paces, rows)) > 10 * limit).any():
                (x, a), rows, way.done = before, everything, begun
                limit /= 100


def _half_rest(late: LateFlow, limit: float, x: float, a: np.ndarray) -> bool:
    """Whether the model would be followed as well by half of the rows."""
    if len(late.rows) <= FEW:
        return False
    return 2 * np.count_nonzero(np.abs(late.pace(x, a)) > limit) < len(late.rows)
