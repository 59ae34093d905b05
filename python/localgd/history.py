"""The records of a run, and the columns of its history."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Mapping
from typing import Any

import numpy as np

from . import _validation as check
from .measuring import BESIDE, OF_CORE, TESTS
from .methods import Method
from .own_measures import OwnMeasure
from .preparation import Preparation
from .problem import Problem

__all__ = ["History", "Recording", "columns"]

MINIMUM = "reference=lg.reference.minimizer(problem, loss=…, l2=…)"
# The arguments of a run that bring a column.
BROUGHT_BY = {
    **dict.fromkeys(["suboptimality", "distance"], MINIMUM),
    **dict.fromkeys(["angle", *BESIDE], "reference="),
    **dict.fromkeys(["residual", "residual_distance"], "asymptote="),
    **dict.fromkeys(TESTS, "test=(X, y)"),
}


class History(dict[str, np.ndarray]):
    """Columns by their names; one that is not there is answered with why, or what is meant."""

    def __missing__(self, name: Any) -> np.ndarray:
        if name in BROUGHT_BY:
            raise KeyError(f"no column {name!r}: {BROUGHT_BY[name]} of the run brings it")
        raise KeyError(f"no column {name!r}; {check.suggestion(name, self)}")


class Recording:
    """The records of a run: those of the core, with further measures taken at the same rounds."""

    def __init__(
        self,
        session: Any,
        prepared: Preparation,
        unknown: Collection[str] = (),
    ):
        self._unknown = unknown  # measures that cannot be distinguished from others of their name
        self._session = session
        self._shape = prepared.weights_shape
        self._width = math.prod(self._shape)
        self._schedule = prepared.records
        self._measures = prepared.further
        self._stop = prepared.stop
        self._prepared = prepared
        self._ranks = prepared.problem.ranks
        self.reason = ""  # to end before the last round
        self.stopped = False  # by the caller's function
        self._asked: set[int] = set()  # rounds that were measured, or at which to stop was asked
        self._values: dict[str, dict[int, float]] = {name: {} for name in self._measures}

    def stop_before(self, until: int) -> int:
        """The round up to which the core may run: to the next record if there is more to do."""
        if not self._measures and self._stop is None and not self._prepared.callback:
            return until
        round = self._session.round
        if round not in self._asked and round in self._schedule:
            return int(round)  # the start has not been measured yet
        due = np.searchsorted(self._schedule, round, side="right")
        return min(until, int(self._schedule[due])) if due < len(self._schedule) else until

    def measure(self) -> None:
        """Measure the present model if the core has just recorded it, and tell the caller."""
        round = self._session.round
        if round not in self._schedule or round in self._asked:
            return
        self._asked.add(round)
        if self._measures:
            self._measure(round)
        if self._prepared.callback:
            record = self._record()
            functions = self._prepared.callback
            told = self._ranks.first(lambda: [bool(f(dict(record))) for f in functions])
            if any(told):
                self.stopped, self.reason = True, "callback() said so"

    def wants_to_stop(self) -> bool:
        """Whether the run may end at the record that it has just taken; ``reason`` says why."""
        if self._stop is not None and not self.reason and self._session.round in self._asked:
            self.reason = self._reason()
        return bool(self.reason)

    def _record(self) -> dict[str, Any]:
        """The last one, with the columns of ``Run.history``."""
        last = {name: column[-1:] for name, column in self._of_core().items()}
        round = int(last["round"][0])
        last |= {name: np.array([values[round]]) for name, values in self._values.items()}
        chosen = columns(self._prepared, last, self._measures)
        return {name: column[0].item() for name, column in chosen.items()}

    def _reason(self) -> str:
        record = self._record()
        stop = self._stop
        assert stop is not None
        if callable(stop):
            return "stop() said so" if self._ranks.first(lambda: bool(stop(record))) else ""
        for name, most in stop.items():
            if record[name] <= most:
                return f"{name} {record[name]:.3g} is at most {most:g}"
        return ""

    def _measure(self, round: int) -> None:
        w = self._session.weights().reshape(self._shape)
        for name, value in self._ranks.first(lambda: self._measured(w, round)).items():
            self._values[name][round] = value

    def _measured(self, w: np.ndarray, round: int) -> dict[str, float]:
        values = {}
        for name, function in self._measures.items():
            if isinstance(function, OwnMeasure) and function.wants_models:
                value = function(w, round, self._client_models())
            else:
                value = function(w, round)
            values[name] = float(value)
        return values

    def _client_models(self) -> np.ndarray:
        """Those of the last round, (M, d) or (M, d, C)."""
        models = self._session.client_models().T
        d, *outputs = self._shape
        turned = models.reshape(len(models), *outputs, d)  # columns one after the other
        found: np.ndarray = turned.swapaxes(1, -1)
        return found

    def record_now(self) -> None:
        """Record the last whole round of a run that was stopped."""
        self._session.record_now()
        if self._measures:
            self._measure(self._session.round)

    def recorded(self, saved: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """The columns that an earlier session has left, without those of unknown measures.

        A KeyError or TypeError if they are not such columns.
        """
        columns = {}
        for name, empty in self.history().items():
            if name in self._unknown:
                continue
            width = (self._width,) if name == "weights" else ()
            columns[name] = saved[name]
            if saved[name].shape != (len(saved["round"]), *width):
                raise TypeError(name)
            if saved[name].dtype != empty.dtype:
                raise TypeError(name)
        return columns

    def completed(self, recorded: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        """With the unknown measures, taken again of the models that were recorded."""
        for name in self._unknown:
            models = zip(recorded["round"].tolist(), recorded["weights"], strict=True)
            values = [float(self._measures[name](w.reshape(self._shape), k)) for k, w in models]
            recorded[name] = np.array(values, dtype=np.float64)
        return recorded

    def _of_core(self) -> dict[str, np.ndarray]:
        """What the core has recorded; the angle of a network is the one to its gradient."""
        found = dict(self._session.history())
        if self._prepared.model is not None:
            found["alignment_angle"] = found.pop("angle")
        return found

    def history(self) -> dict[str, np.ndarray]:
        """All columns; NaN where a run was stopped before a measure was taken."""
        history = self._of_core()
        rounds = history["round"].tolist()
        if "weights" in history:  # whose width the core does not know before the first record
            history["weights"] = history["weights"].reshape(len(rounds), self._width)
        for name, values in self._values.items():
            history[name] = np.array([values.get(k, np.nan) for k in rounds], dtype=np.float64)
        return history


def columns(
    prepared: Preparation, history: Mapping[str, np.ndarray], further: Iterable[str]
) -> dict[str, np.ndarray]:
    """The columns of ``Run.history`` from those of the core and further ones."""
    problem = prepared.problem
    steps = _local_steps(history["round"], problem, prepared.method)
    chosen = {"round": history["round"], "local_steps": steps}
    for name, column in OF_CORE.items():
        there = not column.wants_reference or (prepared.reference.size and name in history)
        if there and (problem.task != "regression" or not column.wants_labels):
            chosen[name] = history[name]
        if name == "loss" and prepared.minimum is not None:
            chosen["suboptimality"] = history["loss"] - prepared.minimum.value
    if prepared.model is not None:
        chosen["alignment_angle"] = history["alignment_angle"]
        if not prepared.model.degree:
            chosen.pop("margin", None)
    taking_part = chosen.pop("participations")
    if not prepared.method.rule.solve:
        chosen["passes"] = taking_part * _passes_each(problem, prepared.method)
    if not problem.kernel:
        chosen |= _communication(prepared, taking_part)
    return {**chosen, **{name: history[name] for name in further}}


def _local_steps(rounds: np.ndarray, problem: Problem, method: Method) -> np.ndarray:
    """Local steps since the start; the weighted mean of the clients where they differ."""
    steps = method.rule.local_steps
    if not isinstance(steps, tuple):
        return rounds * steps
    if len(set(steps)) == 1:
        return rounds * steps[0]
    return rounds * float(problem.weights @ np.array(steps))


def _passes_each(problem: Problem, method: Method) -> float:
    """Passes over all rows that the gradients of one client take in a round, in the mean."""
    rule, sizes = method.rule, problem.sizes
    batches = rule.batches(sizes)
    rows = np.where(batches > 0, batches, sizes) * rule.core_steps(len(sizes))
    if rule.correction == "displacement":  # by a gradient of its own
        rows = rows + sizes
    counted = problem.weights > 0  # the others never take part
    held = problem.n_samples if problem.shares_rows else sizes[counted].sum()
    return float(rows[counted].mean() / held)


def _communication(prepared: Preparation, taking_part: np.ndarray) -> dict[str, np.ndarray]:
    """What clients and server have exchanged since the start, up to the server and down from it.

    A client that takes part is sent a model and sends one, and as much again each way where control
    variates or gradients go with it.
    """
    vectors = 1 if prepared.method.rule.correction == "none" else 2
    up = down = taking_part * (vectors * prepared.init.size * prepared.itemsize)
    return {"bytes": up + down, "bits": 8 * (up + down), "bits_up": 8 * up, "bits_down": 8 * down}
