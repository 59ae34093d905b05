"""The figure of a run: towards the max-margin model, or the loss where there is none."""

from __future__ import annotations

from typing import Any

import numpy as np

from .. import _validation as check
from ..result import Run
from .report import relative_distance
from .target import Target

__all__ = ["draw"]

DISTANCES = {
    "min-norm": "Distance to least-norm interpolant",
    "minimiser": "Distance to minimiser",
}


def draw(run: Run, gd: Run | None, target: Target, name: str) -> Any:
    """A matplotlib Figure of page width; nothing is shown in a window. ``gd``: to compare with."""
    check.require("matplotlib", "plot", "the figure").use("Agg")
    from ..plot import _style, overview

    runs = {name: run}
    if gd is not None and np.any(gd.history["round"] > 0):
        runs["GD on pooled rows, as many steps"] = gd
    if target.kind == "max-margin" and all(
        np.isfinite(r.history["angle"]).any() for r in runs.values()
    ):
        return overview(runs, target.solution)
    figure = _style.new_figure("the figure", 2 * _style.COLUMN_WIDTH, 2.6)
    for place, label in enumerate(_panels(run, target), start=1):
        ax = _style.axes(_style.add_axes(figure, (1, 2, place)), "the figure")
        handles = []
        for (name, one), colour in zip(runs.items(), _style.colours(len(runs)), strict=True):
            values = _panels(one, target)[label]
            shown = (one.history["round"] > 0) & (values > 0)
            handles += ax.plot(one.history["round"][shown], values[shown], color=colour, label=name)
        ax.set(xscale="log", yscale="log", xlabel="Communication rounds", ylabel=label)
    _style.legend_outside(figure, handles)
    return figure


def _panels(run: Run, target: Target) -> dict[str, np.ndarray]:
    """Two columns to draw, by the label of their axis."""
    second: dict[str, np.ndarray]
    if target.kind == "limits":
        second = {"Distance to minimiser": run.history["distance_to_minimizer"]}
    elif target.kind in DISTANCES:
        second = {DISTANCES[target.kind]: relative_distance(run, target)}
    else:
        second = {"Norm of the model": run.history["norm"]}
    return {"Loss": run.history["loss"], **second}
