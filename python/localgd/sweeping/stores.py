"""Which store a sweep has, by its name, and stores that become one."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from ..identification import digest
from .database import Database, is_database, read_database
from .entry import Entry
from .json_lines import JsonLines, read_lines
from .store import Store
from .table import Sweep

STORE, RECORD = "runs.sqlite", "record.json"  # in the folder of a study

__all__ = ["RECORD", "STORE", "load_sweep", "merge", "open_store", "read_entries"]


def open_store(path: str | os.PathLike[str]) -> Store:
    """The store of a sweep: a database by its suffix or its content, otherwise lines of JSON."""
    return Database(path) if is_database(Path(path)) else JsonLines(path)


def load_sweep(path: str | os.PathLike[str]) -> Sweep:
    """The runs that a sweep with ``out=path`` has written so far.

    One JSON object per line, or an SQLite database

    Parameters
    ----------
    path : path
        The file, or the folder of a study; others may write to it meanwhile.

    Returns
    -------
    Sweep
        The runs, in the order in which they finished.

    Raises
    ------
    FileNotFoundError
    ValueError
        If the file is not the output of a sweep.

    Examples
    --------
    >>> import localgd as lg
    >>> lg.load_sweep("nowhere.jsonl")
    Traceback (most recent call last):
    FileNotFoundError: [Errno 2] No such file or directory: 'nowhere.jsonl'
    """
    path = Path(path)
    if not path.is_dir():
        return Sweep(list(read_entries(path)))
    entries = list(read_entries(path / STORE))
    return Sweep(entries, json.loads((path / RECORD).read_text("utf-8"))["command"])


def read_entries(path: Path) -> Iterable[Entry]:
    """The entries of a store, each key once."""
    path.stat()  # or a FileNotFoundError
    return read_database(path) if is_database(path) else read_lines(path).values()


def merge(paths: Sequence[str | os.PathLike[str]], out: str | os.PathLike[str]) -> int:
    """Write the runs of several stores to one, each once; how many there are differently.

    Of runs with the same key the first one counts that did not fail.
    """
    kept: dict[str, str] = {}  # what tells the first from others, by key
    differing = 0
    there = [Path(out)] if Path(out).exists() else []
    store = open_store(out)
    try:
        for path, entry in _preferred([*there, *map(Path, paths)]):
            result = _result(entry)
            if entry.key not in kept:
                kept[entry.key] = result
                if path not in there:
                    store.add(entry)
            elif entry.status != "failed" and kept[entry.key] != result:
                differing += 1
    finally:
        store.close()
    return differing


def _preferred(paths: Sequence[Path]) -> Iterator[tuple[Path, Entry]]:
    """The entries of all with their paths, those that failed after all others."""
    for failed in (False, True):
        for path in paths:
            for entry in read_entries(path):
                if (entry.status == "failed") == failed:
                    yield path, entry


def _result(entry: Entry) -> str:
    """A hash of what runs with the same key should have in common."""
    return digest(*entry.history.values()) + entry.status
