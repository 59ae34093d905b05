"""E6: Local-SGD, its batches, and minibatch SGD at equal compute and communication."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

import localgd as lg

from .. import figures, rows
from ..columns import Columns, columns, part, records
from ..context import Context
from ..crossing import crossover
from ..experiment import Experiment
from ..intervals import Estimate, geometric, least, magnitude, median, worst
from ..measured import Measured, largest
from ..words import read

L = 10
BATCHES = (1, 2, 5)  # of 10 rows
LR = 1.0
REAL_BATCH, REAL_ROUNDS = 4, 1000
ALL = 0  # stands for batches of all rows
TUNED_BATCHES = (4, 32, ALL)  # on rows that are not separable
FLOOR = 1e-12  # of an excess loss, well above rounding
HORIZONS = (10, 50, 300)  # rounds
SPLITS = {"equal": "equal clients", "iid": "dealt at random", "class": "dealt by class"}
CATCH_UP = ("Local-SGD, η", "minibatch SGD, η", "minibatch SGD, Lη")


def _local(lr: float, batch: int | None, replacement: bool) -> Any:
    return lg.LocalSGD(local_steps=L, lr=lr, batch_size=batch, replacement=replacement)


def _minibatch(lr: float, batch: int | None, replacement: bool) -> Any:
    return lg.MinibatchSGD(local_steps=L, lr=lr, batch_size=batch, replacement=replacement)


@dataclass(frozen=True)
class LocalSteps(Experiment):
    """Batches on separable rows; both methods on separable and on other rows.

    ``local`` and ``minibatch`` make the methods of a learning rate, a batch size (None: all rows)
    and whether rows are drawn with replacement.
    """

    local: Callable[[float, int | None, bool], Any] = _local
    minibatch: Callable[[float, int | None, bool], Any] = _minibatch

    words = read(
        __file__, L=L, real_batch=REAL_BATCH, real_rounds=REAL_ROUNDS, most_rounds=HORIZONS[-1]
    )

    def parameters(self, context: Context) -> Mapping[str, Any]:
        """Rounds, seeds, and the grid of step sizes."""
        seeds = _seeds(context)
        return {
            "factor": context.pick(4, 2),
            "rounds": _rounds(context),
            "seeds": len(seeds),
            "first_seed": seeds[0],
            "shares": ", ".join(f"{share:g}" for share in _shares(context)),
            "mixture_rounds": ", ".join(map(str, _mixture_rounds(context))),
        }

    def measure(self, context: Context) -> Measured:
        """Batches; both methods on separable rows; both, tuned, on others; where they cross."""
        problems = [rows.synthetic(seed) for seed in context.seeds()]
        batches = self._batches(context, problems)
        rounds = _rounds(context)
        compared = self._compared(context, problems, "separable rows", (1, 5), rounds)
        real = self.own_or_digits(context, n_clients=5, scheme=lg.Iid())
        on_real = self._compared(context, real.used, real.name, (REAL_BATCH,), REAL_ROUNDS)
        tuned = self._not_separable(context)
        mixtures = self._mixtures(context)
        crossovers = _crossovers(mixtures)
        return Measured(
            numbers=_of_batches(batches)
            | _of_compared(compared, on_real)
            | _of_tuned(tuned)
            | _of_crossovers(mixtures, crossovers),
            series={
                "batches": batches,
                "separable": compared,
                "real": on_real,
                "tuned": tuned,
                "mixtures": mixtures,
                "crossovers": columns(
                    [
                        {"batch": batch, "rounds": rounds, "zeta": zeta.value}
                        | {"low": zeta.low, "high": zeta.high}
                        for (batch, rounds), zeta in crossovers.items()
                    ]
                ),
            },
            tables=[
                self.table("batches", _batch_records(batches), rounds=rounds),
                self._compared_table("Separable rows", compared),
                self._compared_table(f"Real separable rows ({real.name})", on_real),
                self.table("tuned", map(_tuned_record, records(tuned))),
                self._crossover_table(crossovers),
            ],
            **real.told,
        )

    def _batches(self, context: Context, problems: Sequence[lg.Problem]) -> dict[str, np.ndarray]:
        """Angles at the last round for every batch size, with and without replacement.

        One row for each draw of the rows; several draws of the batches on each.
        """
        options: dict[str, Any] = {"rounds": _rounds(context), "loss": "logistic"}

        def last_angle(problem: lg.Problem, method: Any, **more: Any) -> float:
            run = context.run(problem, method, **options, **more)
            return float(np.degrees(run.history["angle"][-1]))

        found = []
        for draw, problem in enumerate(problems, 1):
            best = lg.reference.max_margin(problem)
            wanted = last_angle(problem, self.local(LR, None, False), reference=best)
            for batch in context.each(f"draw {draw}, batches of ", BATCHES):
                for replacement in (True, False):
                    method = self.local(LR, batch, replacement)
                    angles = [
                        last_angle(problem, method, seed=seed, reference=best)
                        for seed in _seeds(context)
                    ]
                    found.append(
                        {
                            "draw": draw,
                            "batch": batch,
                            "replacement": replacement,
                            "angle_deg": np.mean(angles),
                            "scatter_deg": np.std(angles, ddof=1),
                            "local_gd_deg": wanted,
                            "gap_percent": 100 * (np.mean(angles) / wanted - 1),
                        }
                    )
        return columns(found, float)

    def _compared(
        self,
        context: Context,
        problems: Sequence[lg.Problem],
        name: str,
        batches: Sequence[int],
        rounds: int,
    ) -> dict[str, np.ndarray]:
        """Losses and angles of Local-SGD and of minibatch SGD with the steps η and Lη.

        Every seed draws its batches, on the next of the problems.
        """
        bests = [lg.reference.max_margin(problem) for problem in problems]
        found = []
        for batch in context.each(f"{name}, minibatch SGD, batches of ", batches):
            methods = (
                self.local(LR, batch, True),
                self.minibatch(LR, batch, True),
                self.minibatch(L * LR, batch, True),
            )
            for seed in _seeds(context):
                problem, best = problems[seed % len(problems)], bests[seed % len(problems)]
                for kind, method in enumerate(methods):
                    run = context.run(
                        problem,
                        method,
                        rounds=rounds,
                        loss="logistic",
                        seed=seed,
                        reference=best,
                        record=lg.log_spaced(per_decade=5),
                    )
                    k, loss = run.history["round"][1:], run.history["loss"][1:]
                    angle = np.degrees(run.history["angle"][1:])
                    one = {"batch": batch, "seed": seed, "method": kind}
                    found += [
                        one | {"round": k[j], "loss": loss[j], "angle_deg": angle[j]}
                        for j in range(len(k))
                    ]
        return columns(found, float)

    def _not_separable(self, context: Context) -> dict[str, np.ndarray]:
        """Excess losses at the best η of each method, on clients that are alike or not."""
        found = []
        for key, problem in _splits(context).items():
            for batch in context.each(f"not separable, {SPLITS[key]}, batches of ", TUNED_BATCHES):
                found += self._tuned(context, problem, batch, HORIZONS, split=key)
        return columns(found)

    def _mixtures(self, context: Context) -> dict[str, np.ndarray]:
        """The same on clients from equal to of one class, all of the same f."""
        found = []
        for share in context.each("mixtures, share of one class ", _shares(context)):
            problem = rows.mixture(share)
            zeta = disagreement(problem)
            for batch in TUNED_BATCHES:
                horizons = _mixture_rounds(context)
                found += self._tuned(context, problem, batch, horizons, share=share, zeta=zeta)
        return columns(found)

    def _tuned(
        self,
        context: Context,
        problem: lg.Problem,
        batch: int,
        horizons: Sequence[int],
        **place: Any,
    ) -> list[dict[str, Any]]:
        """Both methods at their best η, one record for each number of rounds."""
        lowest = lg.reference.minimizer(problem, loss="logistic").value
        excess = {
            name: np.maximum(self._losses(context, problem, make, batch, horizons) - lowest, FLOOR)
            for name, make in (("local", self.local), ("minibatch", self.minibatch))
        }
        found = []
        for h, rounds in enumerate(horizons):
            ends = {name: values[:, :, h] for name, values in excess.items()}
            best = _at_best(_rates(context), ends)
            found.append({**place, "batch": batch, "rounds": rounds, **best})
        return found

    def _losses(
        self,
        context: Context,
        problem: lg.Problem,
        make: Any,
        batch: int,
        horizons: Sequence[int],
    ) -> np.ndarray:
        """f, shape (rates, seeds, horizons)."""
        unit = 1 / lg.analysis.smoothness(problem, "logistic")
        values: list[np.ndarray] = []
        for rate in _rates(context):
            method = make(rate * unit, batch or None, batch != ALL)
            for seed in _seeds(context) if batch else (context.seed,):  # all rows: nothing random
                run = context.run(
                    problem,
                    method,
                    rounds=horizons[-1],
                    loss="logistic",
                    seed=seed,
                    record=horizons,
                )
                values.append(run.history["loss"][1:])
        return np.array(values).reshape(len(_rates(context)), -1, len(horizons))

    def _crossover_table(self, crossovers: Mapping[tuple[int, int], Estimate]) -> Any:
        """A row for each number of rounds, a column for each batch size."""
        headings = {f"b = {batch or 'all'}": batch for batch in TUNED_BATCHES}
        found = [
            {"rounds": rounds}
            | {heading: f"{crossovers[batch, rounds]:.2g}" for heading, batch in headings.items()}
            for rounds in sorted({rounds for _, rounds in crossovers})
        ]
        return self.table("crossovers", found, more=[(h, f"{{{h}}}") for h in headings])

    def _compared_table(self, name: str, compared: Columns) -> Any:
        last = compared["round"].max()
        found = []
        for batch in np.unique(compared["batch"]):
            for kind, label in enumerate(CATCH_UP):
                ends = part(compared, round=last, batch=batch, method=kind)
                found.append(
                    {
                        "batch": batch,
                        "method": label,
                        "loss": ends["loss"].mean(),
                        "ratio": f"{ratios(compared, int(batch), kind):.2f}" if kind else "1",
                        "angle_deg": ends["angle_deg"].mean(),
                    }
                )
        return self.table("compared", found, name=name, last=last)

    def draw(self, measured: Measured) -> Mapping[str, Any]:
        """Scatter by batch, losses against rounds, and tuned ratios."""
        series = measured.series
        return {
            "batches": _draw_batches(series["batches"]),
            "separable": _draw_compared(series["separable"], 1),
            "real": _draw_compared(series["real"], REAL_BATCH),
            "mixtures": _draw_mixtures(series["mixtures"], ALL),
            "mixtures_noisy": _draw_mixtures(series["mixtures"], TUNED_BATCHES[0]),
            "crossovers": _draw_crossovers(series["crossovers"]),
        }


def _at_best(grid: Sequence[float], ends: Mapping[str, np.ndarray]) -> dict[str, float]:
    """Best rates, excess losses there, and the ratio of these with its interval or bound."""
    chosen = {name: best_rate(values) for name, values in ends.items()}
    random = ends["local"].shape[1] > 1
    judged = {name: ends[name][i, 1::2] if random else ends[name][i] for name, i in chosen.items()}
    ratio = geometric(judged["minibatch"] / judged["local"])
    at_floor = {name: bool((values <= FLOOR).any()) for name, values in judged.items()}
    if at_floor["local"]:  # its excess loss may be smaller still
        ratio = Estimate(ratio.value, ratio.low, math.inf)
    if at_floor["minibatch"]:
        ratio = Estimate(ratio.value, -math.inf, ratio.high)
    return {
        **{f"{name}_rate": grid[i] for name, i in chosen.items()},
        **{name: float(values.mean()) for name, values in judged.items()},
        "ratio": ratio.value,
        "low": ratio.low,
        "high": ratio.high,
    }


def _ratio(row: Mapping[str, Any]) -> Estimate:
    return Estimate(float(row["ratio"]), float(row["low"]), float(row["high"]))


def best_rate(excess: np.ndarray) -> int:
    """The rate of lowest mean over every second seed; ``excess`` has the shape (rates, seeds)."""
    return int(np.argmin(excess[:, 0::2].mean(axis=1)))


def _seeds(context: Context) -> range:
    return range(context.seed, context.seed + context.pick(6, 16))


def _shares(context: Context) -> tuple[float, ...]:
    """How much of a client's rows counts by class: 0 makes clients equal."""
    return context.pick((0.0, 0.02, 0.2, 1.0), (0.0, 0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1.0))


