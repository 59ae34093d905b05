"""Checks of single arguments of ``run`` and ``fast_forward``."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from . import _validation as check
from .errors import UnsupportedError
from .problem import Problem

__all__ = [
    "DTYPES",
    "MAX_ROUNDS",
    "check_callback",
    "check_dtype",
    "check_init",
    "check_reference",
    "check_rounds",
]

DTYPES = {"float64": 8, "float32": 4}  # with their bytes
MAX_ROUNDS = 2**53  # that can be counted: rounds are exact in float64 columns up to here
FARTHEST = int(1e300)  # in float64 e^{-margin} is about 1/rounds


def check_rounds(rounds: Any, far: bool) -> Any:
    """R, an int; a float if it is beyond counting, which only a fast-forward can be (``far``)."""
    whole = check.integer("rounds", rounds, 0)
    if whole <= MAX_ROUNDS:
        return whole
    if not far:
        raise ValueError(
            f"rounds: got {float(whole) if whole < 10**300 else 'a number above 1e300'}; want at "
            "most 2**53 step by step; see localgd.fast_forward for more"
        )
    if whole > FARTHEST:
        raise ValueError(
            f"rounds: got {rounds!r}; want at most 1e300: beyond it exp(-margin) is no double any "
            "more"
        )
    return float(whole)


def check_callback(callback: Any) -> tuple[Callable[[dict[str, Any]], Any], ...]:
    """Functions of a record, none or some."""
    if callback is None:
        return ()
    functions = tuple(callback) if isinstance(callback, list | tuple) else (callback,)
    for function in functions:
        if not callable(function) or isinstance(function, type):
            raise TypeError(
                f"callback: got {function!r}; want a function of a record, or a list of such"
            )
    return functions


def check_dtype(dtype: Any) -> str:
    """The name of a number type of the core."""
    if isinstance(dtype, str) and dtype in DTYPES:  # numpy takes its time to name a type
        return dtype
    try:
        name = np.dtype(dtype).name
    except TypeError:
        raise TypeError(f"dtype: got {dtype!r}; want 'float64' or 'float32'") from None
    return check.one_of("dtype", name, DTYPES)


def check_init(init: Any, problem: Problem) -> np.ndarray:
    """w_0 as (d, C), zeros if not given."""
    if init is None:
        return np.zeros((problem.n_features, problem.n_outputs))
    if problem.kernel:
        raise UnsupportedError("init: a kernel problem has no weights; its runs begin at 0")
    return _model("init", init, problem)


def check_reference(reference: Any, problem: Problem) -> np.ndarray:
    """The direction of a reference as (d, C), empty if there is none."""
    if reference is None:
        return np.zeros((0, 0))
    if isinstance(reference, str | bool) or callable(reference):
        raise TypeError(
            f"reference: got {reference!r}; want weights, or what reference.max_margin(problem) or "
            "reference.minimizer(problem, …) gives"
        )
    direction = getattr(reference, "direction", None)
    if direction is None:
        direction = getattr(reference, "weights", reference)
    direction = _model("reference", direction, problem)
    if not direction.any():
        raise ValueError("reference: all numbers are 0; want a direction")
    return direction


def _model(name: str, value: Any, problem: Problem) -> np.ndarray:
    shape = problem.weights_shape
    model = check.real_array(name, value, len(shape), advice="")
    if model.shape != shape:
        if len(shape) == 1:
            raise ValueError(
                f"{name}: got {len(model)} numbers; want {problem.n_features}, one per feature"
            )
        raise ValueError(
            f"{name}: got shape {model.shape}; want {shape}, one column per class or target"
        )
    return model.reshape(problem.n_features, problem.n_outputs)
