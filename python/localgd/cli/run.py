"""``localgd run``: from settings to a table, a figure and the files that repeat it."""

from __future__ import annotations

import dataclasses
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from .. import scoring
from .._backend import core
from ..analysis import local_offset
from ..arguments import DTYPES
from ..checkpointing import Checkpoint
from ..engines import choose_engine
from ..errors import UnsupportedError
from ..loggers import CsvLogger
from ..losses import check_loss
from ..methods import Method
from ..participation import Participation
from ..problem import Problem
from ..result import Run
from ..running import run
from ..theory import learning_rate, penalty
from . import chosen_method, files, words
from .config import write_config
from .evaluating import refuse, write_page
from .forwarding import about_forwarding, arguments, forwarded_run, is_forwarded
from .pooled import angles_to_pooled, dtype_of_gd, names_of_gd, takes_too_long
from .report import table
from .rows import Prepared, prepare
from .screen import Screen, one_line, quoted
from .settings import Settings
from .target import MOST_SECONDS, Target, find_target

__all__ = ["begin", "conclude", "execute", "measured_shares", "taken"]

EXIT_CODES = {"completed": 0, "diverged": 1, "interrupted": 130}
NOT_WRITTEN = 2


def execute(settings: Settings, screen: Screen) -> int:
    """Do it all; the exit code."""
    asked = settings.pooled
    settings = chosen_method.settle(settings)
    with screen.busy("loading the rows"):
        prepared = prepare(settings)
    problem = prepared.problem
    l2 = penalty(prepared.settings.l2, problem, str(prepared.settings.loss))
    settings = prepared.settings.model_copy(update={"l2": l2})
    prepared = dataclasses.replace(prepared, settings=settings)
    method = chosen_method.build(settings).on(problem.sizes)
    _refuse_early(settings, problem, method)
    too_long = ""
    if asked is None and settings.pooled and not is_forwarded(settings, problem, method):
        too_long = takes_too_long(settings, problem, method)
        settings = settings.model_copy(update={"pooled": not too_long})
        prepared = dataclasses.replace(prepared, settings=settings)
    begin(prepared, screen)
    if too_long:
        screen.line(names_of_gd(settings).line, too_long)
    with screen.busy(f"computing the reference{_limit(settings)}"):
        target = find_target(problem, str(settings.loss), settings.reference, l2)
    accuracy = measured_shares(problem, l2)
    target = dataclasses.replace(target, measures={**target.measures, **accuracy})
    screen.line("Reference", target.about)
    if settings.evaluate is not None:
        refuse(target)
    screen.line("Method", _about_method(settings, problem, method))
    if target.kind == "regularised":
        _show_offset(problem, method, target, screen)

    forwarded = is_forwarded(settings, problem, method)
    result = (forwarded_run if forwarded else taken)(prepared, method, target, screen)
    return conclude(prepared, method, target, result, screen)


def begin(prepared: Prepared, screen: Screen) -> None:
    """Write the settings, and say what the rows are."""
    folder = Path(prepared.settings.out)
    folder.mkdir(parents=True, exist_ok=True)  # now, not after an hour
    write_config(prepared.settings, folder / "run.toml")
    screen.line("Data", prepared.data)
    screen.guessed(prepared.guessed)
    screen.line("Clients", prepared.clients)


