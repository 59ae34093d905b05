"""Rows and features of any scale, brought near 1 by powers of two: without rounding."""

from __future__ import annotations

import numpy as np

__all__ = [
    "SPREAD",
    "common_scale",
    "equilibrated",
    "heights",
    "rescaled",
    "row_norms",
    "scaled_rows",
    "splits",
    "too_far_apart",
]

SPREAD = 900  # bits between the largest and the smallest row: products of two stay in range
SWEEPS = 1000
FLAT = 1e-2  # heights above a hyperplane that count as 0 beside others
LEAST = -1021  # the exponent of the smallest double with all its digits
NOTHING = -(1 << 20)  # the exponent of an entry that is 0


def common_scale(Z: np.ndarray) -> tuple[np.ndarray, int]:
    """Rows of which the smallest (not 0) has its largest entry in [½, 1), and the exponent.

    Models of them have moderate size, and the same bits except for the exponent.
    """
    largest = np.abs(Z).max(axis=1, initial=0.0)
    least, spread = _range(largest)
    if spread > SPREAD:
        raise ValueError(
            f"problem: rows of size {largest[largest > 0].min():.1e} and {largest.max():.1e}, too "
            "far apart for double precision; rescale the rows to similar size"
        )
    return np.ldexp(Z, -least), least


def too_far_apart(Z: np.ndarray) -> bool:
    """Whether :func:`common_scale` refuses the rows."""
    return _range(np.abs(Z).max(axis=1, initial=0.0))[1] > SPREAD


def _range(sizes: np.ndarray) -> tuple[int, int]:
    """The least exponent of the sizes that are not 0, and how far the others are above it."""
    exponents = np.frexp(sizes[sizes > 0])[1]
    return (int(exponents.min()), int(np.ptp(exponents))) if len(exponents) else (0, 0)


def rescaled(name: str, array: np.ndarray, exponent: int, *, every: bool = False) -> np.ndarray:
    """Numbers times a power of two; refused where they leave the range of doubles.

    The small ones beside the largest may underflow, unless ``every`` one matters by itself.
    """
    with np.errstate(over="ignore", under="ignore"):
        scaled: np.ndarray = np.ldexp(array, exponent)
    sizes = np.abs(array)
    sizes = sizes[sizes > 0]
    if len(sizes):
        bits = np.frexp(sizes.min() if every else sizes.max())[1] + exponent
        if not np.isfinite(scaled).all() or bits <= (LEAST if every else LEAST + 54):
            size = np.log10(sizes.min() if exponent < 0 and every else sizes.max())
            raise ValueError(
                f"problem: with rows of this size {name} would be near "
                f"1e{size + exponent * np.log10(2):.0f}, out of the range of double precision; "
                "rescale the rows to size 1"
            )
    return scaled


def scaled_rows(Z: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Rows divided by powers of two to norms in [½, 1), and the exponents."""
    exponents = np.frexp(np.abs(Z).max(axis=1))[1]
    A = np.ldexp(Z, -exponents[:, None])
    more = np.frexp(np.linalg.norm(A, axis=1))[1]
    return np.ldexp(A, -more[:, None]), exponents + more


def equilibrated(Z: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Rows and columns divided by powers of two that bring the entries near 1 in geometric mean.

    Neither changes which rows can be separated nor the rank, and rows or features that differ in
    scale by 1e6 or 1e150 do no harm after it. Also the exponents of rows and columns.
    """
    filled = Z != 0
    sizes = np.where(filled, np.frexp(Z)[1], 0)
    present = filled.astype(float)
    in_row, in_column = np.maximum(filled.sum(axis=1), 1), np.maximum(filled.sum(axis=0), 1)
    columns = np.zeros(Z.shape[1])
    for _ in range(SWEEPS):  # two where no entry is 0
        before = columns
        rows = (sizes.sum(axis=1) - present @ columns) / in_row
        columns = (sizes.sum(axis=0) - rows @ present) / in_column
        if np.abs(columns - before).max() < 0.5:
            break
    columns = np.rint(columns).astype(int)
    # The largest entry of each row first, for entries may be out of range in between.
    largest = np.where(filled, sizes - columns, NOTHING).max(axis=1, initial=NOTHING)
    largest = np.where(filled.any(axis=1), largest, 0)
    A, more = scaled_rows(np.ldexp(Z, -(largest[:, None] + columns)))
    return A, largest + more, columns


def row_norms(Z: np.ndarray) -> np.ndarray:
    """The norm of each row, where squares would over- or underflow."""
    A, exponents = scaled_rows(Z)
    lengths: np.ndarray = np.ldexp(np.linalg.norm(A, axis=1), exponents)
    return lengths


def heights(Z: np.ndarray, u: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """z·u of each row over its norm (to a factor 2), rounding of that, and the norms' exponents."""
    A, exponents = scaled_rows(Z)
    return A @ u, len(u) * np.finfo(float).eps * (np.abs(A) @ np.abs(u)), exponents


def splits(Z: np.ndarray, u: np.ndarray, subset: np.ndarray, rest: np.ndarray) -> bool:
    """Whether z·u > 0 on the subset for certain, beside which it is 0 on the rest."""
    shares, doubt, _ = heights(Z, u)
    least = (shares - doubt)[subset].min()
    return bool(least > 0 and (np.abs(shares) + doubt)[rest].max(initial=0.0) <= FLAT * least)
