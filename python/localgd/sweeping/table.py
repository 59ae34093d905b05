"""The result of a sweep: one row per run and record."""

from __future__ import annotations

import dataclasses
import errno
import json
import math
import os
import warnings
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from .. import _validation as check
from ..result import Run

__all__ = ["Entry", "OutputFile", "Sweep", "load_sweep"]

CHECKSUM = ', "checksum": "'  # of what comes before it in a line
NOT_AN_ENTRY = (
    ValueError,
    TypeError,
    KeyError,
    AttributeError,
    RecursionError,
    OverflowError,
)
INFINITY = ("-Infinity", "Infinity")


@dataclass(frozen=True)
class Entry:
    """One finished run of a sweep.

    Attributes
    ----------
    values : dict
        What distinguishes it from the others: method, problem and the values of the grid.
    status : str
        "completed", "diverged" or "interrupted", or "failed" with the error as ``message``.
    message : str
    engine : str
    elapsed : float
        Seconds.
    history : dict of str to ndarray
        As of :class:`localgd.Run`.
    key : str
        A hash of all that the result depends on.
    batch : str
        A hash of the keys of the runs that were taken side by side; empty for a single run.
    """

    values: dict[str, Any]
    status: str
    message: str
    engine: str
    elapsed: float
    history: dict[str, np.ndarray]
    key: str
    batch: str = ""

    @classmethod
    def of(cls, key: str, values: dict[str, Any], run: Run) -> Entry:
        """The entry of a run by itself."""
        return cls(values, run.status, run.message, run.engine, run.elapsed, run.history, key)

    def last_record(self) -> dict[str, Any]:
        """What distinguishes it from the others, its status, and what was measured last."""
        measured = {name: column[-1].item() for name, column in self.history.items() if len(column)}
        return {**self.values, "status": self.status, **measured}

    def to_json(self) -> str:
        """A line of the output file; floats keep all their digits."""
        history = {name: _written(column.tolist()) for name, column in self.history.items()}
        body = json.dumps({**_written(self.__dict__), "history": history}, allow_nan=False)
        return f'{body[:-1]}{CHECKSUM}{_checksum(body[:-1])}"}}'

    @classmethod
    def from_json(cls, line: str) -> Entry:
        """What :meth:`to_json` wrote; a ValueError if it is not that."""
        body, found, rest = line.rpartition(CHECKSUM)
        if found and rest != f'{_checksum(body)}"}}':
            raise ValueError("its checksum differs: it was changed")
        try:
            fields = json.loads(f"{body}}}" if found else line)  # older lines have none
            if {*fields, "batch"} != {field.name for field in dataclasses.fields(cls)}:
                raise ValueError("it has other fields")
            history = {name: _column(values) for name, values in fields["history"].items()}
            entry = cls(**{**fields, "history": history})
        except NOT_AN_ENTRY as error:
            raise ValueError(f"{type(error).__name__}: {error}") from error
        if not entry._sound():
            raise ValueError("its fields are of other kinds")
        return entry

    def _sound(self) -> bool:
        """Whether the fields are of the kinds that runs have."""
        texts = (self.status, self.message, self.engine, self.key, self.batch)
        lengths = {column.shape for column in self.history.values()}
        return (
            all(isinstance(text, str) for text in texts)
            and isinstance(self.values, dict)
            and isinstance(self.elapsed, int | float)
            and (not lengths or len(lengths) == 1)
        )


def _checksum(text: str) -> str:
    return f"{zlib.crc32(text.encode()):08x}"


def _written(value: Any) -> Any:
    """A value in JSON, which has no NaN (null stands for it) and no infinity (a text does)."""
    if isinstance(value, float) and not math.isfinite(value):
        return None if math.isnan(value) else INFINITY[value > 0]
    if isinstance(value, list | tuple):
        return [_written(entry) for entry in value]
    if isinstance(value, dict):
        return {name: _written(entry) for name, entry in value.items()}
    return value


def _column(values: list[Any]) -> np.ndarray:
    """A column of numbers from what :func:`_written` made of it."""
    if not isinstance(values, list):
        raise TypeError("a column of its history is not a list")
    if all(type(value) is int for value in values):
        return np.array(values, dtype=np.int64 if values else np.float64)
    known = {None: math.nan, INFINITY[0]: -math.inf, INFINITY[1]: math.inf}
    numbers = [value if type(value) in (int, float) else known[value] for value in values]
    return np.array(numbers, dtype=np.float64)


