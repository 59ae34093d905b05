"""E4: how the heterogeneity of the clients changes the rate."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

import localgd as lg

from .. import figures, rows
from ..columns import Columns, columns, part
from ..context import Context
from ..experiment import Experiment
from ..intervals import Estimate, magnitude, median, worst
from ..measured import Measured, largest
from ..reaching import angle_at, rounds_to
from ..words import read

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

    words = read(__file__, M=M, n=n, d=d, L=L, displacement=DISPLACEMENT, per_class=PER_CLASS)

    def parameters(self, context: Context) -> Mapping[str, Any]:
        """Degrees of each kind, and how many seeds."""
        return {
            "alphas": ", ".join(f"{a:g}" for a in _alphas(context)),
            "shifts": ", ".join(f"{h:g}" for h in _shifts(context)),
            "angles": ", ".join(f"{a:g}°" for a in _between(context)),
            "kind": context.pick("scikit-learn's 8×8 digits", "MNIST"),
            "draws": rows.draws(_seeds(context)),
        }

    def measure(self, context: Context) -> Measured:
        """Rounds to each angle at every degree, for every kind and seed."""
        shift = self._kind(context, "feature shift", _shifts(context), _shifted)
        between = self._kind(context, "angle between clients", _between(context), _apart)
        real = self.own_or(
            context, _dealt_anew, lambda: _dealing(context), rows.digits_name(context)
        )
        skew = self._skew(context, real.used, real.name)
        synthetic = _joined([shift, between])
        shares, equal = part(skew, equal=0), part(skew, equal=1)
        told = explained([synthetic, skew])
        holders = worst(
            magnitude(gap) for kind in (shift, between) for gap in _over_seeds(kind, "holders")
        )
        by_shares = worst(magnitude(gap) for gap in _against_last(shares))
        by_equal = _against_last(equal)[0]
        return Measured(
            numbers={
                "worst_fall": largest([*synthetic["fall"], *skew["fall"]]),
                "worst_spread_percent": largest(synthetic["spread_percent"]),
                "worst_holder_decades": holders,
                "holder_factor": holders.map(lambda decades: 10**decades),
                "worst_skew_decades": by_shares,
                "skew_factor": by_shares.map(lambda decades: 10**decades),
                "equal_weights_decades": by_equal,
                "shift_decades": _last_against_first(shift),
                "between_decades": _last_against_first(between),
                "most_shift": _shifts(context)[-1],
                "widest_angle": _between(context)[-1],
                "worst_gd_gap_decades": _worst_gap([synthetic, skew]),
                "synthetic_correlation": _correlation(synthetic),
                "real_correlation": _correlation(equal),
                **{
                    f"synthetic_{name}": worst(
                        angle for kind in (shift, between) for angle in _over_seeds(kind, name)
                    )
                    for name in ("angle_4_deg", "angle_6_deg")
                },
                **{f"{name}_r2": row["r2"] for name, row in told.items()},
                **{f"{name}_error_decades": row["error"] for name, row in told.items()},
                "best": max(QUANTITIES, key=lambda name: told[name]["fitted_r2"]),
            },
            series={
                "feature_shift": shift,
                "angle_between": between,
                "label_skew": skew,
                "explained": columns([{"quantity": name, **row} for name, row in told.items()]),
            },
            tables=[
                self.table(
                    "explained", [{"name": QUANTITIES[name], **row} for name, row in told.items()]
                ),
                self.table("skew", _by_degree(shares), weights="p_i = n_i/N"),
                self.table("skew", _by_degree(equal), weights="p_i = 1/M"),
                self.table("shift", _by_degree(shift)),
                self.table("between", _by_degree(between)),
            ],
            notes=_missing(real.name, skew),
            **real.told,
        )

    def _kind(
        self,
        context: Context,
        name: str,
        degrees: Sequence[float],
        make: Callable[[float, int], lg.Problem],
    ) -> dict[str, np.ndarray]:
        """Every degree and seed of a kind, with its rows as dealt and shuffled."""
        found = []
        for degree in context.each(f"{name} ", degrees):
            for seed in _seeds(context):
                problem = make(degree, seed)
                best = lg.reference.max_margin(problem)
                dealt = self._rounds(context, problem, best)
                control = self._rounds(context, self.control(problem, seed), best)
                one = {"degree": degree, "seed": seed, **dealt}
                one |= {f"shuffled {c}": control[c] for c in ("angle_6_deg", *DECADES)}
                one |= _explaining(context, problem, best)
                found.append(one | {"holders": dealt["decades 5°"] - control["decades 5°"]})
        return columns(found)

    def _skew(
        self, context: Context, deal: Callable[..., lg.Problem], name: str
    ) -> dict[str, np.ndarray]:
        """Every α, weighting and seed on the real rows."""
        found = []
        for alpha in context.each(f"{name}, α = ", _alphas(context)):
            for seed in _seeds(context):
                for equal, weights in enumerate(("samples", "equal")):
                    problem = deal(scheme=lg.Dirichlet(alpha), seed=seed, weights=weights)
                    best = lg.reference.max_margin(problem)
                    one = {"degree": alpha, "seed": seed, "equal": equal}
                    one |= self._rounds(context, problem, best)
                    found.append(one | _explaining(context, problem, best))
        return columns(found)

    def _rounds(self, context: Context, problem: lg.Problem, best: Any) -> dict[str, float]:
        """log10 of the rounds to each angle."""
        lr = _rate(problem)
        run = context.fast_forward(
            problem, self.method(L, lr), rounds=FAR, loss="exponential", reference=best
        ).raise_for_status()
        k, angle = run.history["round"], np.degrees(run.history["angle"])
        late = k >= LATE
        product = angle[late] * np.log(lr * L * k[late])
        return {
            "fall": float(angle[-1] / angle[late][0]),
            "spread_percent": float(100 * np.ptp(product) / (product.max() + product.min())),
            **{f"decades {a:g}°": float(np.log10(rounds_to(k, angle, a))) for a in ANGLES},
            **{f"angle_{n}_deg": angle_at(run, 10.0**n) for n in (4, 6)},
        }

    def draw(self, measured: Measured) -> Mapping[str, Any]:
        """Angles against each degree of heterogeneity; measured against explained rounds."""
        shift, between = measured.series["feature_shift"], measured.series["angle_between"]
        skew = measured.series["label_skew"]
        return {
            "explained": _draw_explained({"synthetic": _joined([shift, between]), "real": skew}),
            "skew": _draw_skew(skew),
            "shift": _draw_holders(shift, "Shift h, in row lengths"),
            "between": _draw_holders(between, "Angle between the clients' $u_i$ (°)"),
        }


# Numbers of a problem that may explain log k to 5°, by their columns.
QUANTITIES = {
    "local_angle_deg": "mean angle between the clients' own max-margin directions",
    "inverse_margin": "‖ŵ‖, one over the margin",
    "predicted_decades": "C/angle - log(ηL), C = ‖ρ_S across ŵ‖/‖ŵ‖",
    "with_along": "the same with ρ_S along ŵ",
    "by_gd": "rounds of GD on the pooled rows (L = 1), over L",
}
DECADES = tuple(f"decades {a:g}°" for a in ANGLES)


def _alphas(context: Context) -> tuple[float, ...]:
    return context.pick((0.05, 1.0, 100.0), (0.05, 0.1, 0.3, 1.0, 10.0, 100.0))


def _shifts(context: Context) -> tuple[float, ...]:
    return context.pick((0.0, 1.0, 4.0), (0.0, 0.5, 1.0, 2.0, 4.0))


def _between(context: Context) -> tuple[float, ...]:
    return context.pick((0.0, 50.0, 100.0), (0.0, 25.0, 50.0, 75.0, 100.0))


def _seeds(context: Context) -> range:
    return context.seeds(quick=2)


def _rate(problem: lg.Problem) -> float:
    return 1.0 / float(np.max(np.sum(problem.X**2, axis=1)))


def _explaining(context: Context, problem: lg.Problem, best: Any) -> dict[str, float]:
    """What may explain the rounds to 5°, by the names of QUANTITIES."""
    lr = _rate(problem)
    gd = context.fast_forward(
        problem, lg.GD(lr), rounds=FAR, loss="exponential", reference=best
    ).raise_for_status()
    gd_rounds = rounds_to(gd.history["round"], np.degrees(gd.history["angle"]), ANGLES[-1])
    return {
        "local_angle_deg": float(np.degrees(lg.analysis.heterogeneity(problem).mean_pairwise)),
        "inverse_margin": 1 / best.margin,
        **by_residual(lg.reference.asymptote(problem, best), lr * L),
        "by_gd": float(np.log10(gd_rounds / L)),
    }


def by_residual(limit: Any, rate: float) -> dict[str, float]:
    """log10 of the rounds to 5° by ρ_S across ŵ, and by all of ρ_S.

    ``tan(angle) = ‖ρ_S across ŵ‖ / (‖ŵ‖ log τ + ρ_S·ŵ/‖ŵ‖)``,  ``τ = ηLk``
    """
    size = float(np.linalg.norm(limit.weights))
    along = float(limit.rho @ limit.weights) / size
    across = np.sqrt(max(float(limit.rho @ limit.rho) - along**2, 0.0))
    angle = np.radians(ANGLES[-1])
    logs = {
        "predicted_decades": across / size / angle,
        "with_along": (across / np.tan(angle) - along) / size,
    }
    return {name: float((log - np.log(rate)) / np.log(10)) for name, log in logs.items()}


def explained(kinds: Sequence[Columns]) -> dict[str, dict[str, float]]:
    """How well log10 k to 5° = a + b · quantity, fitted on every second seed, tells the others."""
    table = _joined(kinds)
    reached = np.isfinite(table["decades 5°"]) & np.isfinite(table["by_gd"])
    fitted = table["seed"] % 2 == table["seed"].min() % 2
    found = {}
    for name in QUANTITIES:
        x, y = table[name], table["decades 5°"]
        half, other = reached & fitted, reached & ~fitted
        line = np.polynomial.Polynomial.fit(x[half], y[half], 1)
        gap = y - line(x)
        found[name] = {
            "fitted_r2": _r2(gap[half], y[half]),
            "r2": _r2(gap[other], y[other]),
            "error": float(np.sqrt(np.mean(gap[other] ** 2))),
            "slope": float(line.convert().coef[1]),
        }
    return found


def _r2(gap: np.ndarray, y: np.ndarray) -> float:
    return float(1 - np.mean(gap**2) / np.var(y))


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


def _dealing(context: Context) -> Callable[..., lg.Problem]:
    """Draws digits and deals them to ten clients."""
    return partial(rows.digits, context, per_class=PER_CLASS)


def _dealt_anew(own: lg.Problem) -> Callable[..., lg.Problem]:
    """Deals the user's rows to ten clients."""
    rows.separable(own)
    if own.n_samples < 10:
        raise ValueError("they are fewer than the 10 clients")
    return partial(lg.partition, own.X, own.y, n_clients=10)


