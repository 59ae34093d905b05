"""E11: step sizes of Local-GD: where the loss is unstable, and what is faster."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

import localgd as lg

from .. import figures, rows
from ..columns import Columns, columns, part, records
from ..context import Context
from ..experiment import Experiment
from ..measured import Measured, largest, smallest
from ..words import read

STEPS = (1, 4, 16, 64)
PRESET_STEPS = 64
ROUNDS = 2048
QUICK_REAL = (1, 64), 2  # L, and every how many powers of two: MNIST takes seconds per run
FULL_REAL = STEPS, 2
EXPONENTS = (-2, 10)  # of the step sizes 2^-2 to 2^10
MOST_ENTRIES = 2_000_000  # N·d of the user's rows
PRESETS = {
    "small": "small: 1/(LH)",
    "two_stage": "two-stage",
    "large": "large: 1/H",
}


@dataclass(frozen=True)
class StepSizes(Experiment):
    """The loss of every round for constant steps 2^-2 to 2^10, and for the presets.

    ``method`` makes Local-GD of L steps at a learning rate, a schedule or a preset.
    """

    method: Callable[[int, Any], Any] = lambda L, lr: lg.LocalGD(local_steps=L, lr=lr)

    words = read(__file__, rounds=ROUNDS, preset_steps=PRESET_STEPS)

    def parameters(self, context: Context) -> Mapping[str, Any]:
        """The grid on real rows."""
        return {
            "grid": context.pick("L = 1 and 64, every second power", "every second power"),
            "real_rounds": _real_rounds(context),
            "preset_rounds": _preset_rounds(context),
        }

    def measure(self, context: Context) -> Measured:
        """The grid and the presets on both rows."""
        two, two_name = two_clients(), "2 clients × 1 row"
        real = self.own_or(context, few_separable, _mnist, "MNIST")
        real_grid = context.pick(QUICK_REAL, FULL_REAL)
        grids = {
            "two": self._grid(context, two, two_name, ROUNDS, STEPS, 1),
            "real": self._grid(context, real.used, real.name, _real_rounds(context), *real_grid),
        }
        presets = {
            "two": self._presets(context, two, two_name, ROUNDS),
            "real": self._presets(context, real.used, real.name, _preset_rounds(context)),
        }
        return Measured(
            numbers=_of_grids(grids) | _of_presets(presets),
            series={
                "two_grid": grids["two"],
                "real_grid": grids["real"],
                "two_presets": presets["two"],
                "real_presets": presets["real"],
            },
            tables=[
                self._grid_table(two_name, grids["two"]),
                self._grid_table(f"Real rows ({real.name})", grids["real"]),
                self._by_rate("law", grids["two"], "{law_ratio:.2g}"),
                self.table(
                    "presets",
                    [
                        *_preset_records(two_name, presets["two"]),
                        *_preset_records(f"real rows ({real.name})", presets["real"]),
                    ],
                ),
            ],
            **real.told,
        )

    def _grid(
        self,
        context: Context,
        problem: lg.Problem,
        name: str,
        rounds: int,
        steps: Sequence[int],
        stride: int,
    ) -> dict[str, np.ndarray]:
        """One row per run: where it is stable, and where it ends."""
        H = lg.analysis.smoothness(problem, "logistic")
        margin = lg.reference.max_margin(problem).margin
        rates = [2.0**e for e in range(EXPONENTS[0], EXPONENTS[1] + 1, stride)]
        found = []
        for L in context.each(f"{name}, L = ", steps):
            table = lg.sweep(
                problem,
                self.method(L, 1.0),
                grid={"lr": rates},
                rounds=rounds,
                loss="logistic",
                record=range(rounds + 1),
                threads=context.threads,
            )
            if len(table) < len(rates) or any(run.status == "interrupted" for run in table):
                raise KeyboardInterrupt
            for lr, run in zip(rates, table, strict=True):
                loss = run.history["loss"]
                found.append(
                    {
                        "local_steps": L,
                        "lr": lr,
                        "lr_steps_smoothness": lr * L * H,
                        "stable_from": stable_from(loss),
                        "rises": int(_up(loss).sum()),
                        "highest_to_first_loss": loss.max() / loss[0],
                        "loss": loss[-1],
                        "law_ratio": loss[-1] * margin**2 * lr * L * rounds,
                        "share_of_bound": stable_from(loss)
                        * margin**2
                        / (lr * L * problem.n_clients),
                        "rounds": rounds,
                        "failed": run.status != "completed",
                    }
                )
        return columns(found, float)

    def _presets(
        self, context: Context, problem: lg.Problem, name: str, rounds: int
    ) -> dict[str, np.ndarray]:
        """The loss of every round for 1/(LH), 1/H and two-stage."""
        context.status(f"{name}, presets")
        lr = 1 / lg.analysis.smoothness(problem, "logistic")
        L = PRESET_STEPS
        rates = {
            "small": "1/(LH)",
            "two_stage": lg.TwoStage(lr / L, lr, rounds // 4),
            "large": "1/H",
        }
        table: dict[str, np.ndarray] = {"round": np.arange(rounds + 1)}
        for key, rate in rates.items():
            run = context.run(
                problem,
                self.method(L, rate),
                rounds=rounds,
                loss="logistic",
                record=range(rounds + 1),
            )
            loss = np.full(rounds + 1, np.nan)
            loss[run.history["round"]] = run.history["loss"]
            table[key] = loss
        return table

    def _grid_table(self, name: str, grid: Columns) -> Any:
        end = grid["rounds"][0]
        return self._by_rate("grid", grid, "{loss:.1e} ({stable_from:.0f})", name=name, end=end)

    def _by_rate(self, name: str, grid: Columns, cell: str, /, **places: Any) -> Any:
        """A table with a row for each η, every second of many, and a column for each L."""
        steps = {
            f"L = {L:.0f}": list(records(part(grid, local_steps=L)))
            for L in np.unique(grid["local_steps"])
        }
        rates = np.unique(grid["lr"])
        found = [
            {"exponent": np.log2(rates[i])}
            | {heading: cell.format_map(runs[i]) for heading, runs in steps.items()}
            for i in range(0, len(rates), 2 if len(rates) > 7 else 1)
        ]
        more = [(heading, f"{{{heading}}}") for heading in steps]
        return self.table(name, found, more=more, **places)

    def draw(self, measured: Measured) -> Mapping[str, Any]:
        """End losses and stable rounds against η, and the presets."""
        series = measured.series
        return {
            "two_loss": _draw_ends(series["two_grid"], law=True),
            "real_loss": _draw_ends(series["real_grid"]),
            "two_stable": _draw_stable(series["two_grid"]),
            "two_presets": _draw_presets(series["two_presets"]),
            "real_presets": _draw_presets(series["real_presets"]),
        }


STYLES = figures.styles(marker="o^sD")


def two_clients() -> lg.Problem:
    """Two clients of one row each, all but opposite and of different length."""
    rows = np.array([[0.1, 1.0], [0.1, -1.0]]) / np.hypot(0.1, 1.0)
    return lg.Problem([(rows[:1], [1.0]), (0.5 * rows[1:], [1.0])], task="binary")


def _mnist() -> lg.Problem:
    """100 of each digit; client i holds 2i and 2i + 1, labelled by being odd."""
    X, digit = lg.datasets.load_mnist(classes=range(10))
    chosen = np.concatenate([np.flatnonzero(digit == c)[:100] for c in range(10)])
    digit = digit[chosen].astype(int)
    return lg.Problem.from_arrays(X[chosen], np.where(digit % 2 == 1, 1.0, -1.0), digit // 2)


def _real_rounds(context: Context) -> int:
    return context.pick(256, 2048)


def _preset_rounds(context: Context) -> int:
    return context.pick(_real_rounds(context), _real_rounds(context) // 2)


def few_separable(problem: lg.Problem) -> lg.Problem:
    """The same of separable rows that are few enough for so many runs."""
    if problem.X.size > MOST_ENTRIES:
        raise ValueError(
            f"{problem.X.size:,} numbers; {MOST_ENTRIES:,} at most for a grid of so many runs"
        )
    return rows.separable(problem)


def _up(loss: np.ndarray) -> np.ndarray:
    """Which rounds raise the loss by more than rounding."""
    raised: np.ndarray = loss[1:] > loss[:-1] * (1 + 1e-10)
    return raised


def stable_from(loss: np.ndarray) -> int:
    """The round from which the loss never rises again, 0 if it never rose."""
    raised = np.flatnonzero(_up(loss))
    return int(raised[-1]) + 1 if len(raised) else 0


def _of_grids(grids: Mapping[str, Columns]) -> dict[str, Any]:
    two, real = grids["two"], grids["real"]
    quiet = two["law_ratio"][two["rises"] == 0]
    small = [int(g["rises"][g["lr_steps_smoothness"] <= 1].sum()) for g in grids.values()]
    return {
        "diverged": int(sum(grid["failed"].sum() for grid in grids.values())),
        "rises_of_small_steps": sum(small),
        "worst_share_of_bound": largest(two["share_of_bound"]),
        "largest_stable_from": int(two["stable_from"].max()),
        "worst_law_ratio": largest(two["law_ratio"]),
        "least_law_ratio": smallest(two["law_ratio"]),
        "least_quiet_law_ratio": smallest(quiet) if len(quiet) else float("nan"),
        "worst_best_unstable_to_stable": largest(_best_ratio(grid) for grid in grids.values()),
        "real_best_unstable_to_stable": _best_ratio(real),
        "real_largest_stable_from": int(real["stable_from"].max()),
        "real_unstable_at_half": int((real["stable_from"] > real["rounds"] / 2).sum()),
    }


def _best_ratio(grid: Columns) -> float:
    """The lowest end loss of runs that were unstable, over that of runs that never were."""
    unstable = grid["rises"] > 0
    if unstable.all() or not unstable.any():
        return float("nan")
    return float(np.min(grid["loss"][unstable]) / np.min(grid["loss"][~unstable]))


def _of_presets(presets: Mapping[str, Columns]) -> dict[str, Any]:
    ratios = {
        rows: {key: columns[key][-1] / columns["small"][-1] for key in ("two_stage", "large")}
        for rows, columns in presets.items()
    }
    return {
        "large_to_small": float(ratios["two"]["large"]),
        "two_stage_to_small": float(ratios["two"]["two_stage"]),
        "real_large_to_small": float(ratios["real"]["large"]),
        "real_two_stage_to_small": float(ratios["real"]["two_stage"]),
        "real_worst_to_small": largest(ratios["real"].values()),
    }


def _preset_records(name: str, presets: Columns) -> list[dict[str, Any]]:
    return [
        {
            "rows": name,
            "preset": label,
            "loss": presets[key][-1],
            "over_small": presets[key][-1] / presets["small"][-1],
            "stable": stable_from(presets[key]),
        }
        for key, label in PRESETS.items()
    ]


def _styled(grid: Columns) -> list[tuple[int, dict[str, np.ndarray], Mapping[str, Any]]]:
    """Each L with its part of the grid and its style."""
    steps = [int(L) for L in np.unique(grid["local_steps"])]
    return [(L, part(grid, local_steps=L), style) for L, style in zip(steps, STYLES, strict=False)]


def _draw_ends(grid: Columns, *, law: bool = False) -> Any:
    ax = figures.panel(x="Step size η", y="Loss after the last round")
    ax.set_xscale("log", base=2)
    for L, mine, style in _styled(grid):
        lr, loss, stable = mine["lr"], mine["loss"], mine["stable_from"]
        late = stable > mine["rounds"] / 2
        colour = style["color"]
        ax.plot(lr, loss, color=colour, linewidth=0.9)
        ax.plot([], [], label=f"L = {L}", markersize=4, **style)
        for mask, face in ((stable == 0, "white"), ((stable > 0) & ~late, colour)):
            ax.plot(lr[mask], loss[mask], linestyle="", markersize=4, markerfacecolor=face, **style)
        ax.plot(lr[late], loss[late], linestyle="", marker="x", markersize=6, color=colour)
        if law:
            ax.plot(lr, loss / mine["law_ratio"], color=colour, linestyle=":", linewidth=0.8)
    if law:
        ax.set_ylim(bottom=1e-9)
    return ax


def _draw_stable(grid: Columns) -> Any:
    ax = figures.panel(x="Step size η", y="Stable from round", yscale="linear")
    ax.set_xscale("log", base=2)
    for L, mine, style in _styled(grid):
        rose = mine["stable_from"] > 0
        lr, stable = mine["lr"][rose], mine["stable_from"][rose]
        ax.plot(lr, stable, markersize=4, linewidth=0.9, label=f"L = {L}", **style)
    ax.set_xlim(2.0 ** (EXPONENTS[0] - 0.5), 2.0 ** (EXPONENTS[1] + 0.5))
    ax.set_ylim(bottom=0)
    return ax


def _draw_presets(table: Columns) -> Any:
    ax = figures.panel(y="Loss")
    curves = {label: table[key][1:] for key, label in PRESETS.items()}
    styles = figures.styles(linestyle=("-", "-.", "--"))
    figures.lines(ax, table["round"][1:], curves, styles)
    return ax


EXPERIMENT = StepSizes()
