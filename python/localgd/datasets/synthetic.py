"""Gaussian problems from a seed.

Every generator draws in one fixed order: the plane (or regressor), the rows, what its options add.
Options at their neutral value draw nothing that other draws follow, so they leave the bits alone.
"""

from __future__ import annotations

import numbers
from collections.abc import Sequence
from typing import Any

import numpy as np

from .. import _validation as check
from ..problem import Problem
from ..randomness import random_generator
from ..rows import empty_rows

__all__ = ["make_nonseparable", "make_regression", "make_separable"]


def make_separable(
    *,
    n_clients: int = 10,
    n_samples: int | Sequence[int] = 50,
    n_features: int = 600,
    seed: Any = 0,
    margin: float = 0.0,
    heterogeneity: float = 0.0,
    weights: Any = "samples",
) -> Problem:
    """Gaussian rows labelled by a random plane through the origin: always separable.

    ``v ~ N(0, I_d),  g_ij ~ N(0, I_d/d),  x_ij = g_ij + h u_i,  y_ij = sign(x_ij·v)``

    With ``margin=0`` and ``heterogeneity=0`` these are the bits of ``r = default_rng(seed);
    v = r.standard_normal(d); X = r.standard_normal((M, n, d))/sqrt(d); y = sign(X @ v)``, so v can
    be made again from the seed.

    Parameters
    ----------
    n_clients : int, default 10
        M.
    n_samples : int or sequence of M ints, default 50
        Rows per client, n_i.
    n_features : int, default 600
        d. Row norms are close to 1 for large d.
    seed : int, SeedSequence, Generator or None, default 0
        What ``numpy.random.default_rng`` takes; None draws a fresh one.
    margin : float >= 0, default 0
        Rows with ``m_ij = y_ij x_ij·v/‖v‖ < margin`` are moved to that distance along the normal:
        ``x_ij <- x_ij + (margin - m_ij) y_ij v/‖v‖``. The max-margin of the problem is then at
        least this (for d > N it is usually far above even for 0).
    heterogeneity : float >= 0, default 0
        h: the rows of client i are displaced by h times a unit vector u_i, uniform on the sphere,
        before they are labelled. At 1 the displacement is as long as a typical row.
    weights : "samples", "equal" or array of shape (M,), default "samples"
        As for :class:`localgd.Problem`.

    Returns
    -------
    Problem
        Binary, M clients.

    Raises
    ------
    ValueError, TypeError
        For numbers out of range or of another kind, or sizes that are not M.

    References
    ----------
    Zhu, Vardhan, Mazumdar, arXiv:2412.07971 (separable data for Local-GD).

    Examples
    --------
    >>> import numpy as np, localgd as lg
    >>> problem = lg.datasets.make_separable(n_clients=5, n_samples=10, n_features=100, seed=0)
    >>> problem
    Problem(binary: 5 clients, 50 rows (10 per client), 100 features)
    >>> v = np.random.default_rng(0).standard_normal(100)
    >>> bool((problem.signed_rows @ v > 0).all())
    True
    """
    sizes = _sizes(n_clients, n_samples)
    d = check.integer("n_features", n_features, 1)
    margin = check.number("margin", margin, minimum=0)
    h = check.number("heterogeneity", heterogeneity, minimum=0)
    rng = random_generator(seed)
    v, X = _plane_and_rows(sizes, d, rng)
    X = _displaced(X, sizes, h, rng)
    y = _sign(X @ v)
    if margin > 0:
        normal = v / np.linalg.norm(v)
        X += np.outer(y * np.maximum(margin - y * (X @ normal), 0.0), normal)
    return _problem(X, y, sizes, weights, "binary")


def make_nonseparable(
    *,
    n_clients: int = 10,
    n_samples: int | Sequence[int] = 50,
    n_features: int = 20,
    seed: Any = 0,
    flip: float = 0.1,
    heterogeneity: float = 0.0,
    weights: Any = "samples",
) -> Problem:
    """:func:`make_separable` with some labels flipped.

    ``y_ij = -sign(x_ij·v)`` on ``max(1, round(flip · N))`` rows, ``sign(x_ij·v)`` on the rest

    Rows in general position with N <= d carry any labels separably, so N > d is asked for. With
    N much larger than d, as by default (500 rows, 20 features), the result is not separable in
    practice; ``lg.reference.separability`` certifies it.

    Parameters
    ----------
    n_clients, n_samples, n_features, seed, heterogeneity, weights
        As for :func:`make_separable`; ``n_features`` is 20 by default.
    flip : float in (0, 0.5], default 0.1
        Share of flipped labels, drawn without replacement and after everything else.

    Returns
    -------
    Problem
        Binary, M clients.

    Raises
    ------
    ValueError, TypeError
        As for :func:`make_separable`, and for ``flip`` out of range or N <= d.

    References
    ----------
    Cover, IEEE Trans. Electronic Computers 1965, doi:10.1109/PGEC.1965.264137 (when random labels
    are separable).

    Examples
    --------
    >>> import numpy as np, localgd as lg
    >>> problem = lg.datasets.make_nonseparable(seed=0)
    >>> v = np.random.default_rng(0).standard_normal(20)
    >>> int((problem.signed_rows @ v < 0).sum())
    50
    """
    sizes = _sizes(n_clients, n_samples)
    h = check.number("heterogeneity", heterogeneity, minimum=0)
    flip = check.number("flip", flip, above=0)
    if flip > 0.5:
        raise ValueError(f"flip: got {flip:g}; want a share above 0 and at most 0.5")
    d = check.integer("n_features", n_features, 1)
    if sizes.sum() <= d:
        raise ValueError(
            f"n_features: got {d} for {sizes.sum()} rows; want fewer features than rows: "
            "any labels of as few rows are separable"
        )
    rng = random_generator(seed)
    v, X = _plane_and_rows(sizes, d, rng)
    X = _displaced(X, sizes, h, rng)
    y = _sign(X @ v)
    n_flipped = max(1, round(flip * len(y)))
    y[rng.choice(len(y), n_flipped, replace=False)] *= -1
    return _problem(X, y, sizes, weights, "binary")


