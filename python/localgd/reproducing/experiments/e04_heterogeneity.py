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
from ..measured import Measured, largest
from ..reaching import rounds_to
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
            "seeds": len(_seeds(context)),
        }

    def measure(self, context: Context) -> Measured:
        """Rounds to each angle at every degree, for every kind and seed."""
        shift = self._kind(context, "feature shift", _shifts(context), _shifted)
        between = self._kind(context, "angle between clients", _between(context), _apart)
        real = self.own_or(
            context, _dealt_anew, lambda: _dealing(context), rows.digits_name(context)
        )
        name = "your own rows" if real.name == rows.OWN else real.name
        skew = self._skew(context, real.used, name)
        synthetic = {c: np.concatenate([shift[c], between[c]]) for c in shift}
        decades = [_median_of(kind, "holders_decades") for kind in (shift, between)]
        shares, equal = part(skew, equal=0), part(skew, equal=1)
        by_shares, by_equal = (_median_of(kind, "decades 5°") for kind in (shares, equal))
        return Measured(
            numbers={
                "worst_fall": largest([*synthetic["fall"], *skew["fall"]]),
                "worst_spread_percent": largest(synthetic["spread_percent"]),
                "worst_holder_decades": largest(np.abs(np.concatenate(decades))),
                "worst_skew_decades": largest(np.abs(by_shares - by_shares[-1])),
                "equal_weights_decades": float(by_equal[0] - by_equal[-1]),
                "synthetic_correlation": _correlation(synthetic),
                "real_correlation": _correlation(equal),
                "shift_decades": float(np.ptp(_median_of(shift, "decades 5°"))),
                "between_decades": float(np.ptp(_median_of(between, "decades 5°"))),
            },
            series={"feature_shift": shift, "angle_between": between, "label_skew": skew},
            tables=[
                self.table("skew", _by_degree(shares), weights="p_i = n_i/N"),
                self.table("skew", _by_degree(equal), weights="p_i = 1/M"),
                self.table("shift", _by_degree(shift)),
                self.table("between", _by_degree(between)),
            ],
            notes=[*real.notes, *_missing(name, skew)],
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
                dealt = self._rounds(context, problem)
                control = self._rounds(context, self.control(problem, seed))
                shuffled = {f"shuffled {c}": control[c] for c in ("local_angle_deg", *DECADES)}
                gap = dealt["decades 5°"] - control["decades 5°"]
                found.append(
                    {
                        "degree": degree,
                        "seed": seed,
                        **dealt,
                        **shuffled,
                        "holders_decades": gap,
                    }
                )
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
                    reached = self._rounds(context, problem)
                    found.append({"degree": alpha, "seed": seed, "equal": equal, **reached})
        return columns(found)

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

    def finding(self, numbers: Mapping[str, Any]) -> str:
        """The summary's sentence, decades as factors."""
        factors = {
            "holder_factor": 10 ** numbers["worst_holder_decades"],
            "skew_factor": 10 ** numbers["worst_skew_decades"],
        }
        return super().finding({**numbers, **factors})

    def draw(self, measured: Measured) -> Mapping[str, Any]:
        """Rounds to each angle against each degree of heterogeneity."""
        shift, between = measured.series["feature_shift"], measured.series["angle_between"]
        return {
            "skew": _draw_skew(measured.series["label_skew"]),
            "shift": _draw_holders(shift, "Shift h, in row lengths"),
            "between": _draw_holders(between, "Angle between the clients' $u_i$ (°)"),
        }


DECADES = tuple(f"decades {a:g}°" for a in ANGLES)


def _alphas(context: Context) -> tuple[float, ...]:
    return context.pick((0.05, 1.0, 100.0), (0.05, 0.1, 0.3, 1.0, 10.0, 100.0))


def _shifts(context: Context) -> tuple[float, ...]:
    return context.pick((0.0, 1.0, 4.0), (0.0, 0.5, 1.0, 2.0, 4.0))


def _between(context: Context) -> tuple[float, ...]:
    return context.pick((0.0, 50.0, 100.0), (0.0, 25.0, 50.0, 75.0, 100.0))


def _seeds(context: Context) -> range:
    return range(1 + context.seed, 1 + context.seed + context.pick(2, 5))


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
    """Deals the digits to ten clients."""
    return partial(rows.digits, context, per_class=PER_CLASS)


def _dealt_anew(own: lg.Problem) -> Callable[..., lg.Problem]:
    """Deals the user's rows to ten clients."""
    rows.separable(own)
    if own.n_samples < 10:
        raise ValueError("they are fewer than the 10 clients")
    return partial(lg.partition, own.X, own.y, n_clients=10)


def _by_degree(kind: Columns) -> list[dict[str, Any]]:
    """Of each degree, ascending: medians over seeds, and the range of rounds to 5°."""
    found = []
    for degree in np.unique(kind["degree"]):
        mine = part(kind, degree=degree)
        middle = {name: float(np.median(column)) for name, column in mine.items()}
        found.append(
            {
                "degree": degree,
                "local_angle_deg": middle["local_angle_deg"],
                **{f"to_{a:g}": _power(middle[f"decades {a:g}°"]) for a in ANGLES},
                "least": _power(mine["decades 5°"].min()),
                "most": _power(mine["decades 5°"].max()),
                "predicted": _power(middle["predicted_decades"]),
                "holders": 10 ** middle.get("holders_decades", np.nan),
            }
        )
    return found


def _of_degrees(kind: Columns, column: str) -> list[np.ndarray]:
    """All seeds of each degree, degrees ascending."""
    return [kind[column][kind["degree"] == degree] for degree in np.unique(kind["degree"])]


def _median_of(kind: Columns, column: str) -> np.ndarray:
    """The median over seeds at each degree."""
    return np.array([np.median(values) for values in _of_degrees(kind, column)])


def _correlation(kind: Columns) -> float:
    return float(np.corrcoef(kind["predicted_decades"], kind["decades 5°"])[0, 1])


def _missing(name: str, skew: Columns) -> list[str]:
    missing = int(np.isnan(skew["decades 5°"]).sum())
    return [f"{missing} runs on {name} do not reach 5° in 10^100 rounds."] if missing else []


def _power(decades: float) -> str:
    if np.isnan(decades):
        return "never"
    return f"{10**decades:,.0f}" if decades < 4 else f"10^{decades:.1f}"


def _bars(ax: Any, kind: Columns, column: str, **style: Any) -> None:
    """Medians over the seeds as a line, ranges as bars."""
    decades = _of_degrees(kind, column)
    middle, low, high = (
        10.0 ** np.array([pick(v) for v in decades]) for pick in (np.median, np.min, np.max)
    )
    ax.errorbar(
        np.unique(kind["degree"]),
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


def _draw_holders(kind: Columns, x: str) -> Any:
    ax = figures.panel(x=x, y="Communication rounds", xscale="linear")
    for column, colour in zip(DECADES, figures.COLOURS, strict=False):
        _bars(ax, kind, column, color=colour, **SOLID)
        _bars(ax, kind, f"shuffled {column}", color=colour, **DASHED)
    _key(ax, ("as dealt", "shuffled"))
    return ax


def _draw_skew(skew: Columns) -> Any:
    ax = figures.panel(x="Dirichlet α (left: more heterogeneous)", y="Communication rounds")
    for equal, style in enumerate((SOLID, DASHED)):
        for column, colour in zip(DECADES, figures.COLOURS, strict=False):
            _bars(ax, part(skew, equal=equal), column, color=colour, **style)
    _key(ax, ("$p_i = n_i/N$", "$p_i = 1/M$"))
    return ax


EXPERIMENT = Heterogeneity()
