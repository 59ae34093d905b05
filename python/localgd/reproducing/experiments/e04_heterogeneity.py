"""E4: how the heterogeneity of the clients changes the rate."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

import localgd as lg

from .. import figures, sources
from ..context import Context
from ..experiment import Condition, Experiment, Measured, Numbers, Picture, Table
from ..reaching import rounds_to
from ..real_rows import about, zeros_and_ones

ANGLES = (20.0, 10.0, 5.0)  # degrees
FAR, LATE = 1e100, 1e50
PER_CLASS = 50
L = 100
DISPLACEMENT = 2.0  # of the signed rows, where the angle between clients is set
M, n, d = 5, 10, 100


@dataclass(frozen=True)
class Heterogeneity(Experiment):
    """Rounds to 20°, 10° and 5° at several degrees of three kinds of heterogeneity.

    ``method`` makes the method of L local steps with learning rate η; ``control`` deals the rows
    of a problem anew, from a seed.
    """

    method: Callable[[int, float], Any] = lambda L, lr: lg.LocalGD(local_steps=L, lr=lr)
    control: Callable[[lg.Problem, int], lg.Problem] = lambda problem, seed: shuffled(problem, seed)

    id = "E4"
    title = "The degree of heterogeneity, and the rate"
    question = (
        "How does the degree of heterogeneity (label skew, feature shift, the angle between the "
        "clients' own max-margin directions) change the rate?"
    )
    claim = (
        "Prediction: at every degree the angle falls like C/log(ηLk), only the constant changes. "
        "C = ‖ρ across ŵ‖/‖ŵ‖, and ρ_S, the main part of ρ, is set by the pooled rows and their "
        "weights c_j = p_i/n_i, not by who holds them. So, for the same rows with the same "
        "weights, who holds them changes the rounds to an angle by a bounded factor. What does "
        "change them, and by decades (k = e^(C/angle)/(ηL)), is heterogeneity that makes the "
        "pooled problem another one: shifted rows, or p_i = 1/M on clients of unequal sizes, "
        "which gives the rows of small clients large weights."
    )
    open = True
    sources = (sources.LOCAL_GD, sources.IMPLICIT_BIAS)
    criterion = (
        Condition(
            "the same law: from 10^50 to 10^100 rounds the angle falls to 0.9 of what it was or "
            "less at every degree, where 1/log(ηLk) asks for 0.5 (all runs)",
            "worst_fall",
            "<=",
            0.9,
        ),
        Condition(
            "the same law: over these decades angle · log(ηLk) is constant to ± 5 % at every "
            "degree (synthetic rows)",
            "worst_spread_percent",
            "<",
            5.0,
            unit="%",
        ),
        Condition(
            "who holds the rows: at every degree the rounds to 5° are within a factor of 10 of "
            "those with the same rows shuffled among the clients (synthetic rows, median over "
            "seeds)",
            "worst_holder_decades",
            "<",
            1.0,
            unit="decades",
        ),
        Condition(
            "label skew with p_i = n_i/N: at every α the rounds to 5° are within a factor of 10 of "
            "those at α = 100 (real rows, median over seeds)",
            "worst_skew_decades",
            "<",
            1.0,
            unit="decades",
        ),
        Condition(
            "label skew with p_i = 1/M: the smallest α takes over 10 times the rounds to 5° of "
            "α = 100 (real rows, median over seeds)",
            "equal_weights_decades",
            ">",
            1.0,
            unit="decades",
        ),
        Condition(
            "predicted: over all runs on synthetic rows log k to 5° correlates to 0.9 or more "
            "with C/angle - log(ηL), C from ρ_S alone",
            "synthetic_correlation",
            ">=",
            0.9,
        ),
        Condition(
            "predicted: and so it does over all runs on the real rows with p_i = 1/M",
            "real_correlation",
            ">=",
            0.9,
            otherwise="On the real rows ρ_S alone does not tell which deal is slow.",
        ),
    )
    limits = (
        "Where ρ_S alone does not tell the rounds to 5°, the part of ρ outside the support rows' "
        "span, and ρ_k on its way to ρ_S, count as well; at some degrees the constant of "
        "1/log(ηLk) is still on its way at 10^100 rounds.",
        "The condition on the fall from 10^50 to 10^100 rounds was added after the first numbers, "
        "with the limit that E1 has for real rows.",
        "Separable rows, where every client agrees with ŵ; on rows that are not separable "
        "heterogeneity also moves the limit (E7).",
        "L = 100 throughout; with larger L the part of ρ outside the support rows' span, which "
        "the holders do set, grows (E2, E12).",
        "Rounds beyond the first hundreds are integrated by lg.fast_forward. Nobody waits for "
        "most of them: within 10^4 rounds only the columns of 20° and 10° are reached at all.",
        "Shifted and shuffled rows are separable by construction; a shift after labelling "
        "(lg.FeatureShift) may make them not so.",
    )
    tasks = ("binary",)
    code = """\
