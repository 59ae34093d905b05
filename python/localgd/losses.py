"""The losses as Python knows them: the core has their values and derivatives by the same names."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from . import _validation as check
from .problem import Problem

__all__ = ["LOSSES", "Loss", "check_loss", "default_loss", "margin_rows"]


@dataclass(frozen=True)
class Loss:
    """What is known of a loss.

    ``slopes`` gives the derivative of each row's loss by its score x·w, or by those of the classes,
    from the scores and the labels. ``curvature`` is the largest second derivative in the margins:
    where it has no bound, that at margin 0, where a run begins.
    """

    tasks: tuple[str, ...]
    curvature: float
    slopes: Callable[[np.ndarray, np.ndarray], np.ndarray]
    signed: bool = False  # a function of the margin y x·w alone
    bounded: bool = False  # |ℓ'| is, so that hardly any rate overflows
    exponential_tail: bool = False  # -ℓ'(m) e^m → 1


def _exponential_slopes(u: np.ndarray, y: np.ndarray) -> np.ndarray:
    return -y * np.exp(-y * u)


def _logistic_slopes(u: np.ndarray, y: np.ndarray) -> np.ndarray:
    m = y * u
    small = np.exp(-np.abs(m))  # ≤ 1: no overflow in either tail
    slopes: np.ndarray = -y * np.where(m > 0, small, 1.0) / (1.0 + small)
    return slopes


def _squared_slopes(u: np.ndarray, y: np.ndarray) -> np.ndarray:
    return u - y


def _softmax_slopes(u: np.ndarray, y: np.ndarray) -> np.ndarray:
    e: np.ndarray = np.exp(u - u.max(axis=1, keepdims=True))
    e /= e.sum(axis=1, keepdims=True)
    own = np.arange(len(y)), y.astype(np.intp)
    e[own] = 0
    e[own] = -e.sum(axis=1)  # 1 - p of a sure row, without cancellation
    return e


LOSSES = {
    "exponential": Loss(("binary",), 1.0, _exponential_slopes, signed=True, exponential_tail=True),
    "logistic": Loss(
        ("binary",), 0.25, _logistic_slopes, signed=True, bounded=True, exponential_tail=True
    ),
    "squared": Loss(("regression", "binary"), 1.0, _squared_slopes),
    "softmax": Loss(("multiclass",), 0.5, _softmax_slopes, bounded=True),
}


def check_loss(loss: Any, problem: Problem) -> str:
    """A loss by name that fits the task."""
    check.one_of("loss", loss, LOSSES)
    if problem.task not in LOSSES[loss].tasks:
        fitting = [name for name, known in LOSSES.items() if problem.task in known.tasks]
        raise ValueError(
            f"loss: {loss!r} does not fit a {problem.task} task; want {' or '.join(fitting)}"
        )
    return str(loss)


def default_loss(task: str) -> str:
    """The first loss that fits a task."""
    return next(name for name, loss in LOSSES.items() if task in loss.tasks)


def margin_rows(problem: Problem, loss: str) -> np.ndarray:
    """The rows whose products with w are the loss's margins: y x if it is signed, or x."""
    return problem.signed_rows if LOSSES[loss].signed else problem.X
