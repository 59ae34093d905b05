"""The table of a run: which rounds, which columns, how numbers are written."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from ..result import Run
from .target import Target

__all__ = ["relative_distance", "round_text", "table", "table_rounds"]

ABSENT = "–"
SHARES = {"accuracy": "accuracy", "test_accuracy": "test\naccuracy"}
DISTANCES = {"min-norm": "distance to\nleast norm", "minimiser": "distance to\nminimiser"}
TableColumn = tuple[str, np.ndarray, Callable[[float], str]]  # heading, values, how one is written


def table_rounds(recorded: np.ndarray) -> list[float]:
    """0, the recorded rounds nearest to 1, 2, 5, 10, 20, 50, …, and the last.

    Of more than 12 decades about ten powers of ten are left.
    """
    after = recorded[recorded > 0]
    if not len(after):
        return list(recorded.tolist())
    last = math.ceil(math.log10(after[-1]))
    decades = 10.0 ** np.arange(0, last + 1, 1 if last <= 12 else 5 * math.ceil(last / 50))
    wanted = np.log(np.concatenate([decades, 2 * decades, 5 * decades]) if last <= 12 else decades)
    wanted = wanted[wanted <= np.log(after[-1])]
    nearest = after[np.abs(np.log(after)[:, None] - wanted).argmin(axis=0)]
    return sorted({recorded[0].item(), *nearest.tolist(), recorded[-1].item()})


def relative_distance(run: Run, target: Target) -> np.ndarray:
    """‖w_k - w*‖/‖w*‖ of each record, by the law of cosines in a form that does not cancel."""
    norm, best = run.history["norm"], float(np.linalg.norm(target.solution.weights))
    half = np.nan_to_num(run.history["angle"]) / 2  # NaN at w = 0, where the angle plays no part
    return np.hypot(norm - best, 2 * np.sqrt(norm * best) * np.sin(half)) / best


def table(
    run: Run, target: Target, pooled: Mapping[int, float] | None, compared: str = "pooled GD"
) -> tuple[list[str], list[list[str]]]:
    """Headings and rows.

    ``pooled``: angles to pooled GD in radians by round, or None for no such column; ``compared``:
    what that is called.
    """
    history = run.history
    columns: list[TableColumn] = [
        ("round", history["round"], round_text),
        ("loss", history["loss"], _power),
    ]
    columns += _limit_columns(run, target)
    for name, heading in SHARES.items():
        if name in history:
            columns.append((heading, 100 * history[name], lambda value: f"{value:.2f} %"))
    if "test_loss" in history and "test_accuracy" not in history:
        columns.append(("test\nloss", history["test_loss"], _power))
    if pooled is not None:
        angles = [np.degrees(pooled.get(int(k), math.nan)) for k in history["round"]]
        columns.append((f"angle to\n{compared}", np.array(angles), _degrees))
    if "error" in history:
        columns.append(("relative\nerror of w", history["error"], lambda value: f"{value:.0e}"))
    shown = np.isin(history["round"], table_rounds(history["round"]))
    cells = [[_cell(value, form) for value in values[shown]] for _, values, form in columns]
    return [heading for heading, _, _ in columns], [list(row) for row in zip(*cells, strict=True)]


def round_text(k: float) -> str:
    """A round as people write it."""
    return f"{int(k):,}" if k < 1e12 else f"{k:.3g}".replace("e+", "e")


def _limit_columns(run: Run, target: Target) -> list[TableColumn]:
    """How far the run is from its limit."""
    history = run.history
    if target.kind == "max-margin":
        share = 100 * history["margin"] / target.solution.margin
        return [
            ("margin,\n% of best", share, _share),
            ("angle to\nmax-margin", np.degrees(history["angle"]), _degrees),
        ]
    if target.kind == "regularised":
        return [
            ("f - f*", history["suboptimality"], _power),
            ("gradient\nnorm", history["grad_norm"], _power),
            ("distance to\nminimiser", history["distance"], _power),
        ]
    if target.kind in DISTANCES:
        return [(DISTANCES[target.kind], relative_distance(run, target), _power)]
    columns: list[TableColumn] = []
    if target.kind == "limits":
        angles = np.degrees(history["angle_outside"])
        columns.append(("distance to\nminimiser", history["distance_to_minimizer"], _power))
        columns.append(("angle\noutside", angles, _degrees))
    elif "margin" in history:
        columns.append(("margin", history["margin"], lambda value: f"{value:.5f}"))
    return [*columns, ("norm", history["norm"], lambda value: f"{value:.5g}")]


def _power(value: float) -> str:
    return f"{value:.3e}"


def _share(value: float) -> str:
    return f"{value:.2f}" if abs(value) < 1e4 else f"{value:.2e}"


def _degrees(value: float) -> str:
    return f"{value:.3f}°"


def _cell(value: Any, form: Callable[[float], str]) -> str:
    return form(value) if np.isfinite(value) else ABSENT
