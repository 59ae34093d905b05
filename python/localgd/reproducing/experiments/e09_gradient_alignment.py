"""E9: GradAlign and FedGA lower the variance of the clients' gradients; and the test accuracy?"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

import localgd as lg

from .. import figures, sources
from ..context import Context, weights
from ..experiment import Condition, Experiment, Measured, Numbers, Picture, Table

LOCAL_STEPS = 10
ROUNDS = 100
RATES = (1, 4, 16, 64)  # η H
QUICK_RATES = (4, 16)
BETAS = (1, 3, 10)  # β H
SHOWN = 4  # the η H of the pictures
ROWS = (500, 300, 1797)  # to train on, to choose η and β with, of all
CLIENTS = 10
PLAIN = {"GradAlign": "GD", "FedGA": "FedAvg"}  # what each is without the displacement
NAMES = ("GD", "GradAlign", "FedAvg", "SCAFFOLD", "FedGA")
Key = tuple[str, int, int]  # method, η H, β H
Runs = Mapping[Key, lg.Run]


@dataclass(frozen=True)
class GradientAlignment(Experiment):
    """Five methods on several splits of the rows, each with its best η and β.

    ``grad_align`` makes GradAlign of η and β, ``fed_ga`` FedGA of L, η and β.
    """

    grad_align: Callable[[float, float], Any] = lg.GradAlign
    fed_ga: Callable[[int, float, float], Any] = lg.FedGA

    id = "E9"
    title = "Gradient alignment: GradAlign and FedGA"
    question = (
        "Do GradAlign and FedGA lower the variance of the clients' gradients, and is the test "
        "accuracy better for it than with large-batch GD, FedAvg and SCAFFOLD?"
    )
    claim = (
        "A start displaced by β(∇f_i - ∇f) acts to first order like a penalty (β/2) Σ p_i‖∇f_i - "
        "∇f‖². So at the same training loss the gradients of the clients differ less, and the "
        "model does better on held-out rows than that of large-batch GD or of FedAvg and SCAFFOLD "
        "after as many rounds."
    )
    sources = (sources.GRADALIGN, sources.SCAFFOLD, sources.FEDAVG)
    criterion = (
        Condition(
            "the mechanism: (GradAlign's step - GD's step)/(-ηβ) is the gradient of ½ Σ p_i‖∇f_i - "
            "∇f‖² to 1 % of its norm, at β = 0.001/H",
            "mechanism_error",
            "<",
            0.01,
        ),
        Condition(
            "at equal training loss the gradient variance of GradAlign is below that of GD for "
            "every η and β: the 95 % interval of the ratio ends below 1",
            "gradalign_worst_variance_ratio",
            "<",
            1.0,
        ),
        Condition(
            "the same of FedGA and FedAvg",
            "fedga_worst_variance_ratio",
            "<",
            1.0,
        ),
        Condition(
            "test accuracy after as many rounds, η and β chosen on validation rows: the 95 % "
            "interval of GradAlign less GD lies above 0",
            "gradalign_gain_low_points",
            ">",
            0.0,
            unit="points",
        ),
        Condition(
            "that of FedGA less FedAvg lies above 0",
            "fedga_gain_low_points",
            ">",
            0.0,
            unit="points",
        ),
        Condition(
            "that of FedGA less SCAFFOLD lies above 0",
            "fedga_scaffold_low_points",
            ">",
            0.0,
            unit="points",
            otherwise="FedGA is not shown to be more accurate than SCAFFOLD.",
        ),
        Condition(
            "with the bytes that the displacement costs spent on twice as many rounds instead, GD "
            "and FedAvg are still less accurate: the lower ends of both intervals lie above 0",
            "equal_bytes_low_points",
            ">",
            0.0,
            unit="points",
            otherwise="At equal communication no gain in accuracy is left.",
        ),
    )
    limits = (
        "The grids of η and β come from pilots on other splits; the largest η was added after "
        "a first full run, without a change of the verdict.",
        "A convex model. The paper's accuracies are those of deep networks, with many minima to "
        "choose from; on separable rows all five methods head for the same direction, so theory "
        "promises the lower variance here and no lasting gain in accuracy.",
        "The intervals are over splits of the same rows, which overlap: they tell how far the "
        "answer depends on the split and the dealing, less than they would for new rows.",
        "Full batches and full participation; L = 10 only.",
    )
    tasks = ("multiclass",)
    code = """\
