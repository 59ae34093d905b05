"""Who holds which labels."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from ..labels import Label
from ..problem import Problem, check_problem, labels_at
from . import _style

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["clients"]

# Beyond this many, names of clients at column width run into one another.
MOST_NAMED = 30


@dataclass(frozen=True, eq=False)
class LabelCounts:
    """Rows per client and label.

    Attributes
    ----------
    labels : tuple
        As they came. Empty for regression: ``counts`` then has one column, all rows.
    counts : ndarray of shape (M, max(1, number of labels)), int64
    """

    labels: tuple[Label, ...]
    counts: np.ndarray


def clients(
    problem: Problem,
    *,
    ax: Axes | None = None,
    label_names: Mapping[Label, str] | None = None,
) -> Axes:
    """Rows of each client by label, as stacked horizontal bars.

    ``n_ic = #{j : y_ij = c}``

    Up to 30 clients are named, in their order from the top. More are drawn as one band each,
    sorted by the label that they hold most of, then by number of rows.

    Parameters
    ----------
    problem : Problem
        Binary or regression; for regression the bars show rows alone.
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
        If a label has no name in ``label_names``.
    TypeError
        If problem is not a Problem.
    MissingExtraError
        If matplotlib is not installed.

    Examples
    --------
    >>> import localgd as lg
    >>> problem = lg.Problem([([[1.0], [2.0]], [1, 1]), ([[-1.0], [3.0]], [-1, 1])])
    >>> ax = lg.plot.clients(problem)
    >>> ax.get_xlabel(), [text.get_text() for text in ax.get_legend().get_texts()]
    ('Rows', ['label −1', 'label +1'])
    """
    check_problem(problem, own_rows=True)
    data = label_counts(problem)
    names = _style.label_texts(data.labels, label_names) if data.labels else ["all rows"]
    M = problem.n_clients
    ax = _style.axes(ax, "lg.plot.clients", height=min(3.5, 1.0 + 0.16 * M))
    if M <= MOST_NAMED:
        handles = _draw_bars(ax, data.counts, names, problem.client_ids)
    else:
        handles = _draw_bands(ax, data.counts, names)
    ax.grid(False, axis="y")
    ax.set_xlim(0, 1.08 * problem.sizes.max())
    ax.set_xlabel("Rows")
    if data.labels:
        _style.legend_above(ax, handles)
    return ax


def label_counts(problem: Problem) -> LabelCounts:
    """The numbers that :func:`clients` draws, without matplotlib."""
    if problem.task == "regression":
        return LabelCounts((), problem.sizes[:, None].copy())
    y, index = np.unique(problem.y, return_inverse=True)
    owner = np.repeat(np.arange(problem.n_clients), problem.sizes)
    counts = np.zeros((problem.n_clients, len(y)), dtype=np.int64)
    np.add.at(counts, (owner, index), 1)
    return LabelCounts(labels_at(problem, y), counts)


def _draw_bars(ax: Axes, counts: np.ndarray, names: list[str], ids: tuple[Any, ...]) -> list[Any]:
    clients = np.arange(len(counts))
    starts = np.cumsum(counts, axis=1) - counts
    bars = [
        ax.barh(clients, counts[:, c], left=starts[:, c], height=0.75, color=colour, label=names[c])
        for c, colour in enumerate(_style.colours(counts.shape[1]))
    ]
    # A client of one row among hundreds has no visible bar, so every bar says its length.
    ax.bar_label(bars[-1], [str(n) for n in counts.sum(axis=1)], padding=2, fontsize=6)
    ax.set_yticks(clients, [str(name) for name in ids])
    ax.set_ylim(len(counts) - 0.4, -0.6)
    ax.tick_params(axis="y", length=0)
    ax.set_ylabel("Client")
    return bars


def _draw_bands(ax: Axes, counts: np.ndarray, names: list[str]) -> list[Any]:
    """Sorted by majority label, then size: in any other order the labels make a noise of lines."""
    order = np.lexsort((-counts.sum(axis=1), counts.argmax(axis=1)))
    ends = np.cumsum(counts[order], axis=1)
    edges = np.arange(len(counts) + 1)
    bands = [
        # One outline per label: bars thinner than a pixel would leave gaps.
        ax.stairs(
            ends[:, c],
            edges,
            baseline=ends[:, c - 1] if c else 0,
            orientation="horizontal",
            fill=True,
            color=colour,
            label=names[c],
        )
        for c, colour in enumerate(_style.colours(counts.shape[1]))
    ]
    ax.set_ylim(len(counts), 0)
    ax.set_ylabel("Clients, by majority label and size")
    return bands
