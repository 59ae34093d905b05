"""E6: Local-SGD, its batches, and minibatch SGD at equal compute and communication."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

import localgd as lg

from .. import figures, sources
from ..context import Context
from ..experiment import Condition, Experiment, Measured, Numbers, Picture, Table
from ..real_rows import own_if_separable

L = 10
BATCHES = (1, 2, 5)  # of 10 rows
LR = 1.0
REAL_BATCH, REAL_ROUNDS = 4, 1000
ALL = 0  # stands for batches of all rows
TUNED_BATCHES = (4, 32, ALL)  # on rows that are not separable
FLOOR = 1e-12  # of an excess loss, well above rounding
HORIZONS = (10, 50, 300)  # rounds
SPLITS = {"equal": "equal clients", "iid": "dealt at random", "class": "dealt by class"}
CATCH_UP = {
    "local": "Local-SGD, η",
    "same": "minibatch SGD, η",
    "larger": "minibatch SGD, Lη",
}
HETEROGENEOUS = sources.Source(
    "Woodworth, Patel, Srebro 2020, arXiv:2006.04735", "https://arxiv.org/abs/2006.04735"
)


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

    id = "E6"
    title = "Local-SGD: batches, and minibatch SGD at equal compute and communication"
    question = (
        "What do the batch size and drawing with or without replacement change, and does Local-SGD "
        "beat minibatch SGD with the same rows per step and the same rounds?"
    )
    claim = (
        "Predicted: on separable rows the noise dies out with the gradients, so batches change the "
        "scatter and not the angle to ŵ, less so without replacement. The loss is about "
        "1/(γ²ηLk) for Local-SGD and 1/(γ²ηk) for minibatch SGD: L times more at the same η, and "
        "the same with a step Lη, where that is stable. On rows that are not separable, each at "
        "its best constant η (Woodworth et al.): Local-SGD is better while few rounds limit it and "
        "no worse later if the clients' rows are alike; minibatch SGD is better in the end if they "
        "are not, since Local-SGD drifts."
    )
    open = True
    sources = (sources.LOCAL_GD, sources.LOCAL_SGD, HETEROGENEOUS)
    criterion = (
        Condition(
            "separable rows: the mean angle is that of Local-GD to 5 % for every batch size, with "
            "and without replacement",
            "worst_angle_gap_percent",
            "<",
            5.0,
            unit="%",
        ),
        Condition(
            "the angle scatters less without replacement, for every batch size",
            "worst_scatter_ratio",
            "<",
            1.0,
        ),
        Condition(
            "separable rows, same η: the loss of minibatch SGD is at least L/2 times that of "
            "Local-SGD (lower end of the 95 % intervals)",
            "same_step_lowest_ratio",
            ">",
            L / 2,
        ),
        Condition(
            "with the step Lη it is the same to 25 % (95 % intervals)",
            "larger_step_worst_gap_percent",
            "<",
            25.0,
            unit="%",
        ),
        Condition(
            "real separable rows, same η: at least 2 times (lower end of the interval)",
            "real_same_step_lowest_ratio",
            ">",
            2.0,
        ),
        Condition(
            "and at least L/2 times",
            "real_same_step_lowest_ratio",
            ">",
            L / 2,
            otherwise="On the real rows the loss does not yet fall like 1/(γ²ηLk), and the factor "
            "is below L/2.",
        ),
        Condition(
            "not separable, all rows in a batch, equal clients, 10 rounds: the excess loss of "
            "minibatch SGD is more than 2 times that of Local-SGD",
            "equal_early_ratio",
            ">",
            2.0,
        ),
        Condition("there after 300 rounds: at least 0.8 times", "equal_late_ratio", ">=", 0.8),
        Condition(
            "all rows in a batch, clients dealt by class, 300 rounds: less than 0.5 times",
            "class_late_ratio",
            "<",
            0.5,
        ),
        Condition(
            "with batches of 4 and 32 too it is larger for equal clients and 10 rounds (95 % "
            "intervals above 1)",
            "noisy_equal_early_low",
            ">",
            1.0,
        ),
        Condition(
            "and smaller for clients dealt by class and 300 rounds (intervals below 1)",
            "noisy_class_late_high",
            "<",
            1.0,
        ),
    )
    limits = (
        "Constant η, no momentum: accelerated minibatch SGD, the best known method for clients "
        "that differ much, is not run.",
        "On separable rows no η is best: larger is faster, with an unstable phase (E11). That is "
        "why equal and L-fold steps are compared there, and tuned ones elsewhere.",
        "Intervals are over the batches that are drawn, on one set of rows.",
        "What is said of batches of all rows is exploratory: it was added, with its limits, after "
        "two designs with batches of 4 (10 and 1,000 rounds) and 32 (300 rounds) had missed their "
        "conditions. With few seeds the intervals of those are wide: no difference is shown, nor "
        "that there is none.",
    )
    tasks = ("binary",)
    code = """\