import numpy as np
import localgd as lg

X, y = lg.datasets.load_digits(classes=(0, 1))
X, y = X[:100], y[:100]
for weights in ("samples", "equal"):
    for alpha in (0.05, 100):
        problem = lg.partition(X, y, n_clients=10, scheme=lg.Dirichlet(alpha), seed=1,
                               weights=weights)
        best = lg.reference.max_margin(problem)
        far = lg.fast_forward(problem, lg.LocalGD(local_steps=100, lr=1.0), rounds=1e100,
                              loss="exponential", reference=best)
        k = far.history["round"][1:][np.degrees(far.history["angle"][1:]) <= 5][0]
        print(f"p_i {weights}, α = {alpha}: 5° after {k:.1e} rounds")
"""

    def setting(self, context: Context) -> Mapping[str, str]:
        """Data, M, n, d, methods, rounds, seeds."""
        alphas = ", ".join(f"{a:g}" for a in _alphas(context))
        shifts = ", ".join(f"{h:g}" for h in _shifts(context))
        angles = ", ".join(f"{a:g}°" for a in _between(context))
        synthetic = f"M = {M} clients, n = {n} rows each, d = {d} features"
        return {
            "label skew": f"{about(context, PER_CLASS)}; M = 10 clients by Dirichlet(α), α = "
            f"{alphas}; p_i = n_i/N, and p_i = 1/M; your own rows in their place with --data",
            "feature shift": f"lg.datasets.make_separable, {synthetic}; the rows of client i "
            f"displaced by h u_i before labelling, u_i random unit vectors, h = {shifts}",
            "angle between clients": f"{synthetic}; signed rows y_ij x_ij = g_ij + {DISPLACEMENT:g}"
            f" u_i, g_ij ~ N(0, I/d), all angles between the u_i set to {angles}",
            "control": "of shifted rows: the same rows and labels, shuffled among the clients",
            "method": f"Local-GD, L = {L}, η = 1/max ‖x_ij‖², w_0 = 0, exponential loss",
            "rounds": "10^100 by lg.fast_forward",
            "seeds": f"{_seeds(context)} for each degree, from {1 + context.seed} on: of rows, "
            "displacements, deals",
        }

    def measure(self, context: Context) -> Measured:
        """Rounds to each angle at every degree, for every kind and seed."""
        shift = self._kind(context, "feature shift", _shifts(context), _shifted)
        between = self._kind(context, "angle between clients", _between(context), _apart)
        skew, name, notes = self._skew(context)
        synthetic = {c: np.concatenate([shift[c], between[c]]) for c in shift}
        decades = [_median_of(part, "holders_decades") for part in (shift, between)]
        shares = {c: v[skew["equal"] == 0] for c, v in skew.items()}
        equal = {c: v[skew["equal"] == 1] for c, v in skew.items()}
        by_shares = _median_of(shares, "decades 5°")
        by_equal = _median_of(equal, "decades 5°")
        return Measured(
            numbers={
                "worst_fall": float(np.max(np.concatenate([synthetic["fall"], skew["fall"]]))),
                "worst_spread_percent": float(np.max(synthetic["spread_percent"])),
                "worst_holder_decades": float(np.max(np.abs(np.concatenate(decades)))),
                "worst_skew_decades": float(np.max(np.abs(by_shares - by_shares[-1]))),
                "equal_weights_decades": float(by_equal[0] - by_equal[-1]),
                "synthetic_correlation": _correlation(synthetic),
                "real_correlation": _correlation(equal),
                "shift_decades": float(np.ptp(_median_of(shift, "decades 5°"))),
                "between_decades": float(np.ptp(_median_of(between, "decades 5°"))),
            },
            series={"feature_shift": shift, "angle_between": between, "label_skew": skew},
            tables=[
                _table("Label skew, p_i = n_i/N: rounds, median over seeds (range)", "α", shares),
                _table("Label skew, p_i = 1/M: rounds, median over seeds (range)", "α", equal),
                _table("Feature shift: rounds, median over seeds (range)", "h", shift),
                _table(
                    "Angle between clients: rounds, median over seeds (range)",
                    "angle between u_i",
                    between,
                ),
            ],
            notes=[*notes, *_missing(name, skew)],
        )

    def _kind(
        self,
        context: Context,
        name: str,
        degrees: Sequence[float],
        make: Callable[[float, int], lg.Problem],
    ) -> dict[str, np.ndarray]:
        """Every degree and seed of a kind, with its rows as dealt and shuffled."""
        rows = []
        for degree in degrees:
            for seed in range(1 + context.seed, 1 + context.seed + _seeds(context)):
                context.status(f"{name} {degree:g}, seed {seed}")
                problem = make(degree, seed)
                dealt = self._rounds(context, problem)
                control = self._rounds(context, self.control(problem, seed))
                gap = dealt["decades 5°"] - control["decades 5°"]
                own = {f"shuffled {key}": control[key] for key in ("local_angle_deg", *DECADES)}
                rows.append({"degree": degree, "seed": seed, **dealt, **own})
                rows[-1]["holders_decades"] = gap
        return {column: np.array([row[column] for row in rows]) for column in rows[0]}

    def _skew(self, context: Context) -> tuple[dict[str, np.ndarray], str, list[str]]:
        """Every α, weighting and seed on the real rows."""
        rows = []
        own, notes = _own(context)
        name = "your own rows" if own is not None else context.pick("digits", "MNIST")
        for alpha in _alphas(context):
            for seed in range(1 + context.seed, 1 + context.seed + _seeds(context)):
                for equal, weights in enumerate(("samples", "equal")):
                    context.status(f"{name}, α = {alpha:g}, p_i by {weights}, seed {seed}")
                    scheme = lg.Dirichlet(alpha)
                    if own is None:
                        problem = zeros_and_ones(
                            context, PER_CLASS, scheme, seed=seed, weights=weights
                        )
                    else:
                        problem = lg.partition(
                            own.X, own.y, n_clients=10, scheme=scheme, seed=seed, weights=weights
                        )
                    found = self._rounds(context, problem)
                    rows.append({"degree": alpha, "seed": seed, "equal": equal, **found})
        return {c: np.array([row[c] for row in rows]) for c in rows[0]}, name, notes

    def _rounds(self, context: Context, problem: lg.Problem) -> dict[str, float]:
        """log10 of the rounds to each angle, what ρ_S predicts, and how far clients disagree."""
        best = lg.reference.max_margin(problem)
        lr = 1.0 / float(np.max(np.sum(problem.X**2, axis=1)))
        run = context.fast_forward(
            problem, self.method(L, lr), rounds=FAR, loss="exponential", reference=best
        ).raise_for_status()
        k, angle = run.history["round"], np.degrees(run.history["angle"])
        late = k >= LATE
        product = angle[late] * np.log(lr * L * k[late])
        # Where η L k = e the logarithm is 1, and the angle is C.
        constant = lg.reference.asymptote(problem, best).angle(np.e, lr=1.0)
        log_k = constant / np.radians(ANGLES[-1]) - np.log(lr * L)
        return {
            "local_angle_deg": float(np.degrees(lg.analysis.heterogeneity(problem).mean_pairwise)),
            "predicted_constant": constant,
            "predicted_decades": float(log_k / np.log(10)),
            "fall": float(angle[-1] / angle[late][0]),
            "spread_percent": float(100 * np.ptp(product) / (product.max() + product.min())),
            **{f"decades {a:g}°": float(np.log10(rounds_to(k, angle, a))) for a in ANGLES},
        }

    def finding(self, numbers: Numbers) -> str:
        """The summary's sentence."""
        return (
            "Who holds the same rows changes the rounds to 5° by a factor of at most "
            f"{10 ** numbers['worst_holder_decades']:.1f} (synthetic rows) and "
            f"{10 ** numbers['worst_skew_decades']:.1f} (label skew, p_i = n_i/N); with p_i = 1/M "
            f"the most skewed labels take {numbers['equal_weights_decades']:.1f} decades more."
        )

    def pictures(self, measured: Measured) -> Sequence[Picture]:
        """Rounds to each angle against each degree of heterogeneity."""
        shift, between = measured.series["feature_shift"], measured.series["angle_between"]
        bars = "Medians over the seeds; bars: all seeds. Where no dashed line is seen it lies on "
        bars += "the solid one."
        holders = ("as dealt", "shuffled")
        return [
            Picture(
                "skew",
                f"Label skew on real rows: rounds to 20°, 10° and 5°. {bars}",
                _draw_skew(measured.series["label_skew"]),
            ),
            Picture(
                "shift",
                "Feature shift: rounds with the rows as dealt, and with the same rows shuffled "
                f"among the clients. {bars}",
                _draw_holders(shift, "Shift h, in row lengths", holders),
            ),
            Picture(
                "between",
                "Angle between the displacements of the clients: rounds with the rows as dealt, "
                f"and with the same rows shuffled among the clients. {bars}",
                _draw_holders(between, "Angle between the clients' $u_i$ (°)", holders),
            ),
        ]


