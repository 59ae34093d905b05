"""E14: each client's rate over its own risk leads to u*, the largest average margin, not to ŵ."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

import localgd as lg

from .. import figures, rows
from ..columns import columns, records
from ..context import Context, weights
from ..experiment import Experiment
from ..intervals import over_draws
from ..measured import Measured, largest
from ..reaching import angle_at, angle_columns, late_slope
from ..words import read

STEPS = (1, 10, 100)
ETA = 0.5  # of f_i / f_i(w)
SHARES = (0.0, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0)  # of the others' rows that a client holds, too
ALIKE_STEPS = 10


@dataclass(frozen=True)
class OwnRisk(Experiment):
    """Angles to u* and to ŵ of Local-GD with own rates.

    ``method`` makes Local-GD of L steps with such rates; its options are those of participation.
    """

    method: Callable[..., Any] = lambda L, **options: lg.LocalGD(
        local_steps=L, lr=lg.RiskAdapted(ETA, own=True), **options
    )

    words = read(__file__, eta=ETA)

    def parameters(self, context: Context) -> Mapping[str, Any]:
        """Rounds."""
        return {"rounds": _rounds(context)}

    def measure(self, context: Context) -> Measured:
        """Every L, clients that become alike, and clients that are drawn."""
        draws: list[dict[str, float]] = []
        first: dict[int, lg.Run] = {}
        for seed in context.each("synthetic rows, draw ", context.seeds()):
            problem = rows.synthetic(seed)
            runs = self._runs(context, problem)
            first = first or runs
            drawn = self._drawn(context, problem, participation=2, seed=seed)
            draws.append(_numbers(problem, runs) | {"drawn": drawn[0]})
        real = self.own_or_digits(context, rows.on_clients)
        real_draws: list[dict[str, float]] = []
        on_real: dict[int, lg.Run] = {}
        for draw in context.each(f"{real.name}, draw ", range(len(real.used))):
            problem = real.used[draw]
            runs = self._runs(context, problem)
            on_real = on_real or runs
            real_draws.append(_numbers(problem, runs) | self._one_client(context, problem, draw))
        alike = self._alike(context)
        return Measured(
            numbers={
                **over_draws(draws),
                **over_draws(real_draws, "real_"),
                "rounds": _rounds(context),
                "worst_gap_percent": largest(one["gap_percent"] for one in draws),
                "worst_slope": largest(one["slope"] for one in draws),
                "worst_drawn_share": largest(one["drawn"] / one["apart"] for one in draws),
                "real_worst_gap_percent": largest(one["gap_percent"] for one in real_draws),
                "real_worst_slope": largest(one["slope"] for one in real_draws),
                "alike_deg": float(alike["measured"][-1]),
                "alike_worst_error_deg": largest(np.abs(alike["measured"] - alike["predicted"])),
                "alike_steps": ALIKE_STEPS,
                "unlike_deg": float(alike["measured"][0]),
            },
            series={
                "synthetic": angle_columns({f"L = {L}": run for L, run in first.items()}),
                "real": angle_columns({f"L = {L}": run for L, run in on_real.items()}),
                "draws": columns(draws),
                "real_draws": columns(real_draws),
                "alike": alike,
            },
            tables=[
                self.table("draws", _numbered(draws), name="Synthetic rows"),
                self.table("draws", _numbered(real_draws), name=real.name),
                self.table("drawn", _numbered(real_draws), name=real.name),
                self.table("alike", records(alike)),
            ],
            **real.told,
        )

    def _runs(self, context: Context, problem: lg.Problem) -> dict[int, lg.Run]:
        limit = lg.reference.average_margin(problem)
        return {L: self._run(context, problem, L, limit) for L in STEPS}

    def _run(
        self,
        context: Context,
        problem: lg.Problem,
        L: int,
        limit: Any,
        seed: int = 0,
        **options: Any,
    ) -> lg.Run:
        return context.run(
            problem,
            self.method(L, **options),
            rounds=_rounds(context),
            reference=limit,
            loss="exponential",
            seed=seed,
        )

    def _drawn(self, context: Context, problem: lg.Problem, **options: Any) -> tuple[float, Any]:
        """The angle to u* in degrees of clients that are drawn, and the model."""
        limit = lg.reference.average_margin(problem)
        run = self._run(context, problem, 1, limit, **options)
        return float(np.degrees(lg.angle(weights(run), limit.direction))), weights(run)

    def _one_client(self, context: Context, problem: lg.Problem, seed: int) -> dict[str, float]:
        """One client a round: where its shares are divided by their sum it goes elsewhere."""
        unbiased, _ = self._drawn(context, problem, participation=1, shares="unbiased", seed=seed)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # that it is biased is the point
            biased, model = self._drawn(context, problem, participation=1, seed=seed)
        clients = np.repeat(np.arange(problem.n_clients), problem.sizes)
        equal = lg.Problem.from_arrays(problem.X, problem.y, clients, weights="equal")
        other = lg.reference.average_margin(equal).direction
        return {
            "unbiased": unbiased,
            "biased": biased,
            "biased_to_equal": float(np.degrees(lg.angle(model, other))),
            "bias_ratio": float(np.degrees(lg.angle(model, other))) / biased,
        }

    def _alike(self, context: Context) -> dict[str, np.ndarray]:
        """Clients of the first synthetic draw that hold a share of the others' rows, too."""
        seed = context.seeds()[0]
        found = []
        for share in context.each("clients that share ", SHARES):
            problem = alike(rows.synthetic(seed), share, seed)
            best = lg.reference.max_margin(problem)
            run = self._run(context, problem, ALIKE_STEPS, best)
            found.append(
                {
                    "share": share,
                    "predicted": _apart(problem),
                    "measured": angle_at(run, run.round),
                }
            )
        return columns(found)

    def draw(self, measured: Measured) -> Mapping[str, Any]:
        """Angles to u*, and the angle to ŵ as clients become alike."""
        pictures = {}
        for name in ("synthetic", "real"):
            table = measured.series[name]
            pictures[name] = ax = figures.panel(y="Angle to u* (°)")
            angles = {f"L = {L}": table[f"L = {L}_deg"] for L in STEPS}
            figures.lines(ax, table["round"], angles)
        ax = figures.panel(
            x="Share of the others' rows", y="Angle to ŵ (°)", xscale="linear", yscale="linear"
        )
        table = measured.series["alike"]
        ax.plot(table["share"], table["predicted"], **figures.GUIDE, label="of u*")
        ax.plot(table["share"], table["measured"], "o", markersize=4, label="measured")
        return pictures | {"alike": ax}


