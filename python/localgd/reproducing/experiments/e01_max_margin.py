"""E1: Local-GD turns towards the max-margin direction of the pooled rows, for any L."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

import localgd as lg

from .. import figures, rows
from ..columns import Columns, columns
from ..context import Context, degrees
from ..experiment import Experiment
from ..intervals import over_draws
from ..measured import Measured, largest
from ..reaching import angle_at, angle_columns, at_decades
from ..words import read

FAR = 1e100
FIRST = 10  # round of the figures
LATE = 1e50  # from here on angle·log(ηLk) should be constant
SHOWN = (3, 4, 5, 6, 50, 100)  # decades of rounds in the tables
STEPS = (1, 10, 100, 1000)
REAL_STEPS = (1, 10, 100)
# Rounds taken one by one, as many as can be had in seconds or in a minute.
QUICK = {1: 10**4, 10: 10**4, 100: 10**4, 1000: 10**3}
FULL = {1: 10**6, 10: 10**6, 100: 10**6, 1000: 10**4}

Runs = Mapping[int, lg.Run]


@dataclass(frozen=True)
class MaxMargin(Experiment):
    """Angles to the pooled max-margin direction to 10^100 rounds.

    ``method`` makes the method of L local steps; ``trained`` changes what the clients train on,
    while the reference stays that of the rows as they are.
    """

    method: Callable[[int], Any] = lambda L: lg.LocalGD(local_steps=L, lr=1.0)
    trained: Callable[[lg.Problem], lg.Problem] = lambda problem: problem

    words = read(__file__)

    def parameters(self, context: Context) -> Mapping[str, Any]:
        """How many rounds are taken one by one."""
        return {
            "one_by_one": context.pick("10^4 (L = 1000: 10^3)", "10^6 (L = 1000: 10^4)"),
        }

    def measure(self, context: Context) -> Measured:
        """Both kinds of rows at every L, draw by draw."""
        synthetic = [rows.synthetic(seed) for seed in context.seeds()]
        real = self.own_or_digits(context, rows.on_clients)
        far = [self._far(context, problem, STEPS, "synthetic rows") for problem in synthetic]
        far_real = [self._far(context, problem, REAL_STEPS, real.name) for problem in real.used]
        exact = self._exact(context, synthetic[0])
        checks = [_check(L, exact[L], run) for L, run in far[0].items()]
        draws, real_draws = ([_of_draw(runs) for runs in each] for each in (far, far_real))
        return Measured(
            numbers={
                **over_draws(draws),
                **over_draws(real_draws, "real_"),
                "worst_exact_gap": largest(check["gap"] for check in checks),
                "largest_error_estimate": largest(
                    run.history["error"].max()
                    for runs in (*far, *far_real)
                    for run in runs.values()
                ),
            },
            series={
                "synthetic": _angles_and_law(far[0], synthetic[0]),
                "one_by_one": _one_by_one(exact),
                "real": _angles_and_law(far_real[0], real.used[0]),
                "draws": columns(draws),
                "real_draws": columns(real_draws),
            },
            tables=[
                self._angles("Synthetic rows", far[0]),
                self.table("checks", checks),
                self._angles(f"Real rows ({real.name})", far_real[0]),
            ],
            **real.told,
        )

    def _far(self, context: Context, problem: lg.Problem, steps: Sequence[int], name: str) -> Runs:
        best = lg.reference.max_margin(problem)
        options: dict[str, Any] = {"rounds": FAR, "loss": "exponential", "reference": best}
        trained = self.trained(problem)
        return {
            L: context.fast_forward(trained, self.method(L), **options)
            for L in context.each(f"{name}, to 10^100 rounds, L = ", steps)
        }

    def _exact(self, context: Context, problem: lg.Problem) -> Runs:
        best = lg.reference.max_margin(problem)
        options: dict[str, Any] = {"loss": "exponential", "reference": best, "every_step": True}
        trained, rounds = self.trained(problem), context.pick(QUICK, FULL)
        return {
            L: context.run(trained, self.method(L), rounds=rounds[L], **options)
            for L in context.each("rounds one by one, L = ", rounds)
        }

    def _angles(self, name: str, runs: Runs) -> Any:
        records = [{"L": L, **at_decades(run, SHOWN)} for L, run in runs.items()]
        return self.table("angles", records, name=name)

    def draw(self, measured: Measured) -> Mapping[str, Any]:
        """Angles, and angle times log(ηLk)."""
        synthetic, exact = measured.series["synthetic"], measured.series["one_by_one"]
        angle = _draw_angles(synthetic, STEPS)
        shown = exact["round"] >= FIRST
        angle.plot(exact["round"][shown][::4], exact["angle_deg"][shown][::4], **RINGS)
        product = figures.panel(y="Angle · log(ηLk) (radians)", yscale="linear")
        k = synthetic["round"][synthetic["round"] >= FIRST]
        curves = {
            f"L = {L}": np.radians(synthetic[f"L={L}_deg"][-len(k) :]) * np.log(L * k)
            for L in STEPS
        }
        figures.lines(product, k, curves)
        figures.loglog_rounds(product, first=FIRST, last=FAR)
        product.set_ylim(bottom=0)
        real = _draw_angles(measured.series["real"], REAL_STEPS)
        return {"synthetic": angle, "product": product, "real": real}


RINGS: Mapping[str, Any] = {
    "linestyle": "",
    "marker": "o",
    "markersize": 3.5,
    "markerfacecolor": "none",
    "markeredgecolor": "black",
    "markeredgewidth": 0.6,
}


def _of_draw(runs: Runs) -> dict[str, float]:
    """The worst of all L on one draw of the rows."""
    return {
        **{f"angle_{n}_deg": largest(angle_at(r, 10.0**n) for r in runs.values()) for n in (3, 6)},
        "worst_angle_deg": largest(angle_at(run, FAR) for run in runs.values()),
        "worst_spread_percent": largest(_spread(L, run) for L, run in runs.items()),
        "worst_ratio": largest(angle_at(run, FAR) / angle_at(run, LATE) for run in runs.values()),
    }


def _spread(L: int, far: lg.Run) -> float:
    """Half the range of angle · log(ηLk) over the last 50 decades, in percent."""
    late = far.history["round"] >= LATE
    product = far.history["angle"][late] * np.log(L * far.history["round"][late])
    return float(100 * np.ptp(product) / (product.max() + product.min()))


def _check(L: int, exact: lg.Run, far: lg.Run) -> dict[str, Any]:
    """The constant of the law; the gap to rounds one by one."""
    last = np.intersect1d(exact.history["round"], far.history["round"])[-1]
    return {
        "L": L,
        "product": far.history["angle"][-1] * np.log(L * FAR),
        "spread_percent": _spread(L, far),
        "rounds": exact.round,
        "gap": abs(angle_at(far, last) / angle_at(exact, last) - 1),
        "error": far.history["error"].max(),
    }


def _one_by_one(runs: Runs) -> dict[str, np.ndarray]:
    """One row per record of each run; round 0 has no direction."""
    kept = {L: run.history["round"][1:] for L, run in runs.items()}
    return {
        "local_steps": np.concatenate([np.full(len(k), L) for L, k in kept.items()]),
        "round": np.concatenate(list(kept.values())),
        "angle_deg": np.concatenate([degrees(run)[1:] for run in runs.values()]),
    }


def _angles_and_law(runs: Runs, problem: lg.Problem) -> dict[str, np.ndarray]:
    """Angles of every L, and what ρ_S alone predicts for L = 1."""
    table = angle_columns({f"L={L}": run for L, run in runs.items()})
    k = table["round"]
    law = np.full(len(k), np.nan)
    limit = lg.reference.asymptote(problem)
    law[k > np.e] = np.degrees(limit.angle(k[k > np.e], lr=1.0))
    return {**table, "predicted_deg": law}


def _draw_angles(table: Columns, steps: Sequence[int]) -> Any:
    """Lines, and the law that the rows alone predict."""
    ax = figures.panel(y="Angle to ŵ (°)")
    shown = table["round"] >= FIRST
    k = table["round"][shown]
    figures.lines(ax, k, {f"L = {L}": table[f"L={L}_deg"][shown] for L in steps})
    late = k >= 1e3
    law = table["predicted_deg"][shown][late]
    ax.plot(k[late], law, color="black", linewidth=0.8, dashes=(4, 3), label="by $\\rho_S$, L = 1")
    figures.loglog_rounds(ax, first=FIRST, last=FAR)
    figures.plain_ticks(ax)
    return ax


EXPERIMENT = MaxMargin()