DECADES = tuple(f"decades {a:g}°" for a in ANGLES)


def _alphas(context: Context) -> tuple[float, ...]:
    return context.pick((0.05, 1.0, 100.0), (0.05, 0.1, 0.3, 1.0, 10.0, 100.0))


def _shifts(context: Context) -> tuple[float, ...]:
    return context.pick((0.0, 1.0, 4.0), (0.0, 0.5, 1.0, 2.0, 4.0))


def _between(context: Context) -> tuple[float, ...]:
    return context.pick((0.0, 50.0, 100.0), (0.0, 25.0, 50.0, 75.0, 100.0))


def _seeds(context: Context) -> int:
    return context.pick(2, 5)


def _shifted(h: float, seed: int) -> lg.Problem:
    return lg.datasets.make_separable(
        n_clients=M, n_samples=n, n_features=d, seed=seed, heterogeneity=h
    )


def _apart(angle: float, seed: int) -> lg.Problem:
    """Signed rows around one unit vector u_i per client, all of them at one angle."""
    rng = np.random.default_rng(seed)
    g = rng.standard_normal((M * n, d)) / np.sqrt(d)
    frame = np.linalg.qr(rng.standard_normal((d, M)))[0]
    cosine = np.cos(np.radians(angle))
    values, vectors = np.linalg.eigh((1 - cosine) * np.eye(M) + cosine)
    u = (vectors * np.sqrt(np.maximum(values, 0.0))) @ vectors.T @ frame.T
    clients = np.repeat(np.arange(M), n)
    y = np.where(rng.random(M * n) < 0.5, -1.0, 1.0)
    return lg.Problem.from_arrays((g + DISPLACEMENT * u[clients]) * y[:, None], y, clients)


