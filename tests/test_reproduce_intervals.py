"""Medians over draws with their intervals, bounds, and where a ratio crosses 1."""

from __future__ import annotations

import numpy as np
import pytest

from localgd.reproducing import crossing
from localgd.reproducing.intervals import (
    Estimate,
    geometric,
    least,
    magnitude,
    median,
    units_first,
    worst,
)


def test_median_and_its_interval():
    values = np.arange(1.0, 11.0)
    # P(Bin(10, 1/2) < 2) = 11/1024 <= 0.025 < P(Bin(10, 1/2) < 3)
    assert median(values[::-1]) == (5.5, 2.0, 9.0)
    assert median([3.0, 1.0, 2.0]) == (2.0, 1.0, 3.0)  # too few: the range
    assert np.isnan(median([1.0, np.nan, 2.0])).all()
    covered = [
        median(draw).low <= 0 <= median(draw).high
        for draw in np.random.default_rng(0).standard_normal((2000, 10))
    ]
    assert 0.965 < np.mean(covered) < 0.99  # 1 - 22/1024


def test_intervals_of_signs_and_of_the_worst():
    assert magnitude(Estimate(-2.0, -3.0, -1.0)) == (2.0, 1.0, 3.0)
    assert magnitude(Estimate(-1.0, -3.0, 2.0)) == (1.0, 0.0, 3.0)
    pair = [Estimate(1.0, 0.0, 5.0), Estimate(2.0, 1.5, 2.5)]
    assert worst(pair) == (2.0, 1.5, 5.0)
    assert least(pair) == (1.0, 0.0, 2.5)
    assert geometric([1.0, 100.0]).value == pytest.approx(10.0)


def test_what_rounding_leaves_of_zero_is_zero():
    assert f"{Estimate(-3.6e-15, -0.2, 0.2):.3g}" == "0 ± 0.2"
    assert f"{Estimate(-3.6e-15, -0.2, 0.2):+.2f}" == "+0.00 ± 0.20"


def test_units_stand_after_the_number():
    assert units_first("2.1 (1.8 to 2.6)° and 3 (2 to 4) %") == "2.1° (1.8 to 2.6) and 3 % (2 to 4)"
    assert units_first("2.1 ± 0.3°, 2 (1 to 3) times") == "2.1 ± 0.3°, 2 (1 to 3) times"


def test_a_crossover_is_where_the_ratio_is_one():
    def crossover(ratio, low=None, high=None):
        low, high = (ratio if end is None else end for end in (low, high))
        table = {"x": [0.0, 0.01, 0.1, 1.0], "ratio": ratio, "low": low, "high": high}
        return crossing.crossover({name: np.array(column) for name, column in table.items()}, "x")

    value, low, high = crossover([9.0, 4.0, 2.0, 0.5])
    assert value == low == high == pytest.approx(10**-0.5)
    assert crossover([9.0, 4.0, 3.0, 2.0]) == (1.0, 1.0, np.inf)
    assert crossover([0.9, 0.8, 0.7, 0.6]) == (0.01, -np.inf, 0.01)
    assert crossover([2.0, 0.8, 0.7, 0.6]) == (0.01, -np.inf, 0.01)
    assert f"{crossover([2.0, 0.5, 2.0, 0.5]):g}" == "unknown"  # it changes twice
    spread = crossover([9.0, 4.0, 2.0, 0.5], low=[2.0, 2.0, 0.5, 0.1], high=[20.0, 9.0, 4.0, 2.0])
    assert spread.low == pytest.approx(10**-1.5)
    assert spread.high == np.inf
    unsure = crossover([0.9, 0.8, 0.7, 0.6], high=[9.0, 4.0, 2.0, 0.5])
    assert unsure.value == unsure.high == pytest.approx(10**-0.5)
    assert unsure.low == -np.inf
    assert f"{crossover([0.9, 0.8, 0.7, 0.6], high=[9.0, 4.0, 2.0, 2.0]):g}" == "unknown"
    unknown = crossover(
        [9.0, 4.0, 2.0, 1.0], low=[9.0, 4.0, 2.0, -np.inf], high=[9.0, 4.0, 2.0, np.inf]
    )
    assert unknown == (0.1, 0.1, np.inf)