def _joined(kinds: Sequence[Columns]) -> dict[str, np.ndarray]:
    """One table of the columns that all have."""
    shared = [name for name in kinds[0] if all(name in kind for kind in kinds)]
    return {name: np.concatenate([kind[name] for kind in kinds]) for name in shared}


def _over_seeds(kind: Columns, column: str) -> list[Estimate]:
    """Medians over the seeds of each degree, degrees ascending."""
    return [median(kind[column][kind["degree"] == degree]) for degree in np.unique(kind["degree"])]


def _against_last(kind: Columns) -> list[Estimate]:
    """Decades to 5° more than at the last degree, seed by seed."""
    degrees = np.unique(kind["degree"])
    last = part(kind, degree=degrees[-1])["decades 5°"]
    return [median(part(kind, degree=d)["decades 5°"] - last) for d in degrees]


def _last_against_first(kind: Columns) -> Estimate:
    """Decades to 5° at the last degree more than at the first, seed by seed."""
    first, last = (part(kind, degree=end(kind["degree"]))["decades 5°"] for end in (np.min, np.max))
    return median(last - first)


def _worst_gap(kinds: Sequence[Columns]) -> float:
    """The largest distance of log10 k to 5° to that of GD over L, of all runs that reach 5°."""
    table = _joined(kinds)
    gap = np.abs(table["decades 5°"] - table["by_gd"])
    reached = gap[np.isfinite(gap)]
    return float(reached.max()) if len(reached) else float("nan")


