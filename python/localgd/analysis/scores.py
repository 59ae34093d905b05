"""How well a model does on rows: by class, and on each client."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from .. import _validation as check
from .. import scoring
from ..errors import UnsupportedError
from ..labels import as_targets, read_label_array
from ..losses import LOSSES, LossLike, check_loss
from ..problem import Problem, check_problem

__all__ = ["ClientScores", "PredictionScores", "client_scores", "prediction_scores"]


@dataclass(frozen=True, eq=False)
class PredictionScores:
    """How well scores tell classes, from :func:`prediction_scores`.

    Attributes
    ----------
    accuracy : float
        The share of rows whose class is told.
    balanced_accuracy : float
        The mean of ``class_accuracy`` over the classes that have rows.
    f1 : float
        Of the class +1; of several the mean of ``class_f1``.
    auc : float
        Binary: the chance that a row at +1 has a higher score than one at -1, ties counting half;
        NaN with rows of one label only, and for several classes.
    class_accuracy : ndarray of shape (2,) or (C,), float64
        The share of the rows of each class that are told to be of it, of -1 and +1 or 0 … C - 1;
        NaN for a class without rows.
    class_f1 : ndarray of shape (2,) or (C,), float64
        2PR/(P + R) with precision P and recall R; NaN for a class that neither has rows nor is
        told.
    """

    accuracy: float
    balanced_accuracy: float
    f1: float
    auc: float
    class_accuracy: np.ndarray
    class_f1: np.ndarray


@dataclass(frozen=True, eq=False)
class ClientScores:
    """How well a model does on each client, from :func:`client_scores`.

    Attributes
    ----------
    loss : ndarray of shape (M,), float64
        The mean loss of the client's rows, by their weights, without λ: Σ_i p_i of it is the loss
        part of f.
    accuracy : ndarray of shape (M,), float64, or None
        The share of them, by their weights, whose class the model tells; None for regression.
    """

    loss: np.ndarray
    accuracy: np.ndarray | None


def prediction_scores(y: Any, scores: Any) -> PredictionScores:
    """Accuracy, F1, AUC, and the accuracy of each class.

    ``AUC = P(s⁺ > s⁻) + ½ P(s⁺ = s⁻)``, ``F1 = 2PR/(P + R)``

    Runs with ``test=`` record the single numbers as ``test_accuracy``, ``test_balanced_accuracy``,
    ``test_f1`` and, of two classes, ``test_auc``.

    Parameters
    ----------
    y : array of shape (n,)
        Labels as the problem has them: -1 and +1, or 0 … C - 1.
    scores : array of shape (n,), or (n, C) for several classes
        Of the rows, as ``Run.decision_function`` gives them. One of 0 says +1, as for
        ``Run.predict``.

    Returns
    -------
    PredictionScores
        The single numbers, and those of each class.

    Raises
    ------
    ValueError
        For labels of other kinds or of classes without scores, or arrays that do not fit together.

    References
    ----------
    AUC by ranks: Hanley and McNeil, Radiology 143, 1982, doi:10.1148/radiology.143.1.7063747.

    Examples
    --------
    >>> import localgd as lg
    >>> found = lg.analysis.prediction_scores([1, 1, -1, -1], [0.9, -0.1, 0.2, -0.7])
    >>> found.accuracy, found.auc, found.class_accuracy.tolist()
    (0.5, 0.75, [0.5, 0.5])
    """
    dimensions = np.ndim(scores)
    if dimensions not in (1, 2):
        raise ValueError(f"scores: got {dimensions} axes; want (n,), or (n, C) for several classes")
    scores = check.real_array("scores", scores, dimensions)
    given = read_label_array("y", y)
    check.dimensions("y", given, 1)
    if len(given) != len(scores) or not len(given):
        raise ValueError(
            f"scores: got {len(scores)} for {len(given)} labels; want as many, and some"
        )
    task, labels = ("binary", None) if dimensions == 1 else ("multiclass", range(scores.shape[1]))
    y = as_targets("y", given, task, labels).y
    return PredictionScores(
        accuracy=scoring.accuracy(y, scores),
        balanced_accuracy=scoring.balanced_accuracy(y, scores),
        f1=scoring.f1(y, scores),
        auc=scoring.auc(y, scores) if dimensions == 1 else float("nan"),
        class_accuracy=scoring.class_accuracies(y, scores),
        class_f1=scoring.class_f1(y, scores),
    )


def client_scores(problem: Problem, w: Any, loss: LossLike) -> ClientScores:
    """Loss and accuracy of a model on the rows of each client.

    ``f_i(w) = (1/n_i) Σ_j ω_ij ℓ(x_ij·w, y_ij)``

    Parameters
    ----------
    problem : Problem
        The rows of the clients.
    w : array of shape (d,), or (d, C) for several classes or targets
        A model.
    loss : str or Loss
        ℓ, as for :func:`localgd.run`.

    Returns
    -------
    ClientScores
        In the order of the clients of the problem.

    Raises
    ------
    ValueError
        For a model of another shape, or a loss that does not fit the task.
    UnsupportedError
        For a kernel problem, which has no weights.
    TypeError
        If problem is not a Problem.

    References
    ----------
    Fairness as the spread of these numbers: Li et al., ICLR 2020, arXiv:1905.10497.

    Examples
    --------
    >>> import localgd as lg
    >>> problem = lg.Problem([([[1.0], [2.0]], [1, 1]), ([[1.0], [3.0]], [-1, 1])])
    >>> found = lg.analysis.client_scores(problem, [0.5], "logistic")
    >>> found.loss.round(3), found.accuracy
    (array([0.394, 0.588]), array([1. , 0.5]))
    """
    problem = check_problem(problem, own_rows=True)
    check_loss(loss, problem)
    if problem.kernel:
        raise UnsupportedError("problem: a kernel problem has no weights to score; see Run.history")
    w = check.real_array("w", w, len(problem.weights_shape))
    if w.shape != problem.weights_shape:
        raise ValueError(f"w: got shape {w.shape}; want {problem.weights_shape}")
    scores = problem.X @ w
    with np.errstate(over="ignore"):
        values = LOSSES[loss].row_values(scores, problem.y)
    accuracy = None
    if problem.task != "regression":
        accuracy = _means(problem, scoring.right(problem.y, scores).astype(np.float64))
    return ClientScores(loss=_means(problem, values), accuracy=accuracy)


def _means(problem: Problem, of_rows: np.ndarray) -> np.ndarray:
    """Of each client, by the weights of its rows, of mean 1."""
    if problem.relative_weights is not None:
        of_rows = of_rows * problem.relative_weights
    sums: np.ndarray = np.add.reduceat(of_rows, problem.offsets[:-1])
    return sums / problem.sizes