import numpy as np
import localgd as lg

problem = lg.datasets.make_separable(n_clients=5, n_samples=10, n_features=100, seed=1)
best = lg.reference.max_margin(problem)
settings = {"local_steps": 10, "batch_size": 1, "replacement": True}
for method in (lg.LocalSGD(lr=1.0, **settings), lg.MinibatchSGD(lr=1.0, **settings),
               lg.MinibatchSGD(lr=10.0, **settings)):
    runs = [lg.run(problem, method, rounds=1000, loss="logistic", seed=seed, reference=best)
            for seed in range(5)]
    loss = np.mean([run.history["loss"][-1] for run in runs])
    angle = np.degrees(np.mean([run.history["angle"][-1] for run in runs]))
    print(f"{method}: loss {loss:.2e}, angle {angle:.2f}°")
"""

    def setting(self, context: Context) -> Mapping[str, str]:
        """Data, M, n, d, methods, rounds, seeds."""
        seeds = _seeds(context)
        return {
            "separable rows": "lg.datasets.make_separable: M = 5 clients, n = 10 rows each, d = "
            "100 features; batches of 1, 2, 5",
            "real separable rows": context.pick(
                "scikit-learn's 8×8 digits, 0 against 1: 360 rows, d = 64",
                "MNIST, 0 against 1: 1,000 rows, d = 784",
            )
            + f"; M = 5 clients dealt at random, batches of {REAL_BATCH}; your own rows in their "
            "place with --data",
            "not separable": "scikit-learn's breast cancer, 569 rows, the columns texture, "
            "smoothness and symmetry in standard deviations; M = 4 clients that all hold all rows, "
            "dealt at random, or of one class each; batches of 4, 32 and all rows",
            "methods": "Local-SGD with L = 10 steps; minibatch SGD with one step on the same L·b "
            "rows per client and round; η = 1 on separable rows, elsewhere the best of η = 2^-8/H "
            f"… 4/H in steps of {context.pick(4, 2)} for each method, split and number of rounds; "
            "w_0 = 0, logistic loss",
            "rounds": f"{_rounds(context):,} on separable rows, {REAL_ROUNDS:,} on real separable "
            f"ones, up to {HORIZONS[-1]} on the others",
            "seeds": f"{len(seeds)}, from {seeds[0]}; 95 % Student intervals; the best η is chosen "
            "on half of them and judged on the other half",
        }

    def measure(self, context: Context) -> Measured:
        """Batches; both methods on separable rows; both, tuned, on others."""
        problem = lg.datasets.make_separable(
            n_clients=5, n_samples=10, n_features=100, seed=1 + context.seed
        )
        numbers: dict[str, Any] = {}
        batches = self._batches(context, problem, numbers)
        rounds = _rounds(context)
        compared = self._compared(context, problem, "separable rows", (1, 5), rounds)
        real, name, notes = _real(context)
        on_real = self._compared(context, real, name, (REAL_BATCH,), REAL_ROUNDS)
        numbers |= _of_compared(compared, on_real)
        tuned, sweeps = self._not_separable(context)
        numbers |= _of_tuned(tuned)
        return Measured(
            numbers=numbers,
            series={
                "batches": batches,
                "separable": compared,
                "real": on_real,
                "tuned": tuned,
                "rates": sweeps,
            },
            tables=[
                _batch_table(context, batches),
                _compared_table("Separable rows", compared),
                _compared_table(f"Real separable rows ({name})", on_real),
                _tuned_table(tuned),
            ],
            notes=notes,
        )

    def _batches(
        self, context: Context, problem: lg.Problem, numbers: dict[str, Any]
    ) -> dict[str, np.ndarray]:
        """Angles at the last round for every batch size, with and without replacement."""
        best = lg.reference.max_margin(problem)
        options: dict[str, Any] = {"rounds": _rounds(context), "loss": "logistic"}
        options["reference"] = best
        full = context.run(problem, self.local(LR, None, False), **options)
        wanted = float(np.degrees(full.history["angle"][-1]))
        rows = []
        for batch in BATCHES:
            for replacement in (True, False):
                context.status(f"batches of {batch}")
                method = self.local(LR, batch, replacement)
                angles = [
                    np.degrees(
                        context.run(problem, method, seed=seed, **options).history["angle"][-1]
                    )
                    for seed in _seeds(context)
                ]
                mean, half = interval(angles)
                rows.append((batch, replacement, mean, half, np.std(angles, ddof=1)))
        names = ("batch", "replacement", "angle_deg", "half_interval_deg", "scatter_deg")
        columns = dict(zip(names, np.array(rows, dtype=float).T, strict=True))
        columns["local_gd_deg"] = np.full(len(rows), wanted)
        scatter = columns["scatter_deg"].reshape(-1, 2)
        numbers["local_gd_angle_deg"] = wanted
        numbers["worst_angle_gap_percent"] = float(
            np.max(np.abs(100 * (columns["angle_deg"] / wanted - 1)))
        )
        numbers["worst_scatter_ratio"] = float(np.max(scatter[:, 1] / scatter[:, 0]))
        return columns

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
        rows: list[tuple[float, ...]] = []
        for batch in batches:
            context.status(f"{name}, minibatch SGD, batches of {batch}")
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
                    history = run.history
                    rows.extend(
                        (batch, seed, kind, k, loss, angle)
                        for k, loss, angle in zip(
                            history["round"][1:],
                            history["loss"][1:],
                            np.degrees(history["angle"][1:]),
                            strict=True,
                        )
                    )
        names = ("batch", "seed", "method", "round", "loss", "angle_deg")
        return dict(zip(names, np.array(rows, dtype=float).T, strict=True))

    def _not_separable(
        self, context: Context
    ) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
        """Excess losses at the best η of each method, and of every η."""
        tuned, rates = [], []
        grid = _rates(context)
        for key, problem in _splits(context).items():
            lowest = lg.reference.minimizer(problem, loss="logistic").value
            makers = {"local": self.local, "minibatch": self.minibatch}
            for batch in TUNED_BATCHES:
                context.status(f"not separable, {SPLITS[key]}, batches of {batch or 'all rows'}")
                excess = {
                    name: np.maximum(self._losses(context, problem, make, batch) - lowest, FLOOR)
                    for name, make in makers.items()
                }
                for h, rounds in enumerate(HORIZONS):
                    ends = {name: values[:, :, h] for name, values in excess.items()}
                    tuned.append((key, batch, rounds, *_at_best(grid, ends)))
                    for i, rate in enumerate(grid):
                        means = [ends[name][i].mean() for name in makers]
                        rates.append((key, batch, rounds, rate, *means))
        where = ("split", "batch", "rounds")
        names = ("local_rate", "minibatch_rate", "local", "minibatch", "ratio", "low", "high")
        return _columns((*where, *names), tuned), _columns(
            (*where, "rate", "local", "minibatch"), rates
        )

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

    def finding(self, numbers: Numbers) -> str:
        """The summary's sentence."""
        return (
            f"Batches change the angle by at most {numbers['worst_angle_gap_percent']:.1f} %. "
            f"Minibatch SGD has {numbers['same_step_ratio']:.1f} times the loss at the same η on "
            f"separable rows, {numbers['larger_step_ratio']:.2f} times with Lη. Not separable, "
            f"tuned, no noise: {numbers['equal_early_ratio']:.0e} times early for equal clients, "
            f"{numbers['class_late_ratio']:.0e} times late for clients of one class."
        )

    def pictures(self, measured: Measured) -> Sequence[Picture]:
        """Scatter by batch, losses against rounds, and tuned ratios."""
        series = measured.series
        return [
            Picture(
                "batches",
                "Separable rows: angle to ŵ at the last round, mean and 95 % interval over seeds. "
                "All stay near Local-GD (mind the axis); without replacement there is hardly any "
                "scatter, and a small shift of its own.",
                _draw_batches(series["batches"]),
            ),
            Picture(
                "separable",
                "Separable rows, batches of 1, mean over seeds: at equal η minibatch SGD lags by "
                "the factor L; with Lη it lies on Local-SGD.",
                _draw_compared(series["separable"], 1),
            ),
            Picture(
                "real",
                "The same on real separable rows.",
                _draw_compared(series["real"], REAL_BATCH),
            ),
            Picture(
                "tuned",
                "Not separable, all rows in a batch, both at their best η: excess loss of "
                "minibatch SGD over that of Local-SGD, each at least 10^-12. Above 1 Local-SGD is "
                "better.",
                _draw_tuned(series["tuned"], ALL),
            ),
            Picture(
                "tuned_noisy",
                "The same with batches of 32, with 95 % intervals: the noise of the batches brings "
                "both methods together.",
                _draw_tuned(series["tuned"], 32),
            ),
            Picture(
                "rates",
                "Not separable, dealt by class, all rows in a batch, "
                f"{HORIZONS[-1]} rounds: what the step size does to either method.",
                _draw_rates(series["rates"]),
            ),
        ]


