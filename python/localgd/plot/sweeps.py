"""The runs of a sweep, one line each."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from ..measuring import COLUMNS, Column
from . import _style

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from ..sweeping import Sweep

__all__ = ["sweep"]

LINEAR = ("margin",)


def sweep(table: Sweep, *, y: str = "angle", by: str | None = None, ax: Axes | None = None) -> Axes:
    """One line per run of a sweep against rounds, coloured by one of its parameters.

    ``y(round)`` of every run, both axes logarithmic

    Parameters
    ----------
    table : Sweep
        From :func:`localgd.sweep`.
    y : str, default "angle"
        A column of the history; angles are drawn in degrees.
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
    'loss'
    """
    from ..sweeping import Sweep

    if not isinstance(table, Sweep):
        raise TypeError(f"table: got {type(table).__name__}; want the result of localgd.sweep")
    drawn = [entry for entry in table if y in entry.history]
    if not drawn:
        names = sorted({name for entry in table for name in entry.history})
        raise ValueError(f"y: no run has the column {y!r}; want one of {', '.join(names)}")
    by = _varying(drawn) if by is None else by
    if by not in drawn[0].values:
        raise ValueError(f"by: got {by!r}; want one of {', '.join(drawn[0].values)}")
    kinds = list(dict.fromkeys(str(entry.values[by]) for entry in drawn))
    colours = dict(zip(kinds, _style.colours(len(kinds)), strict=True))
    ax = _style.axes(ax, "lg.plot.sweep")
    column = COLUMNS.get(y, Column(y))
    unit = column.unit.replace("rad", "degrees")
    labelled: dict[str, Any] = {}
    for entry in drawn:
        name = str(entry.values[by])
        values = np.degrees(entry.history[y]) if unit == "degrees" else entry.history[y]
        after = entry.history["round"] > 0
        (line,) = ax.plot(
            entry.history["round"][after],
            values[after],
            color=colours[name],
            linewidth=1.0,
            label=f"{by} {name}",
        )
        labelled.setdefault(name, line)
    ax.set_xscale("log")
    if y not in LINEAR and not column.share:
        ax.set_yscale("log")
    ax.set_xlabel("round")
    ax.set_ylabel(f"{column.title} ({unit})" if unit else column.title)
    _style.legend_above(ax, list(labelled.values()))
    return ax


def _varying(entries: list[Any]) -> str:
    """The first parameter with more than one value."""
    for name in entries[0].values:
        if len({str(entry.values.get(name)) for entry in entries}) > 1:
            return str(name)
    return str(next(iter(entries[0].values)))
