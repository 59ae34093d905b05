"""A run that can be stopped and taken up again with the same bits."""

from __future__ import annotations

import json
import os
import time
import warnings
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from .alone import ALONE
from .configuration import unidentified
from .engines import ENGINES
from .history import Recording
from .own_server import flat_state, whole_state
from .participation import RoundShares
from .preparation import Preparation
from .result import read_npz, write_npz
from .rounds import RoundInputs, shortened_rounds

__all__ = ["SECONDS_BETWEEN", "Checkpoint"]

FORMAT = 7
KIND = "a checkpoint of localgd"
SECONDS_BETWEEN = 30.0
NUMBERS = {"round": int, "participations": int, "shortened": int, "drift": float, "elapsed": float}


class Given(NamedTuple):
    """What a function gave some rounds: ``numbers[: ends[n]]`` the first n of them."""

    numbers: np.ndarray
    ends: np.ndarray


def _rates(lrs: list[float], shares: RoundShares) -> Given:
    return Given(np.array(lrs), np.arange(len(lrs) + 1))


def _turns(lrs: list[float], shares: RoundShares) -> Given:
    """Round by round how many clients there are, and which."""
    clients, offsets = shares.clients, shares.offsets
    assert clients is not None and offsets is not None
    numbers = np.insert(clients, offsets[:-1], np.diff(offsets))
    return Given(numbers, offsets + np.arange(len(offsets)))


GIVEN = {"lr": _rates, "participation": _turns}  # by parameter of the method


class _Used:
    """What a function gave the rounds of a run, as a hash: it is known by nothing else."""

    def __init__(self, name: str) -> None:
        import hashlib  # at first use, as it takes its time

        self._hash = hashlib.sha256()
        self._of = GIVEN[name]
        self._first = 0
        self._given = Given(np.zeros(0), np.zeros(1, dtype=np.int64))

    def begin(self, first: int, lrs: list[float], shares: RoundShares) -> None:
        """The inputs of the rounds from ``first`` on; all before that have been run."""
        self._hash.update(self._until(first))
        self._first, self._given = first, self._of(lrs, shares)

    def digest(self, round: int) -> str:
        """The hash of what was given before a round."""
        used = self._hash.copy()
        used.update(self._until(round))
        return used.hexdigest()

    def _until(self, round: int) -> bytes:
        return self._given.numbers[: self._given.ends[round - self._first]].tobytes()


