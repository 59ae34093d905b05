"""What is measured on held-out rows at the records of a run."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from . import scoring
from .losses import LOSSES, BaseLoss, LossLike

__all__ = ["HeldOut", "Scores"]

Scores = Callable[[Any, np.ndarray], np.ndarray]  # of rows and weights

OF_LABELS: dict[str, Callable[[np.ndarray, np.ndarray], float]] = {
    "test_accuracy": scoring.accuracy,
    "test_balanced_accuracy": scoring.balanced_accuracy,
    "test_f1": scoring.f1,
}
OF_TWO: dict[str, Callable[[np.ndarray, np.ndarray], float]] = {"test_auc": scoring.auc}


class HeldOut:
    """Rows (n, d) and their labels, with the measures of a task by column.

    All of them take one product with the weights: they are asked for the same ones in turn.
    """

    def __init__(
        self,
        X: np.ndarray,
        y: np.ndarray,
        task: str,
        loss: LossLike,
        scores: Scores | None = None,
    ):
        # in one order, for the same numbers to have the same bits
        self._X = np.ascontiguousarray(X) if isinstance(X, np.ndarray) else X
        self._y, self._loss = y, LOSSES[loss]
        self._scores_of = scores or (lambda X, w: X @ w)
        self._weights: np.ndarray | None = None
        of_scores = {"binary": {**OF_LABELS, **OF_TWO}, "multiclass": OF_LABELS}.get(task, {})
        self.measures: dict[str, Callable[[np.ndarray, int], float]] = {
            "test_loss": lambda w, _: self._mean_loss(w),
            **{name: self._measure(function) for name, function in of_scores.items()},
        }

    def _measure(
        self, function: Callable[[np.ndarray, np.ndarray], float]
    ) -> Callable[[np.ndarray, int], float]:
        return lambda w, _: function(self._y, self._scores(w))

    def _mean_loss(self, w: np.ndarray) -> float:
        # As the core has it: some losses take scipy in Python.
        return float(np.mean(BaseLoss.values(self._loss, self._scores(w), self._y)))

    def _scores(self, w: np.ndarray) -> np.ndarray:
        if self._weights is None or not np.array_equal(w, self._weights):
            self._weights, self._of_weights = w.copy(), self._scores_of(self._X, w)
        return self._of_weights
