"""E8: regression with more features than rows ends at the interpolant of least norm."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

import localgd as lg

from .. import figures
from ..columns import columns
from ..context import Context, weights
from ..experiment import Experiment
from ..intervals import over_draws
from ..measured import Measured, largest
from ..words import read

STEPS = (1, 10, 100, 1000)
STRAIGHT = (1e-10, 1e-4)  # relative distances between which the rate is measured


@dataclass(frozen=True)
class LeastNorm(Experiment):
    """Distances to the min-norm interpolant, and their rate, for several L.

    ``method`` makes the method of L local steps, ``start`` the start w_0 of a problem.
    """

    method: Callable[[int], Any] = lambda L: lg.LocalGD(local_steps=L, lr=1.0)
    start: Callable[[lg.Problem], np.ndarray | None] = lambda problem: None

    words = read(__file__)

    def parameters(self, context: Context) -> Mapping[str, Any]:
        """How many rounds are taken one by one."""
        return {"exact": _exact(context)}

    def measure(self, context: Context) -> Measured:
        """Every L by the closed form, and the first rounds one by one, draw by draw."""
        found = self.own_or(
            context,
            lambda own: [_with_least_norm(own)],
            lambda: [_synthetic(seed) for seed in context.seeds()],
        )
        each = [
            self._draw(context, problem, f"draw {draw}, L = ")
            for draw, problem in enumerate(found.used, 1)
        ]
        draws = [_numbers(ends) for ends, _ in each]
        ends, distances = each[0]
        return Measured(
            numbers=over_draws(draws),
            series={"distance": distances, "draws": columns(draws)},
            tables=[self.table("rates", ends)],
            **found.told,
        )

    def _draw(
        self, context: Context, problem: lg.Problem, name: str
    ) -> tuple[list[dict[str, Any]], dict[str, np.ndarray]]:
        """How every L ends on these rows, and its distances on the way."""
        best = lg.reference.min_norm(problem)
        size = float(np.linalg.norm(best.weights))

        def distance(w: np.ndarray) -> float:
            return float(np.linalg.norm(w - best.weights)) / size

        options: dict[str, Any] = {"loss": "squared", "init": self.start(problem)}
        options["measures"] = {"distance": distance}
        exact = _exact(context)
        record = [*range(0, 10_001, 50), 10**5, 10**6]
        table: dict[str, np.ndarray] = {"round": np.array(record, dtype=float)}
        ends = []
        for L in context.each(name, STEPS):
            method = self.method(L)
            far = context.fast_forward(problem, method, rounds=1e6, record=record, **options)
            table[f"L={L}"] = far.history["distance"]
            start = context.fast_forward(problem, method, rounds=exact, **options)
            steps = context.run(problem, method, rounds=exact, every_step=True, **options)
            ends.append(
                {
                    "L": L,
                    "distance": float(far.history["distance"][-1]),
                    "at_thousand": float(table[f"L={L}"][record.index(1000)]),
                    "measured": measured_rate(far.history["round"], far.history["distance"]),
                    "predicted": predicted_rate(problem, L),
                    "gap": float(np.linalg.norm(weights(steps) - weights(start))) / size,
                }
            )
        return ends, table

    def draw(self, measured: Measured) -> Mapping[str, Any]:
        """Distances against rounds: straight lines on this axis are a linear rate."""
        table = measured.series["distance"]
        ax = figures.panel(x="Communication rounds", y="Relative distance to X⁺y", xscale="linear")
        shown = table["round"] <= 4000
        curves = {f"L = {L}": np.maximum(table[f"L={L}"][shown], 1e-17) for L in STEPS}
        styles = figures.styles(linestyle=("-", "-", "-", "--"))
        figures.lines(ax, table["round"][shown], curves, styles)
        return {"distance": ax}


def _exact(context: Context) -> int:
    return context.pick(1000, 10_000)


def _numbers(ends: Sequence[Mapping[str, Any]]) -> dict[str, float]:
    """The worst of all L."""
    return {
        "worst_distance": largest(end["distance"] for end in ends),
        "worst_distance_at_thousand": largest(end["at_thousand"] for end in ends),
        "worst_rate_error_percent": largest(
            100 * abs(end["measured"] / end["predicted"] - 1) for end in ends
        ),
        "worst_closed_form_error": largest(end["gap"] for end in ends),
    }


def _synthetic(seed: int) -> lg.Problem:
    return lg.datasets.make_regression(n_clients=5, n_samples=10, n_features=100, seed=seed)


def _with_least_norm(problem: lg.Problem) -> lg.Problem:
    lg.reference.min_norm(problem)  # refuses rows that no model interpolates
    return problem


def measured_rate(rounds: np.ndarray, distance: np.ndarray) -> float:
    """Minus the slope of log distance against rounds where the line is straight; NaN if nowhere."""
    low, high = STRAIGHT
    shown = (distance > low) & (distance < high)
    if shown.sum() < 2:
        return float("nan")
    return -float(np.polyfit(rounds[shown], np.log(distance[shown]), 1)[0])


def predicted_rate(problem: lg.Problem, L: int) -> float:
    """-log of the largest eigenvalue of Σ p_i (I - η X_iᵀX_i/n_i)^L on the span of the rows."""
    basis = np.linalg.svd(problem.X, full_matrices=False)[2]
    total = np.zeros((len(basis), len(basis)))
    for i, weight in enumerate(problem.weights):
        X = problem.X[problem.rows(i)] @ basis.T
        values, vectors = np.linalg.eigh(X.T @ X / len(X))
        total += weight * (vectors * (1 - values) ** L) @ vectors.T
    return -float(np.log(np.linalg.eigvalsh(total)[-1]))


EXPERIMENT = LeastNorm()
