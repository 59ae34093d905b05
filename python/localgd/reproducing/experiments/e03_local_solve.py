"""E3: exact local solves need the anchored server; with it they get to ŵ like 1/k."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

import localgd as lg

from .. import figures, rows
from ..columns import Columns
from ..context import Context, degrees
from ..experiment import Experiment
from ..measured import Measured, largest, smallest
from ..reaching import angle_columns, at_decades
from ..words import read

FAR = 1e100
SHOWN = (3, 6, 30, 100)  # decades of rounds in the table
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
            "last_seed": _seeds(context)[-1],
        }

    def measure(self, context: Context) -> Measured:
        """Exact solves on several data sets and on real rows; local steps on one data set."""
        problems = {seed: rows.synthetic(context, seed=seed) for seed in _seeds(context)}
        pairs = [
            self._solves(context, problems[seed], ROUNDS)
            for seed in context.each("exact solves, data set ", problems)
        ]
        real = self.own_or(
            context,
            rows.on_clients,
            lambda: rows.digits(context, load=lg.datasets.load_digits),
            "digits",
        )
        context.status(f"exact solves, {real.name}")
        on_real = self._solves(context, real.used, _real_rounds(context))
        stepped = self._steps(context, problems[1 + context.seed])
        ends = [_end(str(seed), pair) for seed, pair in zip(problems, pairs, strict=True)]
        real_end = _end(real.name, on_real)
        return Measured(
            numbers={
                "plain_smallest_angle_deg": smallest(end["plain"] for end in ends),
                "plain_largest_change_percent": largest(_change(pair["plain"]) for pair in pairs),
                "modified_largest_angle_deg": largest(end["modified"] for end in ends),
                "modified_worst_slope_error": largest(abs(end["slope"] + 1) for end in ends),
                "real_plain_angle_deg": real_end["plain"],
                "real_modified_angle_deg": real_end["modified"],
                "real_ratio": real_end["modified"] / real_end["plain"],
                "steps_worst_angle_deg": largest(degrees(run)[-1] for run in stepped.values()),
            },
            series={
                "synthetic": angle_columns(pairs[0]),
                "real": angle_columns(on_real),
                "steps": angle_columns({f"L={L}": run for L, run in stepped.items()}),
            },
            tables=[
                self.table("solves", ends, kind="Synthetic rows", rounds=ROUNDS),
                self.table("solves", [real_end], kind="Real rows", rounds=_real_rounds(context)),
                self.table(
                    "steps", [{"L": L, **at_decades(run, SHOWN)} for L, run in stepped.items()]
                ),
            ],
            notes=real.notes,
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


def _seeds(context: Context) -> range:
    return range(1 + context.seed, 1 + context.seed + context.pick(3, 10))


def _real_rounds(context: Context) -> int:
    return context.pick(20_000, 200_000)


def _change(run: lg.Run) -> float:
    """How much the angle changes in the second half of the rounds, in percent."""
    angles = degrees(run)
    half = np.searchsorted(run.history["round"], run.round / 2)
    return float(100 * np.ptp(angles[half:]) / angles[-1])


def _end(name: str, pair: Mapping[str, lg.Run]) -> dict[str, Any]:
    """The last angles, and the slope of log angle against log k over the last decade of rounds."""
    run = pair["modified"]
    late = run.history["round"] >= run.round / 10
    k, angles = run.history["round"][late], run.history["angle"][late]
    slope = np.polyfit(np.log(k), np.log(angles), 1)[0]
    ends = {server: float(degrees(run)[-1]) for server, run in pair.items()}
    return {"name": name, "slope": float(slope), **ends}


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
