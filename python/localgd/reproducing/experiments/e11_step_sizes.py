"""E11: step sizes of Local-GD: where the loss is unstable, and what is faster."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

import localgd as lg

from .. import figures, sources
from ..context import Context
from ..experiment import Condition, Experiment, Measured, Numbers, Picture, Table

STEPS = (1, 4, 16, 64)
PRESET_STEPS = 64
QUICK_REAL = (1, 64), 4  # L, and every how many powers of two: MNIST takes seconds per run
FULL_REAL = STEPS, 4
EXPONENTS = (-2, 10)  # of the step sizes 2^-2 to 2^10
MOST_ENTRIES = 2_000_000  # N·d of the user's rows
COLUMNS = (
    "local_steps",
    "lr",
    "lr_steps_smoothness",
    "stable_from",
    "rises",
    "highest_to_first_loss",
    "loss",
    "law_ratio",
    "share_of_bound",
    "rounds",
    "failed",
)
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

    id = "E11"
    title = "Step sizes: small, two-stage and large; where it is unstable, what is faster"
    question = (
        "Which constant step sizes make Local-GD unstable on separable rows, does it get over "
        "that, and which choice of the step size is the fastest?"
    )
    claim = (
        "With the logistic loss on separable rows Local-GD converges at any constant η: after an "
        "unstable phase of at most Õ(ηLM) rounds the loss falls like 1/(ηLk). So large steps, "
        "unstable at first, end below all steps that keep the loss falling from the start; small "
        "steps η = 1/(LH) waste the local steps, and a two-stage η keeps most of the gain. For "
        "the constant we predict f(w_k) → 1/(γ² η L k), which follows from w_k = ŵ log(ηLk) + ρ."
    )
    sources = (sources.TWO_STAGE, sources.ANY_STEP, sources.IMPLICIT_BIAS)
    criterion = (
        Condition("no run diverges, at any η and L, on either rows", "diverged", "==", 0),
        Condition(
            "the loss never rises where η L H is at most 1",
            "rises_of_small_steps",
            "==",
            0,
        ),
        Condition(
            "2 clients × 1 row: every run is stable from a round on that is below ηLM/γ²",
            "worst_share_of_bound",
            "<",
            1.0,
        ),
        Condition(
            "2 clients × 1 row: f(w_R) · γ² ηLR is at most 2 at the end of every run",
            "worst_law_ratio",
            "<=",
            2.0,
        ),
        Condition(
            "2 clients × 1 row, L = 64: the step 1/H ends at less than 4/L of the loss of 1/(LH)",
            "large_to_small",
            "<",
            4 / PRESET_STEPS,
        ),
        Condition(
            "two-stage (1/(LH) in the first quarter of the rounds) ends at less than 8/L",
            "two_stage_to_small",
            "<",
            8 / PRESET_STEPS,
        ),
        Condition(
            "on both rows the best run of all was unstable at first, and ends below half of the "
            "loss of the best run whose loss never rose",
            "worst_best_unstable_to_stable",
            "<",
            0.5,
        ),
        Condition(
            "real rows, L = 64: 1/H and two-stage end at less than half of the loss of 1/(LH)",
            "real_worst_to_small",
            "<",
            0.5,
        ),
        Condition(
            "real rows: every run is stable in the second half of the rounds",
            "real_unstable_at_half",
            "==",
            0,
            otherwise="On the real rows some runs are still unstable after half of the rounds.",
        ),
    )
    limits = (
        "The limits were set after pilots on both kinds of rows; the law of the loss was "
        "derived before.",
        "An unstable phase amplifies rounding: at the largest steps another processor or build of "
        "the core ends at another loss, though the same one repeats its bits.",
        "Fast in the loss is not fast in everything: the angle to ŵ falls like 1/log(ηLk).",
        "The rows and their order of clients are ours, in the manner of the papers; instability "
        "depends on them.",
        "On the real rows γ²ηLR is too small, or just large enough, for the law f ≈ 1/(γ²ηLk): it "
        "is shown there and not judged.",
        "At the largest steps the loss ends far below the law: one unstable round throws the "
        "model far out along a direction that separates.",
    )
    tasks = ("binary",)
    code = """\
import numpy as np
import localgd as lg

