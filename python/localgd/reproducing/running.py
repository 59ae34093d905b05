"""Experiments one after the other; one that fails does not stop the rest."""

from __future__ import annotations

import time
import traceback
import warnings
from collections.abc import Sequence
from dataclasses import dataclass

from .context import Context
from .criterion import Verdict
from .experiment import Experiment
from .measured import Measured, Picture

__all__ = ["FAILED", "Outcome", "carry_out"]

FAILED = "failed"


@dataclass(frozen=True, eq=False)
class Outcome:
    """What became of an experiment: a verdict with its evidence, or the error that it raised."""

    experiment: Experiment
    seconds: float
    measured: Measured | None = None
    verdict: Verdict | None = None
    pictures: Sequence[Picture] = ()
    error: str = ""
    trace: str = ""

    @property
    def answer(self) -> str:
        """The verdict in a word or two, or "failed"."""
        return FAILED if self.verdict is None else self.verdict.answer

    @property
    def finding(self) -> str:
        """The sentence for the summary."""
        if self.measured is None:
            return self.error
        return self.experiment.finding(self.measured.numbers)


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
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", RuntimeWarning)  # a divergence is in the run's status
            measured = experiment.measure(context)
        verdict = experiment.judge(measured.numbers)
        experiment.finding(measured.numbers)  # fails here rather than in the report
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
    return Outcome(experiment, time.perf_counter() - start, measured, verdict, pictures)
