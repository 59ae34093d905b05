"""The runs of a sweep, one line each."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from ..sweeping.table import check_sweep
from . import _style
from ._bands import MOST_KINDS, MOST_LINES, Points, draw_bands
from ._columns import check_column, is_log, label_of, usual_column, values_of

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from ..sweeping import Sweep

__all__ = ["sweep"]


def sweep(
    table: Sweep, *, y: str | None = None, by: str | None = None, ax: Axes | None = None
) -> Axes:
    """One line per run of a sweep against rounds, coloured by one of its parameters.

    ``y(round)`` of every run, both axes logarithmic

    More than 40 runs are bands: the median and the middle 90 % of those of a colour, or of all.

    Parameters
    ----------
    table : Sweep
        From :func:`localgd.sweep`.
    y : str, optional
        A column of the history; angles are drawn in degrees. By default the first of
        "suboptimality", "angle" and "loss" that all runs have.
    by : str, optional
        The parameter that gives the colour; the first one that varies, if not given. Lines of the
        same colour differ in other parameters.
    ax : matplotlib Axes, optional
        Drawn into; by default those of a new figure of column width.

    Returns
    -------
    matplotlib.axes.Axes
        What was drawn into.

    Raises
    ------
    ValueError
        If no run has the column, or none has the parameter.
    TypeError
        If table is not a Sweep.
    MissingExtraError
        If matplotlib is not installed.

    References
    ----------
    Colours: Okabe and Ito, Color Universal Design, 2008.

    Examples
    --------
    >>> import localgd as lg
    >>> problem = lg.datasets.make_separable(n_clients=2, n_samples=5, n_features=20, seed=0)
    >>> table = lg.sweep(problem, lg.GD(lr=1.0), grid={"lr": [0.1, 1.0]}, rounds=100)
    >>> lg.plot.sweep(table, y="loss").get_ylabel()
    'Loss'
    """
    entries = check_sweep(table).entries
    histories = [entry.history for entry in entries]
    y = check_column("y", usual_column(histories) if y is None else y, histories)
    drawn = [entry for entry in entries if y in entry.history]
    by = _varying(drawn) if by is None else by
    if by not in drawn[0].values:
        raise ValueError(f"by: got {by!r}; want one of {', '.join(drawn[0].values)}")
    named: dict[str, list[Points]] = {}
    for entry in drawn:
        after = entry.history["round"] > 0
        points = entry.history["round"][after], values_of(entry.history, y)[after]
        named.setdefault(f"{by} {entry.values[by]}", []).append(points)
    ax = _style.axes(ax, "lg.plot.sweep")
    log_y = is_log(y, np.concatenate([values for curves in named.values() for _, values in curves]))
    if len(drawn) > MOST_LINES:
        handles, caption = draw_bands(ax, named, log_y)
    else:
        handles, caption = _draw_lines(ax, named), ""
    _style.set_log(ax, "x")
    if log_y:
        _style.set_log(ax, "y")
    ax.set_xlabel(label_of("round"))
    ax.set_ylabel(label_of(y))
    _style.legend_above(ax, handles, caption)
    return ax


def _draw_lines(ax: Axes, named: dict[str, list[Points]]) -> list[Any]:
    """A line for each run; returns one of each colour, of too many as many as a legend holds."""
    handles = []
    for (name, curves), colour in zip(named.items(), _style.colours(len(named)), strict=True):
        for rounds, values in curves:
            (line,) = ax.plot(rounds, values, color=colour, linewidth=1.0, label=name)
        handles.append(line)
    step = -(-len(handles) // MOST_KINDS)
    return handles[::step]


def _varying(entries: list[Any]) -> str:
    """The first parameter with more than one value."""
    for name in entries[0].values:
        if len({str(entry.values.get(name)) for entry in entries}) > 1:
            return str(name)
    return str(next(iter(entries[0].values)))
