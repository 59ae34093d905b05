"""E2: what is left of the model beside its growth along the max-margin solution."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

import localgd as lg

from .. import figures, sources
from ..context import Context
from ..experiment import Condition, Experiment, Measured, Numbers, Picture, Table

FAR, MIDDLE, EARLY = 1e100, 1e50, 1e25  # log k doubles from each to the next
STEPS = (1, 10, 100, 1000)
REAL_STEPS = (1, 10, 100)


def _nowhere(problem: lg.Problem) -> np.ndarray:
    return np.zeros(problem.n_features)


@dataclass(frozen=True)
class Residual(Experiment):
    """Residuals ρ_k to 10^100 rounds, beside the limit that the rows alone give.

    ``method`` makes the method of L local steps with learning rate η; ``trained`` changes what the
    clients train on, while ŵ and ρ_S stay those of the rows as they are.
    """

    method: Callable[[int, float], Any] = lambda L, lr: lg.LocalGD(local_steps=L, lr=lr)
    trained: Callable[[lg.Problem], lg.Problem] = lambda problem: problem

    id = "E2"
    title = "The residual: is it bounded, and does its limit depend on L?"
    question = (
        "Does the residual ρ_k = w_k - ŵ log(ηLk) stay bounded, and does its limit depend on the "
        "number of local steps?"
    )
    claim = (
        "Prediction: where every row on the margin has a positive multiplier, ρ_k converges. On "
        "the span of the support rows the limit is ρ_S with z_j·ρ_S = log(c_j/α_j), known from the "
        "rows alone: it knows neither L nor η nor w_0. The part outside that span converges too, "
        "to a limit that does depend on L. Where a row on the margin has multiplier 0, ρ_k is not "
        "bounded: it grows like log log(ηLk)."
    )
    open = True
    sources = (sources.LOCAL_GD, sources.IMPLICIT_BIAS)
    criterion = (
        Condition(
            "bounded: the residual moves less from 10^50 to 10^100 rounds than from 10^25 to "
            "10^50, in every run (growth like log log k would move it as far)",
            "worst_movement_ratio",
            "<",
            1.0,
        ),
        Condition(
            "to ρ_S: its distance on the support rows' span at least halves from 10^50 to 10^100 "
            "rounds, in every run (as 1/log k would)",
            "worst_distance_ratio",
            "<=",
            0.5,
        ),
        Condition(
            "not on L: at 10^100 rounds the runs of every L, η and w_0 on the synthetic rows "
            "differ on that span by less than 0.5 % of ‖ρ_S‖",
            "support_spread_percent",
            "<",
            0.5,
            unit="%",
        ),
        Condition(
            "on L: outside that span L = 1 and L = 1000 differ at 10^100 rounds by more than "
            "either has moved there since 10^50",
            "outside_difference_over_movement",
            ">",
            1.0,
        ),
        Condition(
            "not bounded: with a row of multiplier 0 on the margin, the residual grows by "
            "1 ± 0.1 times log log(ηLk) from 10^50 to 10^100 rounds",
            "degenerate_slope_error",
            "<",
            0.1,
        ),
        Condition(
            "synthetic rows: the distance to ρ_S is below 0.5 % at 10^100 rounds for every L, η "
            "and w_0",
            "synthetic_worst_distance_percent",
            "<",
            0.5,
            unit="%",
            otherwise="At 10^100 rounds the residual is still on its way to ρ_S.",
        ),
    )
    limits = (
        "Ten to a hundred decades are integrated, not run: lg.fast_forward estimates its own "
        "error, and the largest estimate is among the numbers.",
        "How soon ρ_k arrives depends on the rows. At last its distance decays like "
        "(ηLk)^-κ, with κ the smaller of two numbers in the last table: how far the next row is "
        "beyond the margin, and the smallest eigenvalue of Σ α_j z_j z_jᵀ on the support rows' "
        "span. Both can be as small as one likes, so no number of rounds is enough for all rows.",
        "Full batches, all clients, constant η small enough that the loss falls, exponential loss.",
        "The part outside the span is measured; no closed form for it is known.",
    )
    tasks = ("binary",)
    code = """\
