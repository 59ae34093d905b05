"""E5: a fixed budget of local steps, split into few long rounds or many short ones."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

import localgd as lg

from .. import figures, sources
from ..context import Context
from ..experiment import Condition, Experiment, Measured, Numbers, Picture, Table
from ..real_rows import about, own_or_digits

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

    id = "E5"
    title = "A fixed budget of local steps"
    question = (
        "With rounds × L fixed, what do few long rounds do to the direction and to the loss, "
        "against many short ones?"
    )
    claim = (
        "Prediction: both depend on rounds and L through τ = ηLk alone, to leading order: the "
        "angle is ‖ρ across ŵ‖/(‖ŵ‖ log τ), the loss is ‖ŵ‖²/τ. So the same budget gives the "
        "same model, with a fraction of the communication, as long as there are rounds enough "
        "for the clients to agree. It breaks where there are few: with one round the direction is "
        "that of one exact local solve, averaged, and no budget improves it."
    )
    open = True
    sources = (sources.LOCAL_GD, sources.IMPLICIT_BIAS)
    criterion = (
        Condition(
            "synthetic rows: with 1,000 rounds or more the angle is at most 10 % above that of "
            "L = 1, for every budget and L",
            "worst_angle_ratio",
            "<=",
            SAME,
        ),
        Condition(
            "synthetic rows: and so is the loss",
            "worst_loss_ratio",
            "<=",
            SAME,
        ),
        Condition(
            "synthetic rows: the loss of L = 1 at the largest budget is ‖ŵ‖²/(ηB) to 10 %",
            "loss_prediction_error_percent",
            "<",
            10.0,
            unit="%",
        ),
        Condition(
            "synthetic rows: a single round ends within 1° of one round of exact local solves, for "
            "every budget",
            "one_round_gap_deg",
            "<",
            1.0,
            unit="°",
        ),
        Condition(
            "real rows: with 1,000 rounds or more the angle is at most 10 % above that of L = 1",
            "real_worst_angle_ratio",
            "<=",
            SAME,
            otherwise="On the real rows 1,000 rounds are not enough for the same angle.",
        ),
        Condition(
            "real rows: and so is the loss",
            "real_worst_loss_ratio",
            "<=",
            SAME,
            otherwise="On the real rows 1,000 rounds are not enough for the same loss.",
        ),
    )
    limits = (
        "The limits on the synthetic rows were set after a pilot on the same rows; those on "
        "real rows were not.",
        "All rounds are run, so budgets end at 10^6 local steps; for larger ones see E12, which "
        "asks for the rounds to a given angle.",
        "How many rounds are enough depends on the rows and on the budget; the last table tells it "
        "for these. In the limit of large L a round is an exact local solve, and plain averaging "
        "of those stops short of ŵ (E3).",
        "Full batches, all clients, one η for every L. A smaller η for larger L is not tried: it "
        "would shrink τ.",
    )
    tasks = ("binary",)
    code = """\
import numpy as np
import localgd as lg

problem = lg.datasets.make_separable(n_clients=5, n_samples=10, n_features=100, seed=1)
best = lg.reference.max_margin(problem)
B = 10**5
for L in (1, 10, 100, 1000, 10_000, 100_000):
    run = lg.run(problem, lg.LocalGD(local_steps=L, lr=1.0), rounds=B // L,
                 loss="exponential", reference=best)
    angle, loss = run.history["angle"][-1], run.history["loss"][-1]
    print(f"{B // L} rounds: {np.degrees(angle):.2f}°, loss · ηB/‖ŵ‖² = "
          f"{loss * B * best.margin**2:.3f}")
