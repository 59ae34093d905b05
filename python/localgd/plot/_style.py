"""What all pictures share: colours, sizes, the light grid."""

from __future__ import annotations

import math
from collections.abc import Hashable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any

import numpy as np

from .. import _validation as check
from ..labels import Label

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# Okabe & Ito 2008, distinct with any colour vision; yellow left out, too faint on white.
OKABE_ITO = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
GUIDE = "#666666"

GRID: dict[str, Any] = {"color": "#DDDDDD", "linewidth": 0.5}
LETTERS_PER_INCH = 16  # of legends
MANY_DECADES = 12  # from which on ticks are set here: Matplotlib's come every 13th decade

LEGEND: dict[str, Any] = {
    "fontsize": 7,
    "frameon": False,
    "handlelength": 1.6,
    "columnspacing": 1.2,
    "borderaxespad": 0.2,
}

# In inches: one column of a two-column page, or the whole page.
WIDTHS = {"column": 3.5, "two-column": 7.0}
COLUMN_WIDTH = WIDTHS["column"]
_width: ContextVar[float] = ContextVar("width", default=COLUMN_WIDTH)
# Letters that are read at these widths, unscaled.
RC = {
    "figure.dpi": 200,
    "savefig.dpi": 200,
    "font.size": 8,
    "axes.labelsize": 8,
    "axes.titlesize": 8,
    "xtick.labelsize": 7,
    "ytick.labelsize": 7,
    "axes.linewidth": 0.6,
    "xtick.major.width": 0.6,
    "ytick.major.width": 0.6,
}
# What else a user's own Axes take from the style.
OF_OTHERS = {
    "legend.fontsize": LEGEND["fontsize"],
    "legend.frameon": False,
    "lines.linewidth": 1.2,
    "axes.axisbelow": True,
    "axes.grid": True,
    "grid.color": GRID["color"],
    "grid.linewidth": GRID["linewidth"],
    "axes.spines.top": False,
    "axes.spines.right": False,
    "figure.constrained_layout.use": True,
    "pdf.fonttype": 42,  # TrueType, as journals want it
    "ps.fonttype": 42,
}


@contextmanager
def style(width: str | float = "column") -> Iterator[None]:
    """Figures for one column of a page, or for its whole width.

    3.5 or 7 inches wide, with letters of 7 and 8 points

    Within it all figures that ``lg.plot`` makes have this width: several panels are below one
    another in a column and side by side on a page. Figures that you make yourself by pyplot have
    the same width, letters, lines and colours.

    Parameters
    ----------
    width : "column", "two-column" or float, default "column"
        Or inches, from 2 to 20.

    Yields
    ------
    None
        The style ends with the block.

    Raises
    ------
    ValueError, TypeError
        For another width.
    MissingExtraError
        If matplotlib is not installed.

    References
    ----------
    Colours: Okabe and Ito, Color Universal Design, 2008.

    Examples
    --------
    >>> import localgd as lg
    >>> problem = lg.Problem([([[1.0], [2.0]], [1, 1]), ([[-1.0], [3.0]], [-1, 1])])
    >>> with lg.plot.style("two-column"):
    ...     ax = lg.plot.clients(problem)
    >>> float(ax.figure.get_figwidth())
    7.0
    """
    if isinstance(width, str):
        check.one_of("width", width, WIDTHS)
    inches = WIDTHS[width] if isinstance(width, str) else check.number("width", width, minimum=2)
    if inches > 20:
        raise ValueError(f"width: got {width!r}; want at most 20 inches")
    plt = check.require("matplotlib.pyplot", "plot", "lg.plot.style")
    cycler = check.require("cycler", "plot", "lg.plot.style").cycler
    own = {"figure.figsize": (inches, 2.5), "axes.prop_cycle": cycler(color=OKABE_ITO)}
    before = _width.set(inches)
    try:
        with plt.rc_context({**RC, **OF_OTHERS, **own}):
            yield
    finally:
        _width.reset(before)


def figure_width() -> float:
    """Inches of a new figure."""
    return _width.get()


def new_figure(purpose: str, width: float, height: float) -> Figure:
    """A pyplot figure, so that plt.show() and notebooks show it; sizes in inches."""
    plt = check.require("matplotlib.pyplot", "plot", purpose)
    with plt.rc_context(RC):
        return plt.figure(figsize=(width, height), layout="constrained")


def axes(ax: Axes | None, purpose: str, *, height: float = 2.5) -> Axes:
    """The given Axes with the shared grid, or those of a new figure."""
    if ax is None:
        ax = add_axes(new_figure(purpose, figure_width(), height))
    ax.set_axisbelow(True)
    ax.grid(True, which="major", **GRID)
    ax.spines[["top", "right"]].set_visible(False)
    return ax


def add_axes(figure: Any, place: tuple[int, int, int] = (1, 1, 1)) -> Axes:
    """One of rows x columns Axes, with the sizes of this style."""
    matplotlib = check.require("matplotlib", "plot", "lg.plot")
    with matplotlib.rc_context(RC):
        ax = figure.add_subplot(*place)
    # Ticks are made at the first drawing, outside the context: their size has to be set.
    ax.tick_params(labelsize=RC["xtick.labelsize"], width=RC["xtick.major.width"])
    return ax


