"""Small integer problems solved exactly, in integers and fractions."""

from __future__ import annotations

from fractions import Fraction
from itertools import combinations

import numpy as np

__all__ = ["carriers", "dot", "integer_rows", "max_margin", "separable_part", "solve"]


def integer_rows(rng: np.random.Generator) -> np.ndarray:
    """A few rows of small integers, with zero, equal, opposite and combined rows among them."""
    d = int(rng.integers(1, 6))
    size = int(rng.choice([1, 2, 5, 12]))
    Z = rng.integers(-size, size + 1, (int(rng.integers(1, 6)), d))
    for kind in rng.integers(0, 9, int(rng.integers(0, 3))):
        row = Z[rng.integers(len(Z))]
        more = {
            0: np.zeros_like(row),
            1: row,
            2: -row,
            3: -int(rng.integers(1, 4)) * row,
            4: row + Z[rng.integers(len(Z))],
            5: int(rng.integers(2, 4)) * row,
        }.get(int(kind))
        if more is not None:
            Z = np.vstack([Z, more])
    if rng.random() < 0.3:  # on one side of a plane: separable, often with equality
        Z = Z * np.where(Z[:, :1] < 0, -1, 1)
    if rng.random() < 0.1:
        Z[:, rng.integers(d)] = 0
    return Z[rng.permutation(len(Z))]


def separable_part(Z: np.ndarray) -> list[int]:
    """The rows with z·u > 0 for some u with Z u ≥ 0: ``max Σ_j t_j, Z u ≥ t, 0 ≤ t ≤ 1``.

    By the simplex method with Bland's rule on integers over a common denominator (Edmonds), from
    u = t = 0.
    """
    Z = [[int(x) for x in row] for row in Z]
    N, d = len(Z), len(Z[0])
    width = 2 * d + N
    table = []
    for j, row in enumerate(Z):
        unit = [int(i == j) for i in range(N)]
        table.append([-x for x in row] + row + unit + unit + [0] * N + [0])
    for j in range(N):
        unit = [int(i == j) for i in range(N)]
        table.append([0] * (2 * d) + unit + [0] * N + unit + [1])
    table.append([0] * (2 * d) + [-1] * N + [0] * (2 * N + 1))
    base = list(range(width, width + 2 * N))
    denominator = 1
    while True:
        column = next((c for c, x in enumerate(table[-1][:-1]) if x < 0), None)
        if column is None:
            break
        ratios = [
            (Fraction(row[-1], row[column]), base[i], i)
            for i, row in enumerate(table[:-1])
            if row[column] > 0
        ]
        place = min(ratios)[2]
        pivot, chosen = table[place][column], table[place]
        table = [
            row
            if i == place
            else [
                (pivot * x - row[column] * y) // denominator
                for x, y in zip(row, chosen, strict=True)
            ]
            for i, row in enumerate(table)
        ]
        base[place], denominator = column, pivot
    values = dict(zip(base, [row[-1] for row in table[:-1]], strict=True))
    return [j for j in range(N) if values.get(2 * d + j, 0) > 0]


def solve(A: list[list[Fraction]], b: list[Fraction]) -> list[Fraction] | None:
    """x with A x = b for a square A; None if A is singular."""
    rows = [[*map(Fraction, row), Fraction(y)] for row, y in zip(A, b, strict=True)]
    n = len(rows)
    for k in range(n):
        place = next((i for i in range(k, n) if rows[i][k]), None)
        if place is None:
            return None
        rows[k], rows[place] = rows[place], rows[k]
        rows[k] = [x / rows[k][k] for x in rows[k]]
        for i in range(n):
            if i != k and rows[i][k]:
                rows[i] = [x - rows[i][k] * y for x, y in zip(rows[i], rows[k], strict=True)]
    return [row[-1] for row in rows]


def max_margin(Z: np.ndarray) -> tuple[list[Fraction], dict[int, Fraction]] | None:
    """ŵ and multipliers > 0 by row, the first independent set of support rows; None if none."""
    Z = [[Fraction(x) for x in row] for row in np.asarray(Z).tolist()]
    for size in range(1, min(len(Z), len(Z[0])) + 1):
        for rows in combinations(range(len(Z)), size):
            gram = [[dot(Z[i], Z[j]) for j in rows] for i in rows]
            alpha = solve(gram, [Fraction(1)] * size)
            if alpha is None or min(alpha) <= 0:
                continue
            w = [dot(alpha, column) for column in zip(*(Z[j] for j in rows), strict=True)]
            if all(dot(row, w) >= 1 for row in Z):
                return w, dict(zip(rows, alpha, strict=True))
    return None


def carriers(Z: np.ndarray) -> tuple[list[int], list[int]]:
    """Rows on the margin that have a multiplier > 0 in some choice, and those that have none.

    The latter are the rows with z·u > 0 for some u with z·u ≥ 0 on the margin and z·u = 0 on the
    rows of one choice.
    """
    Z = np.asarray(Z)
    w, alpha = max_margin(Z)
    tight = [j for j, row in enumerate(Z.tolist()) if dot(row, w) == 1]
    fixed = np.array([Z[j] for j in alpha])
    without = [tight[j] for j in separable_part(np.vstack([Z[tight], -fixed])) if j < len(tight)]
    return [j for j in tight if j not in without], without


def dot(a, b):
    """The sum of products, exactly for integers and fractions."""
    return sum(x * y for x, y in zip(a, b, strict=True))