def shuffled(problem: lg.Problem, seed: int) -> lg.Problem:
    """The same rows and labels, and the same sizes, in other hands."""
    clients = np.repeat(np.arange(problem.n_clients), problem.sizes)
    dealt = np.random.default_rng([seed, 4]).permutation(clients)
    return lg.Problem.from_arrays(problem.X, problem.y, dealt)


def _own(context: Context) -> tuple[lg.Problem | None, list[str]]:
    own = context.own_problem("binary")
    if own is None:
        return None, []
    if not lg.reference.separability(own).separable:
        return None, ["Your own rows are not used: they are not separable."]
    if own.n_samples < 10:
        return None, ["Your own rows are not used: they are fewer than the 10 clients."]
    return own, ["Your own rows are the real rows; they are dealt anew to 10 clients."]


def _median_of(part: Mapping[str, np.ndarray], column: str) -> np.ndarray:
    """The median over seeds at each degree, degrees ascending."""
    return np.array([np.median(part[column][part["degree"] == x]) for x in _degrees(part)])


def _degrees(part: Mapping[str, np.ndarray]) -> np.ndarray:
    found: np.ndarray = np.unique(part["degree"])
    return found


def _correlation(part: Mapping[str, np.ndarray]) -> float:
    return float(np.corrcoef(part["predicted_decades"], part["decades 5°"])[0, 1])


