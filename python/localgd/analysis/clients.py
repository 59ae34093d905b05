"""How far the clients of a problem disagree."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..blas import with_one_blas_thread
from ..errors import NotSeparableError
from ..problem import Problem
from ..read_only import ReadOnlyArrays
from ._arguments import binary_problem

__all__ = ["Heterogeneity", "heterogeneity"]


@dataclass(frozen=True, eq=False, repr=False)
class Heterogeneity(ReadOnlyArrays):
    """Disagreement of the clients, from :func:`heterogeneity`. All angles are in radians.

    Attributes
    ----------
    pairwise : ndarray of shape (M, M), float64
        Angles between the clients' own max-margin directions; symmetric, 0 on the diagonal.
    mean_pairwise : float
        Mean over the pairs i < j; NaN for a single client, which has no pair.
    to_global : ndarray of shape (M,), float64
        Angle of each client's direction to the direction of all rows together.
    mean_to_global : float
    label_distance : ndarray of shape (M,), float64
        Total-variation distance, from 0 to 1, of each client's label shares to the shares among
        all rows.
    """

    pairwise: np.ndarray
    mean_pairwise: float
    to_global: np.ndarray
    mean_to_global: float
    label_distance: np.ndarray

    def __repr__(self) -> str:
        return (
            f"Heterogeneity({len(self.to_global)} clients, "
            f"mean_pairwise={self.mean_pairwise:.6g}, mean_to_global={self.mean_to_global:.6g})"
        )


@with_one_blas_thread
def heterogeneity(problem: Problem) -> Heterogeneity:
    """Angles between the clients' own max-margin models and the global one, in radians.

    ``θ_ij = angle(ŵ_i, ŵ_j)``, ``ŵ_i = argmin ½‖w‖² s.t. z_ij·w ≥ 1 for all j of client i``

    Parameters
    ----------
    problem : Problem
        A binary problem whose rows, all together, are linearly separable.

    Returns
    -------
    Heterogeneity
        Angles of pairs and to the global model, their means, and how labels differ.

    Raises
    ------
    NotSeparableError
        If the rows of a client, or of all clients together, are not separable; the message names
        the client.
    ValueError
        If the task is not binary.
    TypeError
        If problem is not a Problem.

    References
    ----------
    Zhu, Vardhan, Mazumdar, arXiv:2412.07971. Label skew: Li, Diao, Chen, He, ICDE 2022,
    arXiv:2102.02079.

    Examples
    --------
    >>> import localgd as lg
    >>> problem = lg.Problem([([[1.0, 0.0]], [1]), ([[0.0, -1.0]], [-1])])
    >>> h = lg.analysis.heterogeneity(problem)
    >>> round(h.mean_pairwise, 12), round(h.mean_to_global, 12), h.label_distance.tolist()
    (1.570796326795, 0.785398163397, [0.5, 0.5])
    """
    problem = binary_problem(problem)
    # Clients first: one that is not separable makes the whole so, and should be named.
    own = np.stack([_own_direction(problem, i) for i in range(problem.n_clients)])
    whole = _direction(problem, "the rows of all clients together")
    to_global = _angles(own, whole)
    pairwise = np.stack([_angles(own, u) for u in own])
    above = pairwise[np.triu_indices(problem.n_clients, 1)]
    label_distance = _label_distance(problem)
    for array in (pairwise, to_global, label_distance):
        array.setflags(write=False)
    return Heterogeneity(
        pairwise=pairwise,
        mean_pairwise=float(above.mean()) if above.size else float("nan"),
        to_global=to_global,
        mean_to_global=float(to_global.mean()),
        label_distance=label_distance,
    )


def _own_direction(problem: Problem, client: int) -> np.ndarray:
    rows = problem.rows(client)
    alone = Problem([(problem.X[rows], problem.y[rows])], task="binary")
    return _direction(alone, f"the rows of client {problem.client_ids[client]!r}")


def _direction(problem: Problem, whose: str) -> np.ndarray:
    from .. import reference

    try:
        return reference.max_margin(problem).direction
    except NotSeparableError as error:
        raise NotSeparableError(
            f"problem: {whose} are not linearly separable, so they have no max-margin direction",
            certificate=error.certificate,
        ) from error


def _angles(U: np.ndarray, v: np.ndarray) -> np.ndarray:
    """Angles of the unit rows of U to the unit vector v; ``angle`` for many pairs at once."""
    return 2 * np.arctan2(np.linalg.norm(U - v, axis=1), np.linalg.norm(U + v, axis=1))


def _label_distance(problem: Problem) -> np.ndarray:
    positive = np.add.reduceat(problem.y == 1, problem.offsets[:-1], dtype=np.int64)
    # With two labels both terms of ½ Σ |share - pooled share| are equal.
    return np.abs(positive / problem.sizes - positive.sum() / problem.n_samples)
