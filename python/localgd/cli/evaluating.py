"""``--evaluate``: the run beside the models of the pooled rows and of each client."""

from __future__ import annotations

import datetime
from pathlib import Path

import numpy as np

from .. import __version__
from .. import _validation as check
from ..evaluation import evaluate
from ..problem import Problem
from ..result import Run
from ..writing import write_text
from .evaluation_page import page
from .figure import without_window
from .rows import Prepared
from .screen import quoted
from .target import Target

__all__ = ["refuse", "write_page"]


def refuse(target: Target) -> None:
    """What would leave no page, before the run: no pooled model, or a package that is missing."""
    without_window("--evaluate")
    check.require("jinja2", "cli", "--evaluate")
    if target.kind in ("max-margin", "limits"):
        raise ValueError(
            "evaluate: without l2 the loss of these rows has no minimiser, so there is no pooled "
            "model; want l2 above 0, such as 1e-3"
        )


def write_page(prepared: Prepared, run: Run, method: str, path: Path) -> None:
    """The page, about the held-out rows, or about all if there are none."""
    problem, test, settings = prepared.problem, prepared.test, prepared.settings
    if test is None:
        found = evaluate(run, problem)
    else:
        found = evaluate(run, *test, clients=prepared.test_ids, train=problem)
    about = {
        "data": prepared.data,
        "clients": prepared.clients,
        "method": method,
        "run": f"{run.status}, {run.round:,} rounds",
        "command": f"localgd run --config {quoted(Path(settings.out) / 'run.toml')}",
        "made": f"{datetime.datetime.now().astimezone():%Y-%m-%d %H:%M %Z}",
        "versions": f"localgd {__version__}, NumPy {np.__version__}",
    }
    text = page(
        found,
        held_out=test is not None,
        purpose=_purpose(problem, Path(str(settings.data)).name),
        warning=run.message if run.status != "completed" else "",
        about=about,
    )
    write_text(path, text)


def _purpose(problem: Problem, data: str) -> str:
    labels = list(map(str, problem.labels or ()))
    told = " from ".join(map(repr, reversed(labels)))
    if problem.task == "multiclass":
        told = f"{', '.join(map(repr, labels[:-1]))} and {labels[-1]!r} apart"
    return (
        f"{problem.n_samples:,} rows of {data}, held by {problem.n_clients:,} clients, taught the "
        f"models to tell {told}."
    )
