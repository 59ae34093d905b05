"""E5: a fixed budget of local steps, split into few long rounds or many short ones."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

import localgd as lg

from .. import figures, rows
from ..columns import Columns, columns, part, records
from ..context import Context, degrees
from ..experiment import Experiment
from ..intervals import over_draws
from ..measured import Measured, largest
from ..words import read

MANY = 1000  # rounds that are enough, by the prediction
SAME = 1.1  # an angle or a loss that is at most 10 % above that of L = 1 counts as the same
LR = 1.0


@dataclass(frozen=True)
class FixedBudget(Experiment):
    """Final angles and losses for B = rounds × L fixed.

    ``method`` makes the method of L local steps.
    """

    method: Callable[[int], Any] = lambda L: lg.LocalGD(local_steps=L, lr=LR)

    words = read(__file__)

    def parameters(self, context: Context) -> Mapping[str, Any]:
        """The budgets."""
        return {
            "budgets": ", ".join(f"{B:,}" for B in _budgets(context)),
            "real_budget": _real_budget(context),
        }

    def measure(self, context: Context) -> Measured:
        """Every split of every budget, draw by draw."""
        real = self.own_or_digits(context)
        found = [self._synthetic(context, seed) for seed in context.seeds()]
        on_real = [
            self._splits(
                context,
                problem,
                lg.reference.max_margin(problem),
                _real_budget(context),
                f"{real.name}, draw {draw}",
            )
            for draw, problem in enumerate(real.used, 1)
        ]
        draws = [_of_draw(splits.values(), solved) for splits, solved in found]
        real_draws = [_of_real(split) for split in on_real]
        splits, solved = found[0]
        named = {f"synthetic, {B:,}": split for B, split in splits.items()}
        return Measured(
            numbers={
                **over_draws(draws),
                **over_draws(real_draws, "real_"),
                "largest_budget": _budgets(context)[-1],
                "real_budget": _real_budget(context),
            },
            series={
                "synthetic": {
                    c: np.concatenate([s[c] for s in splits.values()]) for c in on_real[0]
                },
                "real": on_real[0],
                "exact_local_solves": solved,
                "draws": columns(draws),
                "real_draws": columns(real_draws),
            },
            tables=[
                self._splits_table("Synthetic rows", splits[_budgets(context)[-1]]),
                self._splits_table(f"Real rows ({real.name})", on_real[0]),
                self.table("enough", _enough({**named, real.name: on_real[0]})),
            ],
            **real.told,
        )

    def _synthetic(
        self, context: Context, seed: int
    ) -> tuple[dict[int, dict[str, np.ndarray]], dict[str, np.ndarray]]:
        """The splits of each budget, and the angles of exact local solves."""
        problem = rows.synthetic(seed)
        best = lg.reference.max_margin(problem)
        splits = {
            B: self._splits(context, problem, best, B, f"synthetic rows of seed {seed}")
            for B in _budgets(context)
        }
        solves = context.run(
            problem, lg.LocalSolve(), rounds=1000, loss="exponential", reference=best
        )
        history = solves.history
        return splits, {"rounds": history["round"][1:], "angle_deg": degrees(solves)[1:]}

    def _splits(
        self, context: Context, problem: lg.Problem, best: Any, budget: int, name: str
    ) -> dict[str, np.ndarray]:
        """One row for each L: the end of the run of B/L rounds."""
        found = []
        steps = [L for L in _one_two_five(budget) if budget % L == 0]
        for L in context.each(f"{name}, budget {budget:,}, L = ", steps):
            rounds = budget // L
            run = context.run(
                problem,
                self.method(L),
                rounds=rounds,
                loss="exponential",
                reference=best,
                record=[rounds],
            )
            angle, loss = np.degrees(run.history["angle"][-1]), run.history["loss"][-1]
            found.append(
                {
                    "budget": budget,
                    "local_steps": L,
                    "rounds": rounds,
                    "angle_deg": angle,
                    "loss": loss,
                    "loss_times_budget": loss * LR * budget * best.margin**2,
                }
            )
        split = columns(found)
        return split | {
            "angle_ratio": split["angle_deg"] / split["angle_deg"][0],
            "loss_ratio": split["loss"] / split["loss"][0],
        }

    def _splits_table(self, name: str, split: Columns) -> Any:
        shown = [row for row in records(split) if str(row["local_steps"])[0] == "1"]
        return self.table("splits", shown, name=name, budget=split["budget"][0])

    def draw(self, measured: Measured) -> Mapping[str, Any]:
        """Angles and losses against the number of rounds."""
        synthetic, real = measured.series["synthetic"], measured.series["real"]
        x = "Rounds k, of B/k local steps each"
        angle = figures.panel(x=x, y="Angle to ŵ (°)", yscale="linear")
        _draw(angle, synthetic, "angle_deg")
        solves = measured.series["exact_local_solves"]
        guide: dict[str, Any] = {"color": "black", "linestyle": ":", "linewidth": 1.0}
        angle.plot(solves["rounds"], solves["angle_deg"], label="exact local solves", **guide)
        angle.set_ylim(bottom=0)
        loss = figures.panel(x=x, y="Loss · ηB/‖ŵ‖²")
        _draw(loss, synthetic, "loss_times_budget")
        loss.axhline(1.0, **guide)
        both = figures.panel(x=x, y="Relative to L = 1")
        ratios = {"angle": real["angle_ratio"], "loss": real["loss_ratio"]}
        figures.lines(both, real["rounds"], ratios, figures.MARKED)
        for ax, table in ((angle, synthetic), (loss, synthetic), (both, real)):
            figures.decades(ax, last=float(table["rounds"].max()))
        return {"angle": angle, "loss": loss, "real": both}


def _budgets(context: Context) -> tuple[int, ...]:
    return context.pick((10**3, 10**4, 10**5), (10**4, 10**5, 10**6))


def _real_budget(context: Context) -> int:
    return context.pick(10**4, 10**5)


def _one_two_five(last: int) -> list[int]:
    decades = range(len(str(last)))
    return [m * 10**e for e in decades for m in (1, 2, 5) if m * 10**e <= last]


def _worst(splits: Iterable[Columns], column: str) -> float:
    """The largest ratio to L = 1 among runs of many rounds; it is 1 or more, L = 1 is one."""
    return largest(split[column][split["rounds"] >= MANY].max() for split in splits)


def _of_draw(splits: Iterable[Columns], solved: Columns) -> dict[str, float]:
    """Of the synthetic rows; the last budget is the largest."""
    every = list(splits)
    most = every[-1]
    return {
        "worst_angle_ratio": _worst(every, "angle_ratio"),
        "worst_loss_ratio": _worst(every, "loss_ratio"),
        "loss_prediction_error_percent": 100 * abs(float(most["loss_times_budget"][0]) - 1),
        "one_round_gap_deg": largest(
            abs(s["angle_deg"][-1] - solved["angle_deg"][0]) for s in every
        ),
        "one_round_angle_deg": float(most["angle_deg"][-1]),
        "one_step_angle_deg": float(most["angle_deg"][0]),
        "loss_times_budget": float(most["loss_times_budget"][0]),
        "fewest_rounds": _fewest(most, "angle_ratio"),
    }


def _of_real(split: Columns) -> dict[str, float]:
    return {
        "worst_angle_ratio": _worst([split], "angle_ratio"),
        "worst_loss_ratio": _worst([split], "loss_ratio"),
        "loss_times_budget": float(split["loss_times_budget"][0]),
        "fewest_rounds": _fewest(split, "angle_ratio"),
    }


def _fewest(split: Columns, column: str) -> int:
    """The fewest rounds that, as all larger numbers of rounds, are as good as L = 1."""
    good = np.logical_and.accumulate(split[column] <= SAME)
    return int(np.min(split["rounds"][good], initial=split["rounds"][0]))


def _enough(splits: Mapping[str, Columns]) -> list[dict[str, Any]]:
    return [
        {
            "name": name,
            "angle": _fewest(split, "angle_ratio"),
            "loss": _fewest(split, "loss_ratio"),
        }
        for name, split in splits.items()
    ]


def _draw(ax: Any, table: Columns, column: str) -> None:
    for B, style in zip(np.unique(table["budget"]), figures.MARKED, strict=False):
        mine = part(table, budget=B)
        label = f"B = $10^{{{round(np.log10(B))}}}$"
        figures.lines(ax, mine["rounds"], {label: mine[column]}, [style])


EXPERIMENT = FixedBudget()
