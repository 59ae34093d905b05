"""``localgd run``: from settings to a table, a figure and the files that repeat it."""

from __future__ import annotations

import dataclasses
import warnings
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np

from .._backend import core
from ..engines import choose_engine
from ..losses import check_loss
from ..methods import Method
from ..problem import Problem
from ..recording import log_spaced
from ..result import Run
from ..rounds import learning_rate
from ..running import DTYPES, run
from . import files, methods
from .far import about_far, far_run, is_far
from .pooled import angles_to_pooled
from .report import table
from .rows import Prepared, prepare
from .screen import Screen, quoted
from .settings import Settings, write_config
from .target import Target, find_target

__all__ = ["execute"]

EXIT_CODES = {"completed": 0, "diverged": 1, "interrupted": 130}


def execute(settings: Settings, screen: Screen) -> int:
    """Do it all; the exit code."""
    settings = methods.settle(settings)
    with screen.busy("loading the rows"):
        prepared = prepare(settings)
    settings, problem = prepared.settings, prepared.problem
    method = methods.build(settings)
    _refuse_early(settings, problem, method)
    folder = Path(settings.out)
    folder.mkdir(parents=True, exist_ok=True)  # now, not after an hour
    screen.line("Data", prepared.data)
    screen.guessed(prepared.guessed)
    screen.line("Clients", prepared.clients)
    with screen.busy("computing the reference"):
        target = find_target(problem, str(settings.loss), settings.reference)
    target = dataclasses.replace(target, measures={**target.measures, **_accuracy(problem)})
    screen.line("Reference", target.about)
    screen.line("Method", _about_method(settings, problem, method))
    write_config(settings, folder / "run.toml")

    far = is_far(settings, problem, method)
    result = (far_run if far else _run)(prepared, method, target, screen)
    if far:
        screen.line("Far", about_far(result))
    else:
        screen.line("Engine", _about_engine(result, "solves" if method.rule.solve else "steps"))
    result.save(folder / "run.npz")
    if result.status == "interrupted":  # the rest takes seconds
        screen.error(f"{result.message}; writing the table and the figure")
    gd = None
    angles: dict[int, float] | None = None
    if settings.pooled and not far and result.status == "completed":
        gd, angles = _compare(settings, problem, method, result, target, screen)
    _show(result, gd, target, angles, methods.title(settings), folder, screen)
    return _outcome(result, gd, screen)


def _refuse_early(settings: Settings, problem: Problem, method: Method) -> None:
    """What ``localgd.run`` would refuse, before a reference is computed for minutes."""
    check_loss(settings.loss, problem)
    method.clients_per_round(problem.n_clients)
    choose_engine(
        problem,
        method,
        settings.rounds,
        loss=str(settings.loss),
        engine=settings.engine,
        itemsize=DTYPES[settings.dtype],
        memory_limit=settings.memory_limit,
    )


def _accuracy(problem: Problem) -> dict[str, Callable[[np.ndarray], float]]:
    """The share of rows that a model of several classes has right."""
    if problem.task != "multiclass":
        return {}
    return {"accuracy": lambda w: float(np.mean(np.argmax(problem.X @ w, axis=1) == problem.y))}


def _run(prepared: Prepared, method: Method, target: Target, screen: Screen) -> Run:
    settings = prepared.settings
    name = methods.title(settings).partition(",")[0]
    with screen.progress(name, settings.rounds, "rounds") as tell, warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # the status tells of a divergence
        return run(
            prepared.problem,
            method,
            rounds=settings.rounds,
            loss=str(settings.loss),
            engine=settings.engine,
            dtype=settings.dtype,
            threads=settings.threads,
            seed=settings.seed,
            record=log_spaced(per_decade=settings.records_per_decade),
            reference=target.solution,
            test=prepared.test,
            measures=target.measures,
            memory_limit=settings.memory_limit,
            checkpoint=settings.checkpoint,
            keep_weights=bool(settings.pooled),
            progress=tell or False,
        )


def _compare(
    settings: Settings,
    problem: Problem,
    method: Method,
    result: Run,
    target: Target,
    screen: Screen,
) -> tuple[Run, dict[int, float]]:
    steps = int(result.history["local_steps"][-1])
    with screen.progress("Pooled GD", steps, "steps") as tell:
        gd, angles = angles_to_pooled(
            problem,
            method,
            result,
            reference=target.solution,
            measures=target.measures,
            threads=settings.threads,
            memory_limit=settings.memory_limit,
            progress=tell,
        )
    screen.line("Pooled GD", f"{gd.round:,} steps in {gd.config['dtype']}, {_seconds(gd)}")
    return gd, angles


def _show(
    run: Run,
    gd: Run | None,
    target: Target,
    angles: Mapping[int, float] | None,
    name: str,
    folder: Path,
    screen: Screen,
) -> None:
    screen.blank()
    screen.table(*table(run, target, angles))
    screen.blank()
    files.write_history(run, angles, folder / "history.csv")
    with screen.busy("drawing the figure"):
        figure = files.write_figure(run, gd, target, name, folder)
    screen.path("Run", str(folder / "run.npz"))
    screen.path("History", str(folder / "history.csv"))
    screen.path("Figure", figure)
    screen.path("Repeat", f"localgd run --config {quoted(folder / 'run.toml')}")


def _outcome(run: Run, gd: Run | None, screen: Screen) -> int:
    """The exit code; what was not completed is said on standard error."""
    if run.status == "diverged":
        screen.error(run.message)
    if gd is None or gd.status == "completed":
        return EXIT_CODES[run.status]
    screen.error(f"pooled GD {gd.status} after step {gd.round:,}")
    return EXIT_CODES["interrupted" if gd.status == "interrupted" else run.status]


def _about_method(settings: Settings, problem: Problem, method: Method) -> str:
    return methods.about(settings, learning_rate(problem, method, str(settings.loss)))


def _about_engine(run: Run, work: str) -> str:
    threads = f"{run.threads} thread{'s' * (run.threads > 1)}"
    level = core.build_info()["instruction_set"]
    return (
        f"{run.engine}, {run.config['dtype']}, {threads}, {level}: "
        f"{run.local_steps_per_second:,.0f} local {work}/s, {_seconds(run)}"
    )


def _seconds(run: Run) -> str:
    return f"{run.elapsed:.1f} s" if run.elapsed >= 1 else f"{1000 * run.elapsed:.0f} ms"