def _mixture_rounds(context: Context) -> tuple[int, ...]:
    return context.pick((10, 20), (5, 10, 15, 20, 30, 100, 300))


def disagreement(problem: lg.Problem) -> float:
    """ζ = (Σ p_i‖∇f_i - ∇f‖²)^½ at the minimiser of f."""
    w = lg.reference.minimizer(problem, loss="logistic").weights
    return math.sqrt(lg.analysis.gradient_alignment(problem, w, "logistic").variance)


def _rounds(context: Context) -> int:
    return context.pick(1000, 10_000)


def _rates(context: Context) -> list[float]:
    """Step sizes in units of 1/H."""
    return [2.0**e for e in range(-8, 3, context.pick(2, 1))]


def _splits(context: Context) -> dict[str, lg.Problem]:
    """Tumours on clients that are alike or not."""
    X, y = rows.tumours()
    schemes = {"iid": lg.Iid(), "class": lg.ByClass(1)}
    if context.quick:
        del schemes["iid"]
    dealt = {
        key: lg.partition(X, y, n_clients=4, scheme=scheme, seed=1 + context.seed)
        for key, scheme in schemes.items()
    }
    return {"equal": lg.Problem([(X, y)] * 4), **dealt}


def ratios(compared: Columns, batch: int, kind: int) -> Estimate:
    """Loss of a kind of minibatch SGD over that of Local-SGD at the last round."""
    ends = part(compared, batch=batch, round=compared["round"].max())
    losses = [part(ends, method=which)["loss"] for which in (0, kind)]
    return geometric(losses[1] / losses[0])


