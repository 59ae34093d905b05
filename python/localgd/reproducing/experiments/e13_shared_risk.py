"""E13: one rate η/f(w_k) for all clients reaches ŵ like 1/k, where constant steps need 1/log k."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

import localgd as lg

from .. import figures, rows
from ..columns import Columns, columns, records
from ..context import Context
from ..experiment import Experiment
from ..intervals import over_draws
from ..measured import Measured, largest, smallest
from ..reaching import angle_at, angle_columns, late_slope
from ..words import read

STEPS = (1, 10, 100)
SEVERAL = STEPS[1:]
ETA = 0.5  # of f / f(w_k)
FAR = 1e100  # rounds of constant steps
DEALS = {
    "at random": lg.Iid(),
    "Dirichlet(0.3)": lg.Dirichlet(0.3),
    "by class": lg.ByClass(1),
}
Runs = Mapping[tuple[str, int], lg.Run]  # by rule and L
RULES: dict[str, Callable[[int], Any]] = {
    "constant": lambda L: 1.0,
    "shared": lambda L: lg.RiskAdapted(ETA),
    "polyak": lambda L: lg.Polyak(scale=1 / L),
}


@dataclass(frozen=True)
class SharedRisk(Experiment):
    """Angles to ŵ of Local-GD with rates over the risk, with Polyak's and with constant ones.

    ``method`` makes Local-GD of L steps from a rule.
    """

    method: Callable[[int, Any], Any] = lambda L, lr: lg.LocalGD(local_steps=L, lr=lr)

    words = read(__file__, eta=ETA)

    def parameters(self, context: Context) -> Mapping[str, Any]:
        """Rounds."""
        return {"rounds": _rounds(context)}

    def measure(self, context: Context) -> Measured:
        """Every rule and L on every draw of the rows, and three ways to deal real rows."""
        draws: list[dict[str, float]] = []
        first: Runs = {}
        for seed in context.each("synthetic rows, draw ", context.seeds()):
            problem = rows.synthetic(seed)
            runs = self._runs(context, problem)
            first = first or runs
            far = {f"far_{L}": self._far(context, problem, L) for L in SEVERAL}
            draws.append(_numbers(runs) | far)
        real = self.own_or_digits(context, rows.on_clients)
        real_draws: list[dict[str, float]] = []
        on_real: Runs = {}
        for draw in context.each(f"{real.name}, draw ", range(len(real.used))):
            runs = self._runs(context, real.used[draw])
            on_real = on_real or runs
            real_draws.append(_numbers(runs))
        dealt = self._dealt(context)
        return Measured(
            numbers={
                **over_draws(draws),
                **over_draws(real_draws, "real_"),
                "rounds": _rounds(context),
                "worst_slope": largest(one["shared_slope"] for one in draws),
                "worst_polyak_slope": largest(one["polyak_slope"] for one in draws),
                "worst_ratio": largest(one["ratio"] for one in draws),
                "worst_far_ratio": largest(
                    one[f"shared_{L}"] / one[f"far_{L}"] for one in draws for L in SEVERAL
                ),
                "least_saving": smallest(one["saving"] for one in draws),
                "real_worst_ratio": largest(one["ratio"] for one in real_draws),
                "real_worst_slope": largest(one["shared_slope"] for one in real_draws),
                "dealt_worst_ratio": largest(dealt["ratio"]),
                "dealt_worst_slope": largest(dealt["slope"]),
            },
            series={
                "synthetic": angle_columns(_named(first)),
                "real": angle_columns(_named(on_real)),
                "draws": columns(draws),
                "real_draws": columns(real_draws),
                "dealt": dealt,
            },
            tables=[
                self._table("Synthetic rows, first draw", first),
                self._table(f"{real.name[:1].upper()}{real.name[1:]}, first draw", on_real),
                self.table("dealt", records(dealt)),
            ],
            **real.told,
        )

    def _runs(self, context: Context, problem: lg.Problem) -> Runs:
        best = lg.reference.max_margin(problem)
        return {
            (rule, L): context.run(
                problem,
                self.method(L, rate(L)),
                rounds=_rounds(context),
                reference=best,
                loss="exponential",
            )
            for rule, rate in RULES.items()
            for L in STEPS
        }

    def _far(self, context: Context, problem: lg.Problem, L: int) -> float:
        """The angle of constant steps after 10^100 rounds."""
        run = context.fast_forward(
            problem,
            lg.LocalGD(L, RULES["constant"](L)),
            rounds=FAR,
            reference=lg.reference.max_margin(problem),
            loss="exponential",
        )
        return angle_at(run, FAR)

    def _dealt(self, context: Context) -> dict[str, np.ndarray]:
        """Digits dealt in three ways, the first draw, L = 10."""
        found = []
        for deal in context.each("digits dealt ", DEALS):
            clients = 2 if deal == "by class" else 10
            problem = rows.digits(
                context,
                context.seeds()[0],
                load=lg.datasets.load_digits,
                n_clients=clients,
                scheme=DEALS[deal],
            )
            best = lg.reference.max_margin(problem)
            runs = {
                rule: context.run(
                    problem,
                    self.method(10, RULES[rule](10)),
                    rounds=_rounds(context),
                    reference=best,
                    loss="exponential",
                )
                for rule in ("constant", "shared")
            }
            ends = {rule: angle_at(run, run.round) for rule, run in runs.items()}
            found.append(
                {"deal": deal, **ends, "slope": late_slope(runs["shared"])}
                | {"ratio": ends["shared"] / ends["constant"]}
            )
        return columns(found)

    def _table(self, name: str, runs: Runs) -> Any:
        found = [
            {"L": L, **{rule: angle_at(runs[rule, L], runs[rule, L].round) for rule in RULES}}
            | {"slope": late_slope(runs["shared", L])}
            for L in STEPS
        ]
        return self.table("ends", found, name=name, rounds=runs["shared", 1].round)

    def draw(self, measured: Measured) -> Mapping[str, Any]:
        """The angles of the first draws."""
        return {name: _draw(measured.series[name]) for name in ("synthetic", "real")}


def _rounds(context: Context) -> int:
    return context.pick(10_000, 50_000)


def _numbers(runs: Runs) -> dict[str, float]:
    """Angles at the end in degrees, the flattest slope of each rule, and what L saves."""
    ends = {f"{rule}_{L}": angle_at(run, run.round) for (rule, L), run in runs.items()}
    return {
        **ends,
        **{f"{rule}_slope": largest(late_slope(runs[rule, L]) for L in STEPS) for rule in RULES},
        "ratio": largest(ends[f"shared_{L}"] / ends[f"constant_{L}"] for L in STEPS),
        "saving": ends["shared_1"] / ends["shared_10"],
    }


def _named(runs: Runs) -> dict[str, lg.Run]:
    return {f"{rule}, L = {L}": run for (rule, L), run in runs.items()}


def _draw(table: Columns) -> Any:
    ax = figures.panel(y="Angle to ŵ (°)")
    lines = {"constant": ":", "shared": "-", "polyak": "--"}
    words = {"constant": "η = 1", "shared": "η/f(w_k)", "polyak": "Polyak"}
    for rule, line in lines.items():
        for colour, L in zip(figures.COLOURS, STEPS, strict=False):
            ax.plot(
                table["round"],
                table[f"{rule}, L = {L}_deg"],
                color=colour,
                linestyle=line,
                linewidth=1,
                label=f"{words[rule]}, L = {L}",
            )
    return ax


EXPERIMENT = SharedRisk()
