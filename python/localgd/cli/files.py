"""What a run leaves in its folder."""

from __future__ import annotations

import contextlib
import csv
import io
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from ..result import Run
from ..writing import write_text
from .figure import draw
from .screen import one_line
from .target import Target

__all__ = ["FIGURES", "write_figure", "write_history"]

FIGURES = ("convergence.png", "convergence.pdf")


def write_history(run: Run, pooled: Mapping[int, float] | None, path: Path) -> None:
    """The history as CSV; angles in radians, empty where GD was not compared."""
    columns: dict[str, list[Any]] = {name: c.tolist() for name, c in run.history.items()}
    if pooled is not None:
        columns["angle_to_pooled"] = [pooled.get(k, "") for k in columns["round"]]
    text = io.StringIO(newline="")
    writer = csv.writer(text)
    writer.writerow(columns)
    writer.writerows(zip(*columns.values(), strict=True))
    write_text(path, text.getvalue())


def write_figure(
    run: Run, gd: Run | None, target: Target, name: str, folder: Path, compared: str
) -> str:
    """Draw the run, by its name, and its comparison; where the figure is, or why there is none."""
    try:
        _remove_figures(folder)  # never that of an earlier run
        if not np.any(run.history["round"] > 0):
            return "none: no round was finished"
        figure = draw(run, gd, target, name, compared)
        for file in FIGURES:
            figure.savefig(folder / file)
    except KeyboardInterrupt:
        why = "interrupted"
    except Exception as error:  # of matplotlib it may be any; the run is what counts
        why = one_line(error)
    else:
        return str(folder / FIGURES[0]) + " and .pdf"
    with contextlib.suppress(OSError):
        _remove_figures(folder)  # half of one
    return f"none: {why}"


def _remove_figures(folder: Path) -> None:
    for file in FIGURES:
        (folder / file).unlink(missing_ok=True)