def interval(values: Any) -> tuple[float, float]:
    """Mean, and half of its 95 % Student interval."""
    from scipy.special import stdtrit

    n = len(values)
    half = stdtrit(n - 1, 0.975) * np.std(values, ddof=1) / math.sqrt(n)
    return float(np.mean(values)), float(half)


def _at_best(grid: Sequence[float], ends: Mapping[str, np.ndarray]) -> list[float]:
    """Best rates, excess losses there, and the ratio of these with its interval."""
    chosen = {name: best_rate(values) for name, values in ends.items()}
    random = ends["local"].shape[1] > 1
    judged = {name: ends[name][i, 1::2] if random else ends[name][i] for name, i in chosen.items()}
    logs = np.log(judged["minibatch"] / judged["local"])
    mean, half = interval(logs) if random else (float(logs[0]), 0.0)
    return [
        *(grid[i] for i in chosen.values()),
        *(float(values.mean()) for values in judged.values()),
        *(math.exp(value) for value in (mean, mean - half, mean + half)),
    ]


def best_rate(excess: np.ndarray) -> int:
    """The rate of lowest mean over every second seed; ``excess`` has the shape (rates, seeds)."""
    return int(np.argmin(excess[:, 0::2].mean(axis=1)))


def _columns(names: Sequence[str], rows: Sequence[Sequence[Any]]) -> dict[str, np.ndarray]:
    return {
        name: np.array(column) for name, column in zip(names, zip(*rows, strict=True), strict=True)
    }


