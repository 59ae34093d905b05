"""What is to be fast-forwarded, and what came of it."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import numpy as np

from ..engines import choose_threads
from ..losses import margin_rows
from ..preparation import Preparation
from ..result import Run, make_run
from ..rows import dense_double
from ..simulation import make_simulation

__all__ = ["Forwarded", "Job", "threads_of"]

MIN_SECONDS = 5e-3  # of a round, from which on it is shared between threads


@dataclass(frozen=True)
class Job:
    """The checked arguments of a call."""

    prepared: Preparation
    separable: bool  # known to be; otherwise it is found out
    rtol: float
    max_exact_rounds: int
    threads: int

    @cached_property
    def rows(self) -> np.ndarray:
        """A, the rows whose combination the model is; dense, as their N x N products are."""
        return dense_double(margin_rows(self.prepared.problem, self.prepared.loss))

    def session(self, records: np.ndarray, moved: float = 0.0) -> Any:
        """A simulation with the Gram engine that records at these rounds.

        It starts from w_0, or from as far beside it as ``moved``.
        """
        start = self.prepared.init
        if moved:
            start = start + moved * _unit(start.shape)
        changes: dict[str, Any] = {"init": start, "records": records.astype(np.int64)}
        return make_simulation(
            [replace(self.prepared, keep_weights=True, **changes)], "gram", self.threads
        )


def threads_of(prepared: Preparation) -> int:
    """The threads of a call; an error if the Gram matrix takes too much memory."""
    if prepared.l2 > 0:  # of which many rounds are one call
        return choose_threads(prepared.threads, prepared.plan("auto"))
    plan = prepared.plan("gram")
    # Each evaluation is a call of its own: a team of threads must be worth its beginning.
    worth = prepared.threads is not None or plan.seconds_round > MIN_SECONDS
    return choose_threads(prepared.threads, plan) if worth else 1


@dataclass
class Forwarded:
    """The records of a fast-forward, in the columns of the core, and how it went."""

    history: dict[str, np.ndarray]  # with the weights of every record
    coefficients: np.ndarray | None  # at the end, (N, C)
    error: np.ndarray
    about: dict[str, Any]
    status: str = "completed"
    message: str = ""
    further: dict[str, np.ndarray] = field(default_factory=dict)
    engine: str = "gram"

    def weights(self, job: Job) -> np.ndarray:
        """w of every record, shape (records, *model)."""
        return self.history["weights"].reshape(-1, *job.prepared.problem.weights_shape)

    def result(self, job: Job, elapsed: float) -> Run:
        """As what :func:`localgd.run` gives back."""
        prepared, problem = job.prepared, job.prepared.problem
        rounds, weights = self.history["round"].astype(np.float64), self.weights(job)
        further = dict(self.further)
        values = [
            [float(function(w, k)) for function in prepared.further.values()]
            for w, k in zip(weights, rounds, strict=True)
        ]
        further |= zip(prepared.further, np.array(values).T, strict=True)
        further["error"] = self.error
        participations = rounds * np.count_nonzero(problem.weights)
        return make_run(
            prepared,
            {**self.history, "round": rounds, "participations": participations, **further},
            weights=weights[-1],
            coefficients=self.coefficients,
            further=further,
            about={"fast_forward": self.about},
            engine=self.engine,
            threads=job.threads,
            elapsed=elapsed,
            status=self.status,
            round=_whole(rounds[-1]),
            message=self.message,
        )


def _whole(rounds: float) -> Any:
    return int(rounds) if rounds <= 2**53 else float(rounds)


def _unit(shape: tuple[int, ...]) -> np.ndarray:
    direction = np.random.default_rng(0).standard_normal(shape)
    unit: np.ndarray = direction / np.linalg.norm(direction)
    return unit
