"""What a model says of other rows: scores, labels and probabilities."""

from __future__ import annotations

from typing import Any

import numpy as np

from .errors import UnsupportedError
from .rows import Rows, fitting_rows, read_rows, with_ones

__all__ = ["labels_of", "probabilities_of", "rows_of", "scores_of"]


def scores_of(weights: np.ndarray | None, problem: dict[str, Any], X: Any) -> np.ndarray:
    """``X w``, with a column of ones beside X if the problem of the model has one.

    ``problem``: as in the config of a run.
    """
    if weights is None:
        raise UnsupportedError(
            "the model of a kernel problem has no weights; want k(x, x_j) times its coefficients"
        )
    X, wanted = _without_ones(problem, X), problem["n_features"] - _has_ones(problem)
    scores: np.ndarray = X @ weights[:wanted]
    return scores + weights[wanted] if _has_ones(problem) else scores


def rows_of(problem: dict[str, Any], X: Any) -> Rows:
    """Rows of any kind as those of the problem, with its column of ones."""
    X = _without_ones(problem, X)
    return with_ones(X) if _has_ones(problem) else X


def _without_ones(problem: dict[str, Any], X: Any) -> Rows:
    wanted = problem["n_features"] - _has_ones(problem)
    if "encoder" in problem:
        from .frames import encoded  # at first use, as many runs are of no table

        X = encoded("X", problem, X)
    rows = read_rows("X", X)
    return fitting_rows("X", rows, wanted, problem.get("feature_names"))


def _has_ones(problem: dict[str, Any]) -> bool:
    return bool(problem.get("intercept", "none") != "none")


def labels_of(scores: np.ndarray, problem: dict[str, Any]) -> np.ndarray:
    """The label for the sign of a score, +1 for a tie; of the largest score; the score itself."""
    if problem["task"] == "regression":
        return scores
    several = problem["task"] == "multiclass"
    places = np.argmax(scores, axis=1) if several else (scores >= 0).astype(np.int64)
    labels = problem.get("labels") or (range(scores.shape[1]) if several else (-1, 1))
    return np.array(labels)[places]


def probabilities_of(scores: np.ndarray, loss: str) -> np.ndarray:
    """Of each label, in their order, by the loss whose minimiser estimates them."""
    from scipy.special import expit, softmax  # which takes its time to be loaded

    if loss == "logistic":
        return np.column_stack([expit(-scores), expit(scores)])
    if loss == "softmax":
        probabilities: np.ndarray = softmax(scores, axis=1)
        return probabilities
    raise UnsupportedError(
        f"loss: probabilities are those of the logistic and the softmax loss; the run has {loss!r}"
    )
