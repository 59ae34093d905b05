"""``localgd run``: from settings to a table, a figure and the files that repeat it."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from pathlib import Path

from .._backend import core
from ..engines import choose_engine
from ..methods import GD, LocalGD, Method
from ..problem import Problem
from ..recording import log_spaced
from ..result import Run
from ..running import DTYPES, LOSSES, run
from . import files
from .pooled import angles_to_pooled
from .report import table
from .rows import prepare
from .screen import Screen
from .settings import Settings, write_config
from .target import Target, find_target
from .words import learning_rate

__all__ = ["execute"]

EXIT_CODES = {"completed": 0, "diverged": 1, "interrupted": 130}


def execute(settings: Settings, screen: Screen) -> int:
    """Do it all; the exit code."""
    with screen.busy("loading the rows"):
        prepared = prepare(settings)
    settings, problem = prepared.settings, prepared.problem
    method = _method(settings)
    _refuse_early(settings, problem, method)
    folder = Path(settings.out)
    folder.mkdir(parents=True, exist_ok=True)  # now, not after an hour
    screen.line("Data", prepared.data)
    screen.line("Clients", prepared.clients)
    target = Target("none", None, "none: switched off")
    if settings.reference:
        with screen.busy("computing the reference"):
            target = find_target(problem, str(settings.loss))
    screen.line("Reference", target.about)
    screen.line("Method", _about_method(settings))
    write_config(settings, folder / "run.toml")

    compared = method if settings.pooled and isinstance(method, LocalGD) else None
    result = _run(settings, problem, method, target, screen, keep_weights=compared is not None)
    screen.line("Engine", _about_engine(result))
    result.save(folder / "run.npz")
    gd = None
    angles: dict[int, float] | None = None
    if compared is not None and result.status == "completed":
        gd, angles = _compare(settings, problem, compared, result, target, screen)
    _show(result, gd, target, angles, folder, screen)
    return _outcome(result, gd, screen)


def _method(settings: Settings) -> Method:
    lr = learning_rate("lr", settings.lr)
    return GD(lr=lr) if settings.method == "gd" else LocalGD(settings.local_steps, lr)


def _refuse_early(settings: Settings, problem: Problem, method: Method) -> None:
    """What ``localgd.run`` would refuse, before a reference is computed for minutes."""
    if problem.task not in LOSSES[str(settings.loss)]:
        fitting = [name for name, tasks in LOSSES.items() if problem.task in tasks]
        raise ValueError(
            f"loss: {settings.loss!r} does not fit a {problem.task} task; "
            f"want {' or '.join(fitting)}"
        )
    choose_engine(
        problem,
        method.local_steps,
        settings.rounds,
        engine=settings.engine,
        itemsize=DTYPES[settings.dtype],
        memory_limit=settings.memory_limit,
    )


def _run(
    settings: Settings,
    problem: Problem,
    method: Method,
    target: Target,
    screen: Screen,
    *,
    keep_weights: bool,
) -> Run:
    name = "Local-GD" if isinstance(method, LocalGD) else "GD"
    with screen.progress(name, settings.rounds, "rounds") as tell, warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # the status tells of a divergence
        return run(
            problem,
            method,
            rounds=settings.rounds,
            loss=str(settings.loss),
            engine=settings.engine,
            dtype=settings.dtype,
            threads=settings.threads,
            seed=settings.seed,
            record=log_spaced(per_decade=settings.records_per_decade),
            reference=target.solution,
            memory_limit=settings.memory_limit,
            checkpoint=settings.checkpoint,
            keep_weights=keep_weights,
            progress=tell or False,
        )


def _compare(
    settings: Settings,
    problem: Problem,
    method: LocalGD,
    result: Run,
    target: Target,
    screen: Screen,
) -> tuple[Run, dict[int, float]]:
    steps = result.round * method.local_steps
    with screen.progress("Pooled GD", steps, "steps") as tell:
        gd, angles = angles_to_pooled(
            problem,
            method,
            result,
            reference=target.solution,
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
    folder: Path,
    screen: Screen,
) -> None:
    screen.blank()
    screen.table(*table(run, target, angles))
    screen.blank()
    files.write_history(run, angles, folder / "history.csv")
    with screen.busy("drawing the figure"):
        figure = files.write_figure(run, gd, target, folder)
    screen.path("Run", str(folder / "run.npz"))
    screen.path("History", str(folder / "history.csv"))
    screen.path("Figure", figure)
    screen.path("Repeat", f"localgd run --config {folder / 'run.toml'}")


def _outcome(run: Run, gd: Run | None, screen: Screen) -> int:
    """The exit code; what was not completed is said on standard error."""
    if run.status != "completed":
        screen.error(run.message)
    if gd is None or gd.status == "completed":
        return EXIT_CODES[run.status]
    screen.error(f"pooled GD {gd.status} after step {gd.round:,}")
    return EXIT_CODES["interrupted" if gd.status == "interrupted" else run.status]


def _about_method(settings: Settings) -> str:
    steps = f"{settings.local_steps:,} local step{'s' * (settings.local_steps > 1)} per round, "
    name = "GD on the pooled rows, " if settings.method == "gd" else f"Local-GD, {steps}"
    lr = f"{settings.lr:g}" if isinstance(settings.lr, float) else settings.lr
    return f"{name}lr {lr}, {settings.loss} loss, {settings.rounds:,} rounds"


def _about_engine(run: Run) -> str:
    threads = f"{run.threads} thread{'s' * (run.threads > 1)}"
    level = core.build_info()["instruction_set"]
    return (
        f"{run.engine}, {run.config['dtype']}, {threads}, {level}: "
        f"{run.local_steps_per_second:,.0f} local steps/s, {_seconds(run)}"
    )


def _seconds(run: Run) -> str:
    return f"{run.elapsed:.1f} s" if run.elapsed >= 1 else f"{1000 * run.elapsed:.0f} ms"
