"""The store of a sweep as lines of JSON, for one process that writes."""

from __future__ import annotations

import errno
import os
import warnings
from pathlib import Path
from typing import Any

from .entry import Entry

__all__ = ["JsonLines", "read_lines"]


def read_lines(path: Path) -> dict[str, Entry]:
    """The entries of an output file by key. A last line that was cut off is left out."""
    entries = {}
    for number, line in enumerate(path.read_bytes().split(b"\n")[:-1], start=1):
        try:
            entry = Entry.from_json(line.decode("utf-8"))
        except ValueError as error:
            raise ValueError(
                f"{path}: line {number} is not of a sweep of localgd ({error})"
            ) from error
        entries[entry.key] = entry
    return entries


class JsonLines:
    """The file that takes the entries of a sweep as they come.

    It can be written when it is opened, or there is an error. If that fails later, there is a
    warning, and the entries are tried again with the next one and at the end.
    """

    def __init__(self, path: str | os.PathLike[str]):
        self.path = Path(path)
        folder = Path(os.path.realpath(self.path)).parent
        if not folder.is_dir():
            raise ValueError(f"out: there is no folder {folder}; make it first")
        self.entries = read_lines(self.path) if self.path.is_file() else {}
        self._waiting: list[Entry] = []
        self._warned = False
        self._append(b"")

    def add(self, entry: Entry) -> None:
        """Write an entry, and those that could not be written before."""
        self._waiting.append(entry)
        self.write_waiting()

    def write_waiting(self) -> None:
        """Write what could not be written before."""
        if not self._waiting:
            return
        try:
            self._append("".join(f"{entry.to_json()}\n" for entry in self._waiting).encode())
        except OSError as error:
            if not self._warned:
                text = f"out: {self.path}: {error.strerror}; the sweep goes on and will try again"
                warnings.warn(text, RuntimeWarning, stacklevel=4)
            self._warned = True
        else:
            self._waiting.clear()

    def _append(self, content: bytes) -> None:
        """Whole lines, after the last whole one: those of a process that was killed are cut off."""
        with open(self.path, "ab", buffering=0) as file:
            if not self.path.is_file():  # a device or a pipe
                _write(file, content)
                return
            end = _end_of_last_line(self.path)
            file.truncate(end)
            try:
                _write(file, content)
            except OSError:
                file.truncate(end)
                raise


def _write(file: Any, content: bytes) -> None:
    """All of it: a disk that fills up takes a part without an error."""
    if file.write(content) < len(content):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def _end_of_last_line(path: Path) -> int:
    with path.open("rb") as file:
        end = file.seek(0, os.SEEK_END)
        while end > 0:
            begin = max(0, end - 2**16)
            file.seek(begin)
            last = file.read(end - begin).rfind(b"\n")
            if last >= 0:
                return begin + last + 1
            end = begin
    return 0