def _seeds(context: Context) -> range:
    return range(context.seed, context.seed + context.pick(6, 16))


def _rounds(context: Context) -> int:
    return context.pick(1000, 10_000)


def _rates(context: Context) -> list[float]:
    """Step sizes in units of 1/H."""
    return [2.0**e for e in range(-8, 3, context.pick(2, 1))]


def _splits(context: Context) -> dict[str, lg.Problem]:
    """Tumours by three of their measurements, on clients that are alike or not."""
    seed = 1 + context.seed
    X, y = lg.datasets.load_breast_cancer(scale=None)
    X = X[:, [1, 4, 8]]  # texture, smoothness, symmetry: hardly correlated, far from separable
    X = (X - X.mean(axis=0)) / X.std(axis=0)
    X /= np.linalg.norm(X, axis=1).max()
    schemes = {"iid": lg.Iid(), "class": lg.ByClass(1)}
    if context.quick:
        del schemes["iid"]
    dealt = {
        key: lg.partition(X, y, n_clients=4, scheme=scheme, seed=seed)
        for key, scheme in schemes.items()
    }
    return {"equal": lg.Problem([(X, y)] * 4), **dealt}


def _real(context: Context) -> tuple[lg.Problem, str, list[str]]:
    """The user's rows if they are separable, else real ones; their name, and notes."""
    own, notes = own_if_separable(context)
    if own is not None:
        return own, "your own", ["Your own rows are the real separable rows."]
    load = context.pick(lg.datasets.load_digits, lg.datasets.load_mnist)
    X, y = load(classes=(0, 1))
    problem = lg.partition(X, y, n_clients=5, scheme=lg.Iid(), seed=1 + context.seed)
    return problem, context.pick("digits", "MNIST"), notes


