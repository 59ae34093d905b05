"""The process of one version: times what it is asked for.

python -m compare.worker NAME        (started by :mod:`compare.command`)
"""

from __future__ import annotations

import inspect
import itertools
import time
from collections.abc import Callable
from typing import Any

import test_kernels
from throughput.alone import hardly_any_work
from throughput.cases import Case
from throughput.job import make_job
from throughput.rivals.with_localgd import FORMS
from throughput.worker import serve

import localgd as lg


class Clock:
    """Stands in for pytest-benchmark: one call, and how long it took."""

    enabled = False
    seconds = 0.0

    def __call__(self, work: Callable[[], Any]) -> Any:
        work()  # warm
        begin = time.perf_counter()
        result = work()
        self.seconds = time.perf_counter() - begin
        return result


def kernels() -> dict[str, Callable[[Clock], None]]:
    """Every case of ``bench/test_kernels.py``, by the name that pytest gives it, nearly."""
    found: dict[str, Callable[[Clock], None]] = {}
    for name, function in inspect.getmembers(test_kernels, inspect.isfunction):
        if not name.startswith("test_"):
            continue
        axes = []
        for mark in getattr(function, "pytestmark", []):
            names = mark.args[0] if isinstance(mark.args[0], tuple) else (mark.args[0],)
            axes.append(
                [
                    dict(zip(names, value if len(names) > 1 else (value,), strict=True))
                    for value in mark.args[1]
                ]
            )
        for choice in itertools.product(*axes):
            how = {key: value for part in choice for key, value in part.items()}
            title = f"{name.removeprefix('test_')}[{'-'.join(map(str, how.values()))}]"
            found[title] = lambda clock, function=function, how=how: function(clock, **how)
    return found


class Version:
    """One version of localgd and what it is asked to do."""

    def __init__(self) -> None:
        self.ready: Any = None
        self.by_name = kernels()
        self.hardly_any_work_timed = hardly_any_work()

    def about(self) -> str:
        return str(lg.__file__)

    def kernels(self) -> list[str]:
        return list(self.by_name)

    def load(self, case: Case, dtype: str, threads: int, form: str) -> None:
        (chosen,) = [f for f in FORMS if f.name == form]
        self.ready = chosen.ready(make_job(case, dtype, threads))

    def forms(self, case: Case) -> list[str]:
        """A sweep in place of the run of one learning rate."""
        names = [form.name for form in FORMS if form.does(case)]
        sweeps = [name for name in names if name.startswith("sweep")]
        return sweeps or names

    def seconds(self, rounds: int) -> float:
        return float(self.ready.seconds(rounds))

    def kernel_seconds(self, name: str, calls: int) -> float:
        clock, total = Clock(), 0.0
        for _ in range(calls):
            self.by_name[name](clock)
            total += clock.seconds
        return total

    def hardly_any_work(self, threads: int | None) -> float:
        """Seconds of a round."""
        return float(self.hardly_any_work_timed.seconds(threads))


if __name__ == "__main__":
    serve(Version)
