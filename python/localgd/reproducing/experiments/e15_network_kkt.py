"""E15: Local-GD on ReLU networks ends at a KKT point of the pooled rows' margin problem."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

import localgd as lg

from .. import figures, rows
from ..columns import columns
from ..context import Context
from ..experiment import Experiment
from ..intervals import over_draws
from ..measured import Measured, largest, smallest
from ..words import read

STEPS = (1, 10, 100, 1000)
HIDDEN = 30
ETA = 1.0  # of f ‖θ‖²
CONSTANT = 0.3
LOG_LOSS = -500.0  # where runs end: far beyond, f leaves the range of numbers
MOST_ROUNDS = 400_000
NETWORK = lg.TwoLayer(HIDDEN)


@dataclass(frozen=True)
class NetworkKkt(Experiment):
    """KKT residuals and normalised margins of Local-GD with rates over the risk, for every L.

    ``method`` makes Local-GD of L steps from a rate.
    """

    method: Callable[[int, Any], Any] = lambda L, lr: lg.LocalGD(local_steps=L, lr=lr)
    network: lg.TwoLayer = NETWORK

    words = read(__file__, eta=ETA, constant=CONSTANT, hidden=HIDDEN)

    def parameters(self, context: Context) -> Mapping[str, Any]:
        """Rounds."""
        return {
            "constant_rounds": _constant_rounds(context),
            "log_loss": LOG_LOSS,
            "images": rows.digits_name(context),
        }

    def measure(self, context: Context) -> Measured:
        """Every L and a constant rate, on draws of synthetic rows and of digits."""
        draws: list[dict[str, float]] = []
        curves: dict[str, dict[str, np.ndarray]] = {}
        for seed in context.each("synthetic rows, draw ", context.seeds()):
            problem = by_label(seed)
            runs = {L: self._run(context, problem, L, seed) for L in STEPS}
            constant = self._run(context, problem, 1, seed, lr=CONSTANT)
            curves = curves or {
                "over_risk": _curve(problem, runs[1]),
                "constant": _curve(problem, constant),
            }
            numbers = _numbers(problem, runs)
            residual = numbers["residual_1"]
            draws.append(numbers | _of_constant(problem, runs[1], constant, residual))
        real = self.own_or_digits(
            context, per_class=30, n_clients=6, scheme=lg.ByClass(1), scale="max_norm"
        )
        real_draws = []
        for draw in context.each(f"{real.name}, draw ", range(len(real.used))):
            problem = real.used[draw]
            runs = {L: self._run(context, problem, L, draw) for L in STEPS}
            real_draws.append(_numbers(problem, runs))
        return Measured(
            numbers={
                **over_draws(draws),
                **over_draws(real_draws, "real_"),
                "constant_rounds": _constant_rounds(context),
                "constant_rate": CONSTANT,
                "worst_share": largest(one["share"] for one in draws),
                "worst_gap_percent": largest(one["gap_percent"] for one in draws),
                "least_constant_ratio": smallest(one["constant_ratio"] for one in draws),
                "least_kinks_ratio": smallest(one["kinks_ratio"] for one in draws),
                "real_worst_share": largest(one["share"] for one in real_draws),
                "real_worst_gap_percent": largest(one["gap_percent"] for one in real_draws),
            },
            series={**curves, "draws": columns(draws), "real_draws": columns(real_draws)},
            tables=[
                self.table("draws", _numbered(draws), name="Synthetic rows"),
                self.table("draws", _numbered(real_draws), name=real.name),
            ],
            **real.told,
        )

    def _run(
        self, context: Context, problem: lg.Problem, L: int, seed: int, lr: float | None = None
    ) -> lg.Run:
        def over_risk(loss: float, norm: float) -> float:
            return ETA / (loss * norm**2)

        return context.run(
            problem,
            self.method(L, lr or over_risk),
            rounds=_constant_rounds(context) if lr else MOST_ROUNDS,
            loss="exponential",
            model=self.network,
            seed=seed,
            keep_weights=True,
            record=lg.log_spaced(per_decade=24),
            stop=lambda record: record["log_loss"] < LOG_LOSS,
        )

    def draw(self, measured: Measured) -> Mapping[str, Any]:
        """The residual against log 1/f, with and without kinks, and of constant rates."""
        ax = figures.panel(x="log 1/f", y="KKT residual")
        for (name, column, label), style in zip(
            (
                ("over_risk", "residual", "over the risk"),
                ("over_risk", "one_side", "over the risk, one side of kinks"),
                ("constant", "residual", "constant"),
            ),
            figures.STYLES,
            strict=False,
        ):
            table = measured.series[name]
            ax.plot(table["log_1_over_f"], table[column], label=label, **style)
        return {"synthetic": ax}


def by_label(seed: int) -> lg.Problem:
    """Separable rows, sorted by label and cut into five clients of eight."""
    made = lg.datasets.make_separable(n_clients=1, n_samples=40, n_features=20, seed=seed)
    order = np.argsort(made.y, kind="stable")
    return lg.Problem.from_arrays(made.X[order], made.y[order], np.arange(40) // 8)


def _constant_rounds(context: Context) -> int:
    return context.pick(30_000, 100_000)


def _fitted(run: lg.Run) -> np.ndarray:
    """The records at which every row is fitted."""
    return np.flatnonzero(run.history["margin"] > 0)


def _residual(problem: lg.Problem, run: lg.Run, record: int, **options: Any) -> float:
    assert run.recorded_weights is not None, "they are kept"
    model = dataclasses.replace(run.model, parameters=run.recorded_weights[record])
    return lg.networks.kkt_residual(problem, model, **options)[0]


def _numbers(problem: lg.Problem, runs: Mapping[int, lg.Run]) -> dict[str, float]:
    """Residuals when the rows are fitted and at the end, and margins beside that of L = 1."""
    fitted = {L: _residual(problem, run, _fitted(run)[0]) for L, run in runs.items()}
    last = {L: _residual(problem, run, -1) for L, run in runs.items()}
    margins = {L: float(run.history["margin"][-1]) for L, run in runs.items()}
    return {
        "fitted": fitted[1],
        **{f"residual_{L}": residual for L, residual in last.items()},
        **{f"margin_{L}": margin for L, margin in margins.items()},
        **{f"rounds_{L}": float(run.round) for L, run in runs.items()},
        "share": largest(last[L] / fitted[L] for L in runs),
        "gap_percent": largest(100 * abs(margin / margins[1] - 1) for margin in margins.values()),
    }


def _of_constant(
    problem: lg.Problem, run: lg.Run, constant: lg.Run, residual: float
) -> dict[str, float]:
    """The residuals of constant rates, and of one side of kinks, beside that of rates over f."""
    one_side = _residual(problem, run, -1, kinks=0)
    of_constant = _residual(problem, constant, -1)
    return {
        "one_side": one_side,
        "kinks_ratio": one_side / residual,
        "constant": of_constant,
        "constant_ratio": of_constant / residual,
    }


def _curve(problem: lg.Problem, run: lg.Run) -> dict[str, np.ndarray]:
    """Residuals against log 1/f from where the rows are fitted."""
    found = _fitted(run)
    return {
        "log_1_over_f": -run.history["log_loss"][found],
        "residual": np.array([_residual(problem, run, record) for record in found]),
        "one_side": np.array([_residual(problem, run, record, kinks=0) for record in found]),
    }


def _numbered(draws: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [{"draw": number, **one} for number, one in enumerate(draws, 1)]


EXPERIMENT = NetworkKkt()
