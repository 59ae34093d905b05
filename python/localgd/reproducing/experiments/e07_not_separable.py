"""E7: rows that are not separable: both limits, the offset of Local-GD, and what removes it."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

import localgd as lg

from .. import figures, sources
from ..context import Context, weights
from ..experiment import Condition, Experiment, Measured, Numbers, Picture, Table

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

    id = "E7"
    title = "Rows that are not separable: two limits, and the offset of local steps"
    question = (
        "Where does Local-GD go when the rows are separable only in part or not at all, how far "
        "from the minimiser does it stop, and what removes that offset?"
    )
    claim = (
        "Split the rows into the part S that some u separates while it is zero on the rest, and "
        "that rest (Ji & Telgarsky). On span(rest) gradient descent approaches the minimiser v̄ of "
        "the rest's loss, and across it diverges along the max-margin direction ū of the projected "
        "S, with an angle like 1/log k. Our prediction for local steps at constant η: the "
        "direction stays ū; the finite part stops at v̄ + η (L - 1) δ with δ = ½ (∇²f)^-1 Σ p_i "
        "∇²f_i ∇f_i at v̄, to first order in η. So there is none for L = 1 or equal clients, and a "
        "decaying η or SCAFFOLD removes it."
    )
    sources = (sources.LOCAL_GD, sources.NOT_SEPARABLE, sources.SCAFFOLD)
    criterion = (
        Condition(
            "rows separable in part: GD ends within a relative 10^-2 of v̄",
            "mixed_gd_error",
            "<",
            1e-2,
        ),
        Condition(
            "there too the angle to ū falls by at least as much as 1/log(ηLk) over the last two "
            "decades, with GD, Local-GD and SCAFFOLD",
            "mixed_worst_fall",
            "<=",
            1.0,
        ),
        Condition(
            "and Local-GD and SCAFFOLD end at GD's angle to 1 %",
            "mixed_angle_gap_percent",
            "<",
            1.0,
            unit="%",
        ),
        Condition(
            "angle · log(ηLk) changes by less than 10 % over the last decade",
            "mixed_worst_change_percent",
            "<",
            10.0,
            unit="%",
        ),
        Condition(
            "no part separable: with L = 1 the relative distance to v̄ is below 10^-8",
            "single_step_error",
            "<",
            1e-8,
        ),
        Condition(
            "with L = 2, 4, 16 and η (L - 1) H up to 0.1 the offset is η (L - 1) ‖δ‖ to 10 %",
            "worst_offset_error_percent",
            "<",
            10.0,
            unit="%",
        ),
        Condition(
            "with clients that hold equal rows the relative offset is below 10^-8",
            "equal_clients_error",
            "<",
            1e-8,
        ),
        Condition(
            "SCAFFOLD at η = 1/H, L = 10 comes within a relative 10^-8 of v̄",
            "scaffold_error",
            "<",
            1e-8,
        ),
        Condition(
            "η_k = η_0/√(k+1): the distance follows η_k (L - 1) ‖δ‖ to 10 % at the last round",
            "decaying_gap_percent",
            "<",
            10.0,
            unit="%",
        ),
        Condition(
            "real rows: the offset is η (L - 1) ‖δ‖ to 10 % where η (L - 1) H is up to 0.1",
            "real_worst_offset_error_percent",
            "<",
            10.0,
            unit="%",
        ),
    )
    limits = (
        "The angle to ū may still fall faster than 1/log k at these rounds, with GD as with local "
        "steps: then they are too few for that condition. Those that it falls at least as fast and "
        "ends at GD's angle were added after the first numbers.",
        "lg.fast_forward refuses rows of which only a part is separable, so these rounds are taken "
        "one by one: 1/log k is seen over few decades.",
        "The formula of the offset is of first order: at η (L - 1) H = 1 it is shown beside the "
        "measurement, not judged.",
        "A decaying η pays with rounds: on rows that are separable in part the separable rows "
        "disturb the finite part by about 1/Σηk, which is then larger.",
    )
    tasks = ("binary",)
    code = """\
