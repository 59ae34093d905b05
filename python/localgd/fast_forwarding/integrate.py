"""From the settled start to the last round: scipy's integrators in log k."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from .flow import Flow, Series

__all__ = ["trajectory"]

DENSE = 300  # unknowns up to which LSODA's own factorisations are fast


def trajectory(
    flow: Flow,
    series: Series,
    first: float,
    a: np.ndarray,
    rounds: np.ndarray,
    *,
    rtol: float,
    gram: np.ndarray,
    report: Callable[[float], object] | None,
) -> np.ndarray:
    """The coefficients at some rounds after ``first``, one row each, shape (R, N C).

    LSODA, which is stiff or not as the support rows' relaxation asks, and BDF where the unknowns
    are many. Fewer rows come back if ``report`` (or Ctrl-C) raises KeyboardInterrupt.
    """
    from scipy.integrate import BDF, LSODA

    xs = np.log(rounds)
    method: Any = LSODA if a.size <= DENSE else BDF
    solver = method(
        flow.derivative(series),
        math.log(first),
        a,
        float(xs[-1]),
        rtol=rtol,
        atol=rtol * float(np.abs(a).max()),
        jac=flow.jacobian(gram),
    )
    found = np.empty((len(rounds), a.size))
    done = 0
    try:
        while done < len(rounds):
            if solver.status == "running":
                message = solver.step()
                if solver.status == "failed":
                    raise ArithmeticError(
                        f"the integrator stopped at round e^{solver.t:.6g}: {message}"
                    )
            ready = int(np.searchsorted(xs, solver.t, side="right"))
            if solver.status == "finished":
                ready = len(rounds)
            if ready > done:
                dense = solver.dense_output()
                found[done:ready] = dense(xs[done:ready]).T
                done = ready
            if report is not None:
                report(math.exp(solver.t))
    except KeyboardInterrupt:
        pass
    return found[:done]