import localgd as lg

X, y = lg.datasets.load_digits(classes=None)
problem = lg.partition(X[:500], y[:500], n_clients=10, scheme=lg.ByClass(2), seed=1,
                       weights="samples")
H = lg.analysis.smoothness(problem, "softmax")
for method in (lg.GD(4 / H), lg.GradAlign(4 / H, 10 / H), lg.LocalGD(10, 4 / H),
               lg.Scaffold(10, 4 / H), lg.FedGA(10, 4 / H, 10 / H)):
    run = lg.run(problem, method, rounds=100, test=(X[500:], y[500:]))
    loss, variance, accuracy = (run.history[name][-1] for name in
                                ("loss", "grad_variance", "test_accuracy"))
    name = type(method).__name__
    print(f"{name:<10} loss {loss:.3f}, gradient variance {variance:.2e}, test {accuracy:.3f}")
"""

    def setting(self, context: Context) -> Mapping[str, str]:
        """Data, M, n, d, methods, rounds, seeds."""
        first, last = self._seeds(context)[0], self._seeds(context)[-1]
        rates = ", ".join(str(rate) for rate in self._rates(context))
        return {
            "data": "scikit-learn's 8×8 digits, ten classes, d = 64: 500 rows to train on, 300 to "
            "choose η and β with, 997 to test; your own rows of several classes, dealt again, in "
            "their place with --data",
            "clients": f"M = {CLIENTS}, rows of 2 classes each (lg.ByClass(2)), about 50 rows per "
            "client, p_i = n_i/N",
            "methods": "GD (large batch), GradAlign; with L = 10 local steps FedAvg (= Local-GD), "
            "SCAFFOLD, FedGA; softmax, w_0 = 0, full batches",
            "step sizes": f"ηH = {rates} and βH = 1, 3, 10, where H bounds the curvature on every "
            "client; chosen for each split by validation accuracy at the last round (the smallest "
            "of equals)",
            "rounds": f"{ROUNDS}; GD and FedAvg also {2 * ROUNDS}, which is as many bytes as "
            f"GradAlign and FedGA exchange in {ROUNDS}",
            "seeds": f"{first} to {last}, for the split and for dealing the rows",
        }

    @staticmethod
    def _rates(context: Context) -> Sequence[int]:
        return context.pick(QUICK_RATES, RATES)

    @staticmethod
    def _seeds(context: Context) -> range:
        return range(1 + context.seed, 1 + context.seed + context.pick(3, 12))

    def measure(self, context: Context) -> Measured:
        """Every method with every η and β on every split."""
        context = replace(context, threads=1)  # rounds of so few rows are too short for more
        splits, notes = _splits(context, self._seeds(context))
        every = []
        for number, (problem, check, test) in enumerate(splits, 1):
            context.status(f"split {number} of {len(splits)}")
            every.append(self._runs(context, problem, check, test))
        chosen = {name: [_best(runs, name, ROUNDS) for runs in every] for name in NAMES}
        accuracy = {name: _accuracies(every, chosen[name], ROUNDS) for name in NAMES}
        longer = {
            name: _accuracies(every, [_best(runs, name, 2 * ROUNDS) for runs in every], 2 * ROUNDS)
            for name in PLAIN.values()
        }
        gains = {
            f"{name} − {plain}": accuracy[name] - accuracy[plain]
            for name, plain in (("GradAlign", "GD"), ("FedGA", "FedAvg"), ("FedGA", "SCAFFOLD"))
        }
        for name, plain in PLAIN.items():
            gains[f"{name} − {plain} of {2 * ROUNDS} rounds"] = accuracy[name] - longer[plain]
        between = {name: interval(values) for name, values in gains.items()}
        ratios = {
            (name, rate, beta): np.exp(interval(_log_ratios(every, name, rate, beta)))
            for name in PLAIN
            for rate in self._rates(context)
            for beta in BETAS
        }
        worst = {
            name: float(np.max([r[2] for key, r in ratios.items() if key[0] == name]))
            for name in PLAIN
        }
        low = {name: float(values[1]) for name, values in between.items()}
        numbers = {
            "mechanism_error": self._mechanism(context, splits[0][0], every[0]),
            "gradalign_worst_variance_ratio": worst["GradAlign"],
            "fedga_worst_variance_ratio": worst["FedGA"],
            "gradalign_gain_points": float(between["GradAlign − GD"][0]),
            "gradalign_gain_low_points": low["GradAlign − GD"],
            "fedga_gain_points": float(between["FedGA − FedAvg"][0]),
            "fedga_gain_low_points": low["FedGA − FedAvg"],
            "fedga_scaffold_low_points": low["FedGA − SCAFFOLD"],
            "equal_bytes_low_points": float(np.min(list(low.values())[-2:])),
            "gradalign_variance_ratio": float(ratios["GradAlign", SHOWN, BETAS[-1]][0]),
            "fedga_variance_ratio": float(ratios["FedGA", SHOWN, BETAS[-1]][0]),
        }
        return Measured(
            numbers=numbers,
            series={
                "accuracy": _accuracy_curves(every, chosen),
                "variance": _variance_curves(every),
                "ratio": _ratio_columns(ratios),
                "gain": {
                    "difference": np.array(list(between)),
                    "mean_points": np.array([values[0] for values in between.values()]),
                    "low_points": np.array([values[1] for values in between.values()]),
                    "high_points": np.array([values[2] for values in between.values()]),
                },
                "splits": {"split": np.arange(1, len(every) + 1)}
                | {f"{name}_accuracy_percent": values for name, values in accuracy.items()},
            },
            tables=[
                _methods_table(every, chosen, accuracy),
                _gains_table(between),
                _ratios_table(ratios),
            ],
            notes=notes,
        )

    def _runs(self, context: Context, problem: lg.Problem, check: Any, test: Any) -> Runs:
        H, L = lg.analysis.smoothness(problem, "softmax"), LOCAL_STEPS
        methods: dict[Key, Any] = {}
        for rate in self._rates(context):
            methods["GD", rate, 0] = lg.GD(rate / H)
            methods["FedAvg", rate, 0] = lg.LocalGD(L, rate / H)
            methods["SCAFFOLD", rate, 0] = lg.Scaffold(L, rate / H)
            for beta in BETAS:
                methods["GradAlign", rate, beta] = self.grad_align(rate / H, beta / H)
                methods["FedGA", rate, beta] = self.fed_ga(L, rate / H, beta / H)
        X, y = check

        def validation(W: np.ndarray) -> float:
            return float(np.mean(np.argmax(X @ W, axis=1) == y))

        options: dict[str, Any] = {"test": test, "measures": {"validation_accuracy": validation}}
        runs = {}
        for key, method in methods.items():
            rounds = ROUNDS * (2 if key[0] in PLAIN.values() else 1)
            record = [*range(0, 10, 2), *range(10, rounds, 10), rounds]
            runs[key] = context.run(problem, method, rounds=rounds, record=record, **options)
        return runs

    def _mechanism(self, context: Context, problem: lg.Problem, runs: Runs) -> float:
        """How far a small displacement's effect is from the gradient of half the variance."""
        H = lg.analysis.smoothness(problem, "softmax")
        start = weights(runs["GD", SHOWN, 0])
        lr, beta = 1 / H, 1e-3 / H
        ends = [
            weights(context.run(problem, method, rounds=1, init=start))
            for method in (lg.GD(lr), self.grad_align(lr, beta))
        ]
        found = (ends[1] - ends[0]) / (-lr * beta)
        wanted = np.zeros_like(start)
        step = 1e-4
        for place in np.ndindex(*start.shape):
            moved = start.copy()
            values = []
            for sign in (1, -1):
                moved[place] = start[place] + sign * step
                values.append(lg.analysis.gradient_alignment(problem, moved, "softmax").variance)
            wanted[place] = (values[0] - values[1]) / (4 * step)  # of half the variance
        return float(np.linalg.norm(found - wanted) / np.linalg.norm(wanted))

    def finding(self, numbers: Numbers) -> str:
        """The summary's sentence."""
        lower = [100 * (1 - numbers[f"{name}_variance_ratio"]) for name in ("gradalign", "fedga")]
        gains = [numbers[f"{name}_gain_points"] for name in ("gradalign", "fedga")]
        return (
            f"At equal training loss the gradient variance is lower by {lower[0]:.0f} % (GradAlign "
            f"against GD) and {lower[1]:.0f} % (FedGA against FedAvg); test accuracy changes by "
            f"{gains[0]:+.2f} and {gains[1]:+.2f} points."
        )

    def pictures(self, measured: Measured) -> Sequence[Picture]:
        """Accuracy against rounds, variance against loss, ratio against β."""
        return [
            Picture(
                "variance",
                "Gradient variance at a training loss, relative to GD's at the same loss; training "
                f"goes to the left. The same ηH = {SHOWN} for all, βH = {BETAS[-1]}. FedAvg's "
                "local steps raise it, the displacement lowers it.",
                _draw_variance(measured.series["variance"]),
            ),
            Picture(
                "ratio",
                f"Gradient variance with the displacement relative to that without it, at equal "
                f"training loss, ηH = {SHOWN}; bars: 95 % intervals.",
                _draw_ratio(measured.series["ratio"]),
            ),
            Picture(
                "accuracy",
                "Test accuracy from round 10 on, mean over the splits, each method with the η and "
                "β chosen for it.",
                _draw_accuracy(measured.series["accuracy"]),
            ),
            Picture(
                "gain",
                f"Differences in test accuracy after {ROUNDS} rounds on the same splits, with 95 % "
                f"intervals; in the two last the method named second has {2 * ROUNDS} rounds, as "
                "many bytes. Right of the line: alignment helps.",
                _draw_gain(measured.series["gain"]),
            ),
        ]


