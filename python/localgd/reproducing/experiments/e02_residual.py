"""E2: what is left of the model beside its growth along the max-margin solution."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

import localgd as lg

from .. import figures, rows
from ..columns import Columns, columns
from ..context import Context
from ..experiment import Experiment
from ..intervals import over_draws
from ..measured import Measured, largest
from ..words import read

FAR, MIDDLE, EARLY = 1e100, 1e50, 1e25  # log k doubles from each to the next
SHOWN = (3, 4, 5, 6, 50, 100)  # decades of rounds in the tables
STEPS = (1, 10, 100, 1000)
REAL_STEPS = (1, 10, 100)


@dataclass(frozen=True)
class Residual(Experiment):
    """Residuals ρ_k to 10^100 rounds, beside the limit that the rows alone give.

    ``method`` makes the method of L local steps with learning rate η; ``trained`` changes what the
    clients train on, while ŵ and ρ_S stay those of the rows as they are.
    """

    method: Callable[[int, float], Any] = lambda L, lr: lg.LocalGD(local_steps=L, lr=lr)
    trained: Callable[[lg.Problem], lg.Problem] = lambda problem: problem

    words = read(__file__)

    def measure(self, context: Context) -> Measured:
        """Residuals on synthetic and real rows, draw by draw, and on degenerate rows."""
        real = self.own_or_digits(context)
        on_synthetic = [self._synthetic(context, seed) for seed in context.seeds()]
        on_real = [
            self._real(context, problem, f"{real.name}, draw {draw}")
            for draw, problem in enumerate(real.used, 1)
        ]
        degenerate = self._degenerate(context)
        slope = _late_slope(degenerate)
        synthetic, first_real = on_synthetic[0], on_real[0]
        draws, real_draws = ([one.numbers() for one in each] for each in (on_synthetic, on_real))
        spread = [one.over_variants() for one in on_synthetic]
        return Measured(
            numbers={
                **over_draws(draws),
                **over_draws(real_draws, "real_"),
                **over_draws(spread),
                "degenerate_slope": slope,
                "degenerate_slope_error": abs(slope - 1),
                "largest_error_estimate": largest(
                    path.error for one in (*on_synthetic, *on_real) for path in one.paths.values()
                ),
            },
            series={
                "synthetic": _columns(synthetic.paths),
                "real": _columns(first_real.paths),
                "degenerate": degenerate,
                "draws": columns(draws) | columns(spread),
                "real_draws": columns(real_draws),
            },
            tables=[
                self.table("norms", _norms(synthetic.paths), size=synthetic.size),
                self.table("distances", _distances(synthetic.paths), name="Synthetic rows"),
                self.table(
                    "distances", _distances(first_real.paths), name=f"Real rows ({real.name})"
                ),
                self.table("pace", [synthetic.pace("synthetic"), first_real.pace(real.name)]),
            ],
            **real.told,
        )

    def _synthetic(self, context: Context, seed: int) -> Draw:
        """Every L, η and w_0 on the synthetic rows of a seed."""
        problem = rows.synthetic(seed)
        limit = lg.reference.asymptote(problem)
        paths = {}
        for name, L, lr, start in _variants(seed, problem):
            context.status(f"synthetic rows of seed {seed}, {name}")
            paths[name] = self._path(context, problem, limit, L, lr, start)
        return Draw(problem, limit, paths)

    def _real(self, context: Context, problem: lg.Problem, name: str) -> Draw:
        limit = lg.reference.asymptote(problem)
        nowhere = np.zeros(problem.n_features)
        paths = {
            f"L = {L}": self._path(context, problem, limit, L, 1.0, nowhere)
            for L in context.each(f"{name}, L = ", REAL_STEPS)
        }
        return Draw(problem, limit, paths)

    def _path(
        self,
        context: Context,
        problem: lg.Problem,
        limit: Any,
        L: int,
        lr: float,
        start: np.ndarray,
    ) -> Path:
        run = context.fast_forward(
            self.trained(problem),
            self.method(L, lr),
            rounds=FAR,
            loss="exponential",
            init=start,
            keep_weights=True,
        )
        k = run.history["round"][1:]
        weights = run.recorded_weights
        assert weights is not None  # keep_weights
        rho = weights[1:] - np.outer(np.log(lr * L * k), limit.weights)
        inside = rho @ limit.basis.T @ limit.basis
        distance = np.linalg.norm(inside - limit.rho, axis=1) / np.linalg.norm(limit.rho)
        return Path(k, inside, rho - inside, distance, float(run.history["error"].max()))

    def _degenerate(self, context: Context) -> dict[str, np.ndarray]:
        """The residual across ŵ from 100 rounds on, where one row's multiplier is 0."""
        context.status("degenerate rows")
        problem = lg.Problem([([[1.0, 0.0]], [1]), ([[1.0, 1.0]], [1])])
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", RuntimeWarning)  # that a row has multiplier 0
            limit = lg.reference.asymptote(problem)
        L = 10
        path = self._path(context, problem, limit, L, 1.0, np.zeros(2))
        shown = path.round >= 100
        k = path.round[shown]
        log_log = np.log(np.log(L) + np.log(k))
        return {"round": k, "log_log_time": log_log, "residual": path.outside[shown, 1]}

    def draw(self, measured: Measured) -> Mapping[str, Any]:
        """Both parts of the residual, distances to the limit, and the degenerate case."""
        series = measured.series
        return {
            "distance": _draw_distances(series["synthetic"]),
            "outside": _draw_outside(series["synthetic"]),
            "real": _draw_distances(series["real"]),
            "degenerate": _draw_degenerate(series["degenerate"]),
        }


