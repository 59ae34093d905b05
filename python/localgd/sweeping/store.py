"""What keeps the runs of a sweep: the file to which they are written as they finish."""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterable, Mapping
from enum import Enum
from pathlib import Path

from .entry import Entry

__all__ = ["Claim", "Store", "not_failed"]


class Claim(Enum):
    """Whose some runs are: this process may take them, another one does, or they are finished."""

    OURS = "ours"
    THEIRS = "theirs"
    DONE = "done"


class Store:
    """A file of runs.

    It can be written when it is opened, or there is an error. If that fails later, there is a
    warning, and the entries are tried again with the next one and at the end.
    """

    def __init__(self, path: str | os.PathLike[str]):
        self.path = Path(path)
        folder = Path(os.path.realpath(self.path)).parent
        if not folder.is_dir():
            raise ValueError(f"out: there is no folder {folder}; make it first")
        self._waiting: list[Entry] = []
        self._warned = False

    @property
    def empty(self) -> bool:
        """Whether it holds no run."""
        raise NotImplementedError

    def found(self, keys: Iterable[str]) -> dict[str, Entry]:
        """The runs with these keys that need not be run; those that have failed may work now."""
        raise NotImplementedError

    def claim(self, keys: Iterable[str]) -> Claim:
        """Take runs for this process, all of them or none, unless others have or had them."""
        return Claim.OURS

    def release(self, keys: Iterable[str]) -> None:
        """Give back runs that were not finished."""

    def add(self, entry: Entry) -> None:
        """Write an entry, and those that could not be written before."""
        self._waiting.append(entry)
        self.write_waiting()

    def write_waiting(self) -> None:
        """Write what could not be written before."""
        if not self._waiting:
            return
        try:
            self._write(self._waiting)
        except OSError as error:
            self._warn(error)
        else:
            self._waiting.clear()

    def _warn(self, error: OSError) -> None:
        if not self._warned:
            text = f"out: {self.path}: {error.strerror}; the sweep goes on and will try again"
            warnings.warn(text, RuntimeWarning, stacklevel=5)
        self._warned = True

    def close(self) -> None:
        """Write what is left."""
        self.write_waiting()

    def _write(self, entries: list[Entry]) -> None:
        """Write entries, all or none; an OSError if that cannot be done."""
        raise NotImplementedError


def not_failed(entries: Mapping[str, Entry], keys: Iterable[str]) -> dict[str, Entry]:
    """Those of some entries that have these keys and did not fail."""
    wanted = ((key, entries[key]) for key in keys if key in entries)
    return {key: entry for key, entry in wanted if entry.status != "failed"}
