"""E3: exact local solves need the anchored server; with it they get to ŵ like 1/k."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

import localgd as lg

from .. import figures, rows
from ..columns import Columns, columns
from ..context import Context, degrees, weights
from ..experiment import Experiment
from ..intervals import over_draws
from ..measured import Measured, largest, smallest
from ..reaching import angle_at, angle_columns, at_decades
from ..words import read

FAR = 1e100
SHOWN = (3, 4, 5, 6, 100)  # decades of rounds in the table
STEPS = (1, 10, 100, 1000)
ROUNDS = 20_000  # of exact solves


def _modified(local_steps: int | None) -> Any:
    return lg.ModifiedLocalGD(local_steps, None if local_steps is None else 1.0)


@dataclass(frozen=True)
class LocalSolve(Experiment):
    """Angles to ŵ with exact local solves, plain and Modified, and of Modified Local-GD.

    ``plain`` makes the method of exact local solves with plain averaging; ``modified`` that with
    the anchored server, with L local steps or (None) exact solves.
    """

    plain: Callable[[], Any] = lg.LocalSolve
    modified: Callable[[int | None], Any] = _modified

    words = read(__file__)

    def parameters(self, context: Context) -> Mapping[str, Any]:
        """Rounds and data sets."""
        return {
            "rounds": ROUNDS,
            "real_rounds": _real_rounds(context),
        }

    def measure(self, context: Context) -> Measured:
        """Exact solves and local steps on every draw of the rows."""
        problems = [rows.synthetic(seed) for seed in context.seeds()]
        pairs = [
            self._solves(context, problems[draw], ROUNDS)
            for draw in context.each("exact solves, draw ", range(len(problems)))
        ]
        real = self.own_or_digits(
            context, rows.on_clients, "8×8 digits", load=lg.datasets.load_digits
        )
        context.status(f"exact solves, {real.name}")
        on_real = [self._solves(context, problem, _real_rounds(context)) for problem in real.used]
        stepped = [self._steps(context, problem) for problem in problems]
        ends = _ends("draw ", problems, pairs)
        real_ends = _ends(f"{real.name}, ", real.used, on_real)
        draws = [_numbers(end) | _of_steps(runs) for end, runs in zip(ends, stepped, strict=True)]
        real_draws = [_numbers(end) for end in real_ends]
        return Measured(
            numbers={
                **over_draws(draws),
                **over_draws(real_draws, "real_"),
                "rounds": ROUNDS,
                "plain_smallest_angle_deg": smallest(one["plain_angle_deg"] for one in draws),
                "plain_largest_change_percent": largest(
                    one["plain_change_percent"] for one in draws
                ),
                "plain_least_margin": smallest(end["least_margin"] for end in (*ends, *real_ends)),
                "modified_worst_slope_error": largest(abs(o["modified_slope"] + 1) for o in draws),
            },
            series={
                "synthetic": angle_columns(pairs[0]),
                "real": angle_columns(on_real[0]),
                "steps": angle_columns({f"L={L}": run for L, run in stepped[0].items()}),
                "draws": columns(draws),
                "real_draws": columns(real_draws),
            },
            tables=[
                self.table("solves", ends, kind="Synthetic rows", rounds=ROUNDS),
                self.table("solves", real_ends, kind="Real rows", rounds=_real_rounds(context)),
                self.table(
                    "steps", [{"L": L, **at_decades(run, SHOWN)} for L, run in stepped[0].items()]
                ),
            ],
            **real.told,
        )

    def _solves(self, context: Context, problem: lg.Problem, rounds: int) -> dict[str, lg.Run]:
        best = lg.reference.max_margin(problem)
        methods = {"plain": self.plain(), "modified": self.modified(None)}
        return {
            name: context.run(problem, method, rounds=rounds, reference=best, loss="exponential")
            for name, method in methods.items()
        }

    def _steps(self, context: Context, problem: lg.Problem) -> dict[int, lg.Run]:
        best = lg.reference.max_margin(problem)
        options: dict[str, Any] = {"rounds": FAR, "loss": "exponential", "reference": best}
        return {
            L: context.fast_forward(problem, self.modified(L), **options)
            for L in context.each("Modified Local-GD, L = ", STEPS)
        }

    def draw(self, measured: Measured) -> Mapping[str, Any]:
        """Exact solves on synthetic and on real rows, and Modified Local-GD."""
        far = figures.panel(y="Angle to ŵ (°)")
        steps = measured.series["steps"]
        figures.lines(far, steps["round"], {f"L = {L}": steps[f"L={L}_deg"] for L in STEPS})
        figures.loglog_rounds(far, last=FAR)
        figures.plain_ticks(far)
        pairs = {name: _draw_pair(measured.series[name]) for name in ("synthetic", "real")}
        return pairs | {"steps": far}


def _real_rounds(context: Context) -> int:
    return context.pick(20_000, 200_000)


def _change(run: lg.Run) -> float:
    """How much the angle changes in the second half of the rounds, in percent."""
    angles = degrees(run)
    half = np.searchsorted(run.history["round"], run.round / 2)
    return float(100 * np.ptp(angles[half:]) / angles[-1])


def _ends(
    name: str, problems: Sequence[lg.Problem], pairs: Sequence[Mapping[str, lg.Run]]
) -> list[dict[str, Any]]:
    """The ends of both methods on each draw."""
    numbered = enumerate(zip(problems, pairs, strict=True), 1)
    return [_end(f"{name}{draw}", problem, pair) for draw, (problem, pair) in numbered]


def _end(name: str, problem: lg.Problem, pair: Mapping[str, lg.Run]) -> dict[str, Any]:
    """The last angles, and the slope of log angle against log k over the last decade of rounds."""
    run = pair["modified"]
    late = run.history["round"] >= run.round / 10
    k, angles = run.history["round"][late], run.history["angle"][late]
    slope = np.polyfit(np.log(k), np.log(angles), 1)[0]
    ends = {server: float(degrees(run)[-1]) for server, run in pair.items()}
    return {
        "name": name,
        "slope": float(slope),
        "change": _change(pair["plain"]),
        "least_margin": float(np.min(problem.signed_rows @ weights(pair["plain"]))),
        **ends,
    }


def _numbers(end: Mapping[str, Any]) -> dict[str, float]:
    return {
        "plain_angle_deg": end["plain"],
        "plain_change_percent": end["change"],
        "modified_angle_deg": end["modified"],
        "modified_slope": end["slope"],
        "ratio": end["modified"] / end["plain"],
    }


def _of_steps(runs: Mapping[int, lg.Run]) -> dict[str, float]:
    """The largest angle of all L after so many rounds."""
    return {
        f"steps_angle_{n}_deg": largest(angle_at(run, 10.0**n) for run in runs.values())
        for n in (3, 6, 100)
    }


def _draw_pair(table: Columns) -> Any:
    ax = figures.panel(y="Angle to ŵ (°)")
    k = table["round"]
    angles = {"plain average": table["plain_deg"], "Modified server": table["modified_deg"]}
    figures.lines(ax, k, angles, figures.styles(linestyle=("--", "-")))
    late = k >= k[-1] / 10
    guide = table["modified_deg"][-1] * k[-1] / k[late]
    ax.plot(k[late], 1.6 * guide, color="black", linestyle=":", linewidth=1, label="∝ 1/k")
    return ax


EXPERIMENT = LocalSolve()