@dataclass(frozen=True, eq=False)
class Path:
    """The residual of one run at its records: both parts (records × d), distance to ρ_S."""

    round: np.ndarray
    inside: np.ndarray
    outside: np.ndarray
    distance: np.ndarray
    error: float

    def at(self, values: np.ndarray, round: float) -> np.ndarray:
        """The entry of a column at a recorded round."""
        found: np.ndarray = values[self.round == round][0]
        return found

    def distance_at(self, round: float) -> float:
        """Distance on the span to ρ_S, relative to its norm."""
        return float(self.at(self.distance, round))

    def moved(self, values: np.ndarray, start: float, end: float) -> float:
        """How far a part is at one round from where it was at another."""
        return float(np.linalg.norm(self.at(values, end) - self.at(values, start)))

    def movement_ratio(self) -> float:
        """Movement of ρ_k from 10^50 to 10^100 over that from 10^25 to 10^50."""
        rho = self.inside + self.outside
        return self.moved(rho, MIDDLE, FAR) / self.moved(rho, EARLY, MIDDLE)


@dataclass(frozen=True, eq=False)
class Draw:
    """All runs on one draw of the rows."""

    problem: lg.Problem
    limit: Any
    paths: Mapping[str, Path]

    @property
    def size(self) -> float:
        """‖ρ_S‖."""
        return float(np.linalg.norm(self.limit.rho))

    def numbers(self) -> dict[str, float]:
        """The worst of its runs."""
        paths = self.paths.values()
        return {
            "worst_movement_ratio": largest(path.movement_ratio() for path in paths),
            "worst_distance_ratio": largest(
                path.distance_at(FAR) / path.distance_at(MIDDLE) for path in paths
            ),
            **{
                f"worst_distance_{n}_percent": 100 * largest(p.distance_at(10.0**n) for p in paths)
                for n in (3, 6, 100)
            },
            "norm_of_rho_S": self.size,
        }

    def over_variants(self) -> dict[str, float]:
        """How far its runs are apart, on the support rows' span and outside it."""
        ends = [path.at(path.inside, FAR) for path in self.paths.values()]
        one, most = self.paths["L = 1"], self.paths[f"L = {STEPS[-1]}"]
        difference = float(np.linalg.norm(one.at(one.outside, FAR) - most.at(most.outside, FAR)))
        moved = max(path.moved(path.outside, MIDDLE, FAR) for path in (one, most))
        apart = largest(float(np.linalg.norm(a - b)) for a in ends for b in ends)
        return {
            "support_spread_percent": 100 * apart / self.size,
            "outside_difference": difference,
            "outside_difference_over_movement": difference / moved,
        }

    def pace(self, name: str) -> dict[str, Any]:
        """What sets the pace: rows that are almost on the margin, and the flattest direction."""
        limit, signed = self.limit, self.problem.signed_rows
        beyond = np.delete(signed @ limit.weights, limit.support) - 1
        S = signed[limit.support] @ limit.basis.T
        return {
            "rows": name,
            "support": len(limit.support),
            "beyond": beyond.min(),
            "eigenvalue": np.linalg.eigvalsh((S.T * limit.dual[limit.support]) @ S)[0],
        }