import localgd as lg

problem = lg.datasets.make_separable(n_clients=5, n_samples=10, n_features=100, seed=1)
best = lg.reference.max_margin(problem)
limit = lg.reference.asymptote(problem, best)
for L in (1, 10, 100, 1000):
    far = lg.fast_forward(problem, lg.LocalGD(local_steps=L, lr=1.0), rounds=1e100,
                          loss="exponential", asymptote=limit)
    print(f"L = {L}: norm {far.history['residual'][-1]:.3f}, "
          f"distance to ρ_S {100 * far.history['residual_distance'][-1]:.3f} %")
"""

    def setting(self, context: Context) -> Mapping[str, str]:
        """Data, M, n, d, methods, rounds, seeds."""
        return {
            "synthetic rows": "lg.datasets.make_separable: Gaussian rows, labelled by a plane; "
            "M = 5 clients, n = 10 rows each, d = 100 features",
            "real rows": context.pick(
                "scikit-learn's 8×8 digits, 0 against 1: 360 rows, d = 64",
                "MNIST, 0 against 1: 1,000 rows, d = 784",
            )
            + "; M = 10 clients by Dirichlet(0.3); your own rows in their place with --data",
            "degenerate rows": "z = (1, 0) on one client and (1, 1) on another: both on the "
            "margin of ŵ = (1, 0), the second with multiplier 0",
            "method": f"Local-GD, exponential loss, {context.shares}; L = 1, 10, 100, 1000 (real "
            "rows: 1, 10, 100) with η = 1 and w_0 = 0; L = 10 also with η = 0.1, and from a random "
            "w_0 of norm 10",
            "rounds": "10^100 by lg.fast_forward",
            "seed": f"{1 + context.seed} for the synthetic rows, w_0, and for dealing the real "
            "rows",
        }

    def measure(self, context: Context) -> Measured:
        """Residuals on synthetic, real and degenerate rows."""
        synthetic = lg.datasets.make_separable(
            n_clients=5, n_samples=10, n_features=100, seed=1 + context.seed
        )
        limit = lg.reference.asymptote(synthetic)
        paths = {}
        for name, L, lr, start in self._variants(context, synthetic):
            context.status(f"synthetic rows, {name}")
            paths[name] = self._path(context, synthetic, limit, L, lr, start)
        real, name, notes = _real(context)
        real_limit = lg.reference.asymptote(real)
        real_paths = {}
        for L in REAL_STEPS:
            context.status(f"{name}, L = {L}")
            real_paths[f"L = {L}"] = self._path(context, real, real_limit, L, 1.0, _nowhere(real))
        every = [*paths.values(), *real_paths.values()]
        ends = [path.at(path.inside, FAR) for path in paths.values()]
        size = float(np.linalg.norm(limit.rho))
        apart = [float(np.linalg.norm(a - b)) / size for a in ends for b in ends]
        one, most = paths["L = 1"], paths[f"L = {STEPS[-1]}"]
        difference = np.linalg.norm(one.at(one.outside, FAR) - most.at(most.outside, FAR))
        moved = max(path.moved(path.outside, MIDDLE, FAR) for path in (one, most))
        degenerate = self._degenerate(context)
        slope = _late_slope(degenerate)
        return Measured(
            numbers={
                "worst_movement_ratio": float(np.max([path.movement_ratio() for path in every])),
                "worst_distance_ratio": float(
                    np.max([path.distance_at(FAR) / path.distance_at(MIDDLE) for path in every])
                ),
                "support_spread_percent": 100 * float(np.max(apart)),
                "outside_difference_over_movement": float(difference / moved),
                "outside_difference": float(difference),
                "degenerate_slope": slope,
                "degenerate_slope_error": abs(slope - 1),
                "synthetic_worst_distance_percent": 100
                * float(np.max([path.distance_at(FAR) for path in paths.values()])),
                "real_worst_distance_percent": 100
                * float(np.max([path.distance_at(FAR) for path in real_paths.values()])),
                "norm_of_rho_S": size,
                "largest_error_estimate": float(np.max([path.error for path in every])),
            },
            series={
                "synthetic": _columns(paths),
                "real": _columns(real_paths),
                "degenerate": degenerate,
            },
            tables=[
                _norms(f"Synthetic rows at 10^100 rounds; ‖ρ_S‖ = {size:.3f}", paths),
                _distances("Synthetic rows: distance to ρ_S after k rounds", paths),
                _distances(f"Real rows ({name}): distance to ρ_S after k rounds", real_paths),
                _rates({"synthetic": (synthetic, limit), name: (real, real_limit)}),
            ],
            notes=notes,
        )

    @staticmethod
    def _variants(
        context: Context, problem: lg.Problem
    ) -> list[tuple[str, int, float, np.ndarray]]:
        zero = _nowhere(problem)
        random = np.random.default_rng(1 + context.seed).standard_normal(problem.n_features)
        random *= 10 / np.linalg.norm(random)
        return [
            *((f"L = {L}", L, 1.0, zero) for L in STEPS),
            ("L = 10, η = 0.1", 10, 0.1, zero),
            ("L = 10, random w_0", 10, 1.0, random),
        ]

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

    def finding(self, numbers: Numbers) -> str:
        """The summary's sentence."""
        return (
            "After 10^100 rounds the residual on the support rows' span is within "
            f"{numbers['synthetic_worst_distance_percent']:.2f} % of ρ_S for every L, η and w_0 "
            f"(real rows: {numbers['real_worst_distance_percent']:.2g} %); outside it, L = 1 and "
            f"L = 1000 settle {numbers['outside_difference']:.2f} apart."
        )

    def pictures(self, measured: Measured) -> Sequence[Picture]:
        """Both parts of the residual, distances to the limit, and the degenerate case."""
        synthetic = measured.series["synthetic"]
        return [
            Picture(
                "distance",
                "Synthetic rows: distance to ρ_S on the support rows' span. Neither L nor η nor "
                "w_0 changes the limit.",
                _draw_distances(synthetic),
            ),
            Picture(
                "outside",
                "Synthetic rows: outside the span of the support rows ρ_k settles as well, for "
                "every L elsewhere.",
                _draw_outside(synthetic),
            ),
            Picture(
                "real",
                "Real rows: the same limit, at the pace that these rows set. Where a curve "
                "flattens, rows just beyond the margin still pull.",
                _draw_distances(measured.series["real"]),
            ),
            Picture(
                "degenerate",
                "A row on the margin with multiplier 0: the residual has no limit, it follows "
                "log log(ηLk) (dashed).",
                _draw_degenerate(measured.series["degenerate"]),
            ),
        ]


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