"""

    def setting(self, context: Context) -> Mapping[str, str]:
        """Data, M, n, d, methods, rounds, seeds."""
        budgets = ", ".join(f"{B:,}" for B in _budgets(context))
        return {
            "synthetic rows": "lg.datasets.make_separable: Gaussian rows, labelled by a plane; "
            "M = 5 clients, n = 10 rows each, d = 100 features",
            "real rows": f"{about(context, PER_CLASS)}; M = 10 clients by Dirichlet(0.3); your "
            "own rows in their place with --data",
            "method": f"Local-GD, η = 1, w_0 = 0, exponential loss, {context.shares}; L = 1, 2, 5, "
            "10, … B",
            "budgets": f"B = rounds × L = {budgets} local steps per client; real rows "
            f"{_real_budget(context):,}",
            "rounds": "B/L, all of them run",
            "seed": f"{1 + context.seed} for the synthetic rows, and for dealing the real ones",
        }

    def measure(self, context: Context) -> Measured:
        """Every split of every budget."""
        synthetic = lg.datasets.make_separable(
            n_clients=5, n_samples=10, n_features=100, seed=1 + context.seed
        )
        best = lg.reference.max_margin(synthetic)
        budgets = _budgets(context)
        splits = {B: self._splits(context, synthetic, best, B, "synthetic rows") for B in budgets}
        solves = context.run(
            synthetic, lg.LocalSolve(), rounds=1000, loss="exponential", reference=best
        )
        solved = np.degrees(solves.history["angle"][1:])
        real, name, notes = own_or_digits(context, PER_CLASS)
        real_best = lg.reference.max_margin(real)
        real_budget = _real_budget(context)
        real_split = self._splits(context, real, real_best, real_budget, name)
        unit = splits[budgets[-1]]["loss_times_budget"][0]
        gaps = [abs(split["angle_deg"][-1] - solved[0]) for split in splits.values()]
        every = splits.values()
        tables = [
            _table(f"Synthetic rows, budget {budgets[-1]:,}", splits[budgets[-1]]),
            _table(f"Real rows ({name}), budget {real_budget:,}", real_split),
            _enough({f"synthetic, {B:,}": s for B, s in splits.items()} | {name: real_split}),
        ]
        return Measured(
            numbers={
                "worst_angle_ratio": _worst(every, "angle_ratio"),
                "worst_loss_ratio": _worst(every, "loss_ratio"),
                "loss_prediction_error_percent": 100 * abs(float(unit) - 1),
                "one_round_gap_deg": float(np.max(gaps)),
                "real_worst_angle_ratio": _worst([real_split], "angle_ratio"),
                "real_worst_loss_ratio": _worst([real_split], "loss_ratio"),
                "one_round_angle_deg": float(splits[budgets[-1]]["angle_deg"][-1]),
                "one_step_angle_deg": float(splits[budgets[-1]]["angle_deg"][0]),
                "fewest_rounds": _fewest(splits[budgets[-1]], "angle_ratio"),
                "largest_budget": budgets[-1],
            },
            series={
                "synthetic": {
                    column: np.concatenate([split[column] for split in every])
                    for column in real_split
                },
                "real": real_split,
                "exact_local_solves": {
                    "rounds": solves.history["round"][1:],
                    "angle_deg": solved,
                },
            },
            tables=tables,
            notes=notes,
        )

    def _splits(
        self, context: Context, problem: lg.Problem, best: Any, budget: int, name: str
    ) -> dict[str, np.ndarray]:
        """One row for each L: the end of the run of B/L rounds."""
        steps = [L for L in _one_two_five(budget) if budget % L == 0]
        angles, losses = [], []
        for L in steps:
            context.status(f"{name}, budget {budget:,}, L = {L:,}")
            rounds = budget // L
            run = context.run(
                problem,
                self.method(L),
                rounds=rounds,
                loss="exponential",
                reference=best,
                record=[rounds],
            )
            angles.append(np.degrees(run.history["angle"][-1]))
            losses.append(run.history["loss"][-1])
        angle, loss = np.array(angles), np.array(losses)
        return {
            "budget": np.full(len(steps), budget),
            "local_steps": np.array(steps),
            "rounds": budget // np.array(steps),
            "angle_deg": angle,
            "loss": loss,
            "loss_times_budget": loss * LR * budget * best.margin**2,
            "angle_ratio": angle / angle[0],
            "loss_ratio": loss / loss[0],
        }

    def finding(self, numbers: Numbers) -> str:
        """The summary's sentence."""
        return (
            f"Of {numbers['largest_budget']:,} local steps, {numbers['fewest_rounds']:,} rounds "
            f"give the angle of {numbers['largest_budget']:,} rounds to 10 %; a single round ends "
            f"at {numbers['one_round_angle_deg']:.1f}° in place of "
            f"{numbers['one_step_angle_deg']:.1f}°."
        )

    def pictures(self, measured: Measured) -> Sequence[Picture]:
        """Angles and losses against the number of rounds."""
        synthetic, real = measured.series["synthetic"], measured.series["real"]
        x = "Rounds k, of B/k local steps each"
        angle = figures.panel(x=x, y="Angle to ŵ (°)", yscale="linear")
        _draw(angle, synthetic, "angle_deg")
        solves = measured.series["exact_local_solves"]
        guide = {"color": "black", "linestyle": ":", "linewidth": 1.0}
        angle.plot(solves["rounds"], solves["angle_deg"], label="exact local solves", **guide)
        angle.set_ylim(bottom=0)
        figures.decades(angle, last=float(synthetic["rounds"].max()))
        figures.legend(angle)
        loss = figures.panel(x=x, y="Loss · ηB/‖ŵ‖²")
        _draw(loss, synthetic, "loss_times_budget")
        loss.axhline(1.0, **guide)
        figures.decades(loss, last=float(synthetic["rounds"].max()))
        figures.legend(loss)
        both = figures.panel(x=x, y="Relative to L = 1")
        styles = zip(("angle_ratio", "loss_ratio"), ("angle", "loss"), MARKERS, strict=False)
        for (column, label, marker), colour in zip(styles, figures.COLOURS, strict=False):
            both.plot(
                real["rounds"],
                real[column],
                "-",
                marker=marker,
                markersize=3,
                color=colour,
                label=label,
            )
        figures.decades(both, last=float(real["rounds"].max()))
        figures.legend(both)
        return [
            Picture(
                "angle",
                "Synthetic rows: angle at the end of each budget. It is flat while there are "
                "rounds enough; with few it follows that of exact local solves (dotted), whatever "
                "the budget.",
                angle.figure,
            ),
            Picture(
                "loss",
                "Synthetic rows: loss over its prediction ‖ŵ‖²/(ηB) (dotted: 1).",
                loss.figure,
            ),
            Picture(
                "real",
                "Real rows: angle and loss at the end of the budget, over those of L = 1.",
                both.figure,
            ),
        ]


