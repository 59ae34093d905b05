"""A run that can be stopped and taken up again with the same bits."""

from __future__ import annotations

import hashlib
import json
import os
import time
import warnings
from pathlib import Path
from typing import Any

import numpy as np

from .configuration import unidentified_lr
from .engines import ENGINES
from .history import Recording
from .preparation import Preparation
from .result import read_npz, write_npz
from .rounds import shortened_rounds
from .schedules import Schedule, rates

__all__ = ["SECONDS_BETWEEN", "Checkpoint"]

FORMAT = 5
KIND = "a checkpoint of localgd"
SECONDS_BETWEEN = 30.0
RATES_AT_ONCE = 2**16
NUMBERS = {"round": int, "participations": int, "shortened": int, "drift": float, "elapsed": float}


class _Rates:
    """The rates that a run has used, as a hash: a function is known by nothing else."""

    def __init__(self) -> None:
        self._used = hashlib.sha256()
        self._first = 0
        self._given: list[float] = []

    def begin(self, first: int, given: list[float]) -> None:
        """The rates of the rounds from ``first`` on; all before that have been run."""
        self._used.update(self._until(first))
        self._first, self._given = first, given

    def digest(self, round: int) -> str:
        """The hash of those used before a round."""
        used = self._used.copy()
        used.update(self._until(round))
        return used.hexdigest()

    def _until(self, round: int) -> bytes:
        return np.array(self._given[: round - self._first]).tobytes()