def _each_batch(batches: Columns) -> list[dict[str, np.ndarray]]:
    """The draws of each batch size, with replacement and without."""
    return [
        part(batches, batch=batch, replacement=replacement)
        for batch in np.unique(batches["batch"])
        for replacement in (1.0, 0.0)
    ]


def _of_batches(batches: Columns) -> dict[str, Any]:
    each = _each_batch(batches)
    scatter = [math.sqrt(np.mean(mine["scatter_deg"] ** 2)) for mine in each]
    return {
        "local_gd_angle_deg": median(each[0]["local_gd_deg"]),
        "worst_angle_gap_percent": worst(magnitude(median(mine["gap_percent"])) for mine in each),
        "worst_scatter_ratio": largest(
            without / used for used, without in zip(scatter[::2], scatter[1::2], strict=True)
        ),
    }


def _of_compared(compared: Columns, on_real: Columns) -> dict[str, Any]:
    batches = [int(b) for b in np.unique(compared["batch"])]
    larger = [ratios(compared, b, 2) for b in batches]
    (real,) = (int(b) for b in np.unique(on_real["batch"]))
    return {
        "same_step_ratio": least(ratios(compared, b, 1) for b in batches),
        "larger_step_ratio": larger[0],
        "larger_step_worst_gap_percent": worst(
            magnitude(ratio.map(lambda r: 100 * (r - 1))) for ratio in larger
        ),
        "real_same_step_ratio": ratios(on_real, real, 1),
        "real_larger_step_ratio": ratios(on_real, real, 2),
    }