STYLES: Mapping[str, Mapping[str, Any]] = {
    name: {"color": colour, "linestyle": line}
    for name, colour, line in zip(NAMES, figures.COLOURS, ("-", "--", "-", ":", "--"), strict=False)
}


def _splits(context: Context, seeds: range) -> tuple[list[Any], list[str]]:
    """For each seed: a problem, rows to choose with, rows to test."""
    own = context.own_problem("multiclass")
    if own is not None:
        try:
            splits = [_split(own.X, own.y, seed) for seed in seeds]
        except ValueError as error:
            notes = [f"Your own rows are not used: {error}."]
        else:
            return splits, ["Your own rows are used in place of the digits, dealt again by class."]
    else:
        notes = []
    X, y = lg.datasets.load_digits(classes=None)
    return [_split(X, y, seed) for seed in seeds], notes


def _split(X: np.ndarray, y: np.ndarray, seed: int) -> Any:
    train, check, most = ROWS
    rows = np.random.default_rng(seed).permutation(len(y))[:most]
    part = min(1.0, len(rows) / most)
    first, second, third = np.split(rows, [int(part * train), int(part * (train + check))])
    problem = lg.partition(
        X[first], y[first], n_clients=CLIENTS, scheme=lg.ByClass(2), seed=seed, task="multiclass"
    )
    if y.max() >= problem.n_classes:
        raise ValueError("a split leaves no row of some class to train on")
    return problem, (X[second], y[second]), (X[third], y[third])


