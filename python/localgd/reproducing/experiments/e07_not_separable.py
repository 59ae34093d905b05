"""E7: rows that are not separable: both limits, the offset of Local-GD, and what removes it."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

import localgd as lg

from .. import figures, rows
from ..columns import Columns, columns, part, records
from ..context import Context, weights
from ..experiment import Experiment
from ..intervals import over_draws
from ..measured import Measured, largest
from ..words import read

STEPS = (2, 4, 16)
SIZES = (0.01, 0.1, 1.0)  # of η (L - 1) H
SMALL = 0.1  # up to here the first order should do
MIXED_STEPS = 10
REMOVAL_STEPS = 10
MOST_ROUNDS = 300_000  # of one point on the user's rows
NAMES = {
    "gd": "GD (L = 1)",
    "local": "Local-GD, L = 10",
    "decaying": "decaying η, L = 10",
    "scaffold": "SCAFFOLD, L = 10",
}


def _scaffold(L: int, lr: float) -> Any:
    return lg.Scaffold(local_steps=L, lr=lr)


@dataclass(frozen=True)
class NotSeparable(Experiment):
    """Limits on rows that are separable in part, and the fixed points of Local-GD.

    ``local`` makes Local-GD of L steps at a learning rate or schedule; ``corrected`` the method
    that should have no offset.
    """

    local: Callable[[int, Any], Any] = lambda L, lr: lg.LocalGD(local_steps=L, lr=lr)
    corrected: Callable[[int, float], Any] = _scaffold

    words = read(__file__)

    def parameters(self, context: Context) -> Mapping[str, Any]:
        """Rounds on rows of which a part is separable."""
        return {"mixed_rounds": _mixed_rounds(context)}

    def measure(self, context: Context) -> Measured:
        """Rows separable in part; then fixed points on rows that are not, made up and real."""
        real = self.own_or(
            context,
            lambda own: [settling(own)],
            lambda: [_tumours(seed) for seed in context.seeds()],
            "tumours",
        )
        draws, tables = [], []
        for seed in context.seeds():
            numbers, series = self._draw(context, seed, shown=seed == context.seeds()[0])
            draws.append(numbers)
            tables.append(series)
        ladders = []
        for draw, problem in enumerate(real.used, 1):
            context.status(f"offsets, {real.name}, draw {draw}")
            ladders.append(self._ladder(context, problem))
        real_draws = [{"worst_offset_error_percent": _worst(ladder)} for ladder in ladders]
        first = tables[0]
        return Measured(
            numbers={**over_draws(draws), **over_draws(real_draws, "real_")},
            series={
                **first,
                "real_offsets": ladders[0],
                "draws": columns(draws),
                "real_draws": columns(real_draws),
            },
            tables=[
                self._mixed_table(first["mixed"]),
                self._offsets_table("Synthetic rows", first["offsets"]),
                self._offsets_table(f"Real rows ({real.name})", ladders[0]),
            ],
            **real.told,
        )

    def _draw(
        self, context: Context, seed: int, *, shown: bool
    ) -> tuple[dict[str, float], dict[str, dict[str, np.ndarray]]]:
        """Numbers and series of the rows of a seed; whether the pictures show them."""
        numbers: dict[str, Any] = {}
        mixed = self._mixed(context, mixed_rows(seed), numbers, shown=shown)
        problem = _synthetic(seed)
        context.status(f"offsets, synthetic rows of seed {seed}")
        ladder = self._ladder(context, problem)
        numbers["single_step_error"] = self._distance_from_zero(context, problem, 1)
        numbers["worst_offset_error_percent"] = _worst(ladder)
        equal = lg.Problem([(problem.X, problem.y)] * problem.n_clients)
        numbers["equal_clients_error"] = self._distance_from_zero(context, equal, REMOVAL_STEPS)
        decay = self._removal(context, problem, numbers)
        return numbers, {"mixed": mixed, "offsets": ladder, "decaying": decay}

    def _mixed(
        self, context: Context, problem: lg.Problem, numbers: dict[str, Any], *, shown: bool
    ) -> dict[str, np.ndarray]:
        """Three methods at the same ηL on rows of which a part is separable; a fourth to show."""
        limit = lg.reference.limits(problem, loss="logistic")
        lr = 1 / lg.analysis.smoothness(problem, "logistic")
        L = MIXED_STEPS
        methods = {
            "gd": lg.GD(lr=lr),
            "local": self.local(L, lr / L),
            "scaffold": self.corrected(L, lr / L),
        }
        if shown:
            methods["decaying"] = self.local(L, lg.Polynomial(lr, 0.5))
        table: dict[str, np.ndarray] = {}
        changes, falls = [], []
        for key in context.each("rows separable in part, ", methods):
            run = context.run(
                problem,
                methods[key],
                rounds=_mixed_rounds(context),
                loss="logistic",
                measures={
                    "finite_error": limit.finite_error,
                    "angle_to_limit": lambda w: limit.angle(w) if w.any() else math.nan,
                },
            )
            k, angle = run.history["round"][1:], run.history["angle_to_limit"][1:]
            table["round"] = k
            table[f"{key}_error"] = run.history["finite_error"][1:]
            table[f"{key}_angle_deg"] = np.degrees(angle)
            late = k >= k[-1] / 10
            if key != "decaying":
                product = angle[late] * np.log(lr * k[late])
                changes.append(100 * np.ptp(product) / product[-1])
                earlier = np.searchsorted(k, k[-1] / 100)
                falls.append(product[-1] / (angle[earlier] * np.log(lr * k[earlier])))
        predicted = (L - 1) * lr / L * relative_offset(problem, limit)
        angles = {key: table[f"{key}_angle_deg"][-1] for key in methods}
        numbers |= {
            "mixed_gd_error": float(table["gd_error"][-1]),
            "mixed_local_error": float(table["local_error"][-1]),
            "mixed_predicted_offset": predicted,
            "mixed_scaffold_error": float(table["scaffold_error"][-1]),
            "mixed_angle_gap_percent": largest(
                abs(100 * (angles[key] / angles["gd"] - 1)) for key in ("local", "scaffold")
            ),
            "mixed_angle_deg": float(angles["local"]),
            "mixed_worst_fall": largest(falls),
            "mixed_worst_change_percent": largest(changes),
        }
        return table

    def _ladder(self, context: Context, problem: lg.Problem) -> dict[str, np.ndarray]:
        """Measured and predicted offsets; the size of η (L - 1) H runs fastest."""
        limit = lg.reference.limits(problem, loss="logistic")
        H = lg.analysis.smoothness(problem, "logistic")
        sizes = SIZES if not context.quick else SIZES[1:]
        unit = relative_offset(problem, limit)
        found = []
        for L in STEPS:
            for size in sizes:
                lr = size / H / (L - 1)
                run = context.run(
                    problem,
                    self.local(L, lr),
                    rounds=settling_rounds(problem, limit, lr * L),
                    loss="logistic",
                    init=limit.finite_part,
                )
                found.append(
                    {
                        "local_steps": L,
                        "lr": lr,
                        "lr_steps_smoothness": size,
                        "offset": limit.finite_error(weights(run)),
                        "predicted": lr * (L - 1) * unit,
                    }
                )
        return columns(found, float)

    def _distance_from_zero(self, context: Context, problem: lg.Problem, L: int) -> float:
        """Where ηL = 1/H and w_0 = 0 end, relative to v̄."""
        limit = lg.reference.limits(problem, loss="logistic")
        lr = 1 / lg.analysis.smoothness(problem, "logistic") / L
        rounds = 2 * settling_rounds(problem, limit, lr * L)
        run = context.run(problem, self.local(L, lr), rounds=rounds, loss="logistic")
        return limit.finite_error(weights(run))

    def _removal(
        self, context: Context, problem: lg.Problem, numbers: dict[str, Any]
    ) -> dict[str, np.ndarray]:
        """Constant η, decaying η and SCAFFOLD from w_0 = 0."""
        limit = lg.reference.limits(problem, loss="logistic")
        L = REMOVAL_STEPS
        lr = 1 / lg.analysis.smoothness(problem, "logistic")
        slope = (L - 1) * relative_offset(problem, limit)
        rounds = context.pick(10_000, 100_000)
        methods = {
            "constant": self.local(L, lr),
            "decaying": self.local(L, lg.Polynomial(lr, 0.5)),
            "scaffold": self.corrected(L, lr),
        }
        table: dict[str, np.ndarray] = {}
        for key in context.each("what removes the offset: ", methods):
            run = context.run(
                problem,
                methods[key],
                rounds=rounds,
                loss="logistic",
                measures={"finite_error": limit.finite_error},
            )
            table["round"] = run.history["round"][1:]
            table[key] = run.history["finite_error"][1:]
        table["predicted"] = slope * lr / np.sqrt(table["round"] + 1)
        gap = table["decaying"][-1] / table["predicted"][-1] - 1
        for key in ("scaffold", "constant", "decaying"):
            numbers[f"{key}_error"] = float(table[key][-1])
        numbers["decaying_gap_percent"] = float(100 * abs(gap))
        return table

    def _mixed_table(self, mixed: Columns) -> Any:
        last = mixed["round"][-1]
        early = int(np.argmin(np.abs(mixed["round"] - last / 100)))
        found = [
            {
                "method": name,
                "early_error": mixed[f"{key}_error"][early],
                "error": mixed[f"{key}_error"][-1],
                "early_angle_deg": mixed[f"{key}_angle_deg"][early],
                "angle_deg": mixed[f"{key}_angle_deg"][-1],
            }
            for key, name in NAMES.items()
        ]
        return self.table("mixed", found, early=mixed["round"][early], last=last)

    def _offsets_table(self, name: str, ladder: Columns) -> Any:
        found = [row | {"ratio": row["offset"] / row["predicted"]} for row in records(ladder)]
        return self.table("offsets", found, name=name)

    def draw(self, measured: Measured) -> Mapping[str, Any]:
        """Both limits on rows separable in part; the offset; what removes it."""
        mixed, decay = measured.series["mixed"], measured.series["decaying"]
        finite = figures.panel(y="‖P w − v̄‖ / ‖v̄‖")
        errors = {name: mixed[f"{key}_error"] for key, name in NAMES.items()}
        figures.lines(finite, mixed["round"], errors)
        predicted = measured.series["draws"]["mixed_predicted_offset"][0]
        finite.axhline(predicted, label="predicted offset", **figures.GUIDE)
        angle = figures.panel(y="Angle of w − P w to ū (°)", yscale="linear")
        angles = {name: mixed[f"{key}_angle_deg"] for key, name in NAMES.items()}
        figures.lines(angle, mixed["round"], angles)
        angle.set_ylim(bottom=0)
        removal = figures.panel(y="‖w − v̄‖ / ‖v̄‖")
        shown = {"constant": "constant η", "decaying": "η/√(k+1)", "scaffold": "SCAFFOLD"}
        distances = {name: np.maximum(decay[key], 1e-16) for key, name in shown.items()}
        figures.lines(removal, decay["round"], distances, figures.STYLES[1:])
        late = decay["round"] >= 30
        removal.plot(
            decay["round"][late], decay["predicted"][late], label="predicted", **figures.GUIDE
        )
        offset = _draw_offsets(measured)
        return {"finite": finite, "angle": angle, "offset": offset, "removal": removal}


def mixed_rows(seed: int) -> lg.Problem:
    """Rows that contradict each other in 3 dimensions, and 8 that are separable across them."""
    r = np.random.default_rng(seed)
    d, inside, rest, separable = 12, 3, 32, 8
    Z = r.standard_normal((rest + separable, d))
    Z[:rest, inside:] = 0
    side = Z[rest:, inside:] @ r.standard_normal(d - inside)
    Z[rest:, inside:] *= np.sign(side)[:, None]
    Z = Z @ np.linalg.qr(r.standard_normal((d, d)))[0]
    y = np.where(np.arange(len(Z)) % 2, -1.0, 1.0)
    clients = np.arange(len(Z)) % 4
    X = Z * y[:, None] / np.linalg.norm(Z, axis=1).max()
    return lg.Problem.from_arrays(X, y, clients, task="binary")


def curvature(problem: lg.Problem, limit: Any) -> tuple[np.ndarray, np.ndarray]:
    """∇²f and Σ p_i ∇²f_i ∇f_i at v̄ on span(rest), of the rows of the rest only."""
    v = limit.basis @ limit.finite_part
    r = len(v)
    total, push = np.zeros((r, r)), np.zeros(r)
    kept = np.zeros(len(problem.y), dtype=bool)
    kept[limit.rest] = True
    for i, weight in enumerate(problem.weights):
        rows = problem.rows(i)
        Z = problem.signed_rows[rows][kept[rows]] @ limit.basis.T
        share = 1 / (1 + np.exp(Z @ v))  # -ℓ'
        hessian = (Z.T * (share * (1 - share))) @ Z / problem.sizes[i]
        total += weight * hessian
        push -= weight * hessian @ (share @ Z) / problem.sizes[i]
    return total, push


def relative_offset(problem: lg.Problem, limit: Any) -> float:
    """‖δ‖/‖v̄‖: the predicted offset for η (L - 1) = 1."""
    total, push = curvature(problem, limit)
    delta = np.linalg.solve(total, push) / 2
    return float(np.linalg.norm(delta) / np.linalg.norm(limit.finite_part))


def settling_rounds(problem: lg.Problem, limit: Any, progress: float) -> int:
    """Rounds after which the slowest mode has shrunk by e^-12, at progress ηL per round."""
    slowest = np.linalg.eigvalsh(curvature(problem, limit)[0])[0]
    return math.ceil(12 / (progress * slowest))


def _mixed_rounds(context: Context) -> int:
    return context.pick(100_000, 1_000_000)


def _synthetic(seed: int) -> lg.Problem:
    return lg.datasets.make_nonseparable(
        n_clients=5, n_samples=40, n_features=5, seed=seed, flip=0.2, heterogeneity=1.0
    )


def _tumours(seed: int) -> lg.Problem:
    """Nine of ten rows, drawn and dealt by the seed."""
    X, y = rows.tumours()
    kept = np.random.default_rng(seed).permutation(len(y))[: len(y) * 9 // 10]
    return lg.partition(X[kept], y[kept], n_clients=5, scheme=lg.Dirichlet(1.0), seed=seed)


def settling(problem: lg.Problem) -> lg.Problem:
    """The same if its fixed points can be measured."""
    limit = lg.reference.limits(problem, loss="logistic")
    if len(limit.subset):
        raise ValueError("at least a part of them is separable")
    if not limit.finite_part.any():
        raise ValueError("their minimiser is 0")
    if relative_offset(problem, limit) < 1e-6:
        raise ValueError("their clients agree at the minimiser, so no offset is predicted")
    H = lg.analysis.smoothness(problem, "logistic")
    rounds = settling_rounds(problem, limit, SMALL / H)
    if rounds > MOST_ROUNDS:
        raise ValueError(f"Local-GD needs {rounds:,} rounds to settle on them")
    return problem


def _worst(ladder: Columns) -> float:
    """The largest deviation from the prediction in percent, where it should hold."""
    small = ladder["lr_steps_smoothness"] <= SMALL * (1 + 1e-9)
    gaps = np.abs(ladder["offset"][small] / ladder["predicted"][small] - 1)
    return float(100 * np.max(gaps))


def _draw_offsets(measured: Measured) -> Any:
    ax = figures.panel(x="η (L − 1) H", y="‖w − v̄‖ / ‖v̄‖ at the fixed point")
    names = {"offsets": "synthetic", "real_offsets": "real"}
    for (key, name), colour in zip(names.items(), figures.COLOURS, strict=False):
        ladder = measured.series[key]
        for L, marker in zip(STEPS, "o^s", strict=True):
            mine = part(ladder, local_steps=L)
            ax.plot(
                mine["lr_steps_smoothness"],
                mine["offset"],
                linestyle="",
                marker=marker,
                markersize=4,
                markerfacecolor="none",
                color=colour,
                label=f"{name}, L = {L}",
            )
        order = np.argsort(ladder["lr_steps_smoothness"])
        size, predicted = ladder["lr_steps_smoothness"][order], ladder["predicted"][order]
        ax.plot(size, predicted, **figures.GUIDE)
    ax.lines[-1].set_label("predicted")
    return ax


EXPERIMENT = NotSeparable()