def conclude(
    prepared: Prepared,
    method: Method,
    target: Target,
    result: Run,
    screen: Screen,
    program: str = "localgd",
) -> int:
    """Write and show what a run has come to; the exit code. ``program``: what repeats it."""
    settings, folder = prepared.settings, Path(prepared.settings.out)
    command = {"command": f"{program} run --config run.toml"}  # in the folder of the run
    result = dataclasses.replace(result, config={**result.config, **command})
    # From here on there is something to lose: failures are reported, and the rest goes on.
    paths = {"Run": folder / "run.npz", "History": folder / "history.csv"}
    written = {"Run": _written(lambda: result.save(paths["Run"]), folder, screen)}
    forwarded = "fast_forward" in result.config
    if forwarded:
        screen.line("Far", about_forwarding(result))
    else:
        screen.line("Engine", _about_engine(result, "solves" if method.rule.solve else "steps"))
    if result.status == "completed" and result.message:
        screen.line("Stopped", result.message.removeprefix("stopped "))
    if result.status == "interrupted":  # the rest takes seconds
        screen.error(f"{result.message}; writing the table and the figure")
    gd = None
    angles: dict[int, float] | None = None
    if settings.pooled and not forwarded and result.status == "completed":
        gd, angles = _compare(settings, prepared.problem, method, result, target, screen)
    written["History"] = _written(
        lambda: files.write_history(result, angles, paths["History"]), folder, screen
    )
    names = names_of_gd(settings)
    _show_table(result, target, angles, names.column, screen)
    with screen.busy("drawing the figure"):
        figure = files.write_figure(
            result, gd, target, chosen_method.title(settings), folder, names.legend
        )
    if settings.evaluate is not None:
        about = _about_method(settings, prepared.problem, method)
        paths["Evaluation"] = Path(settings.evaluate)
        with screen.busy("evaluating"):
            written["Evaluation"] = _written(
                lambda: write_page(prepared, result, about, paths["Evaluation"]),
                paths["Evaluation"].parent,
                screen,
            )
    for name, path in paths.items():
        screen.path(name, str(path) if written[name] else "none: it could not be written")
    screen.path("Figure", figure)
    screen.path("Repeat", f"{program} run --config {quoted(folder / 'run.toml')}")
    return _outcome(result, gd, names.column, screen) or (
        0 if all(written.values()) else NOT_WRITTEN
    )


def _limit(settings: Settings) -> str:
    """How long the reference may take, and how to have it otherwise."""
    if settings.reference:
        return ", as long as it takes (--no-reference: without it)"
    return f", for at most about {MOST_SECONDS:g} s (--no-reference: without it)"


def _written(write: Callable[[], Any], folder: Path, screen: Screen) -> bool:
    """Whether a file could be written; if not, a line says why."""
    try:
        folder.mkdir(parents=True, exist_ok=True)  # again: it may have gone during the run
        write()
    except (OSError, MemoryError, ValueError) as error:
        screen.error(f"{one_line(error)}; the rest goes on")
        return False
    return True


def _refuse_early(settings: Settings, problem: Problem, method: Method) -> None:
    """What ``localgd.run`` would refuse, before a reference is computed for minutes."""
    check_loss(settings.loss, problem)
    if settings.evaluate is not None and problem.task == "regression":
        raise ValueError(f"evaluate: got {settings.evaluate!r} for regression; want classes")
    if settings.checkpoint is not None:
        Checkpoint(settings.checkpoint)
    Participation(problem, method, settings.seed)
    choose_engine(
        problem,
        method,
        settings.rounds,
        loss=str(settings.loss),
        engine=settings.engine,
        itemsize=DTYPES[str(settings.dtype)],
        memory_limit=settings.memory_limit,
    )


@dataclass(frozen=True)
class Accuracy:
    """The share of the rows of a problem that a model has right."""

    problem: Problem

    def __call__(self, w: np.ndarray) -> float:
        """That of a model."""
        return scoring.accuracy(self.problem.y, self.problem.X @ w)


def measured_shares(problem: Problem, l2: float) -> dict[str, Callable[[np.ndarray], float]]:
    """The share of rows that a model has right, where its margin does not say as much."""
    if problem.task == "multiclass" or (problem.task == "binary" and l2 > 0):
        return {"accuracy": Accuracy(problem)}
    return {}


def taken(
    prepared: Prepared, method: Method, target: Target, screen: Screen, comm: Any = None
) -> Run:
    """The run by :func:`localgd.run`, shown where this is the process that shows it."""
    settings = prepared.settings
    name = chosen_method.title(settings).partition(",")[0]
    folder = Path(settings.out)
    with screen.progress(name, settings.rounds, "rounds") as update, _warnings_as_lines(screen):
        return run(
            prepared.problem,
            method,
            **arguments(prepared, target),
            engine=settings.engine,
            dtype=settings.dtype,
            stop=words.stop(settings.stop) if settings.stop else None,
            checkpoint=settings.checkpoint,
            checkpoint_seconds=settings.checkpoint_seconds,
            keep_weights=bool(settings.pooled),
            callback=_Following(folder / "history.csv"),
            progress=update or False,
            comm=comm,
        )


