"""localgd itself: one run at a time, and a batch of runs."""

from __future__ import annotations

import time
from dataclasses import replace

import numpy as np

import localgd as lg

from ..cases import TOLERANCE, Case
from ..job import Job
from .form import Form, Rounds


def run(job: Job, lr: float, rounds: int, engine: str = "auto") -> lg.Run:
    """One run, with localgd's own choice of threads, and of the engine unless one is named."""
    found = lg.run(
        job.problem,
        replace(job.method, lr=lr),
        rounds=rounds,
        loss=job.loss,
        dtype=job.dtype,
        record=[],
        engine=engine,
    )
    if found.status != "completed":
        raise ArithmeticError(found.message)
    return found


def expected(job: Job, rounds: int) -> np.ndarray:
    """The weights with which rivals are compared, shape (d, columns)."""
    runs = [run(job, float(lr), rounds).weights for lr in job.case.rates()]
    return np.column_stack([weights.reshape(job.case.n_features, -1) for weights in runs])


class SingleRun(Rounds):
    """``lg.run``; of several learning rates the largest, since the others take as long.

    The seconds are those of the rounds: setting up (Gram matrices, copies), which a run of one round
    shows, is taken off as it is for the rivals.
    """

    engine = "auto"

    def __init__(self, job: Job):
        self.job = job
        self.steps_share = 1 / job.case.learning_rates

    def seconds(self, rounds: int) -> float:
        setup = run(self.job, self.job.case.lr, 1, self.engine)
        found = run(self.job, self.job.case.lr, rounds + 1, self.engine)
        self.note = f"{found.engine}, {found.threads} thread{'s' if found.threads > 1 else ''}"
        self.least = setup.elapsed
        return max(found.elapsed - setup.elapsed, 1e-9)

    def deviation(self, rounds: int, expected: np.ndarray) -> float:
        return 0.0  # it is what the others are compared with


class GramRun(SingleRun):
    """The same with the engine that ``auto`` takes for many rounds of few rows."""

    engine = "gram"


class SweepOfRates(Rounds):
    """``lg.sweep`` over the learning rates.

    The clock covers the whole call, so what a sweep of one round takes is measured each time and
    taken off: only rounds are compared.
    """

    def __init__(self, job: Job):
        self.job = job

    def sweep(self, rounds: int) -> lg.Sweep:
        job = self.job
        table = lg.sweep(
            job.problem,
            job.method,
            grid={"lr": job.case.rates().tolist()},
            rounds=rounds,
            loss=job.loss,
            dtype=job.dtype,
            record=[],
        )
        for entry in table:
            if entry.status != "completed":
                raise ArithmeticError(entry.message)
            self.note = entry.engine
        return table

    def seconds(self, rounds: int) -> float:
        begin = time.perf_counter()
        self.sweep(1)
        middle = time.perf_counter()
        self.sweep(rounds + 1)
        end = time.perf_counter()
        self.least = middle - begin  # or the noise of what is taken off weighs too much
        return max((end - middle) - (middle - begin), 1e-9)

    def deviation(self, rounds: int, expected: np.ndarray) -> float:
        """Of the measures from those of single runs: a sweep keeps no weights."""
        worst = 0.0
        table = list(self.sweep(rounds))
        for place in range(0, len(table), max(1, len(table) // 4)):
            alone = run(self.job, float(self.job.case.rates()[place]), rounds).history
            for name in ("norm", "margin", "loss"):
                here, there = table[place].history[name][-1], alone[name][-1]
                size = max(abs(there), TOLERANCE[self.job.dtype])
                worst = max(worst, float(abs(here - there) / size))
        return worst


def few_rows(case: Case) -> bool:
    return case.n_clients * case.n_samples <= 5000 and case.learning_rates == 1


def several_rates(case: Case) -> bool:
    return case.learning_rates > 1


FORMS = (
    Form("run", "localgd", SingleRun),
    Form("gram engine", "localgd", GramRun, few_rows),
    Form("sweep", "localgd", SweepOfRates, several_rates),
)
