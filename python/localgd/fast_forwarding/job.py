"""What is to be fast-forwarded, and what came of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from .._backend import core
from ..configuration import local_options, run_options
from ..engines import choose_engine, choose_threads
from ..losses import margin_rows
from ..measuring import columns
from ..methods import Method
from ..problem import Problem
from ..result import Run
from ..schedules import Schedule

__all__ = ["Forwarded", "Job"]

MIN_SECONDS = 5e-3  # of a round, from which on it is shared between threads


@dataclass(frozen=True)
class Job:
    """The checked arguments of a call."""

    problem: Problem
    method: Method
    loss: str
    lr: Schedule
    w0: np.ndarray  # (d, C)
    direction: np.ndarray
    rounds: float
    records: np.ndarray  # float64, increasing
    separable: bool  # known to be; otherwise it is found out
    rtol: float
    further: Mapping[str, Callable[..., float]]
    max_exact_rounds: int
    threads: int | None
    keep_weights: bool
    memory_limit: int
    progress: Any
    config: dict[str, Any]

    @property
    def rows(self) -> np.ndarray:
        """A, the rows whose combination the model is."""
        return margin_rows(self.problem, self.loss)

    def session(self, records: np.ndarray, moved: float = 0.0) -> tuple[Any, int]:
        """A simulation with the Gram engine that records at these rounds, and its threads.

        It starts from w_0, or from as far beside it as ``moved``.
        """
        problem, method = self.problem, self.method
        plan = choose_engine(
            problem,
            method,
            1,
            loss=self.loss,
            engine="gram",
            itemsize=8,
            memory_limit=self.memory_limit,
        )
        # Each evaluation is a call of its own: a team of threads must be worth its beginning.
        worth = self.threads is not None or plan.seconds_round > MIN_SECONDS
        threads = choose_threads(self.threads, plan) if worth else 1
        start = self.w0 + moved * _unit(self.w0.shape) if moved else self.w0
        session = core.Simulation(
            self.rows,
            problem.y,
            problem.offsets,
            problem.weights,
            [
                run_options(
                    method, start, records.astype(np.int64), self.direction, keep_weights=True
                )
            ],
            engine="gram",
            loss=self.loss,
            single=False,
            local=local_options(problem, method),
            threads=threads,
        )
        return session, threads


@dataclass
class Forwarded:
    """The records of a fast-forward, in the columns of the core, and how it went."""

    history: dict[str, np.ndarray]  # with the weights of every record
    coefficients: np.ndarray | None  # at the end, (N, C)
    error: np.ndarray
    about: dict[str, Any]
    threads: int = 1
    status: str = "completed"
    message: str = ""
    further: dict[str, np.ndarray] = field(default_factory=dict)

    def weights(self, job: Job) -> np.ndarray:
        """w of every record, shape (records, *model)."""
        return self.history["weights"].reshape(-1, *job.problem.weights_shape)

    def result(self, job: Job, elapsed: float) -> Run:
        """As what :func:`localgd.run` gives back."""
        problem = job.problem
        rounds, weights = self.history["round"].astype(np.float64), self.weights(job)
        for name, function in job.further.items():
            values = [float(function(w, k)) for w, k in zip(weights, rounds, strict=True)]
            self.further[name] = np.array(values)
        history = {**self.history, "round": rounds, **self.further}
        history["participations"] = rounds * np.count_nonzero(problem.weights)
        chosen = columns(
            history, problem, job.method, "float64", bool(job.direction.size), self.further
        )
        chosen["error"] = self.error
        coefficients = self.coefficients
        if coefficients is not None and problem.task != "multiclass":
            coefficients = coefficients[:, 0]
        return Run(
            weights=None if problem.kernel else weights[-1],
            coefficients=coefficients,
            history=chosen,
            config={**job.config, "fast_forward": self.about},
            engine="gram",
            threads=self.threads,
            elapsed=elapsed,
            status=self.status,
            round=_whole(rounds[-1]),
            message=self.message,
            recorded_weights=weights if job.keep_weights else None,
        )


def _whole(rounds: float) -> Any:
    return int(rounds) if rounds <= 2**53 else float(rounds)


def _unit(shape: tuple[int, ...]) -> np.ndarray:
    direction = np.random.default_rng(0).standard_normal(shape)
    unit: np.ndarray = direction / np.linalg.norm(direction)
    return unit
