"""How far the gradients of the clients agree."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from .. import _validation as check
from ..losses import LossLike, check_loss, pulls_of_rows
from ..problem import Problem, check_problem
from ..reference._rows import largest, lengths, scaled

__all__ = ["GradientAlignment", "gradient_alignment"]

# A gradient this short beside the norms of its terms is their rounding and has no direction.
ROUNDING = 1e-14


@dataclass(frozen=True)
class GradientAlignment:
    """Agreement of the clients' gradients at a model, from :func:`gradient_alignment`.

    Attributes
    ----------
    variance : float
        Σ p_i‖∇f_i - ∇f‖².
    alignment : float
        Σ p_i cos(∇f_i, ∇f), from -1 to 1; NaN where ∇f = 0. A client with ∇f_i = 0 adds 0. What is
        below 1e-14 of the sum of the norms of a gradient's terms, one per row, counts as 0.
    dissimilarity : float
        Σ p_i‖∇f_i‖²/‖∇f‖², at least 1; NaN where ∇f = 0.
    gradient_norm : float
        ‖∇f‖.
    """

    variance: float
    alignment: float
    dissimilarity: float
    gradient_norm: float


def gradient_alignment(problem: Problem, w: Any, loss: LossLike) -> GradientAlignment:
    """Variance, alignment and dissimilarity of the clients' gradients at a model.

    ``Σ p_i‖∇f_i - ∇f‖²``, ``Σ p_i cos(∇f_i, ∇f)``, ``Σ p_i‖∇f_i‖²/‖∇f‖²``

    The same as the columns ``grad_variance``, ``grad_alignment`` and ``grad_dissimilarity`` of a
    run's history.

    Parameters
    ----------
    problem : Problem
        The rows of the clients, and their weights.
    w : array of shape (d,), or (d, C) for several classes
        A model.
    loss : str or Loss
        ℓ, as for :func:`localgd.run`.

    Returns
    -------
    GradientAlignment
        The three measures, and ‖∇f‖.

    Raises
    ------
    ValueError
        For a model of another shape or of infinite loss, or a loss that does not fit the task.
    TypeError
        If problem is not a Problem.

    References
    ----------
    Dandi, Barba, Jaggi, AAAI 2022, arXiv:2106.13897; dissimilarity: Li et al., MLSys 2020,
    arXiv:1812.06127.

    Examples
    --------
    Two clients that pull at right angles:

    >>> import localgd as lg
    >>> problem = lg.Problem([([[1.0, 0.0]], [1]), ([[0.0, 1.0]], [1])])
    >>> g = lg.analysis.gradient_alignment(problem, [0.0, 0.0], "exponential")
    >>> g.variance, round(g.alignment, 6), round(g.dissimilarity, 6)
    (0.5, 0.707107, 2.0)
    """
    check_problem(problem, own_rows=True)
    check_loss(loss, problem)
    w = check.real_array("w", w, len(problem.weights_shape))
    if w.shape != problem.weights_shape:
        raise ValueError(f"w: got shape {w.shape}; want {problem.weights_shape}")
    # In units of powers of two, so that squares neither under- nor overflow.
    pulls, of_pulls = _scaled(pulls_of_rows(problem, loss, w))
    of_rows = int(np.frexp(largest(problem.X).max())[1])
    X = scaled(problem.X, -of_rows)
    sizes = np.linalg.norm(pulls.reshape(len(pulls), -1), axis=1) * lengths(X)
    first = problem.offsets[:-1]
    gradients = np.stack([X[rows].T @ pulls[rows] for rows in _clients(problem)])
    terms = np.add.reduceat(sizes, first)
    p = problem.weights
    mean = np.tensordot(p, gradients, axes=1)
    norms = np.linalg.norm(gradients.reshape(len(p), -1), axis=1)
    norm = float(np.linalg.norm(mean))
    known = norm > ROUNDING * (p @ terms)
    pointing = norms > ROUNDING * terms
    along = np.tensordot(gradients, mean, axes=mean.ndim)
    cosines = np.divide(along, norms * norm, out=np.zeros_like(along), where=pointing & known)
    deviations = (gradients - mean).reshape(len(p), -1)
    unit = of_pulls + of_rows
    return GradientAlignment(
        variance=float(np.ldexp(p @ np.sum(deviations**2, axis=1), 2 * unit)),
        alignment=float(p @ cosines) if known else float("nan"),
        dissimilarity=float(p @ norms**2) / norm**2 if known else float("nan"),
        gradient_norm=float(np.ldexp(norm, unit)),
    )


def _scaled(a: np.ndarray) -> tuple[np.ndarray, int]:
    """Numbers with the largest in [½, 1), and the exponent."""
    exponent = int(np.frexp(np.abs(a).max())[1])
    return np.ldexp(a, -exponent), exponent


def _clients(problem: Problem) -> list[slice]:
    return [problem.rows(i) for i in range(problem.n_clients)]