import numpy as np
import localgd as lg

problem = lg.datasets.make_nonseparable(n_clients=5, n_samples=40, n_features=5, seed=1,
                                        flip=0.2, heterogeneity=1.0)
limit = lg.reference.limits(problem, loss="logistic")
H = lg.analysis.smoothness(problem, "logistic")
for L in (1, 2, 4, 16):
    for lr in (0.025 / H, 0.1 / H):
        run = lg.run(problem, lg.LocalGD(local_steps=L, lr=lr), rounds=5000, loss="logistic")
        size, error = lr * (L - 1) * H, limit.finite_error(run.weights)
        print(f"L = {L}, η (L - 1) H = {size:.3f}: relative distance to v̄ {error:.2e}")
"""

    def setting(self, context: Context) -> Mapping[str, str]:
        """Data, M, n, d, methods, rounds, seeds."""
        return {
            "rows separable in part": "32 Gaussian rows with random labels in a subspace of 3 "
            "dimensions, and 8 rows that are separable across it; M = 4, n = 10, d = 12, rotated",
            "no part separable": "lg.datasets.make_nonseparable: M = 5, n = 40, d = 5, 20 % of the "
            "labels flipped, heterogeneity 1",
            "real rows": "scikit-learn's breast cancer, 569 rows, the columns texture, smoothness "
            "and symmetry in standard deviations (with a bias of 0 no part of them is separable); "
            "M = 5 by Dirichlet(1); your own rows in their place with --data",
            "methods": "Local-GD with L = 1, 2, 4, 10, 16, η (L - 1) H = 0.01, 0.1, 1; η = "
            "η_0/√(k+1); SCAFFOLD; logistic loss. H is the smoothness constant",
            "rounds": f"{_mixed_rounds(context):,} on rows separable in part, from w_0 = 0; for "
            "fixed points as many as the curvature asks for, from w_0 = v̄ (L = 1, SCAFFOLD and "
            "decaying η: from 0)",
            "seed": f"{1 + context.seed} for the rows and for dealing them; nothing else is random",
        }

    def measure(self, context: Context) -> Measured:
        """Rows separable in part; then fixed points on rows that are not, made up and real."""
        seed = 1 + context.seed
        numbers: dict[str, Any] = {}
        mixed = self._mixed(context, mixed_rows(seed), numbers)
        problem = _synthetic(seed)
        context.status("offsets, synthetic rows")
        ladder = self._ladder(context, problem)
        numbers["single_step_error"] = self._single_step(context, problem)
        numbers["worst_offset_error_percent"] = _worst(ladder)
        numbers["equal_clients_error"] = self._equal_clients(context, problem)
        decay = self._removal(context, problem, numbers)
        real, name, notes = _real(context)
        context.status(f"offsets, {name}")
        on_real = self._ladder(context, real)
        numbers["real_worst_offset_error_percent"] = _worst(on_real)
        return Measured(
            numbers=numbers,
            series={"mixed": mixed, "offsets": ladder, "decaying": decay, "real_offsets": on_real},
            tables=[
                _mixed_table(mixed),
                _offset_table("Synthetic rows", ladder),
                _offset_table(f"Real rows ({name})", on_real),
            ],
            notes=notes,
        )

    def _mixed(
        self, context: Context, problem: lg.Problem, numbers: dict[str, Any]
    ) -> dict[str, np.ndarray]:
        """Four methods at the same ηL on rows of which a part is separable."""
        limit = lg.reference.limits(problem, loss="logistic")
        lr = 1 / lg.analysis.smoothness(problem, "logistic")
        L = MIXED_STEPS
        methods = {
            "gd": lg.GD(lr=lr),
            "local": self.local(L, lr / L),
            "decaying": self.local(L, lg.Polynomial(lr, 0.5)),
            "scaffold": self.corrected(L, lr / L),
        }
        columns: dict[str, np.ndarray] = {}
        changes, falls = [], []
        for key, method in methods.items():
            context.status(f"rows separable in part, {NAMES[key]}")
            run = context.run(
                problem,
                method,
                rounds=_mixed_rounds(context),
                loss="logistic",
                measures={
                    "finite_error": limit.finite_error,
                    "angle_to_limit": lambda w: limit.angle(w) if w.any() else math.nan,
                },
            )
            k, angle = run.history["round"][1:], run.history["angle_to_limit"][1:]
            columns["round"] = k
            columns[f"{key}_error"] = run.history["finite_error"][1:]
            columns[f"{key}_angle_deg"] = np.degrees(angle)
            late = k >= k[-1] / 10
            if key != "decaying":
                product = angle[late] * np.log(lr * k[late])
                changes.append(100 * np.ptp(product) / product[-1])
                earlier = np.searchsorted(k, k[-1] / 100)
                falls.append(product[-1] / (angle[earlier] * np.log(lr * k[earlier])))
        predicted = (L - 1) * lr / L * relative_offset(problem, limit)
        numbers["mixed_gd_error"] = float(columns["gd_error"][-1])
        numbers["mixed_local_error"] = float(columns["local_error"][-1])
        numbers["mixed_predicted_offset"] = predicted
        numbers["mixed_scaffold_error"] = float(columns["scaffold_error"][-1])
        ends = [columns[f"{key}_angle_deg"][-1] for key in ("local", "scaffold")]
        numbers["mixed_angle_gap_percent"] = float(
            np.max(np.abs(100 * (np.array(ends) / columns["gd_angle_deg"][-1] - 1)))
        )
        numbers["mixed_worst_fall"] = float(np.max(falls))
        numbers["mixed_worst_change_percent"] = float(np.max(changes))
        return columns

    def _ladder(self, context: Context, problem: lg.Problem) -> dict[str, np.ndarray]:
        """Measured and predicted offsets; the size of η (L - 1) H runs fastest."""
        limit = lg.reference.limits(problem, loss="logistic")
        H = lg.analysis.smoothness(problem, "logistic")
        sizes = SIZES if not context.quick else SIZES[1:]
        rows = []
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
                measured = limit.finite_error(weights(run))
                predicted = lr * (L - 1) * relative_offset(problem, limit)
                rows.append((L, lr, size, measured, predicted))
        names = ("local_steps", "lr", "lr_steps_smoothness", "offset", "predicted")
        return dict(zip(names, np.array(rows).T, strict=True))

    def _single_step(self, context: Context, problem: lg.Problem) -> float:
        limit = lg.reference.limits(problem, loss="logistic")
        lr = 1 / lg.analysis.smoothness(problem, "logistic")
        rounds = 2 * settling_rounds(problem, limit, lr)
        run = context.run(problem, self.local(1, lr), rounds=rounds, loss="logistic")
        return limit.finite_error(weights(run))

    def _equal_clients(self, context: Context, problem: lg.Problem) -> float:
        """Every client holds all rows."""
        X, y, M = problem.X, problem.y, problem.n_clients
        equal = lg.Problem([(X, y)] * M)
        limit = lg.reference.limits(equal, loss="logistic")
        L = REMOVAL_STEPS
        lr = 1 / lg.analysis.smoothness(equal, "logistic") / L
        rounds = 2 * settling_rounds(equal, limit, lr * L)
        run = context.run(equal, self.local(L, lr), rounds=rounds, loss="logistic")
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
        runs = {
            "constant": self.local(L, lr),
            "decaying": self.local(L, lg.Polynomial(lr, 0.5)),
            "scaffold": self.corrected(L, lr),
        }
        columns: dict[str, np.ndarray] = {}
        for key, method in runs.items():
            context.status(f"what removes the offset: {key}")
            run = context.run(
                problem,
                method,
                rounds=rounds,
                loss="logistic",
                measures={"finite_error": limit.finite_error},
            )
            columns["round"] = run.history["round"][1:]
            columns[key] = run.history["finite_error"][1:]
        columns["predicted"] = slope * lr / np.sqrt(columns["round"] + 1)
        gap = columns["decaying"][-1] / columns["predicted"][-1] - 1
        numbers["scaffold_error"] = float(columns["scaffold"][-1])
        numbers["constant_error"] = float(columns["constant"][-1])
        numbers["decaying_error"] = float(columns["decaying"][-1])
        numbers["decaying_gap_percent"] = float(100 * abs(gap))
        return columns

    def finding(self, numbers: Numbers) -> str:
        """The summary's sentence."""
        return (
            "Local-GD stops at η(L - 1)‖δ‖ from the minimiser, as predicted to "
            f"{numbers['worst_offset_error_percent']:.1f} % "
            f"({numbers['real_worst_offset_error_percent']:.1f} % on real rows); SCAFFOLD comes to "
            f"{numbers['scaffold_error']:.0e} of it, decaying η to "
            f"{numbers['decaying_error']:.0e} and on."
        )

    def pictures(self, measured: Measured) -> Sequence[Picture]:
        """Both limits on rows separable in part; the offset; what removes it."""
        mixed = measured.series["mixed"]
        finite = figures.panel(x="Communication rounds k", y="‖P w − v̄‖ / ‖v̄‖")
        angle = figures.panel(
            x="Communication rounds k", y="Angle of w − P w to ū (°)", yscale="linear"
        )
        for (key, label), style in zip(NAMES.items(), STYLES, strict=False):
            finite.plot(mixed["round"], mixed[f"{key}_error"], label=label, **style)
            angle.plot(mixed["round"], mixed[f"{key}_angle_deg"], label=label, **style)
        finite.axhline(
            measured.numbers["mixed_predicted_offset"],
            color="#666666",
            linewidth=0.8,
            label="predicted offset",
        )
        figures.legend(finite)
        angle.set_ylim(bottom=0)
        figures.legend(angle)
        removal = figures.panel(x="Communication rounds k", y="‖w − v̄‖ / ‖v̄‖")
        decay = measured.series["decaying"]
        shown = {"constant": "constant η", "decaying": "η/√(k+1)", "scaffold": "SCAFFOLD"}
        for (key, label), style in zip(shown.items(), STYLES[1:], strict=True):
            removal.plot(decay["round"], np.maximum(decay[key], 1e-16), label=label, **style)
        late = decay["round"] >= 30
        removal.plot(decay["round"][late], decay["predicted"][late], label="predicted", **PREDICTED)
        figures.legend(removal)
        return [
            Picture(
                "finite",
                "Rows separable in part, equal ηL: the part in span(rest). GD and SCAFFOLD go on "
                "to v̄; Local-GD at constant η stops at the predicted distance.",
                finite.figure,
            ),
            Picture(
                "angle",
                "Rows separable in part: the diverging part turns to ū whatever the offset. With "
                "decaying η it is as far as the sum of its steps.",
                angle.figure,
            ),
            Picture(
                "offset",
                "No part separable: all fixed points lie on the line predicted from v̄ alone; the "
                "largest steps leave it a little.",
                _draw_offsets(measured),
            ),
            Picture(
                "removal",
                "No part separable, L = 10, η = 1/H: with decaying η the distance follows the "
                "offset of the present η; SCAFFOLD has none (drawn at 10^-16 where it is below).",
                removal.figure,
            ),
        ]


