"""Losses of the package, given as one's own: NumPy functions, and native ones by ctypes."""

from __future__ import annotations

import ctypes
from functools import cache

import numpy as np
from scipy import special

import localgd as lg

# Value, slope and curvature by margins, or by scores and targets.
FORMULAS = {
    "exponential": (lambda m: np.exp(-m), lambda m: -np.exp(-m), lambda m: np.exp(-m)),
    "logistic": (
        lambda m: np.logaddexp(0.0, -m),
        lambda m: -special.expit(-m),
        lambda m: special.expit(m) * special.expit(-m),
    ),
    "squared_hinge": (
        lambda m: np.maximum(0.0, 1 - m) ** 2 / 2,
        lambda m: -np.maximum(0.0, 1 - m),
        lambda m: np.where(m < 1, 1.0, 0.0),
    ),
    "squared": (lambda u, y: (u - y) ** 2 / 2, lambda u, y: u - y, lambda u, y: np.ones_like(u)),
    "poisson": (
        lambda u, y: np.exp(u) - y * u,
        lambda u, y: np.exp(u) - y,
        lambda u, y: np.exp(u),
    ),
}
FACTS = {
    "exponential": {"tail": (1, 1), "concordance": 1, "largest_curvature": 1},
    "logistic": {"tail": (1, 1), "concordance": 1, "largest_curvature": 0.25},
    "squared_hinge": {"largest_curvature": 1},
    "squared": {"concordance": 0, "largest_curvature": 1},
    "poisson": {"concordance": 1, "least_target": 0},
}
SOLVED = ("exponential", "logistic", "squared_hinge", "squared")

POINTER, SIZE = ctypes.POINTER(ctypes.c_double), ctypes.c_ssize_t


@cache
def own(name: str) -> lg.Loss:
    """A loss of the package by NumPy functions."""
    solved = name in SOLVED
    return lg.Loss(*FORMULAS[name], name=f"own {name}", has_exact_solve=solved, **FACTS[name])


@cache
def native(name: str, rows: bool = True) -> lg.Loss:
    """The same by native functions, of many rows or of one."""
    pointer = of_rows if rows else of_one_row
    functions = [pointer(function, targets(name)) for function in FORMULAS[name]]
    return lg.Loss(*functions, name=f"native {name}", **FACTS[name])


def targets(name: str) -> bool:
    return FORMULAS[name][0].__code__.co_argcount == 2


def of_rows(function, with_targets: bool):
    """A pointer to native code that calls a NumPy function."""

    def call(*arguments):
        *given, out, n = arguments
        arrays = [np.ctypeslib.as_array(array, (n,)) for array in given]
        np.ctypeslib.as_array(out, (n,))[:] = function(*arrays)

    return ctypes.CFUNCTYPE(None, *[POINTER] * (2 + with_targets), SIZE)(call)


def of_one_row(function, with_targets: bool):
    number = ctypes.c_double
    call = ctypes.CFUNCTYPE(number, *[number] * (1 + with_targets))
    return call(lambda *row: float(function(*map(np.float64, row))))