def _of_tuned(tuned: Columns) -> dict[str, Any]:
    def at(split: str, batch: int, rounds: int) -> Estimate:
        (row,) = records(part(tuned, split=split, batch=batch, rounds=rounds))
        return _ratio(row)

    early, late = HORIZONS[0], HORIZONS[-1]
    noisy = [batch for batch in TUNED_BATCHES if batch != ALL]
    return {
        "equal_early_ratio": at("equal", ALL, early),
        "equal_late_ratio": at("equal", ALL, late),
        "class_early_ratio": at("class", ALL, early),
        "class_late_ratio": at("class", ALL, late),
        "noisy_equal_early_ratio": least(at("equal", b, early) for b in noisy),
        "noisy_class_late_ratio": worst(at("class", b, late) for b in noisy),
    }


def _crossovers(mixtures: Columns) -> dict[tuple[int, int], Estimate]:
    """For each batch size and number of rounds the ζ at which both methods are as good."""
    return {
        (batch, rounds): crossover(part(mixtures, batch=batch, rounds=rounds), "zeta")
        for batch in TUNED_BATCHES
        for rounds in np.unique(mixtures["rounds"]).tolist()
    }


def _of_crossovers(
    mixtures: Columns, crossovers: Mapping[tuple[int, int], Estimate]
) -> dict[str, Any]:
    quiet, noisy = (
        {rounds: zeta for (size, rounds), zeta in crossovers.items() if size == batch}
        for batch in (ALL, TUNED_BATCHES[0])
    )
    first, last = min(quiet), max(quiet)
    of_one_class = part(mixtures, share=1.0, rounds=last)
    strength = [
        magnitude(_ratio(row).map(_log_ratio))
        for row in records(of_one_class)
        if row["batch"] in (TUNED_BATCHES[0], ALL)
    ]
    return {
        "zeta_of_one_class": float(mixtures["zeta"].max()),
        "crossovers": _said(quiet),
        "noisy_crossovers": _said(noisy),
        "crossover_fall": _quotient(quiet[last], quiet[first]),
        "noise_evens": _quotient(*strength),
    }


