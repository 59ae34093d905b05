"""A run that can be stopped and taken up again with the same bits."""

from __future__ import annotations

import hashlib
import json
import time
from pathlib import Path
from typing import Any

import numpy as np

from .problem import Problem
from .result import read_npz, write_npz

SECONDS_BETWEEN = 30.0


def fingerprint(problem: Problem, *arrays: np.ndarray | None) -> str:
    """A hash of the rows, labels, sizes and weights of a problem, and of further arrays."""
    digest = hashlib.sha256()
    for array in (problem.X, problem.y, problem.offsets, problem.weights, *arrays):
        digest.update(b"none" if array is None else np.ascontiguousarray(array).tobytes())
    return digest.hexdigest()


class Checkpoint:
    """The file that holds the newest state of a run, written now and then and at the end."""

    def __init__(self, path: Any, identity: dict[str, Any]):
        self.path = Path(path)
        self.identity = json.loads(json.dumps(identity))
        self.elapsed = 0.0  # seconds of earlier sessions
        self.history: dict[str, np.ndarray] = {}  # their records
        self._written = time.monotonic()

    def resume(self, session: Any, rounds: int) -> None:
        """Put the saved state, if there is one, into a new session."""
        if not self.path.exists():
            return
        meta, arrays = read_npz(self.path, "a checkpoint of localgd")
        if meta.get("identity") != self.identity:
            changed = sorted(
                key
                for key in self.identity
                if meta.get("identity", {}).get(key) != self.identity[key]
            )
            raise ValueError(
                f"checkpoint: {self.path} belongs to another run (different: "
                f"{', '.join(changed)}); delete it or name another file"
            )
        if meta["round"] > rounds:
            raise ValueError(
                f"checkpoint: {self.path} is at round {meta['round']}, past rounds={rounds}"
            )
        session.restore(
            meta["round"], arrays["coefficients"], arrays["local_changes"], arrays["state"]
        )
        self.elapsed = meta["elapsed"]
        self.history = {
            name.removeprefix("history/"): column
            for name, column in arrays.items()
            if name.startswith("history/")
        }

    def joined(self, history: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        """The records of earlier sessions and of this one."""
        if not self.history:
            return history
        new = ~np.isin(history["round"], self.history["round"])
        return {
            name: np.concatenate([self.history[name], column[new]])
            for name, column in history.items()
        }

    def write_if_due(self, session: Any, elapsed: float) -> None:
        """Write when the last time was long enough ago."""
        if time.monotonic() - self._written >= SECONDS_BETWEEN:
            self.write(session, elapsed)

    def write(self, session: Any, elapsed: float) -> None:
        """Write the state of the last whole round."""
        meta = {
            "format": 1,
            "identity": self.identity,
            "round": session.round,
            "elapsed": self.elapsed + elapsed,
        }
        write_npz(
            self.path,
            meta,
            coefficients=session.coefficients(),
            local_changes=session.local_changes(),
            state=session.state(),
            **{
                f"history/{name}": column for name, column in self.joined(session.history()).items()
            },
        )
        self._written = time.monotonic()
