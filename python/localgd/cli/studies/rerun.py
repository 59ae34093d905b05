"""``localgd rerun``: the runs of a study once more, and whether they have the same bits."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

import numpy as np

from ...sweeping import load_sweep
from ...sweeping.entry import Entry
from ...sweeping.executors import check_executor
from ...sweeping.stores import open_store
from ..screen import Screen
from .folder import StudyFolder, changed_files, changed_versions, open_folder, prepare_folder
from .sweep import INTERRUPTED, carried_out

__all__ = ["difference", "execute"]

MOST_SHOWN = 10


def execute(path: Path, out: Path | None, executor: str | None, screen: Screen) -> int:
    """Do it; the exit code: 0 if all is the same bit for bit. ``out`` None: nothing is kept."""
    check_executor(executor)
    folder = open_folder(path)
    if not folder.store.exists():
        raise ValueError(f"{path}: no {folder.store.name}; want a study that has been run")
    _show(folder, screen)
    changed = list(changed_files(folder))
    for name, why in changed:
        screen.error(f"{name} {why}: other rows have other results")
    if changed:
        return 1
    if out is None:
        entries = carried_out(folder.study, executor, None, screen)
    else:
        again = prepare_folder(out, folder.study, f"localgd rerun {path} --out {out}")
        with closing(open_store(again.store)) as store:
            entries = carried_out(again.study, executor, store, screen)
        screen.path("Runs", str(again.store))
    if len(entries) < len(folder.study.runs):
        screen.error("interrupted")
        return INTERRUPTED
    return _compare(folder, entries, screen)


def _show(folder: StudyFolder, screen: Screen) -> None:
    record = folder.record
    screen.line("Study", f"{record['runs']:,} runs by {record['command']}")
    commit = record["commit"]
    if commit:
        changed = ", with changes that were not committed" if commit["changed"] else ""
        screen.line("Commit", commit["id"] + changed)
    for name, wanted in record["data"].items():
        screen.path("Data", f"{name}  SHA-256 {wanted['sha256']}")
    for name, (then, now) in changed_versions(folder).items():
        screen.line("Made with", f"{name} {then}, now {now}")


def _compare(folder: StudyFolder, entries: list[Entry], screen: Screen) -> int:
    then = {repr(entry.values): entry for entry in load_sweep(folder.store)}
    differing = []
    for run, now in zip(folder.study.runs, entries, strict=True):
        before = then.get(repr(run.values))
        why = "was not there" if before is None else difference(before, now)
        if why:
            differing.append((run.values, why))
    same = len(entries) - len(differing)
    screen.line("Same", f"{same:,} of {len(entries):,} runs, bit for bit")
    for values, why in differing[:MOST_SHOWN]:
        screen.line("Other", f"{', '.join(f'{n} {v}' for n, v in values.items())}: {why}")
    if len(differing) > MOST_SHOWN:
        screen.line("Other", f"and {len(differing) - MOST_SHOWN:,} more")
    if differing and "instruction_set" in changed_versions(folder):
        screen.line("", "instruction sets agree to rounding, not bit for bit")
    return 1 if differing else 0


def difference(before: Entry, now: Entry) -> str:
    """What differs between two results of a run; empty if they have the same bits."""
    if before.status != now.status:
        return f"{before.status} then, {now.status} now {now.message}".rstrip()
    missing = set(before.history) ^ set(now.history)
    if missing:
        return f"columns {', '.join(sorted(missing))} are on one side only"
    found = []
    for name, old in before.history.items():
        new = now.history[name]
        if old.shape != new.shape:
            return f"{len(old):,} records then, {len(new):,} now"
        if old.tobytes() != new.tobytes() and not np.array_equal(old, new, equal_nan=True):
            found.append((_largest(old, new), name))
    if not found:
        return ""
    largest, name = max(found)
    return f"{len(found)} columns, most of all {name} by a relative {largest:.1e}"


def _largest(old: np.ndarray, new: np.ndarray) -> float:
    with np.errstate(all="ignore"):
        off = np.abs(new - old) / np.maximum(np.abs(old), np.abs(new))
    return float(np.nanmax(off)) if np.isfinite(off).any() else np.inf