def _correlation(kind: Columns) -> float:
    return float(np.corrcoef(kind["predicted_decades"], kind["decades 5°"])[0, 1])


def _by_degree(kind: Columns) -> list[dict[str, Any]]:
    """Of each degree, ascending: medians over seeds."""
    names = ("local_angle_deg", "angle_4_deg", "angle_6_deg", "predicted_decades", *DECADES)
    found = {name: _over_seeds(kind, name) for name in names if name in kind}
    if "holders" in kind:
        found["holders"] = [gap.map(lambda d: 10**d) for gap in _over_seeds(kind, "holders")]
    return [
        {
            "degree": degree,
            **{name.removesuffix("°").replace(" ", "_"): v[i] for name, v in found.items()},
            "to_10": _power(found["decades 10°"][i].value),
            "to_5": _power(found["decades 5°"][i].value),
            "by_rho": _power(found["predicted_decades"][i].value),
        }
        for i, degree in enumerate(np.unique(kind["degree"]))
    ]


def _missing(name: str, skew: Columns) -> list[str]:
    missing = int(np.isnan(skew["decades 5°"]).sum())
    return [f"{missing} runs on {name} do not reach 5° in 10^100 rounds."] if missing else []


def _power(decades: float) -> str:
    if np.isnan(decades):
        return "never"
    return f"{10**decades:,.0f}" if decades < 4 else f"10^{decades:.1f}"