rows = np.array([[0.1, 1.0], [0.1, -1.0]]) / np.hypot(0.1, 1.0)
problem = lg.Problem([(rows[:1], [1]), (0.5 * rows[1:], [1])], task="binary")
table = lg.sweep(problem, lg.LocalGD(local_steps=1, lr=1.0), rounds=2048, loss="logistic",
                 record=range(2049), grid={"local_steps": [1, 64], "lr": [0.25, 4.0, 64.0, 1024.0]})
for entry in table:
    loss = entry.history["loss"]
    rises = np.flatnonzero(np.diff(loss) > 0)
    stable = rises[-1] + 1 if len(rises) else 0
    print(f"{entry.values}: stable from round {stable}, loss {loss[-1]:.2g}")
"""

    def setting(self, context: Context) -> Mapping[str, str]:
        """Data, M, n, d, methods, rounds, seeds."""
        grid = context.pick("L = 1 and 64, every fourth power", "every fourth power")
        return {
            "2 clients × 1 row": "z_1 = (0.1, 1)/1.005 and z_2 = ½ (0.1, -1)/1.005: all but "
            "opposite, of different length",
            "real rows": "MNIST, odd against even: M = 5 clients, n = 200 rows, d = 784; client i "
            "holds 100 each of the digits 2i and 2i+1; your own rows in their place with --data",
            "methods": "Local-GD with L = 1, 4, 16, 64 at constant η = 2^-2, 2^-1 … 2^10 (real "
            f"rows: {grid}); for L = 64 the presets 1/(LH), 1/H, and two-stage: 1/(LH) in the "
            "first quarter of the rounds, then 1/H; w_0 = 0, logistic loss",
            "rounds": f"2,048 (real rows: {_real_rounds(context):,}, presets "
            f"{context.pick(_real_rounds(context), _real_rounds(context) // 2):,}); the loss of "
            "every one",
            "stable": "from the round after which the loss never rises again",
            "seed": "none: nothing is random, and the rows are the first of each digit",
        }

    def measure(self, context: Context) -> Measured:
        """The grid and the presets on both rows."""
        two = two_clients()
        real, name, notes = _real(context)
        rounds = _real_rounds(context)
        grids = {
            "two": self._grid(context, two, "2 clients × 1 row", 2048, STEPS, 1),
            "real": self._grid(context, real, name, rounds, *context.pick(QUICK_REAL, FULL_REAL)),
        }
        presets = {
            "two": self._presets(context, two, "2 clients × 1 row", 2048),
            "real": self._presets(context, real, name, context.pick(rounds, rounds // 2)),
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
                _grid_table("2 clients × 1 row", grids["two"]),
                _grid_table(f"Real rows ({name})", grids["real"]),
                _law_table(grids["two"]),
                _preset_table(presets, name),
            ],
            notes=notes,
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
        rows = []
        for L in steps:
            context.status(f"{name}, L = {L}")
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
                rows.append(
                    (
                        L,
                        lr,
                        lr * L * H,
                        stable_from(loss),
                        _rises(loss),
                        loss.max() / loss[0],
                        loss[-1],
                        loss[-1] * margin**2 * lr * L * rounds,
                        stable_from(loss) * margin**2 / (lr * L * problem.n_clients),
                        rounds,
                        run.status != "completed",
                    )
                )
        return dict(zip(COLUMNS, np.array(rows, dtype=float).T, strict=True))

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
        columns: dict[str, np.ndarray] = {"round": np.arange(rounds + 1)}
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
            columns[key] = loss
        return columns

    def finding(self, numbers: Numbers) -> str:
        """The summary's sentence."""
        return (
            f"No run diverges. With 1/H and L = 64 the loss ends at "
            f"{numbers['large_to_small']:.3f} of that with 1/(LH) on two rows and at "
            f"{numbers['real_large_to_small']:.2f} on real ones; the best runs of all were "
            f"unstable at first, on two rows for at most {numbers['largest_stable_from']} rounds."
        )

    def pictures(self, measured: Measured) -> Sequence[Picture]:
        """End losses and stable rounds against η, and the presets."""
        series = measured.series
        marks = (
            "Hollow: the loss never rose. Filled: it rose at first. Cross: it still rises in the "
            "second half of the rounds."
        )
        return [
            Picture(
                "two_loss",
                f"2 clients × 1 row, loss after 2,048 rounds. {marks} Dotted: 1/(γ²ηLR). From 2^7 "
                "on unstable rounds throw the model far out; the table has what is below the axis.",
                _draw_ends(series["two_grid"], law=True),
            ),
            Picture(
                "real_loss",
                f"The same on the real rows. {marks}",
                _draw_ends(series["real_grid"]),
            ),
            Picture(
                "two_stable",
                "2 clients × 1 row: the round from which the loss never rises again, where it "
                "rose at all; far below ηLM/γ².",
                _draw_stable(series["two_grid"]),
            ),
            Picture(
                "two_presets", "2 clients × 1 row, L = 64.", _draw_presets(series["two_presets"])
            ),
            Picture("real_presets", "Real rows, L = 64.", _draw_presets(series["real_presets"])),
        ]