def interval(values: np.ndarray) -> np.ndarray:
    """Mean, and lower and upper end of its 95 % interval by Student's t."""
    from scipy.special import stdtrit

    mean, count = float(np.mean(values)), len(values)
    half = stdtrit(count - 1, 0.975) * float(np.std(values, ddof=1)) / np.sqrt(count)
    return np.array([mean, mean - half, mean + half])


def _at(run: lg.Run, name: str, round: int) -> float:
    return float(run.history[name][run.history["round"] == round][0])


def _best(runs: Runs, name: str, round: int) -> Key:
    """η and β of the best validation accuracy after so many rounds; the smallest of equals."""
    return max(
        (key for key in sorted(runs) if key[0] == name),
        key=lambda key: _at(runs[key], "validation_accuracy", round),
    )


def _accuracies(every: Sequence[Runs], keys: Sequence[Key], round: int) -> np.ndarray:
    """Test accuracy in percent for each split."""
    pairs = zip(every, keys, strict=True)
    return np.array([100 * _at(runs[key], "test_accuracy", round) for runs, key in pairs])


def _log_variance(run: lg.Run, losses: np.ndarray) -> np.ndarray:
    """log Σ p_i‖∇f_i - ∇f‖² where the training loss first reaches these values."""
    lowest = np.minimum.accumulate(run.history["loss"])
    new = np.concatenate([[True], np.diff(lowest) < 0])
    loss, variance = np.log(lowest[new][::-1]), np.log(run.history["grad_variance"][new][::-1])
    return np.interp(np.log(losses), loss, variance, left=np.nan, right=np.nan)


