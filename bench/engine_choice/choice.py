"""What the core foresees of a problem, how good its choice is, and the constants that suit best."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.optimize import nnls

from localgd._backend import core
from localgd.engines import DEFAULT_MEMORY_LIMIT, choose_engine, forecasts

from .problems import FAMILIES, Case

__all__ = ["NEAR", "Timed", "calibrated", "share", "verdict"]

NEAR = 1.1  # times the fastest engine's seconds: as good
GARBAGE = 3.0  # an engine that is so much slower may be foreseen less well


@dataclass(frozen=True)
class Timed:
    """A problem with the CPU seconds per round of each engine, inf where that took too long."""

    case: Case
    seconds: dict[str, float]

    @property
    def best(self) -> float:
        return min(self.seconds.values())


@dataclass(frozen=True)
class Verdict:
    """The engine that is chosen, and its seconds over those of the fastest."""

    timed: Timed
    engine: str
    ratio: float


def verdict(timed: Timed) -> Verdict:
    case = timed.case
    plan = choose_engine(
        case.shape(),
        case.method(),
        case.rounds,
        engine="auto",
        memory_limit=DEFAULT_MEMORY_LIMIT,
        **_options(case),
    )
    return Verdict(timed, plan.engine, timed.seconds[plan.engine] / timed.best)


def share(verdicts: Sequence[Verdict], near: float = NEAR) -> float:
    """Of the problems whose engine is as good as the fastest."""
    return sum(found.ratio <= near for found in verdicts) / len(verdicts)


def calibrated(timed: Sequence[Timed], rounds: int = 30) -> dict[str, float]:
    """Nanoseconds of each kind of work: least squares of relative errors, not below 0.

    Beside the kinds of the core a run has a time of its own, and one for each client that draws
    batches: Python's, whatever the engine. Large errors count less, in some rounds of reweighting.
    """
    names = list(core.nanoseconds())
    rows, weights = [], []
    for problem in timed:
        amounts = _amounts(problem.case, names)
        for engine, seconds in problem.seconds.items():
            if math.isfinite(seconds):
                rows.append(amounts[engine] / seconds)
                weights.append(1.0 if seconds < GARBAGE * problem.best else 0.3)
    A, weight = np.array(rows), np.array(weights)
    scale = np.where(A.max(axis=0) > 0, A.max(axis=0), 1)
    found = np.zeros(A.shape[1])
    for _ in range(rounds):
        found = nnls(A / scale * weight[:, None], weight)[0] / scale
        ratio = np.maximum(A @ found, 1e-3)
        error = np.maximum(np.abs(np.log(ratio)), 0.1)
        weight = np.array(weights) / np.sqrt(error * np.maximum(ratio, 0.2))
    return {name: float(f"{1e9 * value:.2g}") for name, value in zip(names, found, strict=False)}


def _options(case: Case) -> dict[str, Any]:
    return {
        "loss": FAMILIES[case.family].loss,
        "itemsize": np.dtype(case.dtype).itemsize,
        "every_step": case.every_step,
    }


def _amounts(case: Case, names: Sequence[str]) -> dict[str, np.ndarray]:
    """By engine: work per round of each kind, with its share of what is done before the first."""
    shape, method = case.shape(), case.method()
    found_by_engine = forecasts(shape, method, case.rounds, **_options(case))
    own = [1.0, shape.n_clients if method.rule.stochastic else 0.0]
    return {
        engine: np.array(
            [
                *(
                    found["round"]["amounts"][name] + found["setup"]["amounts"][name] / case.rounds
                    for name in names
                ),
                *(amount / case.rounds for amount in own),
            ]
        )
        for engine, found in found_by_engine.items()
    }