STYLES: Sequence[Mapping[str, Any]] = tuple(
    {"color": colour, "linestyle": line}
    for colour, line in zip(figures.COLOURS, ("-", "--", "-.", ":"), strict=False)
)
PREDICTED: Mapping[str, Any] = {"color": "#666666", "linewidth": 0.8}


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


def _real(context: Context) -> tuple[lg.Problem, str, list[str]]:
    """The user's rows if no part of them is separable, else tumours; their name, and notes."""
    notes = []
    own = context.own_problem("binary")
    if own is not None:
        refusal = _refusal(own)
        if refusal is None:
            return own, "your own", ["Your own rows are the real rows."]
        notes.append(f"Your own rows are not used: {refusal}.")
    X, y = lg.datasets.load_breast_cancer(scale=None)
    X = X[:, [1, 4, 8]]  # texture, smoothness, symmetry: hardly correlated, far from separable
    X = (X - X.mean(axis=0)) / X.std(axis=0)
    X /= np.linalg.norm(X, axis=1).max()
    seed = 1 + context.seed
    return lg.partition(X, y, n_clients=5, scheme=lg.Dirichlet(1.0), seed=seed), "tumours", notes


def _refusal(problem: lg.Problem) -> str | None:
    """Why the fixed points of these rows are not measured."""
    try:
        limit = lg.reference.limits(problem, loss="logistic")
    except ValueError as error:
        return str(error)
    if len(limit.subset):
        return "at least a part of them is separable"
    if not limit.finite_part.any():
        return "their minimiser is 0"
    if relative_offset(problem, limit) < 1e-6:
        return "their clients agree at the minimiser, so no offset is predicted"
    H = lg.analysis.smoothness(problem, "logistic")
    rounds = settling_rounds(problem, limit, SMALL / H)
    if rounds > MOST_ROUNDS:
        return f"Local-GD needs {rounds:,} rounds to settle on them"
    return None