MARKERS = ("o", "s", "^", "D")


def _budgets(context: Context) -> tuple[int, ...]:
    return context.pick((10**3, 10**4, 10**5), (10**4, 10**5, 10**6))


def _real_budget(context: Context) -> int:
    return context.pick(10**4, 10**5)


def _one_two_five(last: int) -> list[int]:
    decades = range(len(str(last)))
    return [m * 10**e for e in decades for m in (1, 2, 5) if m * 10**e <= last]


def _worst(splits: Any, column: str) -> float:
    """The largest ratio to L = 1 among runs of many rounds; it is 1 or more, L = 1 is one."""
    return float(np.max([split[column][split["rounds"] >= MANY].max() for split in splits]))


def _fewest(split: Mapping[str, np.ndarray], column: str) -> int:
    """The fewest rounds that, as all larger numbers of rounds, are as good as L = 1."""
    good = np.logical_and.accumulate(split[column] <= SAME)
    return int(np.min(split["rounds"][good], initial=split["rounds"][0]))


def _table(caption: str, split: Mapping[str, np.ndarray]) -> Table:
    rows = [
        [
            f"{split['local_steps'][j]:,}",
            f"{split['rounds'][j]:,}",
            f"{split['angle_deg'][j]:.3f}°",
            f"{split['loss'][j]:.3g}",
            f"{split['loss_times_budget'][j]:.3g}",
        ]
        for j in range(len(split["rounds"]))
        if str(split["local_steps"][j])[0] == "1"
    ]
    return Table(caption, ["L", "rounds", "angle to ŵ", "loss", "loss · ηB/‖ŵ‖²"], rows)


def _enough(splits: Mapping[str, Mapping[str, np.ndarray]]) -> Table:
    rows = [
        [name, f"{_fewest(split, 'angle_ratio'):,}", f"{_fewest(split, 'loss_ratio'):,}"]
        for name, split in splits.items()
    ]
    return Table(
        "Rounds that are enough: the fewest that end at most 10 % above L = 1",
        ["rows and budget", "rounds for the angle", "rounds for the loss"],
        rows,
    )


def _draw(ax: Any, columns: Mapping[str, np.ndarray], column: str) -> None:
    budgets = np.unique(columns["budget"])
    for B, colour, marker in zip(budgets, figures.COLOURS, MARKERS, strict=False):
        mine = columns["budget"] == B
        label = f"B = $10^{{{round(np.log10(B))}}}$"
        ax.plot(
            columns["rounds"][mine],
            columns[column][mine],
            "-",
            marker=marker,
            markersize=3,
            color=colour,
            label=label,
        )


EXPERIMENT = FixedBudget()
