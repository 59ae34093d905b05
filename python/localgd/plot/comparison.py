"""Methods beside each other, over their seeds."""

from __future__ import annotations

import itertools
import math
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from ..sweeping.aggregation import Band, Group, aggregated, check_spread, grouped
from ..sweeping.table import check_sweep
from . import _style
from ._bands import draw_band
from ._columns import check_column, check_scale, is_log, label_of, values_of
from .convergence import parameter_text

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from ..sweeping import Sweep

__all__ = ["compare", "compared"]

STYLES: tuple[Any, ...] = ("solid", (0, (4, 1.5)), (0, (1, 1)), (0, (5, 1, 1, 1)))
NAMELESS = ("method", "problem")  # parameters whose values say by themselves what they are
WIDE = 5.0  # inches, from which on panels are side by side
MOST_BESIDE = 3  # of them
SPREADS = {
    "std": "mean ± standard deviation",
    "quantiles": "{center} and middle {level:g} %",
    "bootstrap": "{center} and its {level:g} % bootstrap interval",
    None: "{center}",
}


@dataclass(frozen=True, eq=False)
class Panel:
    """What one of the axes shows.

    Attributes
    ----------
    y : str
        The column.
    title : str
        The value of the facet, or empty.
    log_y : bool
    bands : dict of str to Band
        By the names of the lines.
    """

    y: str
    title: str
    log_y: bool
    bands: dict[str, Band]


def compare(
    table: Sweep,
    *,
    y: str | Sequence[str] = "loss",
    x: str = "round",
    by: str | Sequence[str] | None = None,
    over: str | Sequence[str] | None = "seed",
    band: str | None = "std",
    center: str | None = None,
    level: float = 0.9,
    facet: str | None = None,
    xscale: str = "log",
    figure: Any = None,
) -> Figure:
    """A line with a band for each method, over the seeds of a sweep.

    ``mean(y(x)) ± std(y(x))``, on a log axis of log y

    A panel for each column ``y`` and value of ``facet``: below one another in a narrow figure, side
    by side in a wide one, see :func:`style`. Bands go as far as all runs of a line do. Runs that
    were not completed are left out, and the legend says so.

    Parameters
    ----------
    table : Sweep
        From :func:`localgd.sweep`.
    y : str or sequence of str, default "loss"
        Columns of the history, such as "suboptimality" and "grad_norm"; angles are in degrees.
    x : str, default "round"
        Against what: "round", "bits", "passes" over the rows, "local_steps", or another column.
    by : str or sequence of str, optional
        Parameters that tell lines apart; all that vary besides, if not given.
    over : str or sequence of str, default "seed"
        Parameters that are averaged over.
    band : "std", "quantiles", "bootstrap" or None, default "std"
        One standard deviation of the runs, quantiles of the runs, or the bootstrap interval of the
        centre. On a log axis all are those of log y, so that a mean is the geometric one.
    center : "mean" or "median", optional
        The line; if not given the median for quantiles and the mean otherwise.
    level : float, default 0.9
        Between the quantiles, or of the bootstrap interval.
    facet : str, optional
        A parameter that has a panel for each of its values.
    xscale : "log" or "linear", default "log"
        Of x. A column is on a log axis if its values are above 0 and it is no share.
    figure : matplotlib Figure or SubFigure, optional
        Drawn into; by default a new pyplot figure.

    Returns
    -------
    matplotlib.figure.Figure
        What was drawn into; its axes are ``figure.axes``.

    Raises
    ------
    ValueError
        For names that no run has, lines that differ in a parameter that is neither in ``by`` nor in
        ``over``, or if there is nothing to draw.
    TypeError
        For arguments of another kind.
    MissingExtraError
        If matplotlib is not installed.

    References
    ----------
    Colours: Okabe and Ito, Color Universal Design, 2008. Bootstrap: Efron, Annals of Statistics 7,
    1979, doi:10.1214/aos/1176344552.

    Examples
    --------
    >>> import localgd as lg
    >>> problem = lg.datasets.make_separable(n_clients=4, n_samples=5, n_features=40, seed=0)
    >>> table = lg.sweep(problem, lg.LocalSGD(1, 0.5, batch_size=1), rounds=100,
    ...                  grid={"local_steps": [1, 10], "seed": [0, 1, 2]})
    >>> figure = lg.plot.compare(table, y=["loss", "grad_norm"], x="bits", by="local_steps")
    >>> [ax.get_ylabel() for ax in figure.axes]
    ['Loss', 'Norm of the gradient']
    """
    panels = compared(
        table,
        y=y,
        x=x,
        by=by,
        over=over,
        band=band,
        center=center,
        level=level,
        facet=facet,
        xscale=xscale,
    )
    names = list(dict.fromkeys(name for panel in panels for name in panel.bands))
    lines = _lines(names)
    width = _style.figure_width() if figure is None else _style.inches(figure)
    rows, columns = _layout(panels, width)
    if figure is None:
        beside = _style.legend_columns(names, width)
        height = (2.3 if columns > 1 else 2.0) * rows + 0.14 * math.ceil(len(names) / beside) + 0.3
        figure = _style.new_figure("lg.plot.compare", width, height)
    handles: dict[str, Any] = {}
    drawn: dict[str, list[Any]] = {}  # axes by their column
    for place, panel in enumerate(panels, start=1):
        ax = _style.axes(_style.add_axes(figure, (rows, columns, place)), "lg.plot.compare")
        for name, one in panel.bands.items():
            handles[name] = draw_band(ax, one, name, **lines[name])
        ax.set(title=panel.title, ylabel=label_of(panel.y), xlabel=label_of(x), xscale=xscale)
        ax.set_yscale("log" if panel.log_y else "linear")
        drawn.setdefault(panel.y, []).append(ax)
    _set_limits([ax for some in drawn.values() for ax in some], "x")
    for some in drawn.values():
        _set_limits(some, "y")
    spread, middle, level = check_spread(band, center, level)
    _style.legend_outside(
        figure, [handles[name] for name in names], _caption(panels, spread, middle, level)
    )
    return figure


