"""The figure of a run: towards the max-margin model, or the loss where there is none."""

from __future__ import annotations

import os
from typing import Any

import numpy as np

from .. import _validation as check
from ..result import Run
from .report import relative_distance
from .target import Target

__all__ = ["draw", "without_window"]

DISTANCES = {
    "min-norm": "Distance to least-norm interpolant",
    "minimiser": "Distance to minimiser",
}


def without_window(purpose: str) -> None:
    """Let matplotlib draw into files, whatever else the environment says."""
    # A notebook's names a backend that may not be installed, with which the import fails.
    asked = os.environ.pop("MPLBACKEND", None)
    try:
        check.require("matplotlib", "plot", purpose).use("Agg")
    finally:
        if asked is not None:
            os.environ["MPLBACKEND"] = asked


def draw(
    run: Run, gd: Run | None, target: Target, name: str, compared: str = "GD on pooled rows"
) -> Any:
    """A matplotlib Figure of page width; nothing is shown in a window.

    ``gd``: to compare with; ``compared``: what it is.
    """
    without_window("the figure")
    from ..plot import _style, overview

    runs = {name: run}
    if gd is not None and np.any(gd.history["round"] > 0):
        runs[f"{compared}, as many steps"] = gd
    if target.kind == "max-margin" and all(
        np.isfinite(r.history["angle"]).any() for r in runs.values()
    ):
        return overview(runs, target.solution)
    figure = _style.new_figure("the figure", 2 * _style.COLUMN_WIDTH, 2.6)
    for place, label in enumerate(_panels(run, target), start=1):
        ax = _style.axes(_style.add_axes(figure, (1, 2, place)), "the figure")
        handles, scale = [], "linear"
        for (name, one), colour in zip(runs.items(), _style.colours(len(runs)), strict=True):
            values = _panels(one, target)[label]
            shown = (one.history["round"] > 0) & (values > 0)
            if shown.any():  # a log axis needs something
                scale = "log"
            else:
                shown = one.history["round"] > 0
            handles += ax.plot(one.history["round"][shown], values[shown], color=colour, label=name)
        ax.set(xscale="log", yscale=scale, xlabel="Communication rounds", ylabel=label)
    _style.legend_outside(figure, handles)
    return figure


def _panels(run: Run, target: Target) -> dict[str, np.ndarray]:
    """Two columns to draw, by the label of their axis."""
    if target.kind == "regularised":
        return {
            "f - f*": run.history["suboptimality"],
            "Norm of the gradient": run.history["grad_norm"],
        }
    second: dict[str, np.ndarray]
    if target.kind == "limits":
        second = {"Distance to minimiser": run.history["distance_to_minimizer"]}
    elif target.kind in DISTANCES:
        second = {DISTANCES[target.kind]: relative_distance(run, target)}
    else:
        second = {"Norm of the model": run.history["norm"]}
    return {"Loss": run.history["loss"], **second}
