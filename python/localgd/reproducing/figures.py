"""Panels for the pictures of experiments: one panel each, read at the width of a phone."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from .. import _validation as check
from ..plot import _style

__all__ = ["COLOURS", "GUIDE", "MARKED", "ROUNDS", "STYLES", "decades", "few_ticks", "legend"]
__all__ += ["lines", "loglog_rounds", "panel", "plain_ticks", "styles"]

Style = Mapping[str, Any]

COLOURS = _style.OKABE_ITO
GUIDE: Style = {"color": _style.GUIDE, "linewidth": 0.8}  # of a line to compare with
ROUNDS = "Communication rounds k"
PURPOSE = "the figures of a report"


def panel(
    *,
    x: str = ROUNDS,
    y: str,
    xscale: str = "log",
    yscale: str = "log",
    height: float = 2.6,
) -> Any:
    """The Axes of a new figure of one panel, 3.5 inches wide.

    Parameters
    ----------
    x, y : str
        Labels of the axes, with units.
    xscale, yscale : str
        Of matplotlib.
    height : float
        In inches, without the legend.

    Returns
    -------
    matplotlib.axes.Axes
    """
    figure = _style.new_figure(PURPOSE, _style.COLUMN_WIDTH, height)
    ax = _style.axes(_style.add_axes(figure), PURPOSE)
    ax.set(xscale=xscale, yscale=yscale, xlabel=x, ylabel=y)
    return ax


def styles(**cycles: Sequence[Any]) -> list[Style]:
    """Styles that are told apart without colours too: ``styles(linestyle=("-", "--"))``.

    Parameters
    ----------
    **cycles
        Properties of a line; the shortest one says how many styles there are.
    """
    return [
        dict(zip(("color", *cycles), values, strict=True))
        for values in zip(COLOURS, *cycles.values(), strict=False)
    ]


STYLES = styles(linestyle=("-", "--", "-.", ":", (0, (6, 1, 1, 1, 1, 1)), (0, (1, 3))))
MARKED = styles(marker="os^D", markersize=4 * (3,))


def lines(
    ax: Any,
    x: np.ndarray,
    curves: Mapping[str, np.ndarray],
    styles: Sequence[Style] = STYLES,
    **more: Any,
) -> None:
    """Curves over the same x by their labels, each in a style of its own.

    Parameters
    ----------
    ax : matplotlib.axes.Axes
    x : array
    curves : mapping of str to array
    styles : sequence of mapping
        At least as many.
    **more
        Of ``ax.plot``, for all of them.
    """
    for (label, y), style in zip(curves.items(), styles, strict=False):
        ax.plot(x, y, label=label, **style, **more)


def legend(ax: Any, handles: Sequence[Any] = ()) -> None:
    """A legend above the Axes, where it covers no data.

    Of all that has a label, unless ``handles`` are given; an Axes that has a legend keeps it.
    """
    found = list(handles) or ax.get_legend_handles_labels()[0]
    if found and ax.get_legend() is None:
        _style.legend_above(ax, found)


def decades(ax: Any, *, last: float, step: int | None = None) -> None:
    """Ticks of the x axis at 10^0, 10^step, …, for axes of many decades."""
    count = math.log10(last)
    step = step or next(s for s in (1, 2, 5, 10, 20, 50) if count <= 6 * s or s == 50)
    ax.set_xticks(10.0 ** np.arange(0, count + 1e-9, step), minor=False)
    ax.tick_params(axis="x", which="minor", bottom=False)


def few_ticks(ax: Any, places: Sequence[float]) -> None:
    """Ticks of a logarithmic x axis at these places alone, written as they are."""
    ax.set_xticks(places, [f"{place:g}" for place in places])
    ax.tick_params(axis="x", which="minor", bottom=False, labelbottom=False)


def loglog_rounds(ax: Any, *, first: float = 3, last: float) -> None:
    """An x axis in log log k, for curves over a hundred decades: 1/log k is a straight line.

    The y axis should be logarithmic; ``first`` is above 1.
    """
    ax.set_xscale(
        "function",
        functions=(lambda k: np.log(np.log10(np.maximum(k, 1.01))), lambda u: 10 ** np.exp(u)),
    )
    ax.set_xlim(first, last)
    exponents = [n for n in (1, 2, 3, 6, 10, 20, 50, 100, 200, 300) if 10.0**n <= last * 1.01]
    ax.set_xticks([10.0**n for n in exponents], [f"$10^{{{n}}}$" for n in exponents])
    ax.tick_params(axis="x", which="minor", bottom=False)


def plain_ticks(ax: Any) -> None:
    """Ticks 1, 2, 5, 10, … on a logarithmic y axis of few decades, written as they are."""
    ticker = check.require("matplotlib.ticker", "plot", PURPOSE)
    ax.yaxis.set_major_locator(ticker.LogLocator(subs=(1, 2, 5)))
    ax.yaxis.set_major_formatter(ticker.FuncFormatter(lambda value, _: f"{value:g}"))
    ax.yaxis.set_minor_locator(ticker.NullLocator())
