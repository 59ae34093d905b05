"""What the user sees: lines with a name, progress bars, tables, errors."""

from __future__ import annotations

import operator
import os
import shlex
import sys
import textwrap
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

from rich import box
from rich.console import Console
from rich.measure import Measurement
from rich.progress import (
    BarColumn,
    Progress,
    ProgressColumn,
    Task,
    TextColumn,
    TimeRemainingColumn,
)
from rich.table import Table
from rich.text import Text

from ..writing import Stream

__all__ = ["Screen", "one_line", "quoted"]

NAME_WIDTH = 10
WIDEST = 10_000  # columns
SILENCE = 5.0  # seconds without a word where there is no bar
PLAIN = box.Box("    \n    \n -- \n" + "    \n" * 5, ascii=True)  # a line under the headings


class Screen:
    """Standard output for results, standard error for progress and errors."""

    def __init__(self, *, quiet: bool = False):
        for stream in (sys.stdout, sys.stderr):
            if hasattr(stream, "reconfigure"):  # an old code page has no "°"
                stream.reconfigure(errors="replace")
        out: Any = Stream("stdout", self._lost)
        err: Any = Stream("stderr")
        self.quiet = quiet
        self.out = Console(highlight=False, quiet=quiet, file=out)
        self.err = Console(highlight=False, stderr=True, file=err)
        self.live = self.err.is_terminal and not quiet

    def _lost(self, error: OSError) -> None:
        self.error(f"standard output: {error.strerror}; what follows is not printed")

    def line(self, name: str, text: str) -> None:
        """A line (or more, where it is long) that begins with a name."""
        indent = " " * (NAME_WIDTH + 2)
        lines = textwrap.wrap(
            text,
            max(40, self.out.width),
            initial_indent=indent,
            subsequent_indent=indent,
            break_long_words=False,
            break_on_hyphens=False,
        )
        self.path(name, "\n".join(lines).lstrip())

    def path(self, name: str, text: str) -> None:
        """A line that is not broken, to copy from."""
        start = f"{name:<{NAME_WIDTH}}  "
        self.out.print(Text.assemble((start, "bold cyan"), text), soft_wrap=True)

    def guessed(self, text: str, name: str = "Guessed") -> None:
        """A line about what was guessed, if anything."""
        if text:
            self.path(name, text)

    def blank(self) -> None:
        """An empty line."""
        self.out.print()

    def error(self, text: str) -> None:
        """One line on standard error."""
        self.err.print(Text.assemble(("localgd: ", "bold red"), text), soft_wrap=True)

    def table(self, headings: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
        """Numbers in columns."""
        frame = box.SIMPLE_HEAD if self.out.is_terminal else PLAIN
        table = Table(box=frame, header_style="bold", pad_edge=False, show_edge=False)
        for heading in headings:
            table.add_column(heading, justify="right", no_wrap=True, vertical="bottom")
        for row in rows:
            table.add_row(*row)
        self.print_table(table)

    def print_table(self, table: Table) -> None:
        """A table at full width, except for text that a terminal may break into lines.

        Only a terminal has an edge; there numbers that do not fit continue in the next line.
        """
        width = self.out.width
        needs = Measurement.get(self.out, self.out.options.update(width=WIDEST), table)
        self.out.width = max(width, needs.minimum if self.out.is_terminal else needs.maximum)
        try:
            self.out.print(table, crop=False)
        finally:
            self.out.width = width

    @contextmanager
    def busy(self, text: str) -> Iterator[None]:
        """A spinner on a terminal, while something without steps is computed; else lines."""
        if not self.live:
            with self._heard(lambda: text):
                yield
            return
        with self.err.status(text):
            yield

    @contextmanager
    def _heard(self, text: Callable[[], str]) -> Iterator[None]:
        """A line on standard error every five seconds."""
        if self.quiet:
            yield
            return
        begin, done = time.monotonic(), threading.Event()

        def say() -> None:
            while not done.wait(SILENCE):
                self.err.print(
                    f"localgd: {text()}, {time.monotonic() - begin:.0f} s", soft_wrap=True
                )

        speaker = threading.Thread(target=say, daemon=True)
        speaker.start()
        try:
            yield
        finally:
            done.set()
            speaker.join()

    @contextmanager
    def progress(self, name: str, total: int, unit: str) -> Iterator[Callable[[int], None] | None]:
        """A bar on a terminal, else lines; the function takes how far it is."""
        if not self.live:
            reached = [0]
            with self._heard(lambda: f"{name}, {reached[0]:,} of {total:,} {unit}"):
                yield None if self.quiet else partial(operator.setitem, reached, 0)
            return
        bar = Progress(
            TextColumn("{task.description}", style="bold cyan"),
            BarColumn(bar_width=24),
            TextColumn(f"{{task.completed:,}}/{{task.total:,}} {unit}"),
            _Speed(unit),
            TimeRemainingColumn(compact=True),
            console=self.err,
            transient=True,
        )
        task = bar.add_task(f"{name:<{NAME_WIDTH + 1}}", total=total)
        with bar:
            yield lambda done: bar.update(task, completed=done)


def one_line(error: Exception) -> str:
    """What an error says, in a line."""
    if isinstance(error, OSError) and error.filename is not None:
        return f"{error.filename}: {error.strerror}"
    text = error.format_message() if hasattr(error, "format_message") else str(error)
    return " ".join(text.split()) or type(error).__name__


def quoted(path: str | Path) -> str:
    """A path, or what else may hold bytes that are no text, as one word of a shell."""
    text = str(path)
    if text.isprintable():
        return shlex.quote(text)
    # Line ends, and bytes that are not UTF-8.
    signs = (repr(bytes([byte]))[2:-1] for byte in os.fsencode(text))
    return "$'" + "".join("\\'" if sign == "'" else sign for sign in signs) + "'"


class _Speed(ProgressColumn):
    def __init__(self, unit: str):
        super().__init__()
        self.unit = unit

    def render(self, task: Task) -> Text:
        speed = task.finished_speed or task.speed
        return Text(f"{speed:,.0f} {self.unit}/s" if speed else "")
