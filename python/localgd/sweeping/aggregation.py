"""Runs that differ in the seed alone, taken together: their curves, and how far they spread."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from .. import _validation as check
from .entry import Entry

__all__ = [
    "Band",
    "Group",
    "aggregated",
    "check_spread",
    "grouped",
    "names_given",
]

CENTERS: dict[str, Any] = {"mean": np.nanmean, "median": np.nanmedian}
SPREADS = ("std", "quantiles", "bootstrap")
MOST_POINTS = 400  # of a band of runs that were recorded at different places
RESAMPLES = 1000


@dataclass(frozen=True)
class Group:
    """Runs with the same ``values`` of the parameters that tell groups apart."""

    values: dict[str, Any]
    entries: list[Entry]


@dataclass(frozen=True, eq=False)
class Band:
    """The middle of some curves, and their spread.

    Attributes
    ----------
    x, middle, low, high : ndarray of shape (K,), float64
        ``low`` and ``high`` are the middle, where there is one curve only or no spread is wanted.
    runs : int
    """

    x: np.ndarray
    middle: np.ndarray
    low: np.ndarray
    high: np.ndarray
    runs: int


def names_given(argument: str, given: Any, known: Collection[str]) -> tuple[str, ...]:
    """Names of which an argument has one or several, each a known one."""
    names = (given,) if isinstance(given, str) else given
    if not isinstance(names, Sequence) or not all(isinstance(name, str) for name in names):
        raise TypeError(f"{argument}: got {given!r}; want a name, or a list of names")
    for name in names:
        if name not in known:
            near = check.did_you_mean(name, known)
            raise ValueError(f"{argument}: got {name!r}; want one of {', '.join(known)}{near}")
    return tuple(dict.fromkeys(names))


def grouped(entries: Sequence[Entry], by: Any, over: Any, **beside: Any) -> list[Group]:
    """The runs by the parameters ``by`` and those of ``beside``, which say what else tells apart.

    ``by`` None: by all that vary but ``over`` and ``beside``. Without a parameter named "seed" each
    run may be a group of its own. A group that varies in a parameter besides is refused.
    """
    known = list(dict.fromkeys(name for entry in entries for name in entry.values))
    varying = [name for name in known if len({repr(e.values.get(name)) for e in entries}) > 1]
    over = (
        () if over in ("seed", None) and "seed" not in known else names_given("over", over, known)
    )
    others = [
        name
        for argument, given in beside.items()
        if given is not None
        for name in names_given(argument, given, known)
    ]
    if by is None:
        by = [name for name in varying if name not in (*over, *others)] or known[:1]
    names = tuple(dict.fromkeys([*others, *names_given("by", by, known)]))
    mixed = [name for name in varying if name not in (*names, *over)]
    if mixed:
        raise ValueError(
            f"by: runs of the same {' and '.join(names)} differ in {', '.join(mixed)}, too; want "
            f"by={[*names_given('by', by, known), *mixed]!r}, or over= with what is averaged over"
        )
    groups: dict[str, Group] = {}
    for entry in entries:
        values = {name: entry.values.get(name) for name in names}
        groups.setdefault(repr(values), Group(values, [])).entries.append(entry)
    return list(groups.values())


def aggregated(
    curves: Sequence[tuple[np.ndarray, np.ndarray]],
    *,
    center: str = "mean",
    spread: str | None = "std",
    level: float = 0.9,
    log_x: bool = False,
    log_y: bool = False,
    least: float = 1.0,
) -> Band | None:
    """Curves (x, y) as one; None if there is no point that ``least`` of them, a share, have.

    On a log axis their logarithms are averaged: the mean is the geometric one, and what lies below
    it is positive. Curves recorded at different places are interpolated on those axes. Points that
    such axes do not have are left out.
    """
    cleaned = [_cleaned(x, y, log_x, log_y) for x, y in curves]
    x, values = _on_one_grid([(x, y) for x, y in cleaned if len(x)])
    common = np.isfinite(values).sum(axis=0) >= max(least * len(curves), 1)
    x, values = x[common], values[:, common]
    if not len(x):
        return None
    middle = CENTERS[center](values, axis=0)
    low, high = _spread(values, middle, center, spread, level)
    if log_y:
        middle, low, high = np.exp(middle), np.exp(low), np.exp(high)
    return Band(np.exp(x) if log_x else x, middle, low, high, len(curves))


def _cleaned(
    x: np.ndarray, y: np.ndarray, log_x: bool, log_y: bool
) -> tuple[np.ndarray, np.ndarray]:
    x, y = np.asarray(x, dtype=np.float64), np.asarray(y, dtype=np.float64)
    shown = np.isfinite(x) & np.isfinite(y) & ((x > 0) | (not log_x)) & ((y > 0) | (not log_y))
    x, y = x[shown], y[shown]
    last = np.append(x[1:] != x[:-1], True)[: len(x)]  # where nothing was sent, x stands still
    x, y = x[last], y[last]
    return np.log(x) if log_x else x, np.log(y) if log_y else y


def _on_one_grid(curves: list[tuple[np.ndarray, np.ndarray]]) -> tuple[np.ndarray, np.ndarray]:
    """All places, and the values of the curves there, a row for each; NaN beyond its ends."""
    if not curves:
        return np.zeros(0), np.zeros((0, 0))
    grid = np.unique(np.concatenate([x for x, _ in curves]))
    if len(grid) > MOST_POINTS and any(len(x) < len(grid) for x, _ in curves):
        ends = [place for x, _ in curves for place in (x[0], x[-1])]  # where one begins or ends
        grid = np.unique([*np.linspace(grid[0], grid[-1], MOST_POINTS), *ends])
    outside = {"left": np.nan, "right": np.nan}
    return grid, np.stack([np.interp(grid, x, y, **outside) for x, y in curves])


def _spread(
    values: np.ndarray, middle: np.ndarray, center: str, spread: str | None, level: float
) -> tuple[np.ndarray, np.ndarray]:
    if spread is None or len(values) == 1:
        return middle, middle
    if spread == "std":
        std = np.nanstd(values, axis=0, ddof=1)
        return middle - std, middle + std
    ends = [(1 - level) / 2, (1 + level) / 2]
    if spread == "bootstrap":
        draws = np.random.default_rng(0).integers(len(values), size=(RESAMPLES, len(values)))
        values = np.stack([CENTERS[center](values[draw], axis=0) for draw in draws])
    low, high = np.nanquantile(values, ends, axis=0)
    return low, high


def check_spread(spread: Any, center: Any, level: Any) -> tuple[str | None, str, float]:
    """Band, center and level as they are wanted; quantiles lie around a median."""
    if spread is not None:
        check.one_of("band", spread, SPREADS)
    if center is None:
        center = "median" if spread == "quantiles" else "mean"
    check.one_of("center", center, CENTERS)
    if spread == "std" and center == "median":
        raise ValueError("center: got 'median' with band='std'; want band='quantiles'")
    return spread, center, check.number("level", level, above=0, below=1)
