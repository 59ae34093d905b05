"""Many runs as one line with a band around it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from ..sweeping.aggregation import Band, aggregated
from . import _style

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["MOST_KINDS", "MOST_LINES", "draw_band", "draw_bands"]

Points = tuple[np.ndarray, np.ndarray]  # of a run
MOST_LINES = 40  # in one picture; more are bands
MOST_KINDS = 10  # of lines or bands that a legend tells apart
LEVEL = 0.9  # of the runs lie within


def draw_band(ax: Axes, band: Band, label: str, **line: Any) -> Any:
    """The line, with its band; returns the line."""
    if (band.low < band.high).any():
        ax.fill_between(band.x, band.low, band.high, color=line["color"], alpha=0.2, linewidth=0)
    marker = "o" if len(band.x) == 1 else ""  # a line through one point would not be seen
    (drawn,) = ax.plot(band.x, band.middle, label=label, marker=marker, markersize=3, **line)
    return drawn


def draw_bands(
    ax: Axes, named: Mapping[str, Sequence[Points]], log_y: bool
) -> tuple[list[Any], str]:
    """A band for each name, or one for all where there are too many names.

    The median and the middle nine tenths, as far as half of the runs go. Returns the lines, and
    what the bands are.
    """
    counts = [len(curves) for curves in named.values()]
    if len(named) > MOST_KINDS:
        named = {f"all {sum(counts)} runs": [c for curves in named.values() for c in curves]}
    each = "" if len(named) == 1 else f" of {min(counts)} runs"
    if len(named) > 1 and min(counts) < max(counts):
        each = f" of {min(counts)} to {max(counts)} runs"
    handles = []
    for (name, curves), colour in zip(named.items(), _style.colours(len(named)), strict=True):
        band = aggregated(
            curves,
            center="median",
            spread="quantiles",
            level=LEVEL,
            log_x=True,
            log_y=log_y,
            least=0.5,
        )
        if band is not None:
            handles.append(draw_band(ax, band, name, color=colour))
    return handles, f"median and middle {100 * LEVEL:g} %{each}"