def ratios(columns: Mapping[str, np.ndarray], batch: int, kind: int) -> tuple[float, float, float]:
    """Loss of a kind of minibatch SGD over that of Local-SGD at the last round; low and high."""
    at = (columns["batch"] == batch) & (columns["round"] == columns["round"].max())
    losses = [columns["loss"][at & (columns["method"] == which)] for which in (0, kind)]
    mean, half = interval(np.log(losses[1] / losses[0]))
    middle, low, high = np.exp([mean, mean - half, mean + half])
    return float(middle), float(low), float(high)


def _of_compared(
    compared: Mapping[str, np.ndarray], on_real: Mapping[str, np.ndarray]
) -> dict[str, Any]:
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


def _of_tuned(tuned: Mapping[str, np.ndarray]) -> dict[str, Any]:
    def at(split: str, batch: int, rounds: int, column: str) -> float:
        here = (tuned["split"] == split) & (tuned["batch"] == batch) & (tuned["rounds"] == rounds)
        return float(tuned[column][here][0])

    early, late = HORIZONS[0], HORIZONS[-1]
    noisy = [batch for batch in TUNED_BATCHES if batch != ALL]
    return {
        "equal_early_ratio": at("equal", ALL, early, "ratio"),
        "equal_late_ratio": at("equal", ALL, late, "ratio"),
        "class_late_ratio": at("class", ALL, late, "ratio"),
        "noisy_equal_early_low": float(np.min([at("equal", b, early, "low") for b in noisy])),
        "noisy_class_late_high": float(np.max([at("class", b, late, "high") for b in noisy])),
    }


def _batch_table(context: Context, batches: Mapping[str, np.ndarray]) -> Table:
    rows = [["all: Local-GD", "–", f"{batches['local_gd_deg'][0]:.3f}°", "0°"]]
    for batch, replacement, angle, half, scatter in zip(
        *(batches[name] for name in ("batch", "replacement", "angle_deg", "half_interval_deg")),
        batches["scatter_deg"],
        strict=True,
    ):
        how = "with" if replacement else "without"
        rows.append([f"{batch:.0f}", how, f"{angle:.3f}° ± {half:.3f}°", f"{scatter:.4f}°"])
    return Table(
        f"Separable rows, L = 10, η = 1: angle to ŵ after {_rounds(context):,} rounds, mean and "
        "95 % interval, and standard deviation over seeds",
        ["batch size", "replacement", "angle", "scatter"],
        rows,
    )


def _compared_table(name: str, columns: Mapping[str, np.ndarray]) -> Table:
    last = columns["round"].max()
    rows = []
    for batch in np.unique(columns["batch"]):
        for kind, label in enumerate(CATCH_UP.values()):
            at = (columns["round"] == last) & (columns["batch"] == batch)
            at &= columns["method"] == kind
            ratio = "1"
            if kind:
                middle, low, high = ratios(columns, int(batch), kind)
                ratio = f"{middle:.2f} ({low:.2f} to {high:.2f})"
            loss, angle = columns["loss"][at].mean(), columns["angle_deg"][at].mean()
            rows.append([f"{batch:.0f}", label, f"{loss:.2e}", ratio, f"{angle:.2f}°"])
    return Table(
        f"{name}, L = 10, η = 1, after {last:,.0f} rounds, with replacement: means over seeds",
        ["batch", "method", "loss", "over Local-SGD (95 %)", "angle to ŵ"],
        rows,
    )


