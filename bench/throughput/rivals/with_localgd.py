"""localgd itself: one run at a time, and a batch of runs."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

import localgd as lg

from ..cases import TOLERANCE, Case
from ..job import Job
from .form import Form, Rounds


def run(job: Job, lr: float, rounds: int, every_step: bool = False, engine: str = "auto") -> lg.Run:
    """One run, with localgd's own choice of threads and, unless it is named, of the engine."""
    found = lg.run(
        job.problem,
        replace(job.method, lr=lr),
        rounds=rounds,
        dtype=job.dtype,
        record=[],
        every_step=every_step,
        engine=engine,
        **job.objective,
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

    The seconds are those of the rounds: setting up (Gram matrices, copies), which a run of one
    round by the same engine shows, is taken off as it is for the rivals. Another run of one round
    goes before: while the others were timed, the system may have given the memory of the last run
    to another process, and getting it back is not part of either.
    """

    every_step = False

    def __init__(self, job: Job):
        self.job = job
        self.steps_share = 1 / job.case.learning_rates

    def seconds(self, rounds: int) -> float:
        self.timed(1)
        found, seconds = self.timed(rounds + 1)
        _, setup = self.timed(1, found.engine)
        self.note = f"{found.engine}, {found.threads} thread{'s' if found.threads > 1 else ''}"
        if found.shortened:
            share = 100 * found.shortened / found.round
            self.note += f", {share:.0f} % of {found.round:,} rounds shortened"
        self.least = setup
        return max(seconds - setup, 1e-9)

    def timed(self, rounds: int, engine: str = "auto") -> tuple[lg.Run, float]:
        start = self.clock()
        found = run(self.job, self.job.case.lr, rounds, self.every_step, engine)
        return found, self.clock() - start

    def deviation(self, rounds: int, expected: np.ndarray) -> float:
        return 0.0  # it is what the others are compared with


class EveryStep(SingleRun):
    """The same, every local step taken."""

    every_step = True


class SweepOfRates(Rounds):
    """``lg.sweep`` over the learning rates.

    The clock covers the whole call, so what a sweep of one round takes is measured each time and
    taken off: only rounds are compared.
    """

    every_step = False

    def __init__(self, job: Job):
        self.job = job

    def sweep(self, rounds: int) -> lg.Sweep:
        job = self.job
        table = lg.sweep(
            job.problem,
            job.method,
            grid={"lr": job.case.rates().tolist()},
            rounds=rounds,
            dtype=job.dtype,
            record=[],
            every_step=self.every_step,
            **job.objective,
        )
        for entry in table:
            if entry.status != "completed":
                raise ArithmeticError(entry.message)
            self.note = entry.engine
        return table

    def seconds(self, rounds: int) -> float:
        self.sweep(1)
        begin = self.clock()
        self.sweep(1)
        middle = self.clock()
        self.sweep(rounds + 1)
        end = self.clock()
        self.least = middle - begin  # or the noise of what is taken off weighs too much
        return max((end - middle) - (middle - begin), 1e-9)

    def deviation(self, rounds: int, expected: np.ndarray) -> float:
        """Of the measures from those of single runs: a sweep keeps no weights."""
        worst = 0.0
        table = list(self.sweep(rounds))
        for i in range(0, len(table), max(1, len(table) // 4)):
            alone = run(self.job, float(self.job.case.rates()[i]), rounds).history
            for name in ("norm", "margin", "loss"):
                here, there = table[i].history[name][-1], alone[name][-1]
                size = max(abs(there), TOLERANCE[self.job.dtype])
                worst = max(worst, float(abs(here - there) / size))
        return worst


class SweepOfEveryStep(SweepOfRates):
    """The same, every local step taken."""

    every_step = True


def full_batches(case: Case) -> bool:
    return case.batch_size is None


def several_rates(case: Case) -> bool:
    return case.learning_rates > 1


FORMS = (
    Form("run", "localgd", SingleRun),
    Form("run, every step", "localgd", EveryStep, full_batches),
    Form("sweep", "localgd", SweepOfRates, several_rates),
    Form("sweep, every step", "localgd", SweepOfEveryStep, several_rates),
)
