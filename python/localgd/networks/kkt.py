"""How far a network is from a KKT point of the margin problem."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from ..errors import UnsupportedError
from .two_layer import ACTIVATIONS, outputs_of

if TYPE_CHECKING:
    from ..problem import Problem
    from .trained import TrainedNetwork

__all__ = ["kkt_residual"]


def kkt_residual(problem: Problem, model: TrainedNetwork) -> tuple[float, float]:
    """Distance of a network from a KKT point of the margin problem.

    ``min_{a ≥ 0} ‖θ̂ - Σ_j a_j y_j ∇f(x_j; θ̂)‖ / ‖θ̂‖`` and ``Σ_j a_j (y_j f(x_j; θ̂) - 1)``

    of ``min ½‖θ‖²  s.t.  y_j f(x_j) ≥ 1``, with θ̂ = θ/γ^{1/D}, whose smallest margin is 1; a rival
    class c of a row makes a constraint ``f_{y_j}(x_j) - f_c(x_j) ≥ 1`` of its own.

    Parameters
    ----------
    problem : Problem
        The rows of all clients.
    model : TrainedNetwork
        Such as ``Run.model``, with an activation that is homogeneous. Of other rounds:
        ``dataclasses.replace(run.model, parameters=theta)`` for a θ of ``run.recorded_weights``.

    Returns
    -------
    tuple of float
        The residual and the complementarity; NaN where a row is not fitted yet.

    Raises
    ------
    UnsupportedError
        For a network that is not homogeneous in its parameters, or a regression task.

    References
    ----------
    Lyu, Li, ICLR 2020, arXiv:1906.05890.

    Examples
    --------
    >>> import localgd as lg
    >>> problem = lg.datasets.make_separable(n_clients=2, n_samples=5, n_features=20, seed=0)
    >>> run = lg.run(problem, lg.GD(lr=0.5), rounds=200, model=lg.TwoLayer(hidden=8))
    >>> residual, complementarity = lg.networks.kkt_residual(problem, run.model)
    >>> 0 <= residual < 1
    True
    """
    from scipy.optimize import nnls

    degree = model.network.degree
    if not degree or problem.task == "regression":
        raise UnsupportedError(
            "model: the margin problem is that of classes and of a network that is homogeneous in "
            "both layers: relu, leaky_relu or quadratic, not centered, train='both'"
        )
    margins = margins_of(problem, model)
    least = margins.min()
    if not least > 0:
        return float("nan"), float("nan")
    size = least ** (-1 / degree)  # of θ̂, in θ
    kernel = size ** (2 * (degree - 1)) * constraint_kernel(problem, model)
    # ‖θ̂ - Jᵀ a‖² by J Jᵀ = Rᵀ R alone, as J θ̂ = D m̂ by homogeneity: in the span of the rows of J
    # the distance is |R a - R^{-T} J θ̂|, and what is beyond it no a can reach.
    values, vectors = np.linalg.eigh(kernel)
    kept = values > len(values) * np.finfo(float).eps * values[-1]
    R = np.sqrt(values[kept])[:, None] * vectors[:, kept].T
    at_rows = degree * margins / least
    inside = (vectors[:, kept].T @ at_rows) / np.sqrt(values[kept])
    a, distance = nnls(R, inside)
    norm2 = size**2 * float(model.parameters @ model.parameters)
    beyond = max(0.0, norm2 - float(inside @ inside))
    return (
        float(np.sqrt((distance**2 + beyond) / norm2)),
        float(a @ (margins / least - 1)),
    )


def margins_of(problem: Problem, model: TrainedNetwork) -> np.ndarray:
    """``y_j f(x_j)``, or ``f_{y_j}(x_j) - f_c(x_j)`` for each rival class: one per constraint."""
    u = outputs_of(model.network, model.parameters, np.asarray(problem.X, dtype=np.float64))
    rows, towards = constraints(problem, u.shape[1])
    return np.einsum("jc,jc->j", u[rows], towards)


def constraints(problem: Problem, outputs: int) -> tuple[np.ndarray, np.ndarray]:
    """The row of each constraint, and the direction of outputs that it asks for."""
    y, N = np.asarray(problem.y), problem.n_samples
    if outputs == 1:
        return np.arange(N), y[:, None].astype(np.float64)
    own = y.astype(np.int64)
    rows, rivals = np.nonzero(np.arange(outputs) != own[:, None])
    towards = np.zeros((len(rows), outputs))
    towards[np.arange(len(rows)), own[rows]] = 1
    towards[np.arange(len(rows)), rivals] = -1
    return rows, towards


def constraint_kernel(problem: Problem, model: TrainedNetwork) -> np.ndarray:
    """Inner products of the gradients of all constraints by θ."""
    X: Any = np.asarray(problem.X, dtype=np.float64)
    value, slope = ACTIVATIONS[model.network.activation]
    P = X @ model.first
    rows, towards = constraints(problem, model.second.shape[1])
    G = (towards @ model.second.T) * slope(P)[rows]
    H = value(P)
    of_rows = (X @ X.T)[np.ix_(rows, rows)] * (G @ G.T)
    of_values = (H @ H.T)[np.ix_(rows, rows)] * (towards @ towards.T)
    found: np.ndarray = model.network.scale**2 * (of_rows + of_values)
    return found