STYLES: Sequence[Mapping[str, Any]] = tuple(
    {"color": colour, "marker": marker}
    for colour, marker in zip(figures.COLOURS, "o^sD", strict=False)
)


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


def _real(context: Context) -> tuple[lg.Problem, str, list[str]]:
    """The user's rows if they are separable and not too many, else MNIST; name, and notes."""
    notes = []
    own = context.own_problem("binary")
    if own is not None:
        if own.X.size > MOST_ENTRIES:
            notes.append(
                f"Your own rows are not used: {own.X.size:,} numbers; {MOST_ENTRIES:,} at most for "
                "a grid of so many runs."
            )
        elif not lg.reference.separability(own).separable:
            notes.append("Your own rows are not used: they are not separable.")
        else:
            return own, "your own", ["Your own rows are the real rows."]
    return _mnist(), "MNIST", notes


def _up(loss: np.ndarray) -> np.ndarray:
    """Which rounds raise the loss by more than rounding."""
    raised: np.ndarray = loss[1:] > loss[:-1] * (1 + 1e-10)
    return raised


def _rises(loss: np.ndarray) -> int:
    return int(_up(loss).sum())


def stable_from(loss: np.ndarray) -> int:
    """The round from which the loss never rises again, 0 if it never rose."""
    raised = np.flatnonzero(_up(loss))
    return int(raised[-1]) + 1 if len(raised) else 0


def _of_grids(grids: Mapping[str, Mapping[str, np.ndarray]]) -> dict[str, Any]:
    two, real = grids["two"], grids["real"]
    small = [int(g["rises"][g["lr_steps_smoothness"] <= 1].sum()) for g in grids.values()]
    return {
        "diverged": int(sum(grid["failed"].sum() for grid in grids.values())),
        "rises_of_small_steps": sum(small),
        "worst_share_of_bound": float(np.max(two["share_of_bound"])),
        "largest_stable_from": int(two["stable_from"].max()),
        "worst_law_ratio": float(np.max(two["law_ratio"])),
        "worst_best_unstable_to_stable": float(np.max([_best_ratio(g) for g in grids.values()])),
        "real_best_unstable_to_stable": _best_ratio(real),
        "real_largest_stable_from": int(real["stable_from"].max()),
        "real_unstable_at_half": int((real["stable_from"] > real["rounds"] / 2).sum()),
    }


def _best_ratio(grid: Mapping[str, np.ndarray]) -> float:
    """The lowest end loss of runs that were unstable, over that of runs that never were."""
    unstable = grid["rises"] > 0
    if unstable.all() or not unstable.any():
        return float("nan")
    return float(np.min(grid["loss"][unstable]) / np.min(grid["loss"][~unstable]))


def _of_presets(presets: Mapping[str, Mapping[str, np.ndarray]]) -> dict[str, Any]:
    ratios = {
        rows: {key: columns[key][-1] / columns["small"][-1] for key in ("two_stage", "large")}
        for rows, columns in presets.items()
    }
    return {
        "large_to_small": float(ratios["two"]["large"]),
        "two_stage_to_small": float(ratios["two"]["two_stage"]),
        "real_large_to_small": float(ratios["real"]["large"]),
        "real_two_stage_to_small": float(ratios["real"]["two_stage"]),
        "real_worst_to_small": float(np.max([*ratios["real"].values()])),
    }


def _steps_of(grid: Mapping[str, np.ndarray]) -> list[int]:
    return [int(L) for L in np.unique(grid["local_steps"])]


def _of_steps(grid: Mapping[str, np.ndarray], L: int, name: str) -> np.ndarray:
    column: np.ndarray = grid[name][grid["local_steps"] == L]
    return column


