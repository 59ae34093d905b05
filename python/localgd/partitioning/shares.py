"""Shares, and whole numbers in such shares."""

from __future__ import annotations

import numpy as np

ROUNDING = 1e-9  # of expected sizes


def dirichlet_shares(alpha: float, size: int, rng: np.random.Generator) -> np.ndarray:
    """One draw from the symmetric Dirichlet(alpha), finite for every alpha > 0.

    Uses G(alpha) = G(alpha + 1) U^(1/alpha) in logarithms: a direct draw underflows to 0/0 for
    small alpha.
    """
    log_gamma = np.log(np.maximum(rng.standard_gamma(alpha + 1.0, size), 1e-300))
    log_uniform = np.log1p(-rng.random(size))
    scaled = alpha * (log_gamma - log_gamma.max()) + log_uniform
    with np.errstate(over="ignore", under="ignore"):
        shares = np.exp((scaled - scaled.max()) / alpha)
    return shares / shares.sum()


def whole_numbers(shares: np.ndarray, total: int, rng: np.random.Generator) -> np.ndarray:
    """Whole numbers that sum to ``total`` and have expectation ``shares * total``."""
    upto = np.cumsum(shares)
    upto /= upto[-1]
    cuts = np.minimum(np.floor(upto * total + rng.random()), total).astype(np.int64)
    return np.diff(cuts, prepend=0)


def proportional_sizes(shares: np.ndarray, total: int) -> np.ndarray:
    """Whole numbers of at least 1 that sum to ``total``, as near to the shares as it goes."""
    small = np.zeros(len(shares), dtype=bool)  # that get 1, which is more than their share
    while True:
        left = np.where(small, 0.0, shares)
        expected = np.where(small, 1.0, left * ((total - small.sum()) / left.sum()))
        below = expected < 1 - ROUNDING
        if not below.any():
            break
        small |= below
    sizes: np.ndarray = np.floor(expected + ROUNDING).astype(np.int64)
    nearest = np.argsort(sizes - expected, kind="stable")
    sizes[nearest[: total - sizes.sum()]] += 1
    return sizes