def _log_ratios(every: Sequence[Runs], name: str, rate: int, beta: int) -> np.ndarray:
    """log of variance with over variance without the displacement, for each split."""
    values = []
    for runs in every:
        pair = runs[name, rate, beta], runs[PLAIN[name], rate, 0]
        level = np.array([max(run.history["loss"].min() for run in pair)])
        values.append(float((_log_variance(pair[0], level) - _log_variance(pair[1], level))[0]))
    return np.array(values)


def _accuracy_curves(
    every: Sequence[Runs], chosen: Mapping[str, Sequence[Key]]
) -> dict[str, np.ndarray]:
    rounds = next(iter(every[0].values())).history["round"]
    rounds = rounds[(rounds > 0) & (rounds <= ROUNDS)]
    columns = {"round": rounds}
    for name in NAMES:
        ends = np.array(
            [interval(_accuracies(every, chosen[name], int(round))) for round in rounds]
        )
        for place, end in enumerate(("mean", "low", "high")):
            columns[f"{name}_{end}_percent"] = ends[:, place]
    return columns


def _variance_curves(every: Sequence[Runs]) -> dict[str, np.ndarray]:
    """Relative to GD at the same loss, geometric means; NaN where some split did not get so far."""
    keys = {name: (name, SHOWN, BETAS[-1] if name in PLAIN else 0) for name in NAMES}
    last = max(float(runs[keys["GD"]].history["loss"].min()) for runs in every)
    losses = np.geomspace(last, 2.0, 60)
    logs = {
        name: np.mean([_log_variance(runs[key], losses) for runs in every], axis=0)
        for name, key in keys.items()
    }
    return {"loss": losses} | {
        f"{name}_relative_to_GD": np.exp(values - logs["GD"]) for name, values in logs.items()
    }


def _ratio_columns(ratios: Mapping[Key, np.ndarray]) -> dict[str, np.ndarray]:
    columns = {"beta_H": np.array(BETAS, dtype=float)}
    for name in PLAIN:
        ends = np.array([ratios[name, SHOWN, beta] for beta in BETAS])
        for place, end in enumerate(("mean", "low", "high")):
            columns[f"{name}_{end}"] = ends[:, place]
    return columns


def _methods_table(
    every: Sequence[Runs],
    chosen: Mapping[str, Sequence[Key]],
    accuracy: Mapping[str, np.ndarray],
) -> Table:
    rows = []
    for name in NAMES:
        runs = [split[key] for split, key in zip(every, chosen[name], strict=True)]
        mean, low, _ = interval(accuracy[name])
        picked = " / ".join(
            ", ".join(str(v) for v in sorted({key[place] for key in chosen[name]}))
            for place in ((1, 2) if name in PLAIN else (1,))
        )
        loss = np.mean([_at(run, "loss", ROUNDS) for run in runs])
        variance = np.exp(np.mean([np.log(_at(run, "grad_variance", ROUNDS)) for run in runs]))
        rows.append([name, picked, f"{mean:.2f} ± {mean - low:.2f} %", f"{loss:.3f}"])
        rows[-1] += [f"{variance:.1e}", f"{_at(runs[0], 'bytes', ROUNDS) / 1e6:.1f}"]
    return Table(
        f"After {ROUNDS} rounds, mean over {len(every)} splits with 95 % interval",
        [
            "method",
            "ηH / βH chosen",
            "test accuracy",
            "training loss",
            "gradient variance",
            "MB exchanged",
        ],
        rows,
    )