def _worst(ladder: Mapping[str, np.ndarray]) -> float:
    """The largest deviation from the prediction in percent, where it should hold."""
    small = ladder["lr_steps_smoothness"] <= SMALL * (1 + 1e-9)
    gaps = np.abs(ladder["offset"][small] / ladder["predicted"][small] - 1)
    return float(100 * np.max(gaps))


def _mixed_table(mixed: Mapping[str, np.ndarray]) -> Table:
    last = mixed["round"][-1]
    early = int(np.argmin(np.abs(mixed["round"] - last / 100)))
    rows = []
    for key, name in NAMES.items():
        error, angle = mixed[f"{key}_error"], mixed[f"{key}_angle_deg"]
        rows.append(
            [
                name,
                *(f"{error[i]:.1e}" for i in (early, -1)),
                *(f"{angle[i]:.2f}°" for i in (early, -1)),
            ]
        )
    first, end = f"k = {mixed['round'][early]:,.0f}", f"k = {last:,.0f}"
    return Table(
        "Rows separable in part: relative distance of the finite part to v̄, and angle of the "
        "diverging part to ū",
        ["method", f"distance, {first}", end, f"angle, {first}", end],
        rows,
    )


def _offset_table(name: str, ladder: Mapping[str, np.ndarray]) -> Table:
    rows = [
        [f"{L:.0f}", f"{size:g}", f"{offset:.3e}", f"{predicted:.3e}", f"{offset / predicted:.3f}"]
        for L, size, offset, predicted in zip(
            ladder["local_steps"],
            ladder["lr_steps_smoothness"],
            ladder["offset"],
            ladder["predicted"],
            strict=True,
        )
    ]
    return Table(
        f"{name}, no part separable: relative distance of the fixed point to v̄",
        ["L", "η (L - 1) H", "measured", "predicted", "ratio"],
        rows,
    )


def _draw_offsets(measured: Measured) -> Any:
    ax = figures.panel(x="η (L − 1) H", y="‖w − v̄‖ / ‖v̄‖ at the fixed point")
    names = {"offsets": "synthetic", "real_offsets": "real"}
    for (key, name), colour in zip(names.items(), figures.COLOURS, strict=False):
        ladder = measured.series[key]
        for L, marker in zip(STEPS, "o^s", strict=True):
            mine = ladder["local_steps"] == L
            ax.plot(
                ladder["lr_steps_smoothness"][mine],
                ladder["offset"][mine],
                linestyle="",
                marker=marker,
                markersize=4,
                markerfacecolor="none",
                color=colour,
                label=f"{name}, L = {L}",
            )
        order = np.argsort(ladder["lr_steps_smoothness"])
        ax.plot(ladder["lr_steps_smoothness"][order], ladder["predicted"][order], **PREDICTED)
    ax.lines[-1].set_label("predicted")
    figures.legend(ax)
    return ax.figure


EXPERIMENT = NotSeparable()
