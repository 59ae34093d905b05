"""The margins of all rows under one model."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from .. import analysis
from ..analysis._arguments import hard_margin
from ..labels import Label
from ..problem import labels_at
from . import _style

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from ..problem import Problem

__all__ = ["margins"]

RARE = 8  # times lower bars than those of the other label are hardly seen


@dataclass(frozen=True, eq=False)
class MarginCounts:
    """Histogram of the margins, one row of counts per label.

    Attributes
    ----------
    labels : tuple
        As they came.
    edges : ndarray of shape (B + 1,)
    counts : ndarray of shape (number of labels, B), int64
    smallest : float
    """

    labels: tuple[Label, ...]
    edges: np.ndarray
    counts: np.ndarray
    smallest: float


def margins(
    problem: Problem,
    w: Any,
    *,
    ref: Any = None,
    ax: Axes | None = None,
    label_names: Mapping[Label, str] | None = None,
) -> Axes:
    """Histogram of the normalised margins of all rows, by label.

    ``m_ij = z_ij·w / ‖w‖``, at most γ at its smallest

    Rows are counted on a log axis where one label has so few that they would not be seen otherwise.

    Parameters
    ----------
    problem : Problem
        A binary problem.
    w : array of shape (d,)
        A model; its length does not matter.
    ref : result of ``localgd.reference.max_margin``, optional
        Marks γ, the largest possible value of the smallest margin.
    ax : matplotlib Axes, optional
        Drawn into; by default those of a new figure of column width.
    label_names : mapping of label to str, optional
        What the legend calls them, ``{-1: "digit 0", 1: "digit 1"}`` for example.

    Returns
    -------
    matplotlib.axes.Axes
        What was drawn into.

    Raises
    ------
    ValueError
        If the task is not binary, w has another shape, NaN or Inf entries or only zeros, or a
        label has no name in ``label_names``.
    TypeError
        If problem or ref is something else.
    MissingExtraError
        If matplotlib is not installed.

    Examples
    --------
    >>> import localgd as lg
    >>> problem = lg.Problem([([[2.0, 0.0], [0.0, 1.0]], [1, 1]), ([[-5.0, -5.0]], [-1])])
    >>> ax = lg.plot.margins(problem, [3.0, 4.0])
    >>> ax.get_ylabel()
    'Rows'
    """
    if ref is not None:
        hard_margin(ref)
    data = margin_counts(problem, w)
    names = _style.label_texts(data.labels, label_names)
    ax = _style.axes(ax, "lg.plot.margins")
    handles: list[Any] = []
    for counts, name, colour in zip(data.counts, names, _style.colours(len(names)), strict=True):
        ax.stairs(counts, data.edges, fill=True, color=colour, alpha=0.3, linewidth=0)
        handles.append(ax.stairs(counts, data.edges, color=colour, linewidth=1.0, label=name))
    smallest = f"smallest margin, {data.smallest:#.3g}".replace("-", "−")
    handles.append(ax.axvline(data.smallest, color="black", linewidth=0.9, label=smallest))
    if ref is not None:
        best = f"best possible, γ = {ref.margin:#.3g}"
        handles.append(
            ax.axvline(ref.margin, color="black", linewidth=0.9, linestyle=":", label=best)
        )
    if _has_rare(data.counts):
        ax.set_ylim(0.5, 2 * data.counts.max())  # one row is seen, none is not
        _style.set_log(ax, "y")
    else:
        ax.set_ylim(bottom=0)
    ax.set_xlabel("Normalised margin z·w / ‖w‖")
    ax.set_ylabel("Rows")
    _style.legend_above(ax, handles)
    return ax


def _has_rare(counts: np.ndarray) -> bool:
    """Whether bars of one label would be flat beside those of another."""
    highest = counts.max(axis=1)
    return bool(highest.min() < highest.max() / RARE)


def margin_counts(problem: Problem, w: Any) -> MarginCounts:
    """The numbers that :func:`margins` draws, without matplotlib."""
    m = analysis.margins(problem, w)
    edges = np.histogram_bin_edges(m, bins=min(60, max(10, round(len(m) ** 0.5))))
    y = np.unique(problem.y)
    counts = np.stack([np.histogram(m[problem.y == sign], edges)[0] for sign in y])
    return MarginCounts(labels_at(problem, y), edges, counts, float(m.min()))
