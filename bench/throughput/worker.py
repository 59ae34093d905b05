"""The process of one contestant: waits for a request, answers, waits again.

    python -m throughput.worker NAME        (started by :mod:`throughput.processes`)

Idle contestants block in a read and use no core, so that timings in turn do not disturb each other.
"""

from __future__ import annotations

import gc
import importlib
import os
import pickle
import sys
import time
import traceback
from collections.abc import Callable
from typing import Any

from .rivals import CONTESTANTS

CLOCKS = {"wall": time.perf_counter, "cpu": time.process_time}  # the latter: of all its threads


class Contender:
    """The forms of one library, and the jobs that are ready.

    Parameters
    ----------
    module : str
        The library's, with ``FORMS``.
    make_job : callable
        From a case, a dtype and the number of threads.
    """

    def __init__(self, module: str, make_job: Callable[[Any, str, int], Any]):
        self.module = importlib.import_module(module)
        self.make_job = make_job
        self.clock = CLOCKS["wall"]
        self.job: Any = None
        self.ready: dict[int, Any] = {}

    def take_time_by(self, clock: str) -> None:
        """From the next job on."""
        self.clock = CLOCKS[clock]

    def forms(self, case: Any) -> list[tuple[int, str, str]]:
        """Number, name and what it keeps, of the forms that do a case."""
        return [
            (number, form.name, form.keeps)
            for number, form in enumerate(self.module.FORMS)
            if form.does(case)
        ]

    def load(self, case: Any, dtype: str, threads: int) -> None:
        self.release()
        self.job = self.make_job(case, dtype, threads)

    def release(self) -> None:
        self.job, self.ready = None, {}
        gc.collect()

    def expected(self, rounds: int) -> Any:
        return self.module.expected(self.job, rounds)

    def deviation(self, form: int, rounds: int, expected: Any) -> float:
        """Make a form ready and compare its answer with that of localgd."""
        self.ready[form] = self.module.FORMS[form].ready(self.job)
        self.ready[form].clock = self.clock
        deviation: float = self.ready[form].deviation(rounds, expected)
        return deviation

    def seconds(self, form: int, rounds: int) -> tuple[float, float, float, str]:
        """Seconds of so many rounds, share of the local steps taken, least seconds, and a note."""
        ready = self.ready[form]
        seconds = ready.seconds(rounds)
        return seconds, ready.steps_share, ready.least, ready.note

    def drop(self, form: int) -> None:
        self.ready.pop(form, None)


def serve(make: Callable[[], Any]) -> None:
    """Answer requests ``(method, arguments)`` with ``(True, result)`` or ``(False, error)``.

    Requests come from standard input and go to what ``make`` returns; answers go to standard
    output, and what libraries print to standard error.
    """
    requests = sys.stdin.buffer
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)

    def answer(fine: bool, value: Any) -> None:
        pickle.dump((fine, value), answers)
        answers.flush()

    try:
        served = make()
    except ImportError as error:
        answer(False, str(error))
        return
    answer(True, None)
    while True:
        try:
            method, arguments = pickle.load(requests)
        except EOFError:
            return
        try:
            answer(True, getattr(served, method)(*arguments))
        except Exception as error:
            traceback.print_exc()
            answer(False, f"{type(error).__name__}: {error}")


def contender() -> Contender:
    from .job import make_job

    return Contender(CONTESTANTS[sys.argv[1]].module, make_job)


if __name__ == "__main__":
    serve(contender)
