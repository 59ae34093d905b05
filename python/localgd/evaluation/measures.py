"""How good scores are on samples of the same rows, in each of which a row occurs so many times."""

from __future__ import annotations

import numpy as np
from scipy.special import expit, softmax

from .. import scoring
from ..losses import LOSSES

__all__ = ["MEASURES", "measured"]

MEASURES = ("accuracy", "balanced_accuracy", "auc", "log_loss", "brier", "calibration_slope")
MOST_STEPS = 100


def measured(
    y: np.ndarray, scores: np.ndarray, counts: np.ndarray, probabilistic: bool
) -> np.ndarray:
    """All measures of each sample, shape (B, 6), NaN where one is not defined.

    ``counts`` (B, n): how often each row occurs; ``probabilistic``: scores are log odds.
    """
    found = np.full((len(counts), len(MEASURES)), np.nan)
    if np.isnan(scores).any():
        return found
    n = counts.sum(axis=1)
    right = scoring.right(y, scores)
    columns = {"accuracy": counts @ right / n, "balanced_accuracy": _balanced(y, right, counts)}
    if scores.ndim == 1:
        columns["auc"] = scoring.aucs(y, scores, counts)
    if probabilistic:
        loss = LOSSES["logistic" if scores.ndim == 1 else "softmax"]
        columns["log_loss"] = counts @ loss.values(scores, y) / n
        columns["brier"] = counts @ _brier(y, scores) / n
        if scores.ndim == 1:
            columns["calibration_slope"] = _slopes(y, scores, counts)
    for name, values in columns.items():
        found[:, MEASURES.index(name)] = values
    return found


def _balanced(y: np.ndarray, right: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """The mean of the accuracies of the classes that occur."""
    classes = y == np.unique(y)[:, None]
    rows = counts @ classes.T
    with np.errstate(invalid="ignore"):
        mean: np.ndarray = np.nanmean(counts @ (classes & right).T / rows, axis=1)
    return mean


def _brier(y: np.ndarray, scores: np.ndarray) -> np.ndarray:
    """Of each row: of two classes that of one, of several the sum over all."""
    if scores.ndim == 1:
        squares: np.ndarray = (expit(scores) - (y > 0)) ** 2
        return squares
    hit = y[:, None] == np.arange(scores.shape[1])
    sums: np.ndarray = ((softmax(scores, axis=1) - hit) ** 2).sum(axis=1)
    return sums


def _slopes(y: np.ndarray, scores: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """b of the logistic regression a + b s of labels on scores.

    ±inf if the scores tell all labels, NaN if all scores or all labels are the same.
    """
    slopes = np.full(len(counts), np.nan)
    spread = scores.std()
    if not spread > 0:
        return slopes
    low, high = _range(scores, counts, y < 0), _range(scores, counts, y > 0)
    both = (counts @ (y < 0) > 0) & (counts @ (y > 0) > 0) & (low[0] < np.inf)
    slopes[both & (low[1] <= high[0])] = np.inf
    slopes[both & (high[1] <= low[0])] = -np.inf
    slopes[both & (np.minimum(low[0], high[0]) == np.maximum(low[1], high[1]))] = np.nan
    crossing = both & (low[1] > high[0]) & (high[1] > low[0])
    t = (scores - scores.mean()) / spread
    if crossing.any():
        some = counts[crossing]
        start = _newton(t, y > 0, some.sum(axis=0, keepdims=True), np.zeros((1, 2)))
        slopes[crossing] = _newton(t, y > 0, some, start)[:, 1] / spread
    return slopes


def _range(
    scores: np.ndarray, counts: np.ndarray, chosen: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """The smallest and the largest score of the chosen rows in each sample."""
    if not chosen.any():
        return np.full(len(counts), np.inf), np.full(len(counts), -np.inf)
    occurs, s = counts[:, chosen] > 0, scores[chosen]
    return np.where(occurs, s, np.inf).min(axis=1), np.where(occurs, s, -np.inf).max(axis=1)


def _newton(t: np.ndarray, hit: np.ndarray, counts: np.ndarray, start: np.ndarray) -> np.ndarray:
    """(a, b) of each sample, by steps damped as Sun and Tran-Dinh do, arXiv:1703.04599."""
    models = np.tile(start, (len(counts), 1))
    rows = np.column_stack([np.ones_like(t), t])
    longest = float(np.abs(t).max())
    active = np.arange(len(counts))
    for _ in range(MOST_STEPS):
        if not len(active):
            break
        c = counts[active]
        p = expit(models[active] @ rows.T)
        gradients = (c * (hit - p)) @ rows
        second = (c * p * (1 - p)) @ np.column_stack([rows, t**2])
        determinants = second[:, 0] * second[:, 2] - second[:, 1] ** 2
        steps = (
            np.column_stack(
                [
                    second[:, 2] * gradients[:, 0] - second[:, 1] * gradients[:, 1],
                    second[:, 0] * gradients[:, 1] - second[:, 1] * gradients[:, 0],
                ]
            )
            / determinants[:, None]
        )
        sizes = np.abs(steps[:, 0]) + longest * np.abs(steps[:, 1])
        models[active] += steps * (np.log1p(sizes) / np.maximum(sizes, 1e-300))[:, None]
        active = active[sizes > 1e-8]
    return models
