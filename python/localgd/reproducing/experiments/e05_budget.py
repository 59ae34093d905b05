"""E5: a fixed budget of local steps, split into few long rounds or many short ones."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

import localgd as lg

from .. import figures, rows
from ..columns import Columns, columns, part, records
from ..context import Context
from ..experiment import Experiment
from ..measured import Measured, largest
from ..words import read

MANY = 1000  # rounds that are enough, by the prediction
SAME = 1.1  # an angle or a loss that is at most 10 % above that of L = 1 counts as the same
PER_CLASS = 100
LR = 1.0


@dataclass(frozen=True)
class FixedBudget(Experiment):
    """Final angles and losses for B = rounds × L fixed.

    ``method`` makes the method of L local steps.
    """

    method: Callable[[int], Any] = lambda L: lg.LocalGD(local_steps=L, lr=LR)

    words = read(__file__, per_class=PER_CLASS)

    def parameters(self, context: Context) -> Mapping[str, Any]:
        """The budgets."""
        return {
            "budgets": ", ".join(f"{B:,}" for B in _budgets(context)),
            "real_budget": _real_budget(context),
        }

    def measure(self, context: Context) -> Measured:
        """Every split of every budget."""
        synthetic = rows.synthetic(context)
        best = lg.reference.max_margin(synthetic)
        budgets = _budgets(context)
        splits = {B: self._splits(context, synthetic, best, B, "synthetic rows") for B in budgets}
        solves = context.run(
            synthetic, lg.LocalSolve(), rounds=1000, loss="exponential", reference=best
        )
        solved = np.degrees(solves.history["angle"][1:])
        real = self.own_or_digits(context, per_class=PER_CLASS)
        real_best = lg.reference.max_margin(real.used)
        real_split = self._splits(context, real.used, real_best, _real_budget(context), real.name)
        most = splits[budgets[-1]]
        every = splits.values()
        named = {f"synthetic, {B:,}": split for B, split in splits.items()}
        return Measured(
            numbers={
                "worst_angle_ratio": _worst(every, "angle_ratio"),
                "worst_loss_ratio": _worst(every, "loss_ratio"),
                "loss_prediction_error_percent": 100 * abs(float(most["loss_times_budget"][0]) - 1),
                "one_round_gap_deg": largest(abs(s["angle_deg"][-1] - solved[0]) for s in every),
                "real_worst_angle_ratio": _worst([real_split], "angle_ratio"),
                "real_worst_loss_ratio": _worst([real_split], "loss_ratio"),
                "one_round_angle_deg": float(most["angle_deg"][-1]),
                "one_step_angle_deg": float(most["angle_deg"][0]),
                "fewest_rounds": _fewest(most, "angle_ratio"),
                "largest_budget": budgets[-1],
            },
            series={
                "synthetic": {c: np.concatenate([s[c] for s in every]) for c in real_split},
                "real": real_split,
                "exact_local_solves": {"rounds": solves.history["round"][1:], "angle_deg": solved},
            },
            tables=[
                self._splits_table("Synthetic rows", most),
                self._splits_table(f"Real rows ({real.name})", real_split),
                self.table("enough", _enough({**named, real.name: real_split})),
            ],
            notes=real.notes,
        )

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