def _variants(seed: int, problem: lg.Problem) -> list[tuple[str, int, float, np.ndarray]]:
    """Name, L, η and w_0 of each run on the synthetic rows."""
    zero = np.zeros(problem.n_features)
    random = np.random.default_rng(seed).standard_normal(problem.n_features)
    random *= 10 / np.linalg.norm(random)
    return [
        *((f"L = {L}", L, 1.0, zero) for L in STEPS),
        ("L = 10, η = 0.1", 10, 0.1, zero),
        ("L = 10, random w_0", 10, 1.0, random),
    ]


def _columns(paths: Mapping[str, Path]) -> dict[str, np.ndarray]:
    columns = {"round": next(iter(paths.values())).round}
    for name, path in paths.items():
        columns[f"{name}: distance"] = path.distance
        columns[f"{name}: support part"] = np.linalg.norm(path.inside, axis=1)
        columns[f"{name}: outside part"] = np.linalg.norm(path.outside, axis=1)
    return columns


def _norms(paths: Mapping[str, Path]) -> list[dict[str, Any]]:
    records = []
    for name, path in paths.items():
        inside, outside = path.at(path.inside, FAR), path.at(path.outside, FAR)
        parts = {"norm": inside + outside, "inside": inside, "outside": outside}
        norms = {key: float(np.linalg.norm(part)) for key, part in parts.items()}
        records.append({"run": name, **norms, "movement_ratio": path.movement_ratio()})
    return records


def _distances(paths: Mapping[str, Path]) -> list[dict[str, Any]]:
    return [
        {"run": name} | {f"at_{n}": 100 * path.distance_at(10.0**n) for n in SHOWN}
        for name, path in paths.items()
    ]


def _late_slope(table: Columns) -> float:
    """Growth of the residual per growth of log log(ηLk), from 10^50 rounds on."""
    late = table["round"] >= MIDDLE
    residual, log_log = table["residual"][late], table["log_log_time"][late]
    return float((residual[-1] - residual[0]) / (log_log[-1] - log_log[0]))


def _draw_distances(table: Columns) -> Any:
    ax = figures.panel(y=r"$\Vert P_S\,\rho_k - \rho_S\Vert\,/\,\Vert\rho_S\Vert$")
    curves = {
        name.removesuffix(": distance").replace("w_0", "$w_0$"): column[10:]
        for name, column in table.items()
        if name.endswith(": distance")
    }
    figures.lines(ax, table["round"][10:], curves)
    ax.set_ylim(top=1.0, bottom=10 ** np.floor(np.log10(ax.get_ylim()[0])))
    figures.decades(ax, last=FAR)
    return ax


def _draw_outside(table: Columns) -> Any:
    ax = figures.panel(y=r"Norm of $\rho_k$ outside the span", yscale="linear")
    k = table["round"]
    for L, style in zip(STEPS, figures.STYLES, strict=False):
        shown = L * k > 1
        figures.lines(ax, k[shown], {f"L = {L}": table[f"L = {L}: outside part"][shown]}, [style])
    ax.set_ylim(bottom=0)
    figures.decades(ax, last=FAR)
    return ax


def _draw_degenerate(table: Columns) -> Any:
    ax = figures.panel(y="Residual across ŵ", yscale="linear")
    ax.plot(table["round"], table["residual"], color=figures.COLOURS[0], label="measured")
    guide: dict[str, Any] = {"color": "black", "linestyle": "--", "linewidth": 0.8}
    ax.plot(table["round"], table["log_log_time"], label="log log(ηLk)", **guide)
    figures.decades(ax, last=FAR)
    return ax


EXPERIMENT = Residual()
