"""A progress bar on a terminal: rounds, rounds per second, time left."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from . import _validation as check
from .writing import Stream

Report = Callable[[Any], None]


def check_progress(progress: Any) -> Any:
    """True, False or a callable, unchanged."""
    if not isinstance(progress, bool) and not callable(progress):
        raise TypeError(f"progress: got {progress!r}; want True, False or a callable round -> None")
    return progress


@contextmanager
def progress_report(
    progress: Any, total: float, *, unit: str = "rounds"
) -> Iterator[Report | None]:
    """A function that takes the present round, or None where nothing is to be shown.

    A bar counts in ``unit``; a callable is given what the caller of the function says.

    ``progress`` may be a bool (True: a bar, if standard error is a terminal) or a callable that
    takes the present round.
    """
    if callable(progress):
        yield progress
        return
    if not progress or not _on_terminal():
        yield None
        return
    bar, task = _bar(total, unit)
    with bar:
        yield lambda round: bar.update(task, completed=round)


def _on_terminal() -> bool:
    """Whether there is a standard error to draw on; services and windowed programs have none."""
    try:
        return sys.stderr is not None and sys.stderr.isatty()
    except (AttributeError, ValueError):  # replaced by an object that can only write, or closed
        return False


def _bar(total: float, unit: str) -> tuple[Any, Any]:
    rich = check.require("rich.progress", "cli", "a progress bar")
    console = check.require("rich.console", "cli", "a progress bar").Console(
        stderr=True, file=Stream("stderr")
    )

    class Speed(rich.ProgressColumn):  # type: ignore[name-defined, misc]
        def render(self, task: Any) -> str:
            return f"{task.speed:,.0f} {unit}/s" if task.speed else f"– {unit}/s"

    bar = rich.Progress(
        rich.TextColumn("{task.description}"),
        rich.BarColumn(),
        rich.TextColumn(f"{{task.completed:,.0f}}/{{task.total:,.0f}} {unit}"),
        Speed(),
        rich.TimeRemainingColumn(),
        console=console,
        transient=True,
    )
    return bar, bar.add_task("running", total=total)
