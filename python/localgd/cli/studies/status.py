"""``localgd status``: how far a study is, and whether its data are those that it began with."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

from ...sweeping import Sweep, load_sweep
from ...sweeping.database import claimed, is_database
from ..screen import Screen
from .folder import changed_files, changed_versions, open_folder

__all__ = ["execute"]

MOST_MESSAGES = 5


def execute(path: Path, screen: Screen) -> int:
    """Say it; the exit code: 0 if all runs are completed and the data are the same."""
    if path.is_file():  # a store alone, which does not know what is missing
        return _show_runs(load_sweep(path), None, claimed(path) if is_database(path) else 0, screen)
    folder = open_folder(path)
    screen.line("Study", f"{len(folder.study.runs):,} runs by {folder.record['command']}")
    there = folder.store.exists()
    table = load_sweep(folder.store) if there else Sweep([])
    code = _show_runs(table, len(folder.study.runs), claimed(folder.store) if there else 0, screen)
    changed = dict(changed_files(folder))
    for name in folder.record["data"]:
        screen.line("Data", f"{name} {changed.get(name, 'is as recorded')}")
    for name, (then, now) in changed_versions(folder).items():
        screen.line("Made with", f"{name} {then}, now {now}")
    return 1 if changed else code


def _show_runs(table: Sweep, wanted: int | None, running: int, screen: Screen) -> int:
    counts = Counter(entry.status for entry in table)
    left = 0 if wanted is None else max(0, wanted - len(table))
    parts = [f"{count:,} {status}" for status, count in counts.items()]
    parts += [f"{running:,} running"] * bool(running)
    parts += [f"{left - running:,} to go"] * (left > running)
    screen.line("Runs", ", ".join(parts) or "none")
    seconds = sum(entry.elapsed for entry in table)
    if len(table):
        rest = seconds / len(table) * left
        more = f"; about {_time(rest)} for the rest, by their mean" if left else ""
        screen.line("Time", f"{_time(seconds)} of computing{more}")
    bad = [entry for entry in table if entry.status not in ("completed", "interrupted")]
    for entry in bad[:MOST_MESSAGES]:
        screen.line(entry.status.capitalize(), f"{entry.values}: {entry.message}")
    return 0 if not left and set(counts) <= {"completed"} else 1


def _time(seconds: float) -> str:
    if seconds < 120:
        return f"{seconds:.1f} s"
    return f"{seconds / 60:,.0f} min" if seconds < 7200 else f"{seconds / 3600:,.1f} h"