def _missing(name: str, skew: Mapping[str, np.ndarray]) -> list[str]:
    missing = int(np.isnan(skew["decades 5°"]).sum())
    return [f"{missing} runs on {name} do not reach 5° in 10^100 rounds."] if missing else []


def _power(decades: float) -> str:
    if np.isnan(decades):
        return "never"
    return f"{10**decades:,.0f}" if decades < 4 else f"10^{decades:.1f}"


def _table(caption: str, degree: str, part: Mapping[str, np.ndarray]) -> Table:
    rows = []
    for x in _degrees(part):
        mine = {column: values[part["degree"] == x] for column, values in part.items()}
        row = [f"{x:g}" + ("°" if "angle" in degree else "")]
        row.append(f"{np.median(mine['local_angle_deg']):.0f}°")
        for column in DECADES:
            row.append(_power(float(np.median(mine[column]))))
        row[-1] += f" ({_power(mine['decades 5°'].min())} to {_power(mine['decades 5°'].max())})"
        row.append(_power(float(np.median(mine["predicted_decades"]))))
        if "holders_decades" in mine:
            row.append(f"× {10 ** np.median(mine['holders_decades']):.2f}")
        rows.append(row)
    headings = [degree, "between local directions", "to 20°", "to 10°", "to 5°", "to 5° by ρ_S"]
    if "holders_decades" in part:
        headings.append("5°: dealt over shuffled")
    return Table(caption, headings, rows)


def _bars(ax: Any, part: Mapping[str, np.ndarray], column: str, **style: Any) -> None:
    """Medians over the seeds as a line, ranges as bars."""
    x = _degrees(part)
    decades = [part[column][part["degree"] == degree] for degree in x]
    middle, low, high = (
        10.0 ** np.array([pick(v) for v in decades]) for pick in (np.median, np.min, np.max)
    )
    ax.errorbar(
        x,
        middle,
        yerr=np.maximum([middle - low, high - middle], 0.0),
        capsize=2,
        elinewidth=0.7,
        markersize=3.5,
        **style,
    )


SOLID: Mapping[str, Any] = {"linestyle": "-", "marker": "o"}
DASHED: Mapping[str, Any] = {"linestyle": "--", "marker": "s", "markerfacecolor": "none"}


def _key(ax: Any, names: tuple[str, str]) -> None:
    """Colours are angles, line styles are the two cases."""
    from matplotlib.lines import Line2D

    handles = [
        Line2D([], [], color=colour, label=f"to {angle:g}°")
        for angle, colour in zip(ANGLES, figures.COLOURS, strict=False)
    ]
    for name, style in zip(names, (SOLID, DASHED), strict=True):
        handles.append(Line2D([], [], color="#555555", markersize=3.5, label=name, **style))
    figures.legend(ax, handles)


def _draw_holders(part: Mapping[str, np.ndarray], x: str, names: tuple[str, str]) -> Any:
    ax = figures.panel(x=x, y="Communication rounds", xscale="linear")
    for column, colour in zip(DECADES, figures.COLOURS, strict=False):
        _bars(ax, part, column, color=colour, **SOLID)
        _bars(ax, part, f"shuffled {column}", color=colour, **DASHED)
    _key(ax, names)
    return ax.figure


def _draw_skew(skew: Mapping[str, np.ndarray]) -> Any:
    ax = figures.panel(x="Dirichlet α (left: more heterogeneous)", y="Communication rounds")
    for equal, style in enumerate((SOLID, DASHED)):
        part = {column: values[skew["equal"] == equal] for column, values in skew.items()}
        for column, colour in zip(DECADES, figures.COLOURS, strict=False):
            _bars(ax, part, column, color=colour, **style)
    _key(ax, ("$p_i = n_i/N$", "$p_i = 1/M$"))
    return ax.figure


EXPERIMENT = Heterogeneity()