def _grid_table(name: str, grid: Mapping[str, np.ndarray]) -> Table:
    """Loss at the end, and the round from which it is stable, every second power of two."""
    rates = _of_steps(grid, 1, "lr")
    kept = np.arange(0, len(rates), 2 if len(rates) > 7 else 1)
    rows = []
    for i in kept:
        cells = []
        for L in _steps_of(grid):
            loss, stable = (_of_steps(grid, L, key)[i] for key in ("loss", "stable_from"))
            cells.append(f"{loss:.1e} ({stable:.0f})")
        rows.append([f"2^{np.log2(rates[i]):.0f}", *cells])
    return Table(
        f"{name}: loss after {grid['rounds'][0]:,.0f} rounds (and the round from which it never "
        "rises again; 0: it never rose)",
        ["η", *(f"L = {L}" for L in _steps_of(grid))],
        rows,
    )


def _law_table(grid: Mapping[str, np.ndarray]) -> Table:
    rates = _of_steps(grid, 1, "lr")
    rows = [
        [f"2^{np.log2(rates[i]):.0f}"]
        + [f"{_of_steps(grid, L, 'law_ratio')[i]:.2g}" for L in STEPS]
        for i in range(0, len(rates), 2)
    ]
    return Table(
        "2 clients × 1 row: f(w_R) · γ²ηLR, predicted to be 1",
        ["η", *(f"L = {L}" for L in _steps_of(grid))],
        rows,
    )


def _preset_table(presets: Mapping[str, Mapping[str, np.ndarray]], real: str) -> Table:
    names = {"two": "2 clients × 1 row", "real": f"real rows ({real})"}
    rows = [
        [
            names[which],
            PRESETS[key],
            f"{columns[key][-1]:.3e}",
            f"{columns[key][-1] / columns['small'][-1]:.3f}",
            f"{stable_from(columns[key])}",
        ]
        for which, columns in presets.items()
        for key in PRESETS
    ]
    headings = ["rows", "step size, L = 64", "loss at the end", "over small", "stable from round"]
    return Table("Presets", headings, rows)


def _draw_ends(grid: Mapping[str, np.ndarray], *, law: bool = False) -> Any:
    ax = figures.panel(x="Step size η", y="Loss after the last round")
    ax.set_xscale("log", base=2)
    for L, style in zip(_steps_of(grid), STYLES, strict=False):
        lr, loss = _of_steps(grid, L, "lr"), _of_steps(grid, L, "loss")
        rounds = grid["rounds"][0]
        stable = _of_steps(grid, L, "stable_from")
        late = stable > rounds / 2
        colour = style["color"]
        ax.plot(lr, loss, color=colour, linewidth=0.9)
        ax.plot([], [], label=f"L = {L}", markersize=4, **style)
        for mask, face in ((stable == 0, "white"), ((stable > 0) & ~late, colour)):
            ax.plot(lr[mask], loss[mask], linestyle="", markersize=4, markerfacecolor=face, **style)
        ax.plot(lr[late], loss[late], linestyle="", marker="x", markersize=6, color=colour)
        if law:
            predicted = loss / _of_steps(grid, L, "law_ratio")
            ax.plot(lr, predicted, color=colour, linestyle=":", linewidth=0.8)
    if law:
        ax.set_ylim(bottom=1e-9)
    figures.legend(ax)
    return ax.figure


def _draw_stable(grid: Mapping[str, np.ndarray]) -> Any:
    ax = figures.panel(x="Step size η", y="Stable from round", yscale="linear")
    ax.set_xscale("log", base=2)
    for L, style in zip(_steps_of(grid), STYLES, strict=False):
        lr, stable = _of_steps(grid, L, "lr"), _of_steps(grid, L, "stable_from")
        rose = stable > 0
        ax.plot(lr[rose], stable[rose], markersize=4, linewidth=0.9, label=f"L = {L}", **style)
    ax.set_xlim(2.0 ** (EXPONENTS[0] - 0.5), 2.0 ** (EXPONENTS[1] + 0.5))
    ax.set_ylim(bottom=0)
    figures.legend(ax)
    return ax.figure


def _draw_presets(columns: Mapping[str, np.ndarray]) -> Any:
    ax = figures.panel(x="Communication rounds k", y="Loss")
    for (key, label), colour, line in zip(
        PRESETS.items(), figures.COLOURS, ("-", "-.", "--"), strict=False
    ):
        ax.plot(columns["round"][1:], columns[key][1:], color=colour, linestyle=line, label=label)
    figures.legend(ax)
    return ax.figure


EXPERIMENT = StepSizes()
