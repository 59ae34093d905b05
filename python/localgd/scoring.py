"""How well scores sort rows into their classes: what histories and ``analysis`` have of it.

Binary: y is -1 or +1, and a score of at least 0 says +1, as ``predict`` has it, so that w = 0 says
+1 of all rows. Several classes: y is 0 … C-1, and the largest of the C scores says which.
"""

from __future__ import annotations

import numpy as np

__all__ = [
    "accuracy",
    "auc",
    "aucs",
    "balanced_accuracy",
    "class_accuracies",
    "class_f1",
    "f1",
    "right",
    "told",
]


def right(y: np.ndarray, scores: np.ndarray) -> np.ndarray:
    """Of which rows the class is told."""
    found: np.ndarray = told(scores) == y
    return found


def accuracy(y: np.ndarray, scores: np.ndarray) -> float:
    """The share of them."""
    return float(np.mean(right(y, scores)))


def class_accuracies(y: np.ndarray, scores: np.ndarray) -> np.ndarray:
    """The same of the rows of each class; NaN for one without rows."""
    rows, _, right = _counts(y, scores)
    with np.errstate(invalid="ignore"):
        return right / rows


def balanced_accuracy(y: np.ndarray, scores: np.ndarray) -> float:
    """The mean of that over the classes that have rows."""
    found = class_accuracies(y, scores)
    return float(np.mean(found[~np.isnan(found)]))


def class_f1(y: np.ndarray, scores: np.ndarray) -> np.ndarray:
    """``2 · right / (rows + told)`` of each class; NaN for one that neither is there nor told."""
    rows, told, right = _counts(y, scores)
    with np.errstate(invalid="ignore"):
        return 2 * right / (rows + told)


def f1(y: np.ndarray, scores: np.ndarray) -> float:
    """Of the class +1; of several the mean over those that are there or told."""
    found = class_f1(y, scores)
    return float(found[1]) if scores.ndim == 1 else float(np.mean(found[~np.isnan(found)]))


def auc(y: np.ndarray, scores: np.ndarray) -> float:
    """The chance that a row at +1 has a higher score than one at -1, ties counting half.

    NaN with rows of one label only.
    """
    return float(aucs(y, scores, np.ones((1, len(y))))[0])


def aucs(y: np.ndarray, scores: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """The same of several samples, (B,), in which each row occurs ``counts`` (B, n) times."""
    order = np.argsort(scores)
    ranked = scores[order]
    first = np.flatnonzero(np.concatenate([[True], ranked[1:] != ranked[:-1]]))
    of_score = np.add.reduceat(counts[:, order], first, axis=1)
    above = np.add.reduceat(counts[:, order] * (y[order] > 0), first, axis=1)
    below = of_score - above
    pairs = (above * (np.cumsum(below, axis=1) - below / 2)).sum(axis=1)
    with np.errstate(invalid="ignore"):
        found: np.ndarray = pairs / (above.sum(axis=1) * below.sum(axis=1))
    return found


def told(scores: np.ndarray) -> np.ndarray:
    """The classes that scores say."""
    if scores.ndim == 1:
        return np.where(scores >= 0, 1, -1)
    found: np.ndarray = np.argmax(scores, axis=1)
    return found


def _counts(y: np.ndarray, scores: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Of each class: its rows, those told to be of it, and those rightly so."""
    said = told(scores)
    classes = np.array([-1, 1]) if scores.ndim == 1 else np.arange(scores.shape[1])
    found = [((y == c).sum(), (said == c).sum(), ((y == c) & (said == c)).sum()) for c in classes]
    rows, of_class, right = np.array(found, dtype=np.float64).T
    return rows, of_class, right
