"""What a model says of other rows: scores, labels and probabilities."""

from __future__ import annotations

from typing import Any

import numpy as np

from .errors import UnsupportedError
from .rows import as_rows

__all__ = ["labels_of", "probabilities_of", "scores_of"]


def scores_of(weights: np.ndarray | None, problem: dict[str, Any], X: Any) -> np.ndarray:
    """``X w``, with a column of ones beside X if the problem of the model has one.

    ``problem``: as in the config of a run.
    """
    if weights is None:
        raise UnsupportedError(
            "the model of a kernel problem has no weights; want k(x, x_j) times its coefficients"
        )
    X = as_rows("X", X)
    ones = problem.get("intercept", "none") != "none"
    wanted = len(weights) - ones
    if X.shape[1] != wanted:
        raise ValueError(f"X: got rows of {X.shape[1]} features; want {wanted}, as the model has")
    scores: np.ndarray = X @ weights[:wanted]
    return scores + weights[wanted] if ones else scores


def labels_of(scores: np.ndarray, task: str) -> np.ndarray:
    """The sign of a score, a tie being +1; the class of the largest; the score itself."""
    if task == "regression":
        return scores
    labels = np.argmax(scores, axis=1) if task == "multiclass" else np.where(scores < 0, -1, 1)
    return labels.astype(np.float64)


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