def _said(crossovers: Mapping[int, Estimate]) -> str:
    """The known ones in words."""
    known = [
        f"{zeta:.2g} after {rounds}"
        for rounds, zeta in crossovers.items()
        if math.isfinite(zeta.low) or math.isfinite(zeta.high)
    ]
    return ", ".join(known) or "unknown"


def _log_ratio(ratio: float) -> float:
    if ratio <= 0:  # of a bound
        return -math.inf
    return math.log10(ratio)


def _quotient(above: Estimate, below: Estimate) -> Estimate:
    """Of two positive numbers, with the ends that their ends allow."""
    if not below.value > 0:
        return Estimate(math.nan, math.nan, math.nan)
    low = above.low / below.high if above.low > 0 and below.high > 0 else -math.inf
    high = above.high / below.low if below.low > 0 else math.inf
    return Estimate(above.value / below.value, low, high)


def _batch_records(batches: Columns) -> list[dict[str, str]]:
    wanted = median(_each_batch(batches)[0]["local_gd_deg"])
    found = [{"size": "all: Local-GD", "how": "–", "gap": "–", "scatter": "0°"}]
    found[0]["angle"] = f"{wanted:.2f}°"
    for mine in _each_batch(batches):
        found.append(
            {
                "size": f"{mine['batch'][0]:.0f}",
                "how": "with" if mine["replacement"][0] else "without",
                "angle": f"{median(mine['angle_deg']):.2f}°",
                "gap": f"{median(mine['gap_percent']):+.2f} %",
                "scatter": f"{median(mine['scatter_deg']):.4f}°",
            }
        )
    return found


