"""E8: regression with more features than rows ends at the interpolant of least norm."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

import localgd as lg

from .. import figures, sources
from ..context import Context, weights
from ..experiment import Condition, Experiment, Measured, Numbers, Picture, Table

STEPS = (1, 10, 100, 1000)
STRAIGHT = (1e-10, 1e-4)  # relative distances between which the rate is measured


@dataclass(frozen=True)
class LeastNorm(Experiment):
    """Distances to the min-norm interpolant, and their rate, for several L.

    ``method`` makes the method of L local steps, ``start`` the start w_0 of a problem.
    """

    method: Callable[[int], Any] = lambda L: lg.LocalGD(local_steps=L, lr=1.0)
    start: Callable[[lg.Problem], np.ndarray | None] = lambda problem: None

    id = "E8"
    title = "Regression: the interpolant of least norm"
    question = (
        "Does Local-GD with the squared loss end at the interpolant of least norm, for any number "
        "of local steps, and how fast?"
    )
    claim = (
        "With more features than rows, Local-GD from w_0 = 0 converges to X⁺y, the interpolant of "
        "the pooled rows that has the least norm, at a linear rate, for any number L of local "
        "steps."
    )
    sources = (sources.LOCAL_GD, sources.MIN_NORM)
    criterion = (
        Condition(
            "the relative distance to X⁺y at the last round is below 10^-10 for every L",
            "worst_distance",
            "<",
            1e-10,
        ),
        Condition(
            "where the distance is between 10^-4 and 10^-10 it shrinks per round by the factor "
            "that the largest eigenvalue of the round's linear map predicts: the logarithms of the "
            "two agree to 1 % for every L",
            "worst_rate_error_percent",
            "<",
            1.0,
            unit="%",
        ),
        Condition(
            "rounds taken one by one end where the closed form of as many rounds ends, to a "
            "relative distance of 10^-9",
            "worst_closed_form_error",
            "<",
            1e-9,
        ),
    )
    limits = (
        "The step size lies below 2/H on every client, H the largest curvature; above it Local-GD "
        "diverges.",
        "A start w_0 outside the span of the rows ends at w_0 + X⁺(y - X w_0) instead, which is "
        "the nearest interpolant and not the one of least norm.",
        "Rows in general position: the rate depends on the smallest eigenvalues of the round's "
        "map, and real rows can have very small ones.",
    )
    tasks = ("regression",)
    code = """\
import numpy as np
import localgd as lg

problem = lg.datasets.make_regression(n_clients=5, n_samples=10, n_features=100, seed=1)
best = lg.reference.min_norm(problem)
for L in (1, 10, 100, 1000):
    far = lg.fast_forward(problem, lg.LocalGD(local_steps=L, lr=1.0), rounds=1e6, loss="squared")
    distance = np.linalg.norm(far.weights - best.weights) / np.linalg.norm(best.weights)
    print(f"L = {L}: relative distance {distance:.0e}")
"""

    def setting(self, context: Context) -> Mapping[str, str]:
        """Data, M, n, d, methods, rounds, seeds."""
        return {
            "data": "lg.datasets.make_regression: Gaussian rows, linear response and noise of "
            "standard deviation 0.1",
            "size": "M = 5 clients with n = 10 rows each, d = 100 features",
            "method": "Local-GD, L = 1, 10, 100, 1000, η = 1, w_0 = 0, squared loss",
            "rounds": f"10^6 by the closed form; the first {self._exact(context):,} also one by "
            "one",
            "seed": f"{1 + context.seed} for the data; nothing else is random",
        }

    @staticmethod
    def _exact(context: Context) -> int:
        return context.pick(1000, 10_000)

    def measure(self, context: Context) -> Measured:
        """Run every L by the closed form, and the first rounds one by one."""
        problem, notes = self._problem(context)
        best = lg.reference.min_norm(problem)
        size = float(np.linalg.norm(best.weights))

        def distance(w: np.ndarray) -> float:
            return float(np.linalg.norm(w - best.weights)) / size

        options: dict[str, Any] = {"loss": "squared", "init": self.start(problem)}
        options["measures"] = {"distance": distance}
        exact = self._exact(context)
        record = [*range(0, 10_001, 50), 10**5, 10**6]
        columns: dict[str, Any] = {"round": np.array(record, dtype=float)}
        distances, errors, gaps = [], [], []
        rows = []
        for L in STEPS:
            context.status(f"L = {L}")
            far = context.fast_forward(
                problem, self.method(L), rounds=1e6, record=record, **options
            )
            columns[f"L={L}"] = far.history["distance"]
            start = context.fast_forward(problem, self.method(L), rounds=exact, **options)
            one_by_one = context.run(
                problem, self.method(L), rounds=exact, every_step=True, **options
            )
            gap = float(np.linalg.norm(weights(one_by_one) - weights(start))) / size
            measured = measured_rate(far.history["round"], far.history["distance"])
            predicted = predicted_rate(problem, L)
            errors.append(100 * abs(measured / predicted - 1))
            distances.append(float(far.history["distance"][-1]))
            gaps.append(gap)
            rates = f"{measured:.5f}", f"{predicted:.5f}"
            rows.append([f"{L}", f"{distances[-1]:.1e}", *rates, f"{gap:.1e}"])
        table = Table(
            "Distance to X⁺y relative to its norm, and rate: minus the logarithm of the factor per "
            "round",
            ["L", "distance at 10^6 rounds", "rate measured", "rate predicted", "closed form off"],
            rows,
        )
        return Measured(
            numbers={
                "worst_distance": float(np.max(distances)),  # of NumPy: NaN stays NaN
                "worst_rate_error_percent": float(np.max(errors)),
                "worst_closed_form_error": float(np.max(gaps)),
            },
            series={"distance": columns},
            tables=[table],
            notes=notes,
        )

    def _problem(self, context: Context) -> tuple[lg.Problem, list[str]]:
        own = context.own_problem(*self.tasks)
        if own is not None:
            try:
                lg.reference.min_norm(own)
                return own, ["Your own rows are used in place of the synthetic ones."]
            except ValueError as error:
                return self._synthetic(context), [f"Your own rows are not used: {error}."]
        return self._synthetic(context), []

    @staticmethod
    def _synthetic(context: Context) -> lg.Problem:
        return lg.datasets.make_regression(
            n_clients=5, n_samples=10, n_features=100, seed=1 + context.seed
        )

    def finding(self, numbers: Numbers) -> str:
        """The summary's sentence."""
        return (
            f"Largest relative distance to X⁺y after 10^6 rounds {numbers['worst_distance']:.0e}; "
            f"measured rates are within {numbers['worst_rate_error_percent']:.2g} % of the "
            "predicted ones."
        )

    def pictures(self, measured: Measured) -> Sequence[Picture]:
        """Distances against rounds: straight lines on this axis are a linear rate."""
        columns = measured.series["distance"]
        ax = figures.panel(x="Communication rounds", y="Relative distance to X⁺y", xscale="linear")
        shown = columns["round"] <= 4000
        for L, colour in zip(STEPS, figures.COLOURS, strict=False):
            ax.plot(
                columns["round"][shown],
                np.maximum(columns[f"L={L}"][shown], 1e-17),
                color=colour,
                label=f"L = {L}",
                linestyle="--" if L == STEPS[-1] else "-",
            )
        figures.legend(ax)
        caption = (
            "Straight lines mean a linear rate; they end at rounding. From L = 100 on a round is "
            "all but an exact local solve, so L = 1000 (dashed) lies on it."
        )
        return [Picture("distance", caption, ax.figure)]


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
