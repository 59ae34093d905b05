"""Experiments one after the other; one that fails does not stop the rest."""

from __future__ import annotations

import time
import traceback
import warnings
from collections.abc import Sequence
from dataclasses import dataclass

from ..blas import one_blas_thread
from .context import Context
from .criterion import Verdict
from .experiment import Experiment
from .measured import Measured, Picture
from .words import Claim

__all__ = ["FAILED", "Judged", "Outcome", "carry_out"]

FAILED = "failed"


@dataclass(frozen=True)
class Judged:
    """A claim, the verdict on it, and what was found."""

    claim: Claim
    verdict: Verdict
    finding: str


@dataclass(frozen=True, eq=False)
class Outcome:
    """What became of an experiment: verdicts with their evidence, or the error that it raised."""

    experiment: Experiment
    seconds: float
    measured: Measured | None = None
    judged: Sequence[Judged] = ()
    pictures: Sequence[Picture] = ()
    error: str = ""
    trace: str = ""

    @property
    def failed(self) -> bool:
        """Whether it raised an error before there was a verdict."""
        return self.measured is None

    @property
    def lines(self) -> list[tuple[str, str, str]]:
        """For the summary: title, verdict and finding of each claim, or the error."""
        if self.failed:
            return [("", FAILED, self.error)]
        return [(j.claim.title, j.verdict.answer, j.finding) for j in self.judged]

    def own_rows(self, context: Context) -> str:
        """Whether the user's rows were used, and why not; empty if there are none."""
        if context.own is None or self.measured is None:
            return ""
        tasks = self.experiment.words.tasks
        if context.own_problem(*tasks) is None:
            why = f"it can use {' or '.join(tasks)} rows" if tasks else "it has rows of its own"
            return f"not used: {why}"
        return self.measured.own_rows


def carry_out(experiment: Experiment, context: Context) -> Outcome:
    """Measure, judge and draw.

    An exception is the outcome "failed"; KeyboardInterrupt goes through.

    Parameters
    ----------
    experiment : Experiment
    context : Context

    Returns
    -------
    Outcome
    """
    start = time.perf_counter()
    try:
        with one_blas_thread(), warnings.catch_warnings():
            warnings.simplefilter("ignore", RuntimeWarning)  # a divergence is in the run's status
            measured = experiment.measure(context)
        verdicts = experiment.judge(measured.numbers)
        judged = [
            Judged(claim, verdicts[claim.title], claim.found(measured))
            for claim in experiment.words.claims
        ]
        context.status("figures")
        pictures = experiment.pictures(measured)
    except Exception as error:
        text = " ".join(str(error).split())
        return Outcome(
            experiment,
            time.perf_counter() - start,
            error=f"{type(error).__name__}: {text}",
            trace=traceback.format_exc(),
        )
    return Outcome(experiment, time.perf_counter() - start, measured, judged, pictures)