def _tuned_record(row: Mapping[str, Any]) -> dict[str, Any]:
    return {
        **row,
        "clients": SPLITS[row["split"]],
        "size": row["batch"] or "all",
        "shown": f"{_ratio(row):.3g}",
    }


def _draw_batches(batches: Columns) -> Any:
    ax = figures.panel(
        x="Batch size b (of 10 rows)",
        y="Angle over that of Local-GD, less 1 (%)",
        xscale="linear",
        yscale="linear",
    )
    for mine in _each_batch(batches):
        replacement = bool(mine["replacement"][0])
        value, low, high = median(mine["gap_percent"])
        first = mine["batch"][0] == BATCHES[0]
        ax.errorbar(
            mine["batch"][0] + (-0.06 if replacement else 0.06),
            value,
            yerr=[[value - low], [high - value]],
            linestyle="",
            marker="o" if replacement else "s",
            markersize=4,
            capsize=3,
            color=figures.COLOURS[0 if replacement else 1],
            label=("with replacement" if replacement else "without") if first else None,
        )
    ax.axhline(0, label="Local-GD", **figures.GUIDE)
    ax.set_xticks(BATCHES)
    return ax


def _draw_compared(compared: Columns, batch: int) -> Any:
    ax = figures.panel(y="Loss")
    for kind, (label, colour, line) in enumerate(
        zip(CATCH_UP, figures.COLOURS, ("-", "--", ":"), strict=False)
    ):
        mine = part(compared, batch=batch, method=kind)
        k = np.unique(mine["round"])
        mean = [part(mine, round=at)["loss"].mean() for at in k]
        ax.plot(k, mean, color=colour, linestyle=line, label=label)
    return ax


def _draw_mixtures(mixtures: Columns, batch: int) -> Any:
    """Ratios by ζ for every number of rounds; a triangle is a bound."""
    ax = figures.panel(x="Disagreement ζ of the clients", y="Excess loss: minibatch / local")
    mine = part(mixtures, batch=batch)
    for rounds, style in zip(np.unique(mine["rounds"]), figures.STYLES, strict=False):
        some = part(mine, rounds=rounds)
        shown = some["share"] > 0
        zeta, ratio = some["zeta"][shown], some["ratio"][shown]
        figures.lines(ax, zeta, {f"{rounds} rounds": ratio}, [style])
        for end, marker in (("high", "^"), ("low", "v")):
            bound = np.isinf(some[end][shown])
            ax.plot(zeta[bound], ratio[bound], marker=marker, linestyle="", color=style["color"])
        usual = np.isfinite(some["low"][shown]) & np.isfinite(some["high"][shown])
        low, high = (some[end][shown][usual] for end in ("low", "high"))
        ax.fill_between(zeta[usual], low, high, color=style["color"], alpha=0.15, linewidth=0)
    ax.axhline(1, **figures.GUIDE)
    ax.tick_params(axis="x", which="minor", labelbottom=False)
    return ax


def _draw_crossovers(table: Columns) -> Any:
    """ζ at which both are as good, by rounds; a triangle is a bound."""
    ax = figures.panel(x="Communication rounds", y="ζ at which both are as good")
    for batch, style in zip(TUNED_BATCHES, figures.MARKED, strict=False):
        mine = part(table, batch=batch)
        name = f"batches of {batch}" if batch else "all rows"
        usual = np.isfinite(mine["low"]) & np.isfinite(mine["high"])
        figures.lines(ax, mine["rounds"][usual], {name: mine["zeta"][usual]}, [style])
        for end, marker in (("high", "^"), ("low", "v")):
            bound = np.isinf(mine[end])
            ax.plot(
                mine["rounds"][bound],
                mine["zeta"][bound],
                marker=marker,
                linestyle="",
                color=style["color"],
            )
    figures.few_ticks(ax, np.unique(table["rounds"]).tolist())
    ax.tick_params(axis="y", which="minor", labelleft=False)
    return ax


EXPERIMENT = LocalSteps()
