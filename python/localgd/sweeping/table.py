"""The result of a sweep: one row per run and record."""

from __future__ import annotations

import csv
import io
import json
import os
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from .. import _validation as check
from ..writing import replaced, write_text
from .entry import Entry
from .summary import Summary, summarize

__all__ = ["Sweep", "check_sweep"]


class Sweep:
    """The runs of a sweep, from :func:`localgd.sweep`.

    ``len(table)`` runs; iterating gives them in the order of the grid, and ``table[i]`` one.

    Attributes
    ----------
    entries : tuple of Entry
        One for each run.
    command : str
        The line, in Python or of a shell, that makes the sweep again; empty if that is not known,
        as of a file. What has no text in Python stands there by its name.
    """

    def __init__(self, entries: list[Entry], command: str = ""):
        self.entries = tuple(entries)
        self.command = command

    def __len__(self) -> int:
        return len(self.entries)

    def __iter__(self) -> Iterator[Entry]:
        return iter(self.entries)

    def __getitem__(self, index: int) -> Entry:
        return self.entries[index]

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

        Raises
        ------
        ValueError
            For a column that no run has.

        Examples
        --------
        >>> import localgd as lg
        >>> problem = lg.Problem([([[1.0]], [1])])
        >>> table = lg.sweep(problem, lg.GD(lr=1.0), grid={"lr": [0.1, 0.2]}, rounds=1)
        >>> table.last("norm").tolist()
        [0.1, 0.2]
        """
        known = list(dict.fromkeys(column for entry in self for column in entry.history))
        if known and name not in known:
            raise ValueError(
                f"name: no run has the column {name!r}; {check.suggestion(name, known)}"
            )
        ends = [entry.history.get(name, np.zeros(0)) for entry in self]
        return np.array([end[-1] if end.size else np.nan for end in ends], dtype=np.float64)

    def summary(
        self,
        *,
        by: str | Sequence[str] | None = None,
        over: str | Sequence[str] | None = "seed",
        columns: str | Sequence[str] | None = None,
        target: Mapping[str, Any] | None = None,
        until: str | Sequence[str] = ("round", "bits"),
    ) -> Summary:
        """What the runs come to, and what they took until a target, over their seeds.

        ``mean ± standard deviation`` of the last values, and of the first record at the target

        Parameters
        ----------
        by : str or sequence of str, optional
            Parameters that tell the groups of runs apart; all that vary besides ``over``, if not
            given.
        over : str or sequence of str, default "seed"
            Parameters that are averaged over.
        columns : str or sequence of str, optional
            Columns of the history whose last values are taken, angles in degrees; the usual ones
            that there are, if not given.
        target : mapping of str to float or list of float, optional
            Columns and the values that they are to reach: at most those, at least those of margins,
            alignment, accuracy and the like. Where some runs do not get there, it is said how many
            do, and the mean is theirs.
        until : str or sequence of str, default ("round", "bits")
            What a target takes is counted in: columns of the history. It is that of the first
            record at the target, so no finer than records are.

        Returns
        -------
        Summary
            With ``to_markdown()``, ``to_latex()``, ``to_frame()`` and ``columns``. Runs that were
            not completed are counted and left out.

        Raises
        ------
        ValueError
            For names that no run has, or groups that differ in a parameter that is neither in
            ``by`` nor in ``over``.
        TypeError
            For arguments of another kind.

        Examples
        --------
        >>> import localgd as lg
        >>> problem = lg.datasets.make_separable(n_clients=4, n_samples=5, n_features=40, seed=0)
        >>> table = lg.sweep(problem, lg.LocalSGD(1, 0.5, batch_size=1), rounds=100,
        ...                  grid={"local_steps": [1, 10], "seed": [0, 1, 2]})
        >>> print(table.summary(columns="loss", target={"loss": 0.1}, until="round"))
        | local_steps | loss | rounds until loss ≤ 0.1 |
        | -- | --: | --: |
        | 1 | 0.319 ± 0.006 | – |
        | 10 | 0.054137 ± 0.000002 | 50 ± 0 |
        """
        return summarize(self.entries, by, over, columns, target, until)

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

    def to_csv(self, path: str | os.PathLike[str]) -> None:
        """Write a file with one row per run and record.

        ``column, …`` in the first line; floats keep all their digits

        Parameters
        ----------
        path : path
            The file, which is replaced once it is whole.

        Raises
        ------
        OSError
            If it cannot be written.

        Examples
        --------
        >>> import localgd as lg, tempfile, pathlib
        >>> problem = lg.Problem([([[1.0]], [1])])
        >>> table = lg.sweep(problem, lg.GD(lr=1.0), rounds=1)
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     file = pathlib.Path(folder) / "runs.csv"
        ...     table.to_csv(file)
        ...     print(file.read_text()[:26])
        method,status,round,local_
        """
        columns = {
            name: ["" if value != value else value for value in column.tolist()]
            for name, column in self.columns.items()
        }
        text = io.StringIO(newline="")
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow(columns)
        writer.writerows(zip(*columns.values(), strict=True))
        write_text(path, text.getvalue())

    def to_parquet(self, path: str | os.PathLike[str]) -> None:
        """Write a Parquet file with one row per run and record.

        ``pandas.read_parquet(path)`` equals :meth:`to_frame`, but that parameters of several kinds
        are texts

        Parameters
        ----------
        path : path
            The file, which is replaced once it is whole.

        Raises
        ------
        MissingExtraError
            If pyarrow is not installed.
        OSError
            If it cannot be written.

        Examples
        --------
        >>> import localgd as lg, tempfile, pathlib, pyarrow.parquet
        >>> problem = lg.Problem([([[1.0]], [1])])
        >>> table = lg.sweep(problem, lg.GD(lr=1.0), rounds=1)
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     table.to_parquet(pathlib.Path(folder) / "runs.parquet")
        ...     pyarrow.parquet.read_table(pathlib.Path(folder) / "runs.parquet").num_rows
        2
        """
        parquet = check.require("pyarrow.parquet", "data", "Sweep.to_parquet")
        arrow = check.require("pyarrow", "data", "Sweep.to_parquet")
        columns = {name: _of_one_kind(column) for name, column in self.columns.items()}
        with replaced(path) as file:
            parquet.write_table(arrow.table(columns), file)

    def __repr__(self) -> str:
        counts: dict[str, int] = {}
        for entry in self:
            counts[entry.status] = counts.get(entry.status, 0) + 1
        listed = ", ".join(f"{count} {status}" for status, count in counts.items())
        why = next((f"; the first: {e.message}" for e in self if e.status == "failed"), "")
        return f"Sweep({len(self)} runs: {listed}{why})"


def check_sweep(table: Any) -> Sweep:
    """The sweep, or a TypeError."""
    if not isinstance(table, Sweep):
        raise TypeError(f"table: got {type(table).__name__}; want the result of localgd.sweep")
    return table


def _plain(value: Any) -> Any:
    return value if isinstance(value, str | int | float | None) else json.dumps(value)


def _of_one_kind(column: np.ndarray) -> Any:
    """A column as Arrow takes it."""
    if column.dtype != object:
        return column
    values = column.tolist()
    if len({type(value) for value in values if value is not None}) > 1:
        return [None if value is None else str(value) for value in values]
    return values


def _kind(values: list[Any]) -> Any:
    """Numbers stay numbers; anything else is kept as it is."""
    if all(isinstance(value, int) and not isinstance(value, bool) for value in values):
        return np.int64 if all(abs(value) < 2**63 for value in values) else object
    plain = [isinstance(value, int | float) and not isinstance(value, bool) for value in values]
    return np.float64 if all(plain) else object
