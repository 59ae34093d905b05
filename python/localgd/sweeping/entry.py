"""A finished run of a sweep, and the line of JSON that keeps it."""

from __future__ import annotations

import dataclasses
import json
import math
import zlib
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..history import History
from ..result import Run

__all__ = ["Entry"]

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

    def __post_init__(self) -> None:
        object.__setattr__(self, "history", History(self.history))

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
