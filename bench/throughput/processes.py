"""The contestants' processes, seen from the one that measures."""

from __future__ import annotations

import os
import pickle
import subprocess
import sys
from pathlib import Path
from typing import Any

from .rivals import Contestant

__all__ = ["Refused", "Remote"]


class Refused(Exception):
    """What a contestant could not do, and why."""


class Remote:
    """A contestant in a process of its own; closed at the end of a ``with``."""

    def __init__(self, contestant: Contestant, threads: int, worker: str = "throughput.worker"):
        self.name = contestant.name
        folder = str(Path(__file__).resolve().parents[1])
        path = os.pathsep.join(filter(None, [folder, os.environ.get("PYTHONPATH")]))
        settings = {
            name: value.format(threads=threads) for name, value in contestant.environment.items()
        }
        self.process = subprocess.Popen(
            [sys.executable, "-m", worker, contestant.name],
            env={**os.environ, "PYTHONPATH": path, **settings},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        try:
            self._answer()
        except Refused:
            self.close()
            raise

    def ask(self, method: str, *arguments: Any) -> Any:
        """Call a method of what the worker serves, there."""
        assert self.process.stdin is not None
        pickle.dump((method, arguments), self.process.stdin)
        self.process.stdin.flush()
        return self._answer()

    def _answer(self) -> Any:
        assert self.process.stdout is not None
        try:
            fine, value = pickle.load(self.process.stdout)
        except EOFError:
            raise Refused(f"its process ended with status {self.process.wait()}") from None
        if not fine:
            raise Refused(value)
        return value

    def close(self) -> None:
        assert self.process.stdin is not None and self.process.stdout is not None
        self.process.stdin.close()
        self.process.wait()
        self.process.stdout.close()

    def __enter__(self) -> Remote:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()
