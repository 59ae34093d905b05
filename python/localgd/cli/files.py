"""What a run leaves in its folder."""

from __future__ import annotations

import csv
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import MissingExtraError
from ..result import Run
from .figure import draw
from .target import Target

__all__ = ["FIGURES", "write_figure", "write_history"]

FIGURES = ("convergence.png", "convergence.pdf")


def write_history(run: Run, pooled: Mapping[int, float] | None, path: Path) -> None:
    """The history as CSV; angles in radians, empty where GD was not compared."""
    columns: dict[str, list[Any]] = {name: c.tolist() for name, c in run.history.items()}
    if pooled is not None:
        columns["angle_to_pooled"] = [pooled.get(k, "") for k in columns["round"]]
    with path.open("w", newline="", encoding="utf-8") as stream:
        writer = csv.writer(stream)
        writer.writerow(columns)
        writer.writerows(zip(*columns.values(), strict=True))


def write_figure(run: Run, gd: Run | None, target: Target, name: str, folder: Path) -> str:
    """Draw the run, by its name, and its comparison; where the figure is, or why there is none."""
    for file in FIGURES:
        (folder / file).unlink(missing_ok=True)  # never that of an earlier run
    if not np.any(run.history["round"] > 0):
        return "none: no round was finished"
    try:
        figure = draw(run, gd, target, name)
        for file in FIGURES:
            figure.savefig(folder / file)
    except MissingExtraError as error:
        return f"none: {error}"
    except KeyboardInterrupt:
        return "none: interrupted"
    return str(folder / FIGURES[0]) + " and .pdf"
