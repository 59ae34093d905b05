"""localgd by itself: threads, per-round overhead, many clients, and a machine that is busy."""

from __future__ import annotations

import statistics
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import localgd as lg

from .cases import CASES, DTYPES

__all__ = ["busy", "hardly_any_work", "in_turn", "scaling"]

LEAST = 0.1  # seconds of one timing
CLIENTS = (100, 1_000, 10_000, 100_000)


class Timed:
    """Runs of one problem: seconds per round by the thread count."""

    def __init__(self, problem: lg.Problem, local_steps: int, dtype: str = "float64"):
        self.problem, self.dtype = problem, dtype
        self.method = lg.LocalGD(local_steps=local_steps, lr=1.0)
        self.rounds = 20

    def seconds(self, threads: int | None) -> float:
        """Of one round; the number of rounds grows until a call takes long enough."""
        while True:
            run = lg.run(
                self.problem,
                self.method,
                rounds=self.rounds,
                loss="exponential",
                dtype=self.dtype,
                threads=threads,
                record=[],
            )
            if run.elapsed >= LEAST:
                return run.elapsed / self.rounds
            self.rounds = int(self.rounds * min(100, 1.3 * LEAST / run.elapsed)) + 1


def in_turn(timed: Timed, choices: list[int | None], repeats: int) -> list[list[float]]:
    """Seconds per round, for each number of threads, timed A B A B …"""
    for threads in choices:
        timed.seconds(threads)
    found: list[list[float]] = [[] for _ in choices]
    for _ in range(repeats):
        for seconds, threads in zip(found, choices, strict=True):
            seconds.append(timed.seconds(threads))
    return found


def separable(M: int, n: int, d: int) -> lg.Problem:
    return lg.datasets.make_separable(n_clients=M, n_samples=n, n_features=d, seed=0)


def hardly_any_work() -> Timed:
    return Timed(separable(2, 2, 2), 1)


def of_case(name: str, dtype: str) -> Timed:
    case = CASES[name]
    problem = separable(case.n_clients, case.n_samples, case.n_features)
    return Timed(problem, case.local_steps, dtype)


def scaling(threads: int, repeats: int) -> tuple[list[str], dict[str, Any]]:
    """Threads on W1, microseconds per round of a tiny problem, cost per client step of W6."""
    lines, figures = ["", "localgd by itself"], {}
    for dtype in DTYPES:
        one, many = map(statistics.median, in_turn(of_case("W1", dtype), [1, threads], repeats))
        figures[f"speedup_W1_{dtype}"] = one / many
        lines.append(f"W1 {dtype}: {threads} threads are {one / many:.2f} times as fast as 1")
    turns = in_turn(hardly_any_work(), [1, 2, None], repeats)
    for count, times in zip((1, 2, None), turns, strict=True):
        figures[f"round_microseconds_threads_{count or 'auto'}"] = 1e6 * statistics.median(times)
        lines.append(
            f"a round of M=2 n=2 d=2 L=1, threads={count}: {1e6 * statistics.median(times):.2f} µs"
        )
    case = CASES["W6"]
    for M in CLIENTS:
        timed = Timed(separable(M, case.n_samples, case.n_features), case.local_steps)
        seconds = statistics.median(in_turn(timed, [None], min(repeats, 3))[0])
        cost = 1e9 * seconds / (M * case.local_steps)
        figures[f"client_step_nanoseconds_M_{M}"] = cost
        lines.append(f"W6 with M={M:,}: {cost:.1f} ns per client step")
    return lines, figures


@contextmanager
def busy_loops(count: int) -> Iterator[None]:
    """So many processes that never wait."""
    loops = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(count)]
    try:
        yield
    finally:
        for loop in loops:
            loop.kill()
            loop.wait()


def busy(threads: int, repeats: int) -> tuple[list[str], dict[str, Any]]:
    """All threads against one while as many other processes keep every core busy."""
    lines, figures = ["", f"localgd beside {threads} busy loops"], {}
    for name in ("W1", "W2", "W3"):
        with busy_loops(threads):
            one, many = in_turn(of_case(name, "float64"), [1, threads], repeats)
        ratios = [b / a for a, b in zip(one, many, strict=True)]
        figures[name] = {"seconds_1": one, f"seconds_{threads}": many, "ratios": ratios}
        lines.append(
            f"{name}: {threads} threads take {statistics.median(ratios):.2f} times as long as 1 "
            f"(min {min(ratios):.2f}, max {max(ratios):.2f})"
        )
    return lines, figures
