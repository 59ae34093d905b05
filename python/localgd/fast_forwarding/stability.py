"""Whether the rounds stay on the smooth path: a mode that overshoots grows from rounding errors."""

from __future__ import annotations

import numpy as np

from ..errors import DivergedError
from ..servers import Anchored, Average
from .flow import Flow
from .series import Series

__all__ = ["doubtful", "first_unstable", "overshoots"]

SAFE = 0.5  # product of rate and curvature up to which no local step, nor their mean, overshoots
PERTURBATION = 1e-5  # of margins
WARM_UP, COUNTED = 32, 16  # rounds of a perturbation: until the fastest mode is left, then its pace
AT_ONCE = 10**6  # numbers of curvatures
NOISE = 1e-7  # what a round changes of a perturbation, relative, that may be rounding


def first_unstable(
    flow: Flow, series: Series, rounds: np.ndarray, found: np.ndarray
) -> float | None:
    """The first of some rounds of the path from which perturbations grow by overshooting."""
    _, C = flow.first_margins.shape
    moved = found.reshape(len(found), C, -1) @ flow.gram
    chosen = doubtful(flow, rounds, flow.first_margins + moved.transpose(0, 2, 1))
    for k, a in zip(rounds[chosen], found[chosen], strict=True):
        if overshoots(flow, series, float(k), a):
            return float(k)
    return None


def doubtful(flow: Flow, rounds: np.ndarray, margins: np.ndarray) -> np.ndarray:
    """Whether steps at some models, of margins (models, N, C), may make perturbations larger.

    By a bound of what a round, or a local step, makes of a perturbation, relative to it.
    """
    problem, curved, reach = flow.problem, _curvatures(flow, margins), np.abs(flow.gram)
    # of the clients' own losses, by the sums of their rows
    local = np.zeros(len(rounds))
    for i in range(problem.n_clients):
        rows = problem.rows(i)
        sums = curved[:, rows] @ reach[rows, rows] / problem.sizes[i]
        local = np.maximum(local, sums.max(axis=1))
    step = local * [flow.rate(k) for k in rounds]
    if _averages(flow):
        return np.asarray(~(step <= SAFE))
    rates = np.abs([flow.row_rates(k) for k in rounds])
    mean = ((curved * rates) @ reach).max(axis=1)
    safe: np.ndarray = np.maximum(step, mean) * (1 + flow.beta * local) <= SAFE
    return ~safe


def _averages(flow: Flow) -> bool:
    """Whether a round leads to a mean of where the clients' steps lead.

    If no step overshoots, each contracts, however many there are, and so does their mean.
    """
    method, server = flow.method, flow.method.server
    whole = isinstance(server, Average | Anchored) or getattr(server, "lr", 2.0) <= 1
    plain = method.rule.correction == "none" and not method.fednova
    return plain and whole and not flow.has_memory


def _curvatures(flow: Flow, margins: np.ndarray) -> np.ndarray:
    """A bound of ``ℓ''`` of each row at some models, (models, N)."""
    models, N, C = margins.shape
    curvatures = np.empty((models, N))
    at_once = max(1, AT_ONCE // (N * C * C))
    for begin in range(0, models, at_once):
        part = margins[begin : begin + at_once]
        some = flow.curvatures(part.reshape(-1, C), np.tile(np.arange(N), len(part)))
        bound = np.abs(some).sum(axis=2).max(axis=1)
        curvatures[begin : begin + at_once] = bound.reshape(-1, N)
    return curvatures


def overshoots(flow: Flow, series: Series, k: float, a: np.ndarray) -> bool:
    """Whether a perturbation of the model at round k, and of its memory, turns over and grows.

    Of one that grows without turning over, the flow itself says.
    """
    shape = flow.first_margins.shape

    def margins(s: np.ndarray) -> np.ndarray:
        moved: np.ndarray = flow.gram @ s[: len(a)].reshape(shape, order="F")
        return moved

    state = np.random.default_rng(0).standard_normal(len(a))
    size = _largest(margins(state))
    if size == 0:
        return False
    try:
        perturbed = _LinearRound(flow, series, k, a)
        state = np.concatenate([PERTURBATION / size * state, np.zeros(perturbed.memory)])
        before, growth, turns = np.zeros(shape), [], []  # what a round changes, in the margins
        for _ in range(WARM_UP + COUNTED):
            after = perturbed(state)
            step = margins(after - state)
            if _largest(step) < NOISE * PERTURBATION:
                return False
            if before.any():
                growth.append(_largest(step) / _largest(before))
                turns.append(_largest(step - before) / _largest(before))
            scale = PERTURBATION / _largest(margins(after))
            state, before = scale * after, scale * step
    except DivergedError:
        return True
    pace = float(np.exp(np.log(growth[-COUNTED:]).mean()))
    return pace > 1 and float(np.mean(turns[-COUNTED:])) > 0.5


def _largest(numbers: np.ndarray) -> float:
    return float(np.abs(numbers).max())


class _LinearRound:
    """What a round makes of a small perturbation of the coefficients and the memory."""

    def __init__(self, flow: Flow, series: Series, k: float, a: np.ndarray):
        self._flow, self._series, self._k, self._a = flow, series, k, a
        self._parts = flow.followers(k, a, series)
        self.memory = sum(part.size for part in self._parts)
        self._change, self._after = self._round(np.zeros(len(a) + self.memory))

    def __call__(self, state: np.ndarray) -> np.ndarray:
        change, after = self._round(state)
        # the change of the model, never the difference of two models
        own = state[: len(self._a)] + (change - self._change)
        return np.concatenate([own, after - self._after])

    def _round(self, state: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        moved, begin = [], len(self._a)
        for part in self._parts:
            own = state[begin : begin + part.size]
            moved.append(part + own.reshape(part.shape, order="F"))
            begin += part.size
        a = self._a + state[: len(self._a)]
        changes, *after = self._flow.rounds_from(self._k, a, 1, moved[0], moved[1], self._series)
        return changes[0], np.concatenate([part.ravel(order="F") for part in after])
