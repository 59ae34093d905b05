"""Whether the rounds stay on the smooth path: a mode that overshoots grows from rounding errors."""

from __future__ import annotations

import numpy as np

from ..errors import DivergedError
from .flow import Flow
from .late import Slopes
from .series import Series

__all__ = ["first_unstable", "overshoots"]

SAFE = 0.5  # product of rate and curvature up to which no local step, nor their mean, overshoots
PERTURBATION = 1e-5  # of margins
WARM_UP, COUNTED = 32, 16  # rounds of a perturbation: until the fastest mode is left, then its pace
NOISE = 1e-7  # what a round changes of a perturbation, relative, that may be rounding


def first_unstable(
    flow: Flow, series: Series, rounds: np.ndarray, found: np.ndarray
) -> float | None:
    """The first of some rounds of the path from which perturbations grow by overshooting."""
    doubtful = _stiffness(flow, rounds, found) > SAFE
    for k, a in zip(rounds[doubtful], found[doubtful], strict=True):
        if overshoots(flow, series, float(k), a):
            return float(k)
    return None


def _stiffness(flow: Flow, rounds: np.ndarray, found: np.ndarray) -> np.ndarray:
    """A bound of what a round makes of a perturbation by its steps, relative to it."""
    N, C = flow.first_margins.shape
    problem, slopes = flow.problem, Slopes(flow, np.arange(N))
    reach = np.abs(flow.gram).sum(axis=1)
    sizes = np.repeat(problem.sizes, problem.sizes)
    stiffness = np.empty(len(rounds))
    for j, (k, a) in enumerate(zip(rounds, found, strict=True)):
        margins = flow.first_margins + flow.gram @ a.reshape((N, C), order="F")
        curved = np.abs(slopes.curvatures(0.0, margins)).sum(axis=2).max(axis=1) * reach
        displaced = 1 + 2 * flow.beta * (curved / sizes).max()
        stiffness[j] = (curved * np.abs(flow.row_rates(k))).max() * displaced
    return stiffness


def overshoots(flow: Flow, series: Series, k: float, a: np.ndarray) -> bool:
    """Whether a perturbation of the model at round k, and of its memory, turns over and grows.

    Of one that grows without turning over, the flow itself tells.
    """
    shape = flow.first_margins.shape

    def size(s: np.ndarray) -> float:  # in the margins
        return float(np.abs(flow.gram @ s[: len(a)].reshape(shape, order="F")).max())

    state = np.random.default_rng(0).standard_normal(len(a))
    if size(state) == 0:
        return False
    try:
        perturbed = _LinearRound(flow, series, k, a)
        state *= PERTURBATION / size(state)
        state = np.concatenate([state, np.zeros(perturbed.memory)])
        step, growth, turns = np.zeros_like(state), [], []
        for _ in range(WARM_UP + COUNTED):
            after = perturbed(state)
            before, step = step, after - state
            if size(step) < NOISE * size(state):
                return False
            if before.any():
                growth.append(size(step) / size(before))
                turns.append(size(step - before) / size(before))
            scale = PERTURBATION / size(after)
            state, step = scale * after, scale * step
    except DivergedError:
        return True
    pace = float(np.exp(np.log(growth[-COUNTED:]).mean()))
    return pace > 1 and float(np.mean(turns[-COUNTED:])) > 0.5


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
