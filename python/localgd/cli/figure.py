"""The figure of a run: towards the max-margin model, or the loss where there is none."""

from __future__ import annotations

from typing import Any

import numpy as np

from .. import _validation as check
from ..result import Run
from .report import relative_distance
from .target import Target

__all__ = ["draw"]


def draw(run: Run, target: Target) -> Any:
    """A matplotlib Figure of page width; nothing is shown in a window."""
    check.require("matplotlib", "plot", "the figure").use("Agg")
    from ..plot import _style, overview

    if target.kind == "max-margin" and np.isfinite(run.history["angle"]).any():
        return overview(run, target.solution)
    panels = {"Loss": run.history["loss"]}
    if target.kind == "min-norm":
        panels["Distance to least-norm interpolant"] = relative_distance(run, target)
    else:
        panels["Norm of the model"] = run.history["norm"]
    figure = _style.new_figure("the figure", 2 * _style.COLUMN_WIDTH, 2.6)
    rounds = run.history["round"]
    for place, (label, values) in enumerate(panels.items(), start=1):
        ax = _style.axes(_style.add_axes(figure, (1, 2, place)), "the figure")
        shown = (rounds > 0) & (values > 0)
        ax.plot(rounds[shown], values[shown], color=_style.colours(1)[0])
        ax.set(xscale="log", yscale="log", xlabel="Communication rounds", ylabel=label)
    return figure
