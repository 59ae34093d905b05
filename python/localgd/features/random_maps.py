"""Random maps whose inner products are those of a kernel in the limit of many features."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from .. import _validation as check
from ..randomness import random_generator
from ..rows import read_rows

__all__ = ["random_fourier", "random_relu"]


def random_relu(X: Any, n_features: int, *, seed: int = 0) -> np.ndarray:
    """Rectified projections of rows on random directions.

    ``φ(x) = √(2/D) max(Ωᵀx, 0)``, the entries of Ω (d, D) from N(0, 1)

    The hidden layer of a random network, of which a linear model then trains the last one. For many
    features ``φ(x)·φ(x')`` tends to the arc-cosine kernel
    ``‖x‖‖x'‖ (sin θ + (π - θ) cos θ)/π``, θ the angle between the rows, and ``‖φ(x)‖`` to ``‖x‖``.

    Parameters
    ----------
    X : array of shape (n, d)
        Rows of any kind that :class:`localgd.Problem` takes, sparse ones, too. A column of ones
        gives the units a bias.
    n_features : int ≥ 1
        D.
    seed : int ≥ 0, default 0
        Decides Ω, together with d and D: other rows with the same seed are mapped in the same way.

    Returns
    -------
    ndarray of shape (n, D)
        In the type of the rows, float64 or float32.

    Raises
    ------
    ValueError, TypeError
        For rows that a Problem does not take, and numbers out of range.

    References
    ----------
    Cho, Saul, Kernel Methods for Deep Learning, NeurIPS 2009.

    Examples
    --------
    >>> import localgd as lg
    >>> phi = lg.features.random_relu([[0.6, 0.8], [0.0, 1.0]], 20_000, seed=0)
    >>> phi.shape, (phi @ phi.T).round(1).tolist()
    ((2, 20000), [[1.0, 0.8], [0.8, 1.0]])
    """
    found, _ = _projected(X, n_features, seed, 1.0)
    np.maximum(found, 0, out=found)
    return _scaled(found)


def random_fourier(X: Any, n_features: int, *, gamma: float = 1.0, seed: int = 0) -> np.ndarray:
    """Cosines of random frequencies, whose inner products tend to those of a Gaussian kernel.

    ``φ(x) = √(2/D) cos(Ωᵀx + β)``, ``Ω ~ N(0, 2γ)``, β uniform on (0, 2π)

    For many features ``φ(x)·φ(x')`` tends to ``exp(-γ ‖x - x'‖²)``.

    Parameters
    ----------
    X : array of shape (n, d)
        Rows of any kind that :class:`localgd.Problem` takes, sparse ones, too.
    n_features : int ≥ 1
        D.
    gamma : float > 0, default 1.0
        γ, as scikit-learn's ``rbf`` kernels have it.
    seed : int ≥ 0, default 0
        Decides Ω and β, together with d and D: other rows with the same seed are mapped in the same
        way.

    Returns
    -------
    ndarray of shape (n, D)
        In the type of the rows, float64 or float32.

    Raises
    ------
    ValueError, TypeError
        For rows that a Problem does not take, and numbers out of range.

    References
    ----------
    Rahimi, Recht, Random Features for Large-Scale Kernel Machines, NeurIPS 2007.

    Examples
    --------
    >>> import localgd as lg
    >>> phi = lg.features.random_fourier([[0.0, 0.0], [0.0, 1.0]], 20_000, gamma=0.5, seed=0)
    >>> phi.shape, (phi @ phi.T).round(1).tolist()
    ((2, 20000), [[1.0, 0.6], [0.6, 1.0]])
    """
    check.number("gamma", gamma, above=0)
    found, rng = _projected(X, n_features, seed, math.sqrt(2 * gamma))
    found += rng.uniform(0, 2 * math.pi, found.shape[1:]).astype(found.dtype)
    np.cos(found, out=found)
    return _scaled(found)


def _projected(
    X: Any, n_features: int, seed: int, spread: float
) -> tuple[np.ndarray, np.random.Generator]:
    """Ωᵀx of the rows with Ω ~ N(0, spread²), and what further draws come from."""
    rows, D = read_rows("X", X).X, check.integer("n_features", n_features, 1)
    rng = random_generator(check.integer("seed", seed, 0))
    directions: np.ndarray = spread * rng.standard_normal((rows.shape[1], D))
    return rows @ directions.astype(rows.dtype), rng


def _scaled(found: np.ndarray) -> np.ndarray:
    found *= found.dtype.type(math.sqrt(2 / found.shape[1]))
    return found