def _real(context: Context) -> tuple[lg.Problem, str, list[str]]:
    """The user's rows if ρ_S is theirs, else real ones; their name, and what to note."""
    notes = []
    own = context.own_problem("binary")
    if own is not None:
        if not lg.reference.separability(own).separable:
            notes.append("Your own rows are not used: they are not separable.")
        else:
            return own, "your own", ["Your own rows are the real rows."]
    load = context.pick(lg.datasets.load_digits, lg.datasets.load_mnist)
    X, y = load(classes=(0, 1))
    problem = lg.partition(X, y, n_clients=10, scheme=lg.Dirichlet(0.3), seed=1 + context.seed)
    return problem, context.pick("digits", "MNIST"), notes


def _columns(paths: Mapping[str, Path]) -> dict[str, np.ndarray]:
    columns = {"round": next(iter(paths.values())).round}
    for name, path in paths.items():
        columns[f"{name}: distance"] = path.distance
        columns[f"{name}: support part"] = np.linalg.norm(path.inside, axis=1)
        columns[f"{name}: outside part"] = np.linalg.norm(path.outside, axis=1)
    return columns


def _norms(caption: str, paths: Mapping[str, Path]) -> Table:
    rows = []
    for name, path in paths.items():
        inside, outside = path.at(path.inside, FAR), path.at(path.outside, FAR)
        norms = [float(np.linalg.norm(part)) for part in (inside + outside, inside, outside)]
        rows.append([name, *(f"{norm:.3f}" for norm in norms), f"{path.movement_ratio():.2f}"])
    headings = ["run", "‖ρ_k‖", "on the span", "outside it", "movement ratio"]
    return Table(caption, headings, rows)


