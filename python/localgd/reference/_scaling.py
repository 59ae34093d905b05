"""Rows and features of any scale, brought near 1 by powers of two: without rounding."""

from __future__ import annotations

import numpy as np

from ..rows import Rows
from ._rows import absolute, exponents_of, largest, largest_exponents, lengths, present, scaled

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


def common_scale(Z: Rows) -> tuple[Rows, int]:
    """Rows of which the smallest (not 0) has its largest entry in [½, 1), and the exponent.

    Models of them have moderate size, and the same bits except for the exponent.
    """
    sizes = largest(Z)
    least, spread = _range(sizes)
    if spread > SPREAD:
        raise ValueError(
            f"problem: rows of size {sizes[sizes > 0].min():.1e} and {sizes.max():.1e}, too "
            "far apart for double precision; rescale the rows to similar size"
        )
    return scaled(Z, -least), least


def too_far_apart(Z: Rows) -> bool:
    """Whether :func:`common_scale` refuses the rows."""
    return _range(largest(Z))[1] > SPREAD


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


def scaled_rows(Z: Rows) -> tuple[Rows, np.ndarray]:
    """Rows divided by powers of two to norms in [½, 1), and the exponents."""
    exponents = np.frexp(largest(Z))[1]
    A = scaled(Z, -exponents)
    more = np.frexp(lengths(A))[1]
    return scaled(A, -more), exponents + more


def equilibrated(Z: Rows) -> tuple[Rows, np.ndarray, np.ndarray]:
    """Rows and columns divided by powers of two that bring the entries near 1 in geometric mean.

    Neither changes which rows can be separated nor the rank, and rows or features that differ in
    scale by 1e6 or 1e150 do no harm after it. Also the exponents of rows and columns.
    """
    ones, sizes = present(Z), exponents_of(Z)
    in_row, in_column = (np.maximum(ones.sum(axis=axis), 1) for axis in (1, 0))
    of_row, of_column = sizes.sum(axis=1), sizes.sum(axis=0)
    columns = np.zeros(Z.shape[1])
    for _ in range(SWEEPS):  # two where no entry is 0
        before = columns
        rows = (of_row - ones @ columns) / in_row
        columns = (of_column - rows @ ones) / in_column
        if np.abs(columns - before).max() < 0.5:
            break
    columns = np.rint(columns).astype(int)
    # The largest entry of each row first, for entries may be out of range in between.
    top = largest_exponents(Z, columns)
    A, more = scaled_rows(scaled(Z, -top, -columns))
    return A, top + more, columns


def row_norms(Z: Rows) -> np.ndarray:
    """The norm of each row, where squares would over- or underflow."""
    A, exponents = scaled_rows(Z)
    return np.ldexp(lengths(A), exponents)


def heights(Z: Rows, u: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """z·u of each row over its norm (to a factor 2), rounding of that, and the norms' exponents."""
    A, exponents = scaled_rows(Z)
    return A @ u, len(u) * np.finfo(float).eps * (absolute(A) @ np.abs(u)), exponents


def splits(Z: Rows, u: np.ndarray, subset: np.ndarray, rest: np.ndarray) -> bool:
    """Whether z·u > 0 on the subset for certain, beside which it is 0 on the rest."""
    shares, doubt, _ = heights(Z, u)
    least = (shares - doubt)[subset].min()
    return bool(least > 0 and (np.abs(shares) + doubt)[rest].max(initial=0.0) <= FLAT * least)