def set_log(ax: Axes, which: str) -> None:
    """Make x or y a log axis, read as well where it spans less than a decade, or a hundred."""
    ticker = check.require("matplotlib.ticker", "plot", "lg.plot")
    ax.set(**{f"{which}scale": "log"})
    axis = {"x": ax.xaxis, "y": ax.yaxis}[which]
    low, high = axis.get_view_interval()
    decades = math.log10(high / low) if 0 < low < high < math.inf else 1.0
    if decades > MANY_DECADES:
        step = next(step for step in (5, 10, 20, 50) if decades <= 6 * step or step == 50)
        places = np.arange(math.ceil(math.log10(low)), math.log10(high) + 1e-9, step)
        axis.set_ticks(10.0**places, minor=False)
        axis.set_minor_locator(ticker.NullLocator())
    elif decades < 1:
        # Those of Matplotlib are at most two and crowded: 3 x 10^0, 4 x 10^0, 6 x 10^0.
        axis.set_major_locator(ticker.MaxNLocator(nbins=5, steps=[1, 2, 2.5, 5, 10]))
        axis.set_major_formatter(ticker.FuncFormatter(_tick_label))
        axis.set_minor_locator(ticker.NullLocator())
    elif decades < 2:
        axis.set_minor_locator(ticker.LogLocator(subs=(2, 5)))
        axis.set_minor_formatter(ticker.FuncFormatter(_tick_label))
        axis.set_major_formatter(ticker.FuncFormatter(_tick_label))
        # As far from the axis as those of whole decades, whose ticks are longer.
        axis.set_tick_params(which="minor", labelsize=RC["xtick.labelsize"], pad=5)


def _tick_label(value: float, _: int) -> str:
    if 1e-3 <= value < 1e5:
        return f"{value:g}"
    if value <= 0:  # beyond the end of the axis
        return ""
    power = math.floor(math.log10(value) + 1e-9)
    factor = f"{value / 10.0**power:g}"
    return f"$10^{{{power}}}$" if factor == "1" else f"${factor}{{\\times}}10^{{{power}}}$"


def colours(n: int) -> list[Any]:
    """n colours: Okabe-Ito while they last, then steps of cividis."""
    if n <= len(OKABE_ITO):
        return list(OKABE_ITO[:n])
    matplotlib = check.require("matplotlib", "plot", "lg.plot")
    return list(matplotlib.colormaps["cividis"](np.linspace(0.0, 0.85, n)))


def legend_above(ax: Axes, handles: list[Any], title: str | None = None) -> None:
    """A legend over the Axes, where it covers no data."""
    columns = legend_columns([handle.get_label() for handle in handles], inches(ax.figure))
    place: dict[str, Any] = {"loc": "lower left", "bbox_to_anchor": (0, 1)}
    _entitle(ax.legend(handles=handles, ncols=columns, title=title, **place, **LEGEND))


def legend_outside(figure: Any, handles: list[Any], title: str | None = None) -> None:
    """A legend over all Axes of the figure."""
    whole = figure.figure  # of a SubFigure: the Figure that lays it out
    if whole.get_layout_engine() is None:
        whole.set_layout_engine("constrained")  # makes room for the legend
    columns = legend_columns([handle.get_label() for handle in handles], inches(figure))
    place = "outside upper center"
    _entitle(figure.legend(handles=handles, loc=place, ncols=columns, title=title, **LEGEND))


def _entitle(legend: Any) -> None:
    legend.get_title().set(fontsize=LEGEND["fontsize"], color=GUIDE)


def inches(figure: Any) -> float:
    """The width of a Figure or SubFigure."""
    return float(figure.bbox.width / figure.dpi)


def legend_columns(labels: Sequence[str], width: float) -> int:
    """Those of the legend of fewest rows that goes into so many inches."""
    letters = LETTERS_PER_INCH * width
    lengths = [len(label) + 6 for label in labels]  # 6: the line, and a gap
    for rows in range(1, len(lengths) + 1):
        columns = -(-len(lengths) // rows)
        if sum(max(part) for part in np.array_split(lengths, columns)) <= letters:
            return columns
    return 1


def label_texts(labels: Sequence[Label], names: Mapping[Any, Hashable] | None) -> list[str]:
    """The names that the caller gave labels, or "label +1"."""
    if names is None:
        sign = "+" if set(labels) <= {-1, 1} else ""
        return [f"label {_shown(label, sign)}".replace(" -", " −") for label in labels]
    for label in labels:
        if label not in names:
            raise ValueError(f"label_names: no name for label {_shown(label)}; got {dict(names)!r}")
    return [str(names[label]) for label in labels]


def _shown(label: Label, sign: str = "") -> str:
    return str(label) if isinstance(label, str | bool) else f"{label:{sign}g}"
