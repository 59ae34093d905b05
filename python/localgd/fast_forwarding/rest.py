"""Rows that are not separable: whether the model has come to rest, and how far from its limit."""

from __future__ import annotations

import numpy as np

from .flow import Flow

__all__ = ["distance_to_rest"]

EPS = float(np.finfo(np.float64).eps)
TINY = float(np.finfo(np.float64).tiny)
LARGE = 3000  # directions: beyond, their curvatures take too long
ROUNDING = 8.0  # errors of a round, in units of rounding in the model


def distance_to_rest(flow: Flow, k: float, a: np.ndarray, rows: np.ndarray, w: np.ndarray) -> float:
    """How far the model still has to go, relative to it; NaN where there are too many directions.

    What a round changes, or may change unseen by rounding, over the slowest contraction of a round.
    A model that moves little may be slow, not at rest.
    """
    shape = flow.first_margins.shape
    memory = flow.session.state()
    velocity, controls = (memory.get(name, np.zeros((0, 0))) for name in ("velocity", "controls"))
    change = flow.session.map(
        k,
        [flow.rate(k)],
        flow.problem.weights[None, :],
        False,
        0.0,
        a.reshape(shape, order="F"),
        velocity,
        controls,
    )[0][0]
    size = float(np.linalg.norm(w))
    moved = float(np.linalg.norm(rows.T @ change.reshape(shape, order="F")))
    far = max(flow.lag * moved, ROUNDING * EPS * size)
    if far == 0:
        return 0.0
    if min(shape[0], rows.shape[1]) * shape[1] > LARGE:
        return float("nan")
    return far / max(_slowest(flow, k, a, rows), TINY) / max(size, TINY)


def _slowest(flow: Flow, k: float, a: np.ndarray, rows: np.ndarray) -> float:
    """The smallest part of a deviation from the limit, in any direction, that a round takes away.

    By the curvatures at the present model; a client whose steps go most of the way to its own
    minimiser takes away no more than all of it.
    """
    problem = flow.problem
    N, C = flow.first_margins.shape
    margins = flow.first_margins + flow.gram @ a.reshape((N, C), order="F")
    curvatures = flow.curvatures(margins)
    # traces of the clients' Hessians, times learning rate and steps
    traces = curvatures.trace(axis1=1, axis2=2) * np.diagonal(flow.gram)
    reach = np.add.reduceat(traces, problem.offsets[:-1]) / problem.sizes * flow.stride(k)
    reach = np.maximum(reach, TINY)
    taken = np.repeat(-np.expm1(-reach) / reach, problem.sizes)
    rates = flow.row_rates(k) * taken
    parts = np.einsum("jcf,jd->jfcd", flow.roots(margins) * np.sqrt(rates)[:, None, None], rows)
    values = np.linalg.svd(parts.reshape(N * C, -1), compute_uv=False) ** 2
    kept = values[values > values[0] * (max(N, rows.shape[1]) * C * EPS) ** 2]
    return float(kept[-1]) if len(kept) else 0.0