def _tuned_table(tuned: Mapping[str, np.ndarray]) -> Table:
    names = ("split", "batch", "rounds", "local_rate", "minibatch_rate", "local", "minibatch")
    rows = [
        [
            f"{SPLITS[split]}, b = {batch or 'all'}",
            f"{rounds:,}",
            f"{local:.1e} ({rate:.2g}/H)",
            f"{minibatch:.1e} ({other:.2g}/H)",
            f"{middle:.3g}" + (f" ({low:.2g} to {high:.2g})" if batch else ""),
        ]
        for split, batch, rounds, rate, other, local, minibatch, middle, low, high in zip(
            *(tuned[name] for name in (*names, "ratio", "low", "high")), strict=True
        )
    ]
    return Table(
        "Not separable: excess loss of Local-SGD and of minibatch SGD at their best η, and its "
        "ratio (95 % interval); above 1 Local-SGD is better. Less than 10^-12 counts as that",
        ["clients, batch", "rounds", "Local-SGD (η)", "minibatch SGD (η)", "ratio"],
        rows,
    )


def _draw_batches(batches: Mapping[str, np.ndarray]) -> Any:
    ax = figures.panel(
        x="Batch size b (of 10 rows)", y="Angle to ŵ (°)", xscale="linear", yscale="linear"
    )
    for replacement, label, marker, colour, shift in (
        (1.0, "with replacement", "o", figures.COLOURS[0], -0.06),
        (0.0, "without", "s", figures.COLOURS[1], 0.06),
    ):
        mine = batches["replacement"] == replacement
        ax.errorbar(
            batches["batch"][mine] + shift,
            batches["angle_deg"][mine],
            yerr=batches["half_interval_deg"][mine],
            linestyle="",
            marker=marker,
            markersize=4,
            capsize=3,
            color=colour,
            label=label,
        )
    ax.axhline(batches["local_gd_deg"][0], color="#666666", linewidth=0.8, label="Local-GD")
    ax.set_xticks(BATCHES)
    figures.legend(ax)
    return ax.figure


def _draw_compared(columns: Mapping[str, np.ndarray], batch: int) -> Any:
    ax = figures.panel(x="Communication rounds k", y="Loss")
    for kind, (label, colour, line) in enumerate(
        zip(CATCH_UP.values(), figures.COLOURS, ("-", "--", ":"), strict=False)
    ):
        mine = (columns["batch"] == batch) & (columns["method"] == kind)
        k = np.unique(columns["round"][mine])
        mean = [columns["loss"][mine & (columns["round"] == at)].mean() for at in k]
        ax.plot(k, mean, color=colour, linestyle=line, label=label)
    figures.legend(ax)
    return ax.figure


def _draw_tuned(tuned: Mapping[str, np.ndarray], batch: int) -> Any:
    ax = figures.panel(x="Communication rounds", y="Excess loss: minibatch / local")
    for (key, label), colour, marker, shift in zip(
        SPLITS.items(), figures.COLOURS, "os^", (0.94, 1.0, 1.06), strict=False
    ):
        mine = (tuned["split"] == key) & (tuned["batch"] == batch)
        if not mine.any():
            continue
        middle = tuned["ratio"][mine]
        ax.errorbar(
            tuned["rounds"][mine] * shift,
            middle,
            yerr=[middle - tuned["low"][mine], tuned["high"][mine] - middle],
            color=colour,
            marker=marker,
            markersize=4,
            capsize=3,
            linewidth=0.9,
            label=label,
        )
    ax.axhline(1, color="#666666", linewidth=0.8)
    figures.legend(ax)
    return ax.figure


def _draw_rates(rates: Mapping[str, np.ndarray]) -> Any:
    ax = figures.panel(x="Step size η in units of 1/H", y="Excess loss")
    ax.set_xscale("log", base=2)
    mine = (rates["split"] == "class") & (rates["rounds"] == HORIZONS[-1])
    mine &= rates["batch"] == ALL
    names = {"local": "Local-SGD", "minibatch": "minibatch SGD"}
    for (key, label), colour, line in zip(
        names.items(), figures.COLOURS, ("-", "--"), strict=False
    ):
        ax.plot(
            rates["rate"][mine],
            rates[key][mine],
            color=colour,
            linestyle=line,
            marker="o",
            markersize=3,
            label=label,
        )
    figures.legend(ax)
    return ax.figure


EXPERIMENT = LocalSteps()
