"""How far a network is from a KKT point of the margin problem."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from .. import _validation as check
from ..errors import UnsupportedError
from ..rows import as_double, dense_double
from .two_layer import ACTIVATIONS, outputs_of

if TYPE_CHECKING:
    from ..problem import Problem
    from .trained import TrainedNetwork

__all__ = ["kkt_residual"]

KINKS = {"relu": (0.0, 1.0), "leaky_relu": (0.01, 1.0)}  # slopes on both sides of 0
TOLERANCE = 1e-12  # of what a choice of kinks brings


def kkt_residual(
    problem: Problem, model: TrainedNetwork, *, kinks: float = 1e-3
) -> tuple[float, float]:
    """Distance of a network from a KKT point of the margin problem.

    ``min_{a ≥ 0} ‖θ̂ - Σ_j a_j y_j ∂f(x_j; θ̂)‖ / ‖θ̂‖`` and ``Σ_j a_j (y_j f(x_j; θ̂) - 1)``

    of ``min ½‖θ‖²  s.t.  y_j f(x_j) ≥ 1``, with θ̂ = θ/γ^{1/D}, whose smallest margin is 1; a rival
    class c of a row makes a constraint ``f_{y_j}(x_j) - f_c(x_j) ≥ 1`` of its own. ∂f is Clarke's
    subdifferential: where a row is at the kink of a unit, the slope there may be any number between
    those of its two sides. Networks with ReLU do end at kinks, and their gradient, which is that of
    one side, then stays away from θ̂ however long they are trained.

    Parameters
    ----------
    problem : Problem
        The rows of all clients.
    model : TrainedNetwork
        Such as ``Run.model``, with an activation that is homogeneous. Of other rounds:
        ``dataclasses.replace(run.model, parameters=theta)`` for a θ of ``run.recorded_weights``.
    kinks : float ≥ 0, default 1e-3
        A row is at the kink of a unit if ``|w·x| ≤ kinks ‖w‖‖x‖``. 0: at none, but for exact
        zeros.

    Returns
    -------
    tuple of float
        The residual and the complementarity; NaN where a row is not fitted yet.

    Raises
    ------
    UnsupportedError
        For a network that is not homogeneous in its parameters, or a regression task.
    ValueError, TypeError
        For kinks that are no number of at least 0.

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
    check.number("kinks", kinks, minimum=0)
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
    found = gradients_of(problem, model, kinks)
    # ‖θ̂ - Jᵀ z‖² by J Jᵀ = Rᵀ R alone: in the span of the rows of J the distance is
    # |R z - R^{-T} J θ̂|, and what is beyond it no z can reach.
    values, vectors = np.linalg.eigh(size ** (2 * (degree - 1)) * found.kernel)
    kept = values > len(values) * np.finfo(float).eps * values[-1]
    R = np.sqrt(values[kept])[:, None] * vectors[:, kept].T
    inside = (vectors[:, kept].T @ (size**degree * found.at_model)) / np.sqrt(values[kept])
    a, distance = nearest_of_cone(R, inside, found.owners, len(margins))
    norm2 = size**2 * float(model.parameters @ model.parameters)
    beyond = max(0.0, norm2 - float(inside @ inside))
    return (
        float(np.sqrt((distance**2 + beyond) / norm2)),
        float(a @ (margins / least - 1)),
    )


class Gradients(NamedTuple):
    """Of the constraints with the lower slope at kinks, and what each kink may add to its own.

    ``kernel`` has their inner products, ``at_model`` those with θ, ``owners`` the constraints of
    the kinks.
    """

    kernel: np.ndarray
    at_model: np.ndarray
    owners: np.ndarray


def gradients_of(problem: Problem, model: TrainedNetwork, kinks: float) -> Gradients:
    """Of all constraints by θ."""
    X = dense_double(problem.X)
    value, slope = ACTIVATIONS[model.network.activation]
    P = X @ model.first
    rows, towards = constraints(problem, model.second.shape[1])
    slopes, V = slope(P), towards @ model.second.T  # V: of each constraint's own output
    lower, upper = KINKS.get(model.network.activation, (0.0, 0.0))
    sizes = np.linalg.norm(X, axis=1)[:, None] * np.linalg.norm(model.first, axis=0)
    at_kink = np.abs(P) <= kinks * sizes
    at_kink &= upper > lower
    slopes[at_kink] = lower
    owners, units = np.nonzero(at_kink[rows])
    weights = (upper - lower) * V[owners, units]
    G, H = V * slopes[rows], value(P)[rows]
    K = X @ X.T
    alone = K[np.ix_(rows, rows)] * (G @ G.T) + (H @ H.T) * (towards @ towards.T)
    across = K[np.ix_(rows, rows[owners])] * (G[:, units] * weights)
    of_kinks = K[np.ix_(rows[owners], rows[owners])] * np.outer(weights, weights)
    of_kinks *= units[:, None] == units
    own = (G * P[rows]).sum(axis=1) + (V * H).sum(axis=1)
    scale = model.network.scale
    return Gradients(
        scale**2 * np.block([[alone, across], [across.T, of_kinks]]),
        scale * np.concatenate([own, weights * P[rows[owners], units]]),
        owners,
    )


def nearest_of_cone(
    R: np.ndarray, target: np.ndarray, owners: np.ndarray, constraints: int
) -> tuple[np.ndarray, float]:
    """``min |R z - t|`` of z = (a, b), a ≥ 0 and 0 ≤ b_e ≤ a of its owner: a, and the distance.

    The cone is that of the constraints with every choice of their kinks, of which the one that a
    residual wants most is known; it is taken up until none would bring anything.
    """
    from scipy.optimize import nnls

    columns = np.eye(constraints, R.shape[1])  # each a choice: a constraint, and its kinks
    of = np.arange(constraints)
    while True:
        a, distance = nnls(R @ columns.T, target)
        pulls = R.T @ (target - R @ (columns.T @ a))
        chosen = pulls[constraints:] > 0
        gain = pulls[:constraints] + np.bincount(
            owners, np.where(chosen, pulls[constraints:], 0.0), constraints
        )
        wanted = np.flatnonzero(gain > TOLERANCE * np.linalg.norm(R) * np.linalg.norm(target))
        if not len(wanted):
            return np.bincount(of, a, constraints), float(distance)
        new = np.zeros((len(wanted), R.shape[1]))
        new[np.arange(len(wanted)), wanted] = 1
        new[:, constraints:] = (owners == wanted[:, None]) & chosen
        kept = a > 0
        columns, of = np.concatenate([columns[kept], new]), np.concatenate([of[kept], wanted])


def margins_of(problem: Problem, model: TrainedNetwork) -> np.ndarray:
    """``y_j f(x_j)``, or ``f_{y_j}(x_j) - f_c(x_j)`` for each rival class: one per constraint."""
    u = outputs_of(model.network, model.parameters, as_double(problem.X))
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