def _rounds(context: Context) -> int:
    return context.pick(10_000, 50_000)


def alike(problem: lg.Problem, share: float, seed: int) -> lg.Problem:
    """The same clients, each with so many of the rows of the others, drawn at random, too."""
    rng = np.random.default_rng(seed)
    clients = []
    for i in range(problem.n_clients):
        own = np.arange(problem.n_samples)[problem.rows(i)]
        others = rng.permutation(np.setdiff1d(np.arange(problem.n_samples), own))
        held = np.concatenate([own, others[: round(share * len(others))]])
        clients.append((problem.X[held], problem.y[held]))
    return lg.Problem(clients, weights=problem.weights)


def _apart(problem: lg.Problem) -> float:
    """The angle between u* and ŵ in degrees."""
    u_star = lg.reference.average_margin(problem).direction
    return float(np.degrees(lg.angle(u_star, lg.reference.max_margin(problem).direction)))


def _numbers(problem: lg.Problem, runs: Mapping[int, lg.Run]) -> dict[str, float]:
    """The angle to ŵ, predicted and measured, and how u* is reached."""
    best = lg.reference.max_margin(problem).direction
    apart = _apart(problem)
    to_best = {L: float(np.degrees(lg.angle(weights(run), best))) for L, run in runs.items()}
    return {
        "apart": apart,
        **{f"to_best_{L}": angle for L, angle in to_best.items()},
        **{f"to_average_{L}": angle_at(run, run.round) for L, run in runs.items()},
        "gap_percent": largest(100 * abs(angle - apart) / apart for angle in to_best.values()),
        "slope": largest(late_slope(run) for run in runs.values()),
    }


def _numbered(draws: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [{"draw": number, **one} for number, one in enumerate(draws, 1)]


EXPERIMENT = OwnRisk()