class _Following:
    """The records in a file while the run goes on; at its end errors of the file are said."""

    def __init__(self, path: Path):
        self._log: CsvLogger | None = CsvLogger(path)

    def __call__(self, record: Mapping[str, float]) -> None:
        if self._log is None:
            return
        try:
            self._log(record)
        except OSError:
            self._log = None


@contextmanager
def _warnings_as_lines(screen: Screen) -> Iterator[None]:
    """What a run warns of, but a divergence, which its status says."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("ignore", RuntimeWarning)
        warnings.filterwarnings("always", "checkpoint", RuntimeWarning)
        warnings.filterwarnings("always", "participation", UserWarning)
        yield
    for warning in caught:
        screen.error(str(warning.message))


def _compare(
    settings: Settings,
    problem: Problem,
    method: Method,
    result: Run,
    target: Target,
    screen: Screen,
) -> tuple[Run | None, dict[int, float] | None]:
    steps = int(result.history["local_steps"][-1])
    name = names_of_gd(settings).line
    try:
        with screen.progress(name, steps, "steps") as update:
            gd, angles = angles_to_pooled(
                problem,
                method,
                result,
                reference=target.solution,
                measures=target.measures,
                dtype=dtype_of_gd(str(settings.loss), target),
                threads=settings.threads,
                memory_limit=settings.memory_limit,
                progress=update,
            )
    except (ValueError, ArithmeticError, MemoryError) as error:
        screen.line(name, f"none: {one_line(error)}")
        return None, None
    screen.line(name, f"{gd.round:,} steps in {gd.config['dtype']}, {_seconds(gd)}")
    return gd, angles


def _show_table(
    run: Run, target: Target, angles: Mapping[int, float] | None, compared: str, screen: Screen
) -> None:
    screen.blank()
    screen.table(*table(run, target, angles, compared))
    screen.blank()


def _outcome(run: Run, gd: Run | None, compared: str, screen: Screen) -> int:
    """The exit code; what was not completed is said on standard error."""
    if run.status == "diverged":
        screen.error(run.message)
    if gd is None or gd.status == "completed":
        return EXIT_CODES[run.status]
    screen.error(f"{compared} {gd.status} after step {gd.round:,}")
    return EXIT_CODES["interrupted" if gd.status == "interrupted" else run.status]


def _about_method(settings: Settings, problem: Problem, method: Method) -> str:
    lr = learning_rate(problem, method, str(settings.loss), float(settings.l2))
    return chosen_method.about(settings, lr)


def _show_offset(problem: Problem, method: Method, target: Target, screen: Screen) -> None:
    """Where local steps are to come to rest beside the minimiser, for methods that do so."""
    try:
        with screen.busy("predicting where it comes to rest"):
            found = local_offset(problem, method, target.solution)
    except (UnsupportedError, MemoryError):
        return
    screen.line(
        "Offset",
        f"where it comes to rest, from the curvature at w*: f - f* = {found.suboptimality:.3g}, "
        f"‖∇f‖ = {found.grad_norm:.3g}, ‖w - w*‖ = {found.distance:.3g}",
    )


def _about_engine(run: Run, work: str) -> str:
    threads = f"{run.threads} thread{'s' * (run.threads > 1)}"
    level = core.build_info()["instruction_set"]
    return (
        f"{run.engine}, {run.config['dtype']}, {threads}, {level}: "
        f"{run.local_steps_per_second:,.0f} local {work}/s, {_seconds(run)}"
    )


def _seconds(run: Run) -> str:
    return f"{run.elapsed:.1f} s" if run.elapsed >= 1 else f"{1000 * run.elapsed:.0f} ms"
