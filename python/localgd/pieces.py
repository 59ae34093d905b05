"""Large arrays, a piece at a time, so that what is made of them is never as large."""

from __future__ import annotations

from collections.abc import Iterator

__all__ = ["pieces"]

NUMBERS = 2**18  # of a piece: 2 MB of float64


def pieces(n: int, width: int) -> Iterator[slice]:
    """Slices of ``n`` rows of so many numbers, one after the other."""
    step = max(1, NUMBERS // max(width, 1))
    for first in range(0, n, step):
        yield slice(first, min(first + step, n))