def make_regression(
    *,
    n_clients: int = 10,
    n_samples: int | Sequence[int] = 50,
    n_features: int = 600,
    seed: Any = 0,
    noise: float = 0.1,
    heterogeneity: float = 0.0,
    weights: Any = "samples",
) -> Problem:
    """Gaussian rows with a linear response plus noise; by default more features than rows.

    ``w* ~ N(0, I_d),  g_ij ~ N(0, I_d/d),  x_ij = g_ij + h u_i,  y_ij = x_ij·w* + noise · ε_ij``

    With d > N the rows can be interpolated whatever the noise ε_ij ~ N(0, 1); x_ij·w* has standard
    deviation close to 1.

    Parameters
    ----------
    n_clients, n_samples, n_features, seed, heterogeneity, weights
        As for :func:`make_separable`.
    noise : float >= 0, default 0.1
        Standard deviation of the noise.

    Returns
    -------
    Problem
        Regression, M clients. w* is ``default_rng(seed).standard_normal(n_features)``.

    Raises
    ------
    ValueError, TypeError
        As for :func:`make_separable`.

    References
    ----------
    Zhu, Vardhan, Mazumdar, arXiv:2412.07971 (overparameterised linear regression).

    Examples
    --------
    >>> import numpy as np, localgd as lg
    >>> problem = lg.datasets.make_regression(n_clients=2, n_samples=[3, 4], n_features=9, noise=0)
    >>> problem
    Problem(regression: 2 clients, 7 rows (3 to 4 per client), 9 features)
    >>> w = np.random.default_rng(0).standard_normal(9)
    >>> bool(np.allclose(problem.X @ w, problem.y))
    True
    """
    sizes = _sizes(n_clients, n_samples)
    d = check.integer("n_features", n_features, 1)
    noise = check.number("noise", noise, minimum=0)
    h = check.number("heterogeneity", heterogeneity, minimum=0)
    rng = random_generator(seed)
    w, X = _plane_and_rows(sizes, d, rng)
    epsilon = rng.standard_normal(len(X))  # drawn for noise=0 too, so that u_i do not depend on it
    X = _displaced(X, sizes, h, rng)
    return _problem(X, X @ w + noise * epsilon, sizes, weights, "regression")


def _sizes(n_clients: Any, n_samples: Any) -> np.ndarray:
    """The n_i, int64 of shape (M,)."""
    M = check.integer("n_clients", n_clients, 1)
    if isinstance(n_samples, numbers.Real):
        return np.full(M, check.integer("n_samples", n_samples, 1), dtype=np.int64)
    try:
        sizes = list(n_samples)
    except TypeError:
        raise TypeError(
            f"n_samples: got {n_samples!r}; want an integer or one integer per client"
        ) from None
    if len(sizes) != M:
        raise ValueError(f"n_samples: got {len(sizes)} sizes; want one for each of {M} clients")
    return np.array([check.integer(f"n_samples[{i}]", n, 1) for i, n in enumerate(sizes)])


def _plane_and_rows(
    sizes: np.ndarray, d: int, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    v, X = rng.standard_normal(d), empty_rows((int(sizes.sum()), d))
    rng.standard_normal(out=X)
    X /= np.sqrt(d)
    return v, X


def _displaced(X: np.ndarray, sizes: np.ndarray, h: float, rng: np.random.Generator) -> np.ndarray:
    if h == 0:
        return X
    u = rng.standard_normal((len(sizes), X.shape[1]))
    u /= np.linalg.norm(u, axis=1, keepdims=True)
    return X + h * np.repeat(u, sizes, axis=0)


def _sign(values: np.ndarray) -> np.ndarray:
    """-1 or +1, never the 0 of ``np.sign``."""
    return np.where(values < 0, -1.0, 1.0)


def _problem(X: np.ndarray, y: np.ndarray, sizes: np.ndarray, weights: Any, task: str) -> Problem:
    clients = np.repeat(np.arange(len(sizes)), sizes)
    return Problem.from_arrays(X, y, clients, weights=weights, task=task)
