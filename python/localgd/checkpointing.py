"""A run that can be stopped and taken up again with the same bits."""

from __future__ import annotations

import hashlib
import json
import os
import time
from pathlib import Path
from typing import Any

import numpy as np

from .measuring import Recording
from .problem import Problem
from .recording import LogSpaced
from .result import FORMAT, read_npz, write_npz
from .rounds import shortened_rounds
from .schedules import Schedule, rates

SECONDS_BETWEEN = 30.0


def fingerprint(problem: Problem, *arrays: np.ndarray | None) -> str:
    """A hash of the rows, labels, sizes and weights of a problem, and of further arrays."""
    digest = hashlib.sha256()
    for array in (problem.X, problem.y, problem.offsets, problem.weights, *arrays):
        digest.update(b"none" if array is None else np.ascontiguousarray(array).tobytes())
    return digest.hexdigest()


class Checkpoint:
    """The file that holds the newest state of a run, written now and then and at the end."""

    def __init__(self, path: Any):
        if not isinstance(path, str | os.PathLike):
            raise TypeError(f"checkpoint: got {path!r}; want a path")
        self.path = Path(path)
        if not self.path.parent.is_dir():
            raise ValueError(f"checkpoint: there is no folder {self.path.parent}; make it first")
        self.identity: dict[str, Any] = {}
        self.elapsed = 0.0  # seconds of earlier sessions
        self.shortened = 0  # rounds of theirs
        self.history: dict[str, np.ndarray] = {}  # their records
        self._lr: Schedule = 1.0
        self._written = time.monotonic()
        self._meta: dict[str, Any] = {}
        self._arrays: dict[str, np.ndarray] = {}
        if self.path.exists():
            self._meta, self._arrays = read_npz(self.path, "a checkpoint of localgd", "identity")

    @property
    def engine(self) -> str | None:
        """The engine of the saved run, which the resumed one keeps: the bits depend on it."""
        return self._meta["identity"]["engine"] if self._meta else None

    def resume(
        self,
        session: Any,
        identity: dict[str, Any],
        recording: Recording,
        *,
        lr: Schedule,
        rounds: int,
        schedule: np.ndarray,
    ) -> None:
        """Put the saved state, if there is one, into a new session of the same run."""
        self.identity, self._lr = json.loads(json.dumps(identity)), lr
        if not self._meta:
            return
        meta, arrays = self._meta, self._arrays
        self._check_same_run(meta, arrays["history/round"], rounds, schedule)
        history = {name: arrays[f"history/{name}"] for name in recording.history()}
        self.elapsed, self.shortened = meta["elapsed"], meta["shortened"]
        state = {name: arrays[f"state/{name}"] for name in session.state()}
        session.restore(meta["round"], meta["participations"], meta["drift"], state)
        if meta["round"] in schedule:  # the end of this run may be between two records of that one
            recording.record_now()
        wanted = np.isin(history["round"], schedule)  # and the end of that one between two of this
        self.history = {name: column[wanted] for name, column in history.items()}

    def _check_same_run(
        self, meta: dict[str, Any], recorded: np.ndarray, rounds: int, schedule: np.ndarray
    ) -> None:
        changed = [k for k in self.identity if meta["identity"].get(k) != self.identity[k]]
        if meta["rates"] != self._rates(meta["round"]):
            changed.append("lr")
        if not np.isin(schedule[schedule < meta["round"]], recorded).all():
            changed.append("record")
        if changed:
            raise ValueError(
                f"checkpoint: {self.path} belongs to another run (different: "
                f"{', '.join(sorted(changed))}); delete it or name another file"
            )
        if meta["round"] > rounds:
            raise ValueError(
                f"checkpoint: {self.path} is at round {meta['round']}, past rounds={rounds}"
            )

    def _rates(self, round: int) -> list[float]:
        """Samples of the schedule before a round: callables cannot be compared by name."""
        if round == 0:
            return []
        return [rates(self._lr, k, k + 1)[0] for k in LogSpaced().rounds(round - 1).tolist()]

    def joined(self, history: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        """The records of earlier sessions and of this one."""
        if not self.history:
            return history
        new = ~np.isin(history["round"], self.history["round"])
        return {
            name: np.concatenate([self.history[name], column[new]])
            for name, column in history.items()
        }

    def write_if_due(self, session: Any, recording: Recording, elapsed: float) -> None:
        """Write when the last time was long enough ago."""
        if time.monotonic() - self._written >= SECONDS_BETWEEN:
            self.write(session, recording, elapsed)

    def write(self, session: Any, recording: Recording, elapsed: float) -> None:
        """Write the state of the last whole round."""
        meta = {
            "format": FORMAT,
            "identity": self.identity,
            "round": session.round,
            "participations": session.participations,
            "drift": session.drift,
            "rates": self._rates(session.round),
            "elapsed": self.elapsed + elapsed,
            "shortened": self.shortened + shortened_rounds(session),
        }
        write_npz(
            self.path,
            meta,
            **{f"state/{name}": array for name, array in session.state().items()},
            **{
                f"history/{name}": column
                for name, column in self.joined(recording.history()).items()
            },
        )
        self._written = time.monotonic()
