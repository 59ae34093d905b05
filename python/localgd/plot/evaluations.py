"""Models beside each other: on each client, and what their probabilities are worth."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy.special import expit, ndtri

from .. import _validation as check
from ..errors import UnsupportedError
from ..evaluation import Evaluation
from ..evaluation.measures import MEASURES
from ..evaluation.table import TITLES
from . import _style

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["calibration", "clients_compare"]

MARKERS = "osD^"


@dataclass(frozen=True, eq=False)
class CalibrationPoints:
    """Rows with similar probabilities: their mean, and the share of them at +1 with its interval.

    Attributes
    ----------
    predicted, observed, low, high : ndarray of shape (bins,), float64
    """

    predicted: np.ndarray
    observed: np.ndarray
    low: np.ndarray
    high: np.ndarray


def clients_compare(
    evaluation: Evaluation,
    measure: str = "auc",
    *,
    models: Sequence[str] | None = None,
    ax: Axes | None = None,
) -> Axes:
    """A measure of all models, over all rows and on each client, with intervals.

    ``measure(model, client) [low, high]``

    Parameters
    ----------
    evaluation : Evaluation
        Of :func:`localgd.evaluate`.
    measure : str, default "auc"
        "accuracy", "balanced_accuracy", "auc", "log_loss", "brier" or "calibration_slope". Where
        it is not defined or infinite there is no mark.
    models : sequence of str, optional
        Some of ``evaluation.models``, in this order; all if not given.
    ax : matplotlib Axes, optional
        Drawn into; by default those of a new figure of column width.

    Returns
    -------
    matplotlib.axes.Axes
        What was drawn into.

    Raises
    ------
    ValueError
        For another measure or model.
    TypeError
        If ``evaluation`` is something else.
    MissingExtraError
        If matplotlib is not installed.

    Examples
    --------
    >>> import localgd as lg
    >>> problem = lg.datasets.make_nonseparable(n_clients=3, n_samples=20, n_features=4, seed=0)
    >>> run = lg.run(problem, lg.LocalGD(5, "1/H"), rounds=50, loss="logistic", l2=0.01)
    >>> ax = lg.plot.clients_compare(lg.evaluate(run, problem, bootstrap=100), "brier")
    >>> ax.get_xlabel(), [text.get_text() for text in ax.get_yticklabels()]
    ('Brier', ['all', '0', '1', '2'])
    """
    models = _checked_models(evaluation, models)
    check.one_of("measure", measure, MEASURES)
    columns = evaluation.columns
    first = columns["model"] == evaluation.models[0]
    clients = columns["client"][first].tolist()
    places, step = np.arange(len(clients)), 0.7 / len(models)
    ax = _style.axes(ax, "lg.plot.clients_compare", height=min(8.0, 1.0 + 0.2 * len(clients)))
    handles = []
    for k, (name, colour) in enumerate(zip(models, _style.colours(len(models)), strict=True)):
        here = columns["model"] == name
        value, low, high = (
            np.where(np.isfinite(column[here]), column[here], np.nan)
            for column in (columns[f"{measure}{end}"] for end in ("", "_low", "_high"))
        )
        height = places + (k - (len(models) - 1) / 2) * step
        ax.hlines(height, low, high, color=colour, linewidth=0.9)
        marks = {"marker": MARKERS[k], "markersize": 3, "color": colour, "linestyle": "none"}
        handles += ax.plot(value, height, label=name, **marks)
    ax.set_yticks(places, [str(client) for client in clients])
    ax.set_ylim(len(clients) - 0.5, -0.5)
    ax.axhline(0.5, color=_style.GUIDE, linewidth=0.6)  # between all rows and the clients
    ax.tick_params(axis="y", length=0)
    ax.grid(False, axis="y")
    ax.set_xlabel(TITLES[measure])
    ax.set_ylabel("Client")
    _style.legend_above(ax, handles)
    return ax


def calibration(
    evaluation: Evaluation,
    *,
    models: Sequence[str] | None = None,
    bins: int = 10,
    ax: Axes | None = None,
) -> Axes:
    """Shares of rows at +1 against what models said, in bins of as many rows.

    ``mean 1{y = +1}`` against ``mean P(y = +1 | x)``, with Wilson's intervals of the shares

    Parameters
    ----------
    evaluation : Evaluation
        Of :func:`localgd.evaluate`; of two classes and the logistic loss.
    models : sequence of str, optional
        Some of ``evaluation.models``, in this order; all if not given.
    bins : int >= 1, default 10
        At most one for each row.
    ax : matplotlib Axes, optional
        Drawn into; by default those of a new figure of column width.

    Returns
    -------
    matplotlib.axes.Axes
        What was drawn into.

    Raises
    ------
    ValueError
        For another model, or fewer than one bin.
    UnsupportedError
        For several classes and other losses.
    TypeError
        If ``evaluation`` is something else.
    MissingExtraError
        If matplotlib is not installed.

    Examples
    --------
    >>> import localgd as lg
    >>> problem = lg.datasets.make_nonseparable(n_clients=3, n_samples=20, n_features=4, seed=0)
    >>> run = lg.run(problem, lg.LocalGD(5, "1/H"), rounds=50, loss="logistic", l2=0.01)
    >>> ax = lg.plot.calibration(lg.evaluate(run, problem, bootstrap=0), bins=4)
    >>> ax.get_xlabel(), ax.get_ylabel()
    ('Predicted probability', 'Observed share')
    """
    models = _checked_models(evaluation, models)
    if evaluation.scores[models[0]].ndim != 1 or np.isnan(evaluation.columns["log_loss"]).all():
        raise UnsupportedError(
            "evaluation: there are no probabilities of two classes; want a model of the logistic "
            "loss"
        )
    bins = check.integer("bins", bins, 1)
    ax = _style.axes(ax, "lg.plot.calibration", height=3.0)
    ax.plot([0, 1], [0, 1], color=_style.GUIDE, linewidth=0.8, linestyle=":")
    handles = []
    for k, (name, colour) in enumerate(zip(models, _style.colours(len(models)), strict=True)):
        points = calibration_points(evaluation, name, bins)
        ax.vlines(points.predicted, points.low, points.high, color=colour, linewidth=0.7)
        marks = {"marker": MARKERS[k], "markersize": 3, "color": colour, "linewidth": 0.9}
        handles += ax.plot(points.predicted, points.observed, label=name, **marks)
    ax.set_xlim(0, 1)
    ax.set_ylim(0, 1)
    ax.set_xlabel("Predicted probability")
    ax.set_ylabel("Observed share")
    _style.legend_above(ax, handles)
    return ax


def calibration_points(evaluation: Evaluation, model: str, bins: int) -> CalibrationPoints:
    """The numbers that :func:`calibration` draws, without matplotlib; rows without scores aside."""
    scores = evaluation.scores[model]
    known = ~np.isnan(scores)
    p, hit = expit(scores[known]), evaluation.y[known] > 0
    parts = np.array_split(np.argsort(p, kind="stable"), min(bins, len(p)))
    predicted, observed = (np.array([values[part].mean() for part in parts]) for values in (p, hit))
    n, z = np.array([len(part) for part in parts]), float(ndtri((1 + evaluation.level) / 2))
    centre = (observed + z**2 / (2 * n)) / (1 + z**2 / n)
    half = z / (1 + z**2 / n) * np.sqrt(observed * (1 - observed) / n + z**2 / (4 * n**2))
    return CalibrationPoints(predicted, observed, centre - half, centre + half)


def _checked_models(evaluation: Any, models: Sequence[str] | None) -> list[str]:
    if not isinstance(evaluation, Evaluation):
        raise TypeError(
            f"evaluation: got {type(evaluation).__name__}; want the result of localgd.evaluate"
        )
    chosen = list(evaluation.models if models is None else models)
    for name in chosen:
        check.one_of("models", name, evaluation.models)
    if not chosen:
        raise ValueError("models: got none; want at least one")
    return chosen