def _gains_table(between: Mapping[str, np.ndarray]) -> Table:
    rows = [
        [name, f"{mean:+.2f}", f"{low:+.2f} to {high:+.2f}"]
        for name, (mean, low, high) in between.items()
    ]
    return Table(
        f"Test accuracy after {ROUNDS} rounds, differences on the same splits, in points of "
        "percent",
        ["difference", "mean", "95 % interval"],
        rows,
    )


def _ratios_table(ratios: Mapping[Key, np.ndarray]) -> Table:
    rows = []
    for name, plain in PLAIN.items():
        for rate in sorted({key[1] for key in ratios}):
            cells = [ratios[name, rate, beta] for beta in BETAS]
            shown = [f"{mean:.3f} ({low:.3f} to {high:.3f})" for mean, low, high in cells]
            rows.append([f"{name} / {plain}", str(rate), *shown])
    return Table(
        "Ratio of gradient variances at equal training loss (the larger of the two final ones); "
        "mean and 95 % interval",
        ["ratio", "ηH", *(f"βH = {beta}" for beta in BETAS)],
        rows,
    )


def _draw_accuracy(columns: Mapping[str, np.ndarray]) -> Any:
    ax = figures.panel(
        x="Communication rounds", y="Test accuracy (%)", xscale="linear", yscale="linear"
    )
    shown = columns["round"] >= 10
    for name in NAMES:
        mean = columns[f"{name}_mean_percent"][shown]
        ax.plot(columns["round"][shown], mean, label=name, **STYLES[name])
    figures.legend(ax)
    return ax.figure


def _draw_variance(columns: Mapping[str, np.ndarray]) -> Any:
    ax = figures.panel(x="Training loss", y="Gradient variance / that of GD", yscale="linear")
    for name in NAMES:
        ax.plot(columns["loss"], columns[f"{name}_relative_to_GD"], label=name, **STYLES[name])
    ticks = [tick for tick in (0.1, 0.2, 0.5, 1, 2) if tick >= 0.9 * columns["loss"][0]]
    ax.set_xticks(ticks, [f"{tick:g}" for tick in ticks])
    ax.tick_params(axis="x", which="minor", bottom=False, labelbottom=False)
    figures.legend(ax)
    return ax.figure


def _draw_gain(columns: Mapping[str, np.ndarray]) -> Any:
    ax = figures.panel(
        x="Difference in test accuracy (points)", y="", xscale="linear", yscale="linear"
    )
    mean, places = columns["mean_points"], np.arange(len(columns["mean_points"]))[::-1]
    bars = [mean - columns["low_points"], columns["high_points"] - mean]
    ax.errorbar(
        mean, places, xerr=bars, color=figures.COLOURS[0], marker="o", linestyle="", capsize=2
    )
    ax.axvline(0, color="black", linewidth=0.8, linestyle=":")
    labels = [str(name).replace(" of ", "\nof ") for name in columns["difference"]]
    ax.set_yticks(places, labels)
    ax.set_ylim(-0.6, len(places) - 0.4)
    return ax.figure


def _draw_ratio(columns: Mapping[str, np.ndarray]) -> Any:
    ax = figures.panel(x="Displacement βH", y="Ratio of gradient variances", yscale="linear")
    for (name, plain), marker in zip(PLAIN.items(), "os", strict=True):
        mean = columns[f"{name}_mean"]
        bars = [mean - columns[f"{name}_low"], columns[f"{name}_high"] - mean]
        ax.errorbar(
            columns["beta_H"],
            mean,
            yerr=bars,
            color=STYLES[name]["color"],
            marker=marker,
            markersize=4,
            capsize=2,
            label=f"{name} / {plain}",
        )
    ax.axhline(1, color="black", linewidth=0.8, linestyle=":")
    ax.set_xticks(BETAS, [str(beta) for beta in BETAS])
    ax.tick_params(axis="x", which="minor", bottom=False, labelbottom=False)
    figures.legend(ax)
    return ax.figure


EXPERIMENT = GradientAlignment()