class Checkpoint:
    """The file that holds the newest state of a run, written now and then and at the end."""

    def __init__(self, path: Any, seconds: float = SECONDS_BETWEEN, ranks: Any = ALONE):
        if not isinstance(path, str | os.PathLike):
            raise TypeError(f"checkpoint: got {path!r}; want a path")
        self.path = Path(path)
        self._ranks = ranks
        self.identity: dict[str, Any] = {}
        self.elapsed = 0.0  # seconds of earlier sessions
        self.shortened = 0  # rounds of theirs
        self.history: dict[str, np.ndarray] = {}  # their records
        self._used: dict[str, _Used] = {}
        self._seconds = seconds
        self._written = time.monotonic()
        self._failed = False
        self._saved_state: dict[str, np.ndarray] = {}  # where the file was read
        # All that a file holds beside it.
        self._meta: dict[str, Any]
        self._arrays: dict[str, np.ndarray]
        self._meta, self._arrays = ranks.first(self._read)

    def _read(self) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
        folder = Path(os.path.realpath(self.path)).parent
        if not folder.is_dir():
            raise ValueError(f"checkpoint: there is no folder {folder}; make it first")
        if not self.path.exists():
            return {}, {}
        meta, arrays = read_npz(self.path, KIND, "identity", FORMAT)
        if not _has_fields(meta):
            raise self._damaged()
        self._saved_state = _part(arrays, "state/")
        return meta, {name: a for name, a in arrays.items() if not name.startswith("state/")}

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
        self.identity = json.loads(json.dumps(identity))
        self._used = {name: _Used(name) for name in unidentified(prepared.method)}
        if not self._meta:
            return
        meta = self._meta
        self._check_same_run(prepared, session)
        called = _called_server(session)
        try:
            saved = _part(self._arrays, "history/")
            self._check_records(saved["round"], prepared.records)
            state = self._state(session)
            recorded = recording.recorded(saved)
            server = whole_state(meta["server"], _part(self._arrays, "server/")) if called else None
        except (KeyError, TypeError) as error:
            raise self._damaged() from error
        session.restore(meta["round"], meta["participations"], meta["drift"], state)
        if called is not None:
            called.state = server
        history = recording.completed(recorded)
        self.elapsed, self.shortened = meta["elapsed"], meta["shortened"]
        schedule = prepared.records
        if meta["round"] in schedule:  # the end of this run may be between two records of that one
            recording.record_now()
        wanted = np.isin(history["round"], schedule)  # and the end of that one between two of this
        self.history = {name: column[wanted] for name, column in history.items()}

    def _state(self, session: Any) -> dict[str, np.ndarray]:
        """The saved state, of the shapes that the session has."""
        own = session.state()
        saved: dict[str, np.ndarray] = self._ranks.scattered(self._saved_state, list(own))
        for name, array in own.items():
            if saved[name].shape != array.shape or saved[name].dtype != array.dtype:
                raise TypeError(name)
        return saved

    def _check_same_run(self, prepared: Preparation, session: Any) -> None:
        meta = self._meta
        changed = [k for k in self.identity if meta["identity"].get(k) != self.identity[k]]
        if meta["round"] > prepared.rounds and not changed:
            raise ValueError(
                f"checkpoint: {self.path} is at round {meta['round']}, past "
                f"rounds={prepared.rounds}"
            )
        if self._used and not changed:
            inputs = RoundInputs(prepared.problem, prepared.method, prepared.lr, prepared.seed)
            for first in range(0, meta["round"], inputs.at_once):
                until = min(first + inputs.at_once, meta["round"])
                self.begin(first, *inputs.of(first, until, session))
            found = self._digests(meta["round"])
            changed += [name for name in found if found[name] != meta["used"].get(name)]
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

    def begin(self, first: int, lrs: list[float], shares: RoundShares) -> None:
        """Told of the inputs of the rounds that are to be run next."""
        for used in self._used.values():
            used.begin(first, lrs, shares)

    def _digests(self, round: int) -> dict[str, str]:
        return {name: used.digest(round) for name, used in self._used.items()}

    def write_if_due(self, session: Any, recording: Recording, elapsed: float) -> None:
        """Write when the last time was long enough ago."""
        if self._ranks.of_first(time.monotonic() - self._written >= self._seconds):
            self.write(session, recording, elapsed)

    def write(self, session: Any, recording: Recording, elapsed: float) -> None:
        """Write the state of the last whole round; a warning where that cannot be done."""
        try:
            self._write(session, recording, elapsed)
        except (OSError, MemoryError) as error:
            if not self._failed and self._ranks.leads:
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
            "used": self._digests(session.round),
            "elapsed": self.elapsed + elapsed,
            "shortened": self.shortened + shortened_rounds(session, self._ranks),
        }
        history = self.joined(recording.history())
        server: dict[str, np.ndarray] = {}
        called = _called_server(session)
        if called is not None:
            meta["server"], server = flat_state(called.state)
        state = self._ranks.gathered(session.state())
        arrays = {
            **{f"state/{name}": array for name, array in state.items()},
            **{f"history/{name}": column for name, column in history.items()},
            **{f"server/{name}": array for name, array in server.items()},
        }
        self._ranks.first(lambda: write_npz(self.path, meta, arrays, probe=probe))


def _part(arrays: dict[str, np.ndarray], kind: str) -> dict[str, np.ndarray]:
    return {name.removeprefix(kind): a for name, a in arrays.items() if name.startswith(kind)}


def _has_fields(meta: dict[str, Any]) -> bool:
    """Whether the values of a file are of the kinds that they are written in."""
    numbers = all(type(meta.get(name)) is kind for name, kind in NUMBERS.items())
    identity = meta.get("identity")
    known = isinstance(identity, dict) and identity.get("engine") in ENGINES
    if not (known and numbers and isinstance(meta.get("used"), dict)):
        return False
    counts = [meta[name] for name, kind in NUMBERS.items() if kind is int]
    return min(counts) >= 0 and max(counts) < 2**63


def _called_server(session: Any) -> Any:
    """The server of the caller's that the core calls, or None: a network has none."""
    return getattr(session, "server", None)