def _bars(ax: Any, kind: Columns, column: str, **style: Any) -> None:
    """Medians over the seeds as a line, their intervals as bars."""
    found = np.array(_over_seeds(kind, column))
    bars = np.maximum([found[:, 0] - found[:, 1], found[:, 2] - found[:, 0]], 0.0)
    ax.errorbar(
        np.unique(kind["degree"]),
        found[:, 0],
        yerr=bars,
        capsize=2,
        elinewidth=0.7,
        markersize=3.5,
        **style,
    )


SOLID: Mapping[str, Any] = {"linestyle": "-", "marker": "o", "color": figures.COLOURS[0]}
DASHED: Mapping[str, Any] = {
    "linestyle": "--",
    "marker": "s",
    "markerfacecolor": "none",
    "color": figures.COLOURS[1],
}
SHOWN_ANGLE = "angle_6_deg"


def _draw_holders(kind: Columns, x: str) -> Any:
    ax = figures.panel(
        x=x, y="Angle to ŵ after $10^6$ rounds (°)", xscale="linear", yscale="linear"
    )
    _bars(ax, kind, SHOWN_ANGLE, label="as dealt", **SOLID)
    _bars(ax, kind, f"shuffled {SHOWN_ANGLE}", label="shuffled", **DASHED)
    ax.set_ylim(bottom=0)
    return ax


def _draw_skew(skew: Columns) -> Any:
    ax = figures.panel(
        x="Dirichlet α (left: more heterogeneous)",
        y="Angle to ŵ after $10^6$ rounds (°)",
        yscale="linear",
    )
    for equal, (style, label) in enumerate(((SOLID, "$p_i = n_i/N$"), (DASHED, "$p_i = 1/M$"))):
        _bars(ax, part(skew, equal=equal), SHOWN_ANGLE, label=label, **style)
    ax.set_ylim(bottom=0)
    return ax


def _draw_explained(kinds: Mapping[str, Columns]) -> Any:
    """Measured rounds to 5° beside those of GD and those by ρ_S."""
    ax = figures.panel(
        x="Explained log$_{10}$ k",
        y="Measured log$_{10}$ k to 5°",
        xscale="linear",
        yscale="linear",
    )
    series = [
        (kind, column, label)
        for kind in kinds
        for column, label in (("by_gd", "GD on pooled rows"), ("with_along", r"by $\rho_S$"))
    ]
    for (kind, column, label), colour, marker in zip(series, figures.COLOURS, "osDv", strict=False):
        ax.plot(
            kinds[kind][column],
            kinds[kind]["decades 5°"],
            linestyle="",
            marker=marker,
            markersize=3,
            markerfacecolor="none",
            color=colour,
            label=f"{kind}, {label}",
        )
    every = np.concatenate([kind["decades 5°"] for kind in kinds.values()])
    ends = [np.nanmin(every), np.nanmax(every)]
    ax.plot(ends, ends, **figures.GUIDE)
    return ax


EXPERIMENT = Heterogeneity()
