"""Checks of the arguments that ``run`` and ``fast_forward`` share."""

from __future__ import annotations

from typing import Any

import numpy as np

from . import _validation as check
from .errors import UnsupportedError
from .problem import Problem

__all__ = ["check_init", "check_reference"]


def check_init(init: Any, problem: Problem) -> np.ndarray:
    """w_0 as (d, C), zeros if not given."""
    if init is None:
        return np.zeros((problem.n_features, problem.n_classes))
    if problem.kernel:
        raise UnsupportedError("init: a kernel problem has no weights; its runs begin at 0")
    return _model("init", init, problem)


def check_reference(reference: Any, problem: Problem) -> np.ndarray:
    """The direction of a reference as (d, C), empty if there is none."""
    if reference is None:
        return np.zeros((0, 0))
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
        raise ValueError(f"{name}: got shape {model.shape}; want {shape}, one column per class")
    return model.reshape(problem.n_features, problem.n_classes)
