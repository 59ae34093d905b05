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
from ..experiment import Experiment
from ..intervals import interval
from ..measured import Measured, largest, smallest
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
        }

    def measure(self, context: Context) -> Measured:
        """Batches; both methods on separable rows; both, tuned, on others."""
        problem = rows.synthetic(context)
        batches = self._batches(context, problem)
        rounds = _rounds(context)
        compared = self._compared(context, problem, "separable rows", (1, 5), rounds)
        real = self.own_or_digits(context, n_clients=5, scheme=lg.Iid())
        on_real = self._compared(context, real.used, real.name, (REAL_BATCH,), REAL_ROUNDS)
        tuned, sweeps = self._not_separable(context)
        return Measured(
            numbers=_of_batches(batches) | _of_compared(compared, on_real) | _of_tuned(tuned),
            series={
                "batches": batches,
                "separable": compared,
                "real": on_real,
                "tuned": tuned,
                "rates": sweeps,
            },
            tables=[
                self.table("batches", _batch_records(batches), rounds=rounds),
                self._compared_table("Separable rows", compared),
                self._compared_table(f"Real separable rows ({real.name})", on_real),
                self.table("tuned", map(_tuned_record, records(tuned))),
            ],
            notes=real.notes,
        )

    def _batches(self, context: Context, problem: lg.Problem) -> dict[str, np.ndarray]:
        """Angles at the last round for every batch size, with and without replacement."""
        options: dict[str, Any] = {"rounds": _rounds(context), "loss": "logistic"}
        options["reference"] = lg.reference.max_margin(problem)

        def last_angle(method: Any, **seed: int) -> float:
            run = context.run(problem, method, **options, **seed)
            return float(np.degrees(run.history["angle"][-1]))

        wanted = last_angle(self.local(LR, None, False))
        found = []
        for batch in context.each("batches of ", BATCHES):
            for replacement in (True, False):
                method = self.local(LR, batch, replacement)
                angles = [last_angle(method, seed=seed) for seed in _seeds(context)]
                mean, half = interval(angles)
                found.append(
                    {
                        "batch": batch,
                        "replacement": replacement,
                        "angle_deg": mean,
                        "half_interval_deg": half,
                        "scatter_deg": np.std(angles, ddof=1),
                        "local_gd_deg": wanted,
                    }
                )
        return columns(found, float)

    def _compared(
        self,
        context: Context,
        problem: lg.Problem,
        name: str,
        batches: Sequence[int],
        rounds: int,
    ) -> dict[str, np.ndarray]:
        """Losses and angles of Local-SGD and of minibatch SGD with the steps η and Lη."""
        best = lg.reference.max_margin(problem)
        found = []
        for batch in context.each(f"{name}, minibatch SGD, batches of ", batches):
            methods = (
                self.local(LR, batch, True),
                self.minibatch(LR, batch, True),
                self.minibatch(L * LR, batch, True),
            )
            for seed in _seeds(context):
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

    def _not_separable(
        self, context: Context
    ) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
        """Excess losses at the best η of each method, and of every η."""
        tuned, rates = [], []
        grid = _rates(context)
        makers = {"local": self.local, "minibatch": self.minibatch}
        for key, problem in _splits(context).items():
            lowest = lg.reference.minimizer(problem, loss="logistic").value
            for batch in context.each(f"not separable, {SPLITS[key]}, batches of ", TUNED_BATCHES):
                excess = {
                    name: np.maximum(self._losses(context, problem, make, batch) - lowest, FLOOR)
                    for name, make in makers.items()
                }
                for h, rounds in enumerate(HORIZONS):
                    ends = {name: values[:, :, h] for name, values in excess.items()}
                    place = {"split": key, "batch": batch, "rounds": rounds}
                    tuned.append(place | _at_best(grid, ends))
                    rates += [
                        place | {"rate": rate} | {name: ends[name][i].mean() for name in makers}
                        for i, rate in enumerate(grid)
                    ]
        return columns(tuned), columns(rates)

    def _losses(self, context: Context, problem: lg.Problem, make: Any, batch: int) -> np.ndarray:
        """f, shape (rates, seeds, horizons)."""
        unit = 1 / lg.analysis.smoothness(problem, "logistic")
        values: list[np.ndarray] = []
        for rate in _rates(context):
            method = make(rate * unit, batch or None, batch != ALL)
            for seed in _seeds(context) if batch else (context.seed,):  # all rows: nothing random
                run = context.run(
                    problem,
                    method,
                    rounds=HORIZONS[-1],
                    loss="logistic",
                    seed=seed,
                    record=HORIZONS,
                )
                values.append(run.history["loss"][1:])
        return np.array(values).reshape(len(_rates(context)), -1, len(HORIZONS))

    def _compared_table(self, name: str, compared: Columns) -> Any:
        last = compared["round"].max()
        found = []
        for batch in np.unique(compared["batch"]):
            for kind, label in enumerate(CATCH_UP):
                middle, low, high = ratios(compared, int(batch), kind)
                ends = part(compared, round=last, batch=batch, method=kind)
                found.append(
                    {
                        "batch": batch,
                        "method": label,
                        "loss": ends["loss"].mean(),
                        "ratio": f"{middle:.2f} ({low:.2f} to {high:.2f})" if kind else "1",
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
            "tuned": _draw_tuned(series["tuned"], ALL),
            "tuned_noisy": _draw_tuned(series["tuned"], 32),
            "rates": _draw_rates(series["rates"]),
        }


def _at_best(grid: Sequence[float], ends: Mapping[str, np.ndarray]) -> dict[str, float]:
    """Best rates, excess losses there, and the ratio of these with its interval."""
    chosen = {name: best_rate(values) for name, values in ends.items()}
    random = ends["local"].shape[1] > 1
    judged = {name: ends[name][i, 1::2] if random else ends[name][i] for name, i in chosen.items()}
    logs = np.log(judged["minibatch"] / judged["local"])
    mean, half = interval(logs) if random else (float(logs[0]), 0.0)
    return {
        **{f"{name}_rate": grid[i] for name, i in chosen.items()},
        **{name: float(values.mean()) for name, values in judged.items()},
        "ratio": math.exp(mean),
        "low": math.exp(mean - half),
        "high": math.exp(mean + half),
    }


def best_rate(excess: np.ndarray) -> int:
    """The rate of lowest mean over every second seed; ``excess`` has the shape (rates, seeds)."""
    return int(np.argmin(excess[:, 0::2].mean(axis=1)))


def _seeds(context: Context) -> range:
    return range(context.seed, context.seed + context.pick(6, 16))


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


def ratios(compared: Columns, batch: int, kind: int) -> tuple[float, float, float]:
    """Loss of a kind of minibatch SGD over that of Local-SGD at the last round; low and high."""
    ends = part(compared, batch=batch, round=compared["round"].max())
    losses = [part(ends, method=which)["loss"] for which in (0, kind)]
    middle, low, high = np.exp(interval(np.log(losses[1] / losses[0])).ends)
    return float(middle), float(low), float(high)


def _of_batches(batches: Columns) -> dict[str, Any]:
    wanted = batches["local_gd_deg"][0]
    scatter = batches["scatter_deg"].reshape(-1, 2)  # with and without replacement
    return {
        "local_gd_angle_deg": float(wanted),
        "worst_angle_gap_percent": largest(np.abs(100 * (batches["angle_deg"] / wanted - 1))),
        "worst_scatter_ratio": largest(scatter[:, 1] / scatter[:, 0]),
    }


def _of_compared(compared: Columns, on_real: Columns) -> dict[str, Any]:
    batches = [int(b) for b in np.unique(compared["batch"])]
    same = np.array([ratios(compared, b, 1) for b in batches])
    larger = np.array([ratios(compared, b, 2) for b in batches])
    (real,) = (int(b) for b in np.unique(on_real["batch"]))
    return {
        "same_step_ratio": float(same[0, 0]),
        "same_step_lowest_ratio": float(np.min(same[:, 1])),
        "larger_step_ratio": float(larger[0, 0]),
        "larger_step_worst_gap_percent": float(np.max(np.abs(100 * (larger - 1)))),
        "real_same_step_ratio": ratios(on_real, real, 1)[0],
        "real_same_step_lowest_ratio": ratios(on_real, real, 1)[1],
        "real_larger_step_ratio": ratios(on_real, real, 2)[0],
    }


def _of_tuned(tuned: Columns) -> dict[str, Any]:
    def at(split: str, batch: int, rounds: int, column: str) -> float:
        return float(part(tuned, split=split, batch=batch, rounds=rounds)[column][0])

    early, late = HORIZONS[0], HORIZONS[-1]
    noisy = [batch for batch in TUNED_BATCHES if batch != ALL]
    return {
        "equal_early_ratio": at("equal", ALL, early, "ratio"),
        "equal_late_ratio": at("equal", ALL, late, "ratio"),
        "class_late_ratio": at("class", ALL, late, "ratio"),
        "noisy_equal_early_low": smallest(at("equal", b, early, "low") for b in noisy),
        "noisy_class_late_high": largest(at("class", b, late, "high") for b in noisy),
    }


def _batch_records(batches: Columns) -> list[dict[str, str]]:
    wanted = f"{batches['local_gd_deg'][0]:.3f}°"
    found = [{"size": "all: Local-GD", "how": "–", "angle": wanted, "scatter": "0°"}]
    for row in records(batches):
        found.append(
            {
                "size": f"{row['batch']:.0f}",
                "how": "with" if row["replacement"] else "without",
                "angle": f"{row['angle_deg']:.3f}° ± {row['half_interval_deg']:.3f}°",
                "scatter": f"{row['scatter_deg']:.4f}°",
            }
        )
    return found


def _tuned_record(row: Mapping[str, Any]) -> dict[str, Any]:
    interval = f" ({row['low']:.2g} to {row['high']:.2g})" if row["batch"] else ""
    return {
        **row,
        "clients": SPLITS[row["split"]],
        "size": row["batch"] or "all",
        "shown": f"{row['ratio']:.3g}" + interval,
    }


def _draw_batches(batches: Columns) -> Any:
    ax = figures.panel(
        x="Batch size b (of 10 rows)", y="Angle to ŵ (°)", xscale="linear", yscale="linear"
    )
    for replacement, label, marker, colour, shift in (
        (1.0, "with replacement", "o", figures.COLOURS[0], -0.06),
        (0.0, "without", "s", figures.COLOURS[1], 0.06),
    ):
        mine = part(batches, replacement=replacement)
        ax.errorbar(
            mine["batch"] + shift,
            mine["angle_deg"],
            yerr=mine["half_interval_deg"],
            linestyle="",
            marker=marker,
            markersize=4,
            capsize=3,
            color=colour,
            label=label,
        )
    ax.axhline(batches["local_gd_deg"][0], label="Local-GD", **figures.GUIDE)
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


def _draw_tuned(tuned: Columns, batch: int) -> Any:
    ax = figures.panel(x="Communication rounds", y="Excess loss: minibatch / local")
    for (key, label), colour, marker, shift in zip(
        SPLITS.items(), figures.COLOURS, "os^", (0.94, 1.0, 1.06), strict=False
    ):
        mine = part(tuned, split=key, batch=batch)
        middle = mine["ratio"]
        if not len(middle):
            continue
        ax.errorbar(
            mine["rounds"] * shift,
            middle,
            yerr=[middle - mine["low"], mine["high"] - middle],
            color=colour,
            marker=marker,
            markersize=4,
            capsize=3,
            linewidth=0.9,
            label=label,
        )
    ax.axhline(1, **figures.GUIDE)
    return ax


def _draw_rates(rates: Columns) -> Any:
    ax = figures.panel(x="Step size η in units of 1/H", y="Excess loss")
    ax.set_xscale("log", base=2)
    mine = part(rates, split="class", rounds=HORIZONS[-1], batch=ALL)
    curves = {"Local-SGD": mine["local"], "minibatch SGD": mine["minibatch"]}
    figures.lines(ax, mine["rate"], curves, marker="o", markersize=3)
    return ax


EXPERIMENT = LocalSteps()