def _distances(caption: str, paths: Mapping[str, Path]) -> Table:
    decades = (3, 10, 25, 50, 100)
    rows = [
        [name, *(f"{100 * path.distance_at(10.0**decade):.3g} %" for decade in decades)]
        for name, path in paths.items()
    ]
    return Table(caption, ["run", *(f"k = 10^{decade}" for decade in decades)], rows)


def _rates(problems: Mapping[str, tuple[lg.Problem, Any]]) -> Table:
    """What sets the pace: rows that are almost on the margin, and the flattest direction."""
    rows = []
    for name, (problem, limit) in problems.items():
        beyond = np.delete(problem.signed_rows @ limit.weights, limit.support) - 1
        S = problem.signed_rows[limit.support] @ limit.basis.T
        curvature = np.linalg.eigvalsh((S.T * limit.dual[limit.support]) @ S)[0]
        rows.append([name, f"{len(limit.support)}", f"{beyond.min():.4f}", f"{curvature:.4f}"])
    return Table(
        "What sets the pace: at last ρ_k comes to ρ_S like (ηLk)^-κ, κ the smaller of the last two "
        "columns",
        ["rows", "support rows", "next row beyond the margin by", "smallest eigenvalue"],
        rows,
    )


def _late_slope(columns: Mapping[str, np.ndarray]) -> float:
    """Growth of the residual per growth of log log(ηLk), from 10^50 rounds on."""
    late = columns["round"] >= MIDDLE
    residual, log_log = columns["residual"][late], columns["log_log_time"][late]
    return float((residual[-1] - residual[0]) / (log_log[-1] - log_log[0]))


def _names(columns: Mapping[str, np.ndarray]) -> list[str]:
    return [name.removesuffix(": distance") for name in columns if name.endswith(": distance")]


LINES = ("-", "--", "-.", ":", (0, (6, 1, 1, 1, 1, 1)), (0, (1, 3)))


def _draw_distances(columns: Mapping[str, np.ndarray]) -> Any:
    ax = figures.panel(x="Communication rounds k", y="")
    ax.set_ylabel(r"$\Vert P_S\,\rho_k - \rho_S\Vert\,/\,\Vert\rho_S\Vert$")
    for name, colour, line in zip(_names(columns), figures.COLOURS, LINES, strict=False):
        label = name.replace("w_0", "$w_0$")
        ax.plot(
            columns["round"][10:],
            columns[f"{name}: distance"][10:],
            color=colour,
            linestyle=line,
            label=label,
        )
    ax.set_ylim(top=1.0, bottom=10 ** np.floor(np.log10(ax.get_ylim()[0])))
    figures.decades(ax, last=FAR)
    figures.legend(ax)
    return ax.figure


def _draw_outside(columns: Mapping[str, np.ndarray]) -> Any:
    ax = figures.panel(x="Communication rounds k", y="", yscale="linear")
    ax.set_ylabel(r"Norm of $\rho_k$ outside the span")
    k = columns["round"]
    for L, colour, line in zip(STEPS, figures.COLOURS, LINES, strict=False):
        shown = L * k > 1
        norm = columns[f"L = {L}: outside part"][shown]
        ax.plot(k[shown], norm, color=colour, linestyle=line, label=f"L = {L}")
    ax.set_ylim(bottom=0)
    figures.decades(ax, last=FAR)
    figures.legend(ax)
    return ax.figure


def _draw_degenerate(columns: Mapping[str, np.ndarray]) -> Any:
    ax = figures.panel(x="Communication rounds k", y="Residual across ŵ", yscale="linear")
    k = columns["round"]
    ax.plot(k, columns["residual"], color=figures.COLOURS[0], label="measured")
    guide = {"color": "black", "linestyle": "--", "linewidth": 0.8}
    ax.plot(k, columns["log_log_time"], label="log log(ηLk)", **guide)
    figures.decades(ax, last=FAR)
    figures.legend(ax)
    return ax.figure


EXPERIMENT = Residual()