class Checkpoint:
    """The file that holds the newest state of a run, written now and then and at the end."""

    def __init__(self, path: Any, seconds: float = SECONDS_BETWEEN):
        if not isinstance(path, str | os.PathLike):
            raise TypeError(f"checkpoint: got {path!r}; want a path")
        self.path = Path(path)
        folder = Path(os.path.realpath(self.path)).parent
        if not folder.is_dir():
            raise ValueError(f"checkpoint: there is no folder {folder}; make it first")
        self.identity: dict[str, Any] = {}
        self.elapsed = 0.0  # seconds of earlier sessions
        self.shortened = 0  # rounds of theirs
        self.history: dict[str, np.ndarray] = {}  # their records
        self._rates: _Rates | None = None
        self._seconds = seconds
        self._written = time.monotonic()
        self._failed = False
        self._meta: dict[str, Any] = {}
        self._arrays: dict[str, np.ndarray] = {}
        if self.path.exists():
            self._meta, self._arrays = read_npz(self.path, KIND, "identity", FORMAT)
            if not _has_fields(self._meta):
                raise self._damaged()

    @property
    def engine(self) -> str | None:
        """The engine of the saved run, which the resumed one keeps: the bits depend on it."""
        return self._meta["identity"]["engine"] if self._meta else None

    def resume(
        self,
        session: Any,
        recording: Recording,
        prepared: Preparation,
        identity: dict[str, Any],
    ) -> None:
        """Put the saved state, if there is one, into a new session of the same run."""
        lr = unidentified_lr(prepared.method)
        self.identity = json.loads(json.dumps(identity))
        self._rates = None if lr is None else _Rates()
        if not self._meta:
            return
        meta = self._meta
        self._check_same_run(lr, prepared.rounds)
        try:
            saved = self._part("history/")
            self._check_records(saved["round"], prepared.records)
            state = self._state(session)
            recorded = recording.recorded(saved)
        except (KeyError, TypeError) as error:
            raise self._damaged() from error
        session.restore(meta["round"], meta["participations"], meta["drift"], state)
        history = recording.completed(recorded)
        self.elapsed, self.shortened = meta["elapsed"], meta["shortened"]
        schedule = prepared.records
        if meta["round"] in schedule:  # the end of this run may be between two records of that one
            recording.record_now()
        wanted = np.isin(history["round"], schedule)  # and the end of that one between two of this
        self.history = {name: column[wanted] for name, column in history.items()}

    def _part(self, kind: str) -> dict[str, np.ndarray]:
        arrays = self._arrays.items()
        return {name.removeprefix(kind): a for name, a in arrays if name.startswith(kind)}

    def _state(self, session: Any) -> dict[str, np.ndarray]:
        """The saved state, of the shapes that the session has."""
        saved = self._part("state/")
        for name, array in session.state().items():
            if saved[name].shape != array.shape or saved[name].dtype != array.dtype:
                raise TypeError(name)
        return saved

    def _check_same_run(self, lr: Schedule | None, rounds: int) -> None:
        meta = self._meta
        changed = [k for k in self.identity if meta["identity"].get(k) != self.identity[k]]
        if meta["round"] > rounds and not changed:
            raise ValueError(
                f"checkpoint: {self.path} is at round {meta['round']}, past rounds={rounds}"
            )
        if self._rates is not None and lr is not None and not changed:
            for first in range(0, meta["round"], RATES_AT_ONCE):
                until = min(first + RATES_AT_ONCE, meta["round"])
                self._rates.begin(first, rates(lr, first, until))
            if meta["rates"] != self._rates.digest(meta["round"]):
                changed.append("lr")
        self._refuse(changed)

    def _check_records(self, recorded: np.ndarray, schedule: np.ndarray) -> None:
        wanted = schedule[schedule < self._meta["round"]]
        self._refuse([] if np.isin(wanted, recorded).all() else ["record"])

    def _refuse(self, changed: list[str]) -> None:
        if changed:
            raise ValueError(
                f"checkpoint: {self.path} belongs to another run (different: "
                f"{', '.join(sorted(changed))}); delete it or name another file"
            )

    def _damaged(self) -> ValueError:
        return ValueError(f"{self.path}: not {KIND}, or damaged")

    def joined(self, history: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        """The records of earlier sessions and of this one."""
        if not self.history:
            return history
        new = ~np.isin(history["round"], self.history["round"])
        return {
            name: np.concatenate([self.history[name], column[new]])
            for name, column in history.items()
        }

    def begin(self, first: int, lrs: list[float]) -> None:
        """Told of the rates of the rounds that are to be run next."""
        if self._rates is not None:
            self._rates.begin(first, lrs)

    def write_if_due(self, session: Any, recording: Recording, elapsed: float) -> None:
        """Write when the last time was long enough ago."""
        if time.monotonic() - self._written >= self._seconds:
            self.write(session, recording, elapsed)

    def write(self, session: Any, recording: Recording, elapsed: float) -> None:
        """Write the state of the last whole round; a warning where that cannot be done."""
        try:
            self._write(session, recording, elapsed)
        except (OSError, MemoryError) as error:
            if not self._failed:
                warnings.warn(
                    f"checkpoint: {error}; the run goes on without", RuntimeWarning, stacklevel=3
                )
            self._failed = True
        self._written = time.monotonic()

    def probe(self, session: Any, recording: Recording) -> None:
        """An OSError if the file cannot be written, before there is anything to lose."""
        self._write(session, recording, 0.0, probe=True)

    def _write(
        self, session: Any, recording: Recording, elapsed: float, probe: bool = False
    ) -> None:
        meta = {
            "format": FORMAT,
            "identity": self.identity,
            "round": session.round,
            "participations": session.participations,
            "drift": session.drift,
            "rates": None if self._rates is None else self._rates.digest(session.round),
            "elapsed": self.elapsed + elapsed,
            "shortened": self.shortened + shortened_rounds(session),
        }
        history = self.joined(recording.history())
        write_npz(
            self.path,
            meta,
            {
                **{f"state/{name}": array for name, array in session.state().items()},
                **{f"history/{name}": column for name, column in history.items()},
            },
            probe=probe,
        )


def _has_fields(meta: dict[str, Any]) -> bool:
    """Whether the values of a file are of the kinds that they are written in."""
    numbers = all(type(meta.get(name)) is kind for name, kind in NUMBERS.items())
    identity = meta.get("identity")
    known = isinstance(identity, dict) and identity.get("engine") in ENGINES
    if not (known and numbers and "rates" in meta):
        return False
    counts = [meta[name] for name, kind in NUMBERS.items() if kind is int]
    return min(counts) >= 0 and max(counts) < 2**63