class Sweep:
    """The runs of a sweep, from :func:`localgd.sweep`.

    ``len(table)`` runs; iterating gives them in the order of the grid.

    Attributes
    ----------
    entries : tuple of Entry
        One for each run.
    """

    def __init__(self, entries: list[Entry]):
        self.entries = tuple(entries)

    def __len__(self) -> int:
        return len(self.entries)

    def __iter__(self) -> Iterator[Entry]:
        return iter(self.entries)

    @property
    def columns(self) -> dict[str, np.ndarray]:
        """All records of all runs, one array per column; NaN where a run lacks a column."""
        names = list(dict.fromkeys(name for entry in self for name in entry.values))
        measures = list(dict.fromkeys(name for entry in self for name in entry.history))
        lengths = [len(next(iter(entry.history.values()), ())) for entry in self]
        columns: dict[str, np.ndarray] = {}
        for name in names:
            values = [_plain(entry.values.get(name)) for entry in self]
            columns[name] = np.repeat(np.array(values, dtype=_kind(values)), lengths)
        columns["status"] = np.repeat([entry.status for entry in self], lengths)
        for name in measures:
            parts = [
                entry.history.get(name, np.full(length, np.nan))
                for entry, length in zip(self, lengths, strict=True)
            ]
            # A parameter of that name stays what it is: the steps so far are another column.
            shown = f"{name}_so_far" if name in columns else name
            columns[shown] = np.concatenate(parts) if parts else np.zeros(0)
        return columns

    def last(self, name: str) -> np.ndarray:
        """The last value of a column of every run, NaN where it has none.

        ``entry.history[name][-1]``

        Parameters
        ----------
        name : str
            A column of the history.

        Returns
        -------
        ndarray of shape (len(table),), float64
            In the order of the runs.

        Examples
        --------
        >>> import localgd as lg
        >>> problem = lg.Problem([([[1.0]], [1])])
        >>> table = lg.sweep(problem, lg.GD(lr=1.0), grid={"lr": [0.1, 0.2]}, rounds=1)
        >>> table.last("norm").tolist()
        [0.1, 0.2]
        """
        ends = [entry.history.get(name, np.zeros(0)) for entry in self]
        return np.array([end[-1] if end.size else np.nan for end in ends], dtype=np.float64)

    def to_frame(self) -> Any:
        """One row per run and record, as a pandas DataFrame.

        ``frame[column][row]``: the values of the grid, the status and the measures

        Returns
        -------
        pandas.DataFrame
            Indexed from 0.

        Raises
        ------
        MissingExtraError
            If pandas is not installed.

        Examples
        --------
        >>> import localgd as lg
        >>> problem = lg.datasets.make_separable(n_clients=2, n_samples=5, n_features=20, seed=0)
        >>> table = lg.sweep(problem, lg.GD(lr=1.0), grid={"lr": [0.5, 1.0]}, rounds=10,
        ...                  record=[10])
        >>> table.to_frame()[["lr", "round"]].values.tolist()
        [[0.5, 0.0], [0.5, 10.0], [1.0, 0.0], [1.0, 10.0]]
        """
        return check.require("pandas", "data", "Sweep.to_frame").DataFrame(self.columns)

    def __repr__(self) -> str:
        counts: dict[str, int] = {}
        for entry in self:
            counts[entry.status] = counts.get(entry.status, 0) + 1
        listed = ", ".join(f"{count} {status}" for status, count in counts.items())
        return f"Sweep({len(self)} runs: {listed})"


def load_sweep(path: str | os.PathLike[str]) -> Sweep:
    """The runs that a sweep with ``out=path`` has written so far.

    One JSON object per line

    Parameters
    ----------
    path : path
        The file.

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
    return Sweep(list(read_entries(Path(path)).values()))


def read_entries(path: Path) -> dict[str, Entry]:
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


class OutputFile:
    """The file that takes the entries of a sweep as they come.

    It can be written when it is opened, or there is an error. If that fails later, there is a
    warning, and the entries are tried again with the next one and at the end.
    """

    def __init__(self, path: str | os.PathLike[str]):
        self.path = Path(path)
        folder = Path(os.path.realpath(self.path)).parent
        if not folder.is_dir():
            raise ValueError(f"out: there is no folder {folder}; make it first")
        self.entries = read_entries(self.path) if self.path.is_file() else {}
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


def _plain(value: Any) -> Any:
    return value if isinstance(value, str | int | float | None) else json.dumps(value)


def _kind(values: list[Any]) -> Any:
    """Numbers stay numbers; anything else is kept as it is."""
    if all(isinstance(value, int) and not isinstance(value, bool) for value in values):
        return np.int64 if all(abs(value) < 2**63 for value in values) else object
    plain = [isinstance(value, int | float) and not isinstance(value, bool) for value in values]
    return np.float64 if all(plain) else object
