"""``localgd sweep``: the runs of a study, and a table and a figure of them."""

from __future__ import annotations

import csv
import dataclasses
import io
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any

from ...sweeping import Sweep
from ...sweeping.entry import Entry
from ...sweeping.executors import check_executor, opened
from ...sweeping.keys import Keys
from ...sweeping.runs import carry_out, windows
from ...sweeping.store import Store
from ...sweeping.stores import STORE, load_sweep, merge, open_store
from ...writing import write_text
from ..figure import without_window
from ..screen import Screen, one_line, quoted
from .cases import named_cases
from .definition import Study, read_study
from .folder import StudyFolder, prepare_folder

__all__ = ["carried_out", "execute", "merge_stores"]

STORES = (".sqlite", ".sqlite3", ".db", ".jsonl")
TABLES = (".csv", ".parquet")
INTERRUPTED = 130
DRAWN = (("suboptimality", "grad_norm"), ("angle", "loss"), ("loss", "grad_norm"))
FACETS = ("data", "scheme", "classes", "clients", "l2")
MOST_FACETS = 3


def execute(path: Path, out: Path, executor: str | None, screen: Screen) -> int:
    """Do it all; the exit code: 1 if runs failed or diverged, 130 after Ctrl-C."""
    check_executor(executor)
    study = read_study(path)
    command = f"localgd sweep {quoted(path)} --out {quoted(out)}"
    folder = None if out.suffix in STORES else prepare_folder(out, study, command)
    screen.line("Study", f"{path.name}: {len(study.runs):,} runs")
    store = out if folder is None else folder.store
    with closing(open_store(store)) as opened_store:
        entries = carried_out(folder.study if folder else study, executor, opened_store, screen)
    screen.path("Runs", str(store))
    if len(entries) < len(study.runs):
        left = len(study.runs) - len(entries)
        screen.error(f"interrupted: {left:,} runs are left; the same command goes on with them")
        return INTERRUPTED
    table = Sweep(entries, command)
    _show(table, folder, screen)
    bad = [entry for entry in entries if entry.status != "completed"]
    for entry in bad[:5]:
        screen.error(f"{entry.status}: {_named(entry)}: {entry.message}")
    if len(bad) > 5:
        screen.error(f"and {len(bad) - 5:,} more that were not completed")
    return 1 if bad else 0


def carried_out(
    study: Study, executor: str | None, store: Store | None, screen: Screen
) -> list[Entry]:
    """The entries of a study in its order; those that there are, if it was interrupted.

    Runs are taken one by one, with the bits of ``localgd run``, wherever they are taken.
    """
    done: dict[str, Entry] = {}
    places: dict[str, list[dict[str, Any]]] = {}

    def named() -> Any:
        for key, case in named_cases(study, None if executor is None else 1):
            places.setdefault(key, []).append(case.values)
            yield key, case

    with ExitStack() as stack:
        update = stack.enter_context(screen.progress("Runs", len(study.runs), "runs"))
        pool = stack.enter_context(opened(executor))
        for entry in carry_out(windows(named()), pool, store, batch=False, keys=Keys()):
            done[entry.key] = entry
            if update is not None:
                update(len(done))
    found = {
        repr(values): dataclasses.replace(done[key], values=values)
        for key, same in places.items()
        for values in same
        if key in done and done[key].status != "interrupted"
    }
    return [found[repr(run.values)] for run in study.runs if repr(run.values) in found]


def merge_stores(paths: list[Path], out: Path, screen: Screen) -> int:
    """Make one store, or a table, of several; the exit code: 1 if runs are there differently."""
    if out.suffix in TABLES:
        if len(paths) != 1:
            raise ValueError(f"out: got {str(out)!r} for {len(paths)} files; want a store, first")
        table = load_sweep(paths[0])
        (table.to_csv if out.suffix == ".csv" else table.to_parquet)(out)
        screen.path("Table", str(out))
        return 0
    differing = merge([path / STORE if path.is_dir() else path for path in paths], out)
    screen.line("Runs", f"{len(load_sweep(out)):,}, of {len(paths):,} stores")
    screen.path("Store", str(out))
    if differing:
        screen.error(f"{differing:,} runs are there with other results; the first ones were kept")
    return 1 if differing else 0


def _named(entry: Entry) -> str:
    return ", ".join(f"{name} {value}" for name, value in entry.values.items() if value is not None)


def _show(table: Sweep, folder: StudyFolder | None, screen: Screen) -> None:
    """The summary on the screen, and in the folder as text, with a figure."""
    if not any(entry.history for entry in table):
        return
    summary = table.summary()
    screen.blank()
    screen.table(*summary.cells())
    screen.blank()
    if folder is None:
        return
    write_text(folder.path / "summary.md", summary.to_markdown() + "\n")
    write_text(folder.path / "summary.tex", summary.to_latex() + "\n")
    write_text(folder.path / "runs.csv", _list(table, folder.study))
    screen.path("Summary", f"{folder.path / 'summary.md'} and .tex")
    with screen.busy("drawing the figure"):
        screen.path("Figure", _drawn(table, folder.path))
    screen.path("Repeat", f"localgd rerun {quoted(folder.path)} --check")


def _list(table: Sweep, study: Study) -> str:
    """A line for each run: what it is called, how it ended, and the command that makes it alone."""
    names = list(table.entries[0].values)
    last = list(dict.fromkeys(name for entry in table for name in entry.history))
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow([*names, "status", *(f"last_{name}" for name in last), "command"])
    for entry, run in zip(table, study.runs, strict=True):
        ends = [entry.history[name][-1].item() if name in entry.history else "" for name in last]
        ends = ["" if end != end else end for end in ends]
        writer.writerow([*(entry.values[n] for n in names), entry.status, *ends, run.command])
    return text.getvalue()


def _drawn(table: Sweep, folder: Path) -> str:
    """Where the figure is, or why there is none."""
    try:
        without_window("the figure")
        from ... import plot

        columns = {name for entry in table for name in entry.history}
        y = next(names for names in DRAWN if columns.issuperset(names))
        values = {name: {repr(entry.values.get(name)) for entry in table} for name in FACETS}
        facet = next((n for n, some in values.items() if 1 < len(some) <= MOST_FACETS), None)
        with plot.style("two-column"):
            figure = plot.compare(table, y=list(y), facet=facet)
        for suffix in (".png", ".pdf"):
            figure.savefig(folder / f"comparison{suffix}")
    except Exception as error:  # of matplotlib it may be any; the runs are what counts
        return f"none: {one_line(error)}"
    return f"{folder / 'comparison.png'} and .pdf"
