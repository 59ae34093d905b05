"""What all pictures share: colours, sizes, the light grid."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
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

LEGEND = {
    "fontsize": 7,
    "frameon": False,
    "handlelength": 1.6,
    "columnspacing": 1.2,
    "borderaxespad": 0.2,
}

# One column of a two-column page, in inches, and letters that are read there unscaled.
COLUMN_WIDTH = 3.5
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


def new_figure(purpose: str, width: float, height: float) -> Figure:
    """A pyplot figure, so that plt.show() and notebooks show it; sizes in inches."""
    plt = check.require("matplotlib.pyplot", "plot", purpose)
    with plt.rc_context(RC):
        return plt.figure(figsize=(width, height), layout="constrained")


def axes(ax: Axes | None, purpose: str, *, height: float = 2.5) -> Axes:
    """The given Axes with the shared grid, or those of a new figure of column width."""
    if ax is None:
        ax = add_axes(new_figure(purpose, COLUMN_WIDTH, height))
    ax.set_axisbelow(True)
    ax.grid(True, which="major", color="#DDDDDD", linewidth=0.5)
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


def colours(n: int) -> list[Any]:
    """n colours: Okabe-Ito while they last, then steps of cividis."""
    if n <= len(OKABE_ITO):
        return list(OKABE_ITO[:n])
    matplotlib = check.require("matplotlib", "plot", "lg.plot")
    return list(matplotlib.colormaps["cividis"](np.linspace(0.0, 0.85, n)))


def legend_above(ax: Axes, handles: list[Any]) -> None:
    """A legend over the Axes, where it covers no data."""
    columns = _columns([handle.get_label() for handle in handles])
    ax.legend(handles=handles, loc="lower left", bbox_to_anchor=(0, 1), ncols=columns, **LEGEND)


def legend_outside(figure: Any, handles: list[Any]) -> None:
    """A legend over all Axes of the figure."""
    whole = figure.figure  # of a SubFigure: the Figure that lays it out
    if whole.get_layout_engine() is None:
        whole.set_layout_engine("constrained")  # makes room for the legend
    figure.legend(handles=handles, loc="outside upper center", ncols=min(5, len(handles)), **LEGEND)


def _columns(labels: list[str]) -> int:
    """The legend of fewest rows that goes into a column's width, about 56 letters."""
    lengths = [len(label) + 6 for label in labels]  # 6: the sample of the line, and a gap
    for rows in range(1, len(labels) + 1):
        columns = -(-len(labels) // rows)
        if sum(max(part) for part in np.array_split(lengths, columns)) <= 56:
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