def compared(
    table: Any,
    *,
    y: Any,
    x: Any = "round",
    by: Any = None,
    over: Any = "seed",
    band: Any = "std",
    center: Any = None,
    level: Any = 0.9,
    facet: Any = None,
    xscale: Any = "log",
) -> list[Panel]:
    """The numbers that :func:`compare` draws, without matplotlib; arguments as there."""
    entries = check_sweep(table).entries
    histories = [entry.history for entry in entries]
    columns = [y] if isinstance(y, str) else y
    if not isinstance(columns, Sequence) or not columns:
        raise TypeError(f"y: got {y!r}; want the name of a column, or a list of them")
    for name in columns:
        check_column("y", name, histories)
    check_column("x", x, histories)
    log_x = check_scale("xscale", xscale)
    spread, center, level = check_spread(band, center, level)
    if facet is not None and not isinstance(facet, str):
        raise TypeError(f"facet: got {facet!r}; want the name of a parameter")
    groups = grouped(entries, by, over, facet=facet)
    facets = dict.fromkeys(repr(group.values[facet]) for group in groups) if facet else {"": None}
    panels = []
    for column in columns:
        values = [values_of(h, column)[h[x] > 0] for h in histories if column in h and x in h]
        log_y = is_log(column, np.concatenate(values) if values else np.zeros(0))
        scales = {"log_x": log_x, "log_y": log_y}
        for shown in facets:
            chosen = [g for g in groups if not facet or repr(g.values[facet]) == shown]
            bands = {}
            for group in chosen:
                found = _band(group, x, column, scales, spread, center, level)
                if found is not None:
                    bands[_name(group, facet, found.runs)] = found
            title = _parameter(facet, chosen[0].values[facet]) if facet else ""
            panels.append(Panel(column, title, log_y, bands))
    if not any(panel.bands for panel in panels):
        raise ValueError("table: no completed run has points to draw; want one, at least")
    _warn_of_absent(groups)
    return panels


def _band(
    group: Group,
    x: str,
    y: str,
    scales: dict[str, bool],
    spread: str | None,
    center: str,
    level: float,
) -> Band | None:
    curves = [
        (entry.history[x], values_of(entry.history, y))
        for entry in group.entries
        if entry.status == "completed" and x in entry.history and y in entry.history
    ]
    return aggregated(curves, center=center, spread=spread, level=level, **scales)


def _warn_of_absent(groups: list[Group]) -> None:
    absent = [
        ", ".join(f"{name} {value}" for name, value in group.values.items())
        for group in groups
        if not any(entry.status == "completed" for entry in group.entries)
    ]
    if absent:
        warnings.warn(
            f"table: no run was completed of {'; '.join(absent)}, which is not drawn",
            UserWarning,
            stacklevel=4,
        )


def _name(group: Group, facet: str | None, runs: int) -> str:
    """What the legend calls a line."""
    shown = {name: value for name, value in group.values.items() if name != facet}
    text = ", ".join(_parameter(name, value) for name, value in shown.items()) or "all"
    return text + (f" ({runs} of {len(group.entries)})" if runs < len(group.entries) else "")


def _parameter(name: str, value: Any) -> str:
    return str(value) if name in NAMELESS else parameter_text(name, value)


def _lines(names: list[str]) -> dict[str, dict[str, Any]]:
    """Colours, and where these are used up other dashes."""
    colours = _style.OKABE_ITO
    styles = itertools.cycle((c, dashes) for dashes in STYLES for c in colours)
    return {
        name: {"color": colour, "linestyle": dashes, "linewidth": 1.2}
        for name, (colour, dashes) in zip(names, styles, strict=False)
    }


def _set_limits(axes: list[Axes], which: str) -> None:
    """The same limits for all, and on log axes ticks for these."""
    limits = [getattr(ax, f"get_{which}lim")() for ax in axes if ax.lines]
    low, high = min(low for low, _ in limits), max(high for _, high in limits)
    for ax in axes:
        ax.set(**{f"{which}lim": (low, high)})
        if getattr(ax, f"get_{which}scale")() == "log":
            _style.set_log(ax, which)


def _layout(panels: list[Panel], width: float) -> tuple[int, int]:
    """Rows and columns of panels."""
    ys = len({panel.y for panel in panels})
    facets = len(panels) // ys
    beside = facets if ys > 1 and 1 < facets <= MOST_BESIDE else min(MOST_BESIDE, len(panels))
    columns = beside if width >= WIDE else 1
    return math.ceil(len(panels) / columns), columns


def _caption(panels: list[Panel], spread: str | None, center: str, level: float) -> str:
    """What lines and bands are; nothing where there is one run for each."""
    bands = [band for panel in panels for band in panel.bands.values()]
    runs = {band.runs for band in bands}
    if max(runs) == 1:
        return ""
    logs = {panel.log_y for panel in panels}
    text = SPREADS[spread].format(center=center, level=100 * level)
    of = " of log y" if logs == {True} else " (of log y on log axes)" if True in logs else ""
    count = f"{max(runs)} runs" if len(runs) == 1 else f"{min(runs)} to {max(runs)} runs"
    return f"{text}{of}, {count}"
