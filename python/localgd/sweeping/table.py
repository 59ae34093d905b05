"""The result of a sweep: one row per run and record."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from .. import _validation as check

__all__ = ["Entry", "Sweep", "load_sweep"]


@dataclass(frozen=True)
class Entry:
    """One finished run of a sweep.

    Attributes
    ----------
    values : dict
        What tells it from the others: method, problem and the values of the grid.
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
    """

    values: dict[str, Any]
    status: str
    message: str
    engine: str
    elapsed: float
    history: dict[str, np.ndarray]
    key: str

    def to_json(self) -> str:
        """A line of the output file; floats keep all their digits."""
        history = {name: column.tolist() for name, column in self.history.items()}
        return json.dumps({**self.__dict__, "history": history})

    @classmethod
    def from_json(cls, line: str) -> Entry:
        """What :meth:`to_json` wrote."""
        fields = json.loads(line)
        history = {name: np.array(column) for name, column in fields["history"].items()}
        return cls(**{**fields, "history": history})


class Sweep:
    """The runs of a sweep, from :func:`localgd.sweep`.

    ``len(table)`` runs; iterating gives them in the order of the grid.

    Attributes
    ----------
    entries : tuple of Entry
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
        """The last value of a column of every run, NaN where it has none."""
        ends = [entry.history.get(name, np.zeros(0)) for entry in self]
        return np.array([end[-1] if end.size else np.nan for end in ends], dtype=np.float64)

    def to_frame(self) -> Any:
        """One row per run and record, as a pandas DataFrame.

        ``frame[column][row]``: the values of the grid, the status and the measures

        Returns
        -------
        pandas.DataFrame

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
        told = ", ".join(f"{count} {status}" for status, count in counts.items())
        return f"Sweep({len(self)} runs: {told})"


def load_sweep(path: str | os.PathLike[str]) -> Sweep:
    """The runs that a sweep with ``out=path`` has written so far.

    One JSON object per line

    Parameters
    ----------
    path : path

    Returns
    -------
    Sweep

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
    lines = path.read_text(encoding="utf-8").split("\n")
    for number, line in enumerate(lines[:-1], start=1):
        try:
            entry = Entry.from_json(line)
        except (ValueError, TypeError, KeyError) as error:
            raise ValueError(f"{path}: line {number} is not of a sweep of localgd") from error
        entries[entry.key] = entry
    return entries


def drop_cut_off_line(path: Path) -> None:
    """Shorten an output file whose last line was not finished, so that more can be added."""
    content = path.read_bytes()
    whole = content.rfind(b"\n") + 1
    if whole < len(content):
        os.truncate(path, whole)


def _plain(value: Any) -> Any:
    return value if isinstance(value, str | int | float | None) else json.dumps(value)


def _kind(values: list[Any]) -> Any:
    """Numbers stay numbers; anything else is kept as it is."""
    if all(isinstance(value, int) and not isinstance(value, bool) for value in values):
        return np.int64 if all(abs(value) < 2**63 for value in values) else object
    plain = [isinstance(value, int | float) and not isinstance(value, bool) for value in values]
    return np.float64 if all(plain) else object
