"""Hard-margin separation of classes: every row's own score above every other by 1."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..rows import Rows
from ._deadline import check_time
from ._equality import EXTENDED, both_products
from ._facial_reduction import facial_reduction
from ._hard_margin import Certificate, hard_margin, unknown
from ._rows import absolute, dense, filled
from ._scaling import row_norms

__all__ = ["ClassMargin", "NoClassMargin", "certify_classes", "class_margin"]

EPS = np.finfo(float).eps
ENTERING = 200  # constraints that enter the working set in a round, one per row at most
ROUNDS = 1000
PATIENCE = 3  # rounds without a longer W before the rest counts as rounding


@dataclass(frozen=True)
class ClassMargin:
    """W of shape (d, C) and multipliers of shape (N, C), 0 at each row's own class."""

    w: np.ndarray
    alpha: np.ndarray


@dataclass(frozen=True)
class NoClassMargin:
    """Convex weights of shape (N, C) that balance the constraints; None if only rounding does."""

    weights: np.ndarray | None


def class_margin(X: Rows, y: np.ndarray, n_classes: int) -> ClassMargin | NoClassMargin:
    """``argmin ½‖W‖_F²  s.t.  (W_{y_j} - W_c)·x_j ≥ 1 for c ≠ y_j``.

    Of the N(C - 1) constraints only a working set is ever written out: those of the last solution
    with a multiplier, and those that it violates most, the worst of each row. ‖W‖ grows in each
    round, so no working set comes twice (Crammer and Singer 2001; Tsochantaridis et al. 2005).
    """
    N, d = X.shape
    if not filled(X).all():
        weights = np.zeros((N, n_classes))
        first = int(np.argmin(filled(X)))
        weights[first, (y[first] + 1) % n_classes] = 1.0
        return NoClassMargin(weights)
    lengths = row_norms(X)
    means = np.stack([X[y == c].sum(axis=0) / max(1, np.sum(y == c)) for c in range(n_classes)])
    W, alpha = (means - means.mean(axis=0)).T, np.zeros((N, n_classes))
    pairs = np.zeros((0, 2), dtype=np.int64)
    longest, patience, norm = 0.0, PATIENCE, 0.0
    for _ in range(ROUNDS):
        check_time(W)
        gaps = _gaps(X @ W, y)
        rival = gaps.argmin(axis=1)
        least = gaps[np.arange(N), rival]
        if norm > 0:
            wrong = np.flatnonzero(least < 1 - (1e-12 + EPS * lengths * norm))
        else:  # the means tell which constraints come first, not how far they are met
            wrong, least = np.arange(N), least / lengths
        if not len(wrong) or not patience:
            break
        wrong = wrong[np.argsort(least[wrong], kind="stable")][:ENTERING]
        pairs = np.unique(np.vstack([pairs, np.column_stack([wrong, rival[wrong]])]), axis=0)
        rows = _constraints(X, y, pairs, n_classes)
        solution = hard_margin(rows)
        if solution is None:
            return _certificate(rows, pairs, alpha.shape)
        W = solution[0].reshape(n_classes, d).T
        alpha = np.zeros((N, n_classes))
        alpha[tuple(pairs.T)] = solution[1]
        pairs = pairs[solution[1] > 0]
        norm = float(np.linalg.norm(W))
        patience = PATIENCE if norm > longest * (1 + 4 * EPS) else patience - 1
        longest = max(longest, norm)
    return ClassMargin(np.ascontiguousarray(W), alpha)


def certify_classes(X: Rows, y: np.ndarray, solution: ClassMargin) -> Certificate:
    """Measure the optimality conditions, in extended precision where the machine has it.

    As for two classes, except that ``on_margin`` names rows with one constraint or more at 1.
    """
    W, alpha = solution.w, solution.alpha
    N, C = alpha.shape
    own = np.arange(N), y
    push = -alpha
    push[own] = alpha.sum(axis=1)
    pulls, scores = zip(*(both_products(X, W[:, c], push[:, c]) for c in range(C)), strict=True)
    pull = np.stack(pulls, axis=1)
    slack = _gaps(np.stack(scores, axis=1), y) - 1
    terms = (absolute(X) @ np.abs(W)).max(axis=1)
    tight = np.where(alpha > 0, slack, EXTENDED(0))
    norm = np.linalg.norm(W.astype(EXTENDED))
    residual = max(
        np.linalg.norm(pull - W) / norm,
        max(0, -(slack - unknown(2 * terms, len(W))[:, None]).min()),
        max(0, -alpha.min()) / norm**2,
        np.sum(np.abs(alpha * tight)) / norm**2,
    )
    ratio = ((1 + slack.min()) / norm) * (alpha.astype(EXTENDED).sum() / np.linalg.norm(pull))
    near = 1e-9 + 16 * EPS * np.sqrt(2) * row_norms(X) * float(norm)
    on_margin = np.flatnonzero((slack.min(axis=1) <= near) | (alpha > 0).any(axis=1))
    return Certificate(float(residual), float(max(0, 1 - ratio * abs(ratio))), on_margin)


def _gaps(scores: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Own score less each other one; inf at the own class."""
    own = np.arange(len(y)), y
    gaps: np.ndarray = scores[own][:, None] - scores
    gaps[own] = np.inf
    return gaps


def _constraints(X: Rows, y: np.ndarray, pairs: np.ndarray, n_classes: int) -> np.ndarray:
    """Row per pair (j, c): x_j in the block of class y_j, -x_j in that of c."""
    rows, rivals = pairs.T
    out = np.zeros((len(pairs), n_classes, X.shape[1]))
    each = np.arange(len(pairs))
    own = dense(X[rows])
    out[each, y[rows]] = own
    out[each, rivals] = -own
    return out.reshape(len(pairs), -1)


def _certificate(rows: np.ndarray, pairs: np.ndarray, shape: tuple[int, ...]) -> NoClassMargin:
    faces = facial_reduction(rows)
    if faces.weights is None:
        return NoClassMargin(None)
    weights = np.zeros(shape)
    weights[tuple(pairs.T)] = faces.weights
    return NoClassMargin(weights)
