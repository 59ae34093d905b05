"""Processes that are killed at random moments and started again until one comes to its end."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import localgd as lg


def until(
    kills: int,
    script: Callable[[Path], str],
    check: Callable[[Path], None],
    folder: Path,
    longest: float,
) -> None:
    """Let scripts with a file of their own be killed until that was so often enough.

    A script prints a line when its work begins, from which on it has at most ``longest`` seconds;
    after some kills one is left alone. ``check`` is given the file that it leaves.
    """
    moments = random.Random(0)
    killed = 0
    for turn in range(20 * kills):
        file = folder / f"{turn}"
        for again in range(kills + 1):
            wait = moments.uniform(0, longest) if again < 8 else None
            if not _killed(script(file), wait):
                break
            killed += 1
        check(file)
        if killed >= kills:
            return
    raise AssertionError(f"only {killed} were killed before their end")


def _killed(script: str, wait: float | None) -> bool:
    """Whether a script was killed after so many seconds of its work, before it was done."""
    folders = [str(Path(lg.__file__).parents[1]), str(Path(__file__).parent)]
    path = os.pathsep.join(filter(None, [*folders, os.environ.get("PYTHONPATH")]))
    with subprocess.Popen(
        [sys.executable, "-W", "error", "-c", script],
        env={**os.environ, "PYTHONPATH": path},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        process.stdout.readline()
        if wait is not None:
            time.sleep(wait)
            process.send_signal(signal.SIGKILL)
        _, errors = process.communicate(timeout=300)
    assert process.returncode in (0, -signal.SIGKILL), errors
    return process.returncode != 0
