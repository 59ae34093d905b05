"""E9: GradAlign and FedGA lower the variance of the clients' gradients; and the test accuracy?"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

import localgd as lg

from .. import figures, rows
from ..alignment import (
    CLIENTS,
    NAMES,
    PLAIN,
    STYLES,
    Key,
    Split,
    curves,
    ends,
    log_variance,
    methods,
    split,
    variance_ratio,
)
from ..columns import Columns
from ..context import Context, weights
from ..experiment import Experiment
from ..intervals import Estimate, geometric, interval, least, worst
from ..measured import Measured
from ..reaching import at
from ..words import read

ROUNDS = 100
RATES = (1, 4, 16, 64)  # η H
QUICK_RATES = (4, 16)
BETAS = (1, 3, 10)  # β H
SHOWN = 4  # the η H of the pictures
ROWS = (500, 300, 1797)  # to train on, to choose η and β with, of all
TWICE = f" of {2 * ROUNDS} rounds"  # the other method's, for as many bytes
Runs = Mapping[Key, lg.Run]


@dataclass(frozen=True)
class GradientAlignment(Experiment):
    """Five methods on several splits of the rows, each with its best η and β.

    ``grad_align`` makes GradAlign of η and β, ``fed_ga`` FedGA of L, η and β.
    """

    grad_align: Callable[[float, float], Any] = lg.GradAlign
    fed_ga: Callable[[int, float, float], Any] = lg.FedGA

    words = read(
        __file__,
        clients=CLIENTS,
        rounds=ROUNDS,
        twice=2 * ROUNDS,
        shown_rate=SHOWN,
        shown_beta=BETAS[-1],
    )

    def parameters(self, context: Context) -> Mapping[str, Any]:
        """Step sizes and splits."""
        return {
            "rates": ", ".join(str(rate) for rate in self._rates(context)),
            "last_seed": self._seeds(context)[-1],
        }

    @staticmethod
    def _rates(context: Context) -> Sequence[int]:
        return context.pick(QUICK_RATES, RATES)

    @staticmethod
    def _seeds(context: Context) -> range:
        return range(1 + context.seed, 1 + context.seed + context.pick(3, 12))

    def measure(self, context: Context) -> Measured:
        """Every method with every η and β on every split."""
        splits = self.splits(context)
        every = [
            self._runs(context, *splits.used[number])
            for number in context.each("split ", range(len(splits.used)))
        ]
        chosen = {name: [_best(runs, name, ROUNDS) for runs in every] for name in NAMES}
        accuracy = {name: _accuracies(every, chosen[name], ROUNDS) for name in NAMES}
        gains = _gains(every, accuracy)
        ratios: dict[Key, Estimate] = {
            (name, rate, beta): geometric(_ratios_of(every, name, rate, beta))
            for name in PLAIN
            for rate in self._rates(context)
            for beta in BETAS
        }
        return Measured(
            numbers={
                "mechanism_error": self._mechanism(context, splits.used[0][0], every[0]),
                "gradalign_worst_variance_ratio": _worst_of(ratios, "GradAlign"),
                "fedga_worst_variance_ratio": _worst_of(ratios, "FedGA"),
                "gradalign_variance_ratio": ratios["GradAlign", SHOWN, BETAS[-1]],
                "fedga_variance_ratio": ratios["FedGA", SHOWN, BETAS[-1]],
                "gradalign_gain_points": gains["GradAlign − GD"],
                "fedga_gain_points": gains["FedGA − FedAvg"],
                "fedga_scaffold_gain_points": gains["FedGA − SCAFFOLD"],
                "gradalign_bytes_gain_points": gains[f"GradAlign − GD{TWICE}"],
                "fedga_bytes_gain_points": gains[f"FedGA − FedAvg{TWICE}"],
                "equal_bytes_gain_points": least(
                    gains[f"{name} − {plain}{TWICE}"] for name, plain in PLAIN.items()
                ),
            },
            series={
                "accuracy": _accuracy_curves(every, chosen),
                "variance": _variance_curves(every),
                "ratio": _ratio_columns(ratios),
                "gain": {"difference": np.array(list(gains)), **ends("{}_points", gains.values())},
                "splits": {"split": np.arange(1, len(every) + 1)}
                | {f"{name}_accuracy_percent": values for name, values in accuracy.items()},
            },
            tables=[
                self.table("methods", _methods(every, chosen, accuracy), splits=len(every)),
                self.table("gains", [{"difference": k, "gain": v} for k, v in gains.items()]),
                self.table("ratios", _ratios(ratios, self._rates(context))),
            ],
            **splits.told,
        )

    def splits(self, context: Context) -> rows.Rows[list[Split]]:
        """For each seed: a problem, rows to choose with, rows to test."""

        def splits(X: np.ndarray, y: np.ndarray) -> list[Split]:
            return [split(X, y, seed, ROWS) for seed in self._seeds(context)]

        return self.own_or(
            context,
            lambda own: splits(own.X, own.y),
            lambda: splits(*lg.datasets.load_digits(classes=None)),
        )

    def _runs(self, context: Context, problem: lg.Problem, check: Any, test: Any) -> Runs:
        H, rates = lg.analysis.smoothness(problem, "softmax"), self._rates(context)
        grid = {name: (rates, BETAS if name in PLAIN else (0,)) for name in NAMES}
        X, y = check

        def validation(W: np.ndarray) -> float:
            return float(np.mean(np.argmax(X @ W, axis=1) == y))

        options: dict[str, Any] = {"test": test, "measures": {"validation_accuracy": validation}}
        runs = {}
        for key, method in methods(grid, self.grad_align, self.fed_ga, H).items():
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

    def draw(self, measured: Measured) -> Mapping[str, Any]:
        """Accuracy against rounds, variance against loss, ratio against β."""
        series = measured.series
        return {
            "variance": _draw_variance(series["variance"]),
            "ratio": _draw_ratio(series["ratio"]),
            "accuracy": curves(series["accuracy"]),
            "gain": _draw_gain(series["gain"]),
        }


def _best(runs: Runs, name: str, round: int) -> Key:
    """η and β of the best validation accuracy after so many rounds; the smallest of equals."""
    return max(
        (key for key in sorted(runs) if key[0] == name),
        key=lambda key: at(runs[key], "validation_accuracy", round),
    )


def _accuracies(every: Sequence[Runs], keys: Sequence[Key], round: int) -> np.ndarray:
    """Test accuracy in percent for each split."""
    pairs = zip(every, keys, strict=True)
    return np.array([100 * at(runs[key], "test_accuracy", round) for runs, key in pairs])


def _ratios_of(every: Sequence[Runs], name: str, rate: int, beta: int) -> np.ndarray:
    """Variance with over variance without the displacement, for each split."""
    pairs = [(runs[name, rate, beta], runs[PLAIN[name], rate, 0]) for runs in every]
    return np.array([variance_ratio(run, plain) for run, plain in pairs])


def _worst_of(ratios: Mapping[Key, Estimate], name: str) -> Estimate:
    """The largest ratio of all η and β."""
    return worst(ratio for key, ratio in ratios.items() if key[0] == name)


def _gains(every: Sequence[Runs], accuracy: Mapping[str, np.ndarray]) -> dict[str, Estimate]:
    """Differences in accuracy after as many rounds, then after as many bytes."""
    pairs = (("GradAlign", "GD"), ("FedGA", "FedAvg"), ("FedGA", "SCAFFOLD"))
    gains = {f"{name} − {plain}": accuracy[name] - accuracy[plain] for name, plain in pairs}
    twice = 2 * ROUNDS
    for name, plain in PLAIN.items():
        longer = _accuracies(every, [_best(runs, plain, twice) for runs in every], twice)
        gains[f"{name} − {plain}{TWICE}"] = accuracy[name] - longer
    return {name: interval(values) for name, values in gains.items()}


def _accuracy_curves(
    every: Sequence[Runs], chosen: Mapping[str, Sequence[Key]]
) -> dict[str, np.ndarray]:
    rounds = next(iter(every[0].values())).history["round"]
    table = {"round": rounds[(rounds > 0) & (rounds <= ROUNDS)]}
    for name in NAMES:
        accuracies = (_accuracies(every, chosen[name], int(k)) for k in table["round"])
        table |= ends(f"{name}_{{}}_percent", (interval(values) for values in accuracies))
    return table


def _variance_curves(every: Sequence[Runs]) -> dict[str, np.ndarray]:
    """Relative to GD at the same loss, geometric means; NaN where some split did not get so far."""
    keys = {name: (name, SHOWN, BETAS[-1] if name in PLAIN else 0) for name in NAMES}
    last = max(float(runs[keys["GD"]].history["loss"].min()) for runs in every)
    losses = np.geomspace(last, 2.0, 60)
    logs = {
        name: np.mean([log_variance(runs[key], losses) for runs in every], axis=0)
        for name, key in keys.items()
    }
    return {"loss": losses} | {
        f"{name}_relative_to_GD": np.exp(values - logs["GD"]) for name, values in logs.items()
    }


def _ratio_columns(ratios: Mapping[Key, Estimate]) -> dict[str, np.ndarray]:
    table = {"beta_H": np.array(BETAS, dtype=float)}
    for name in PLAIN:
        table |= ends(f"{name}_{{}}", (ratios[name, SHOWN, beta] for beta in BETAS))
    return table


def _methods(
    every: Sequence[Runs],
    chosen: Mapping[str, Sequence[Key]],
    accuracy: Mapping[str, np.ndarray],
) -> list[dict[str, Any]]:
    found = []
    for name in NAMES:
        runs = [split[key] for split, key in zip(every, chosen[name], strict=True)]
        picked = (
            ", ".join(str(v) for v in sorted({key[place] for key in chosen[name]}))
            for place in ((1, 2) if name in PLAIN else (1,))
        )
        logs = [np.log(at(run, "grad_variance", ROUNDS)) for run in runs]
        found.append(
            {
                "method": name,
                "chosen": " / ".join(picked),
                "accuracy": interval(accuracy[name]),
                "loss": np.mean([at(run, "loss", ROUNDS) for run in runs]),
                "variance": np.exp(np.mean(logs)),
                "megabytes": at(runs[0], "bytes", ROUNDS) / 1e6,
            }
        )
    return found


def _ratios(ratios: Mapping[Key, Estimate], rates: Sequence[int]) -> list[dict[str, Any]]:
    return [
        {"pair": f"{name} / {plain}", "rate": rate}
        | {f"beta_{beta}": ratios[name, rate, beta] for beta in BETAS}
        for name, plain in PLAIN.items()
        for rate in rates
    ]


def _draw_variance(table: Columns) -> Any:
    ax = figures.panel(x="Training loss", y="Gradient variance / that of GD", yscale="linear")
    curves = {name: table[f"{name}_relative_to_GD"] for name in NAMES}
    figures.lines(ax, table["loss"], curves, STYLES)
    figures.few_ticks(ax, [t for t in (0.1, 0.2, 0.5, 1, 2) if t >= 0.9 * table["loss"][0]])
    ax.invert_xaxis()  # training goes to the right
    return ax


def _draw_gain(table: Columns) -> Any:
    ax = figures.panel(
        x="Difference in test accuracy (points)", y="", xscale="linear", yscale="linear"
    )
    mean, places = table["mean_points"], np.arange(len(table["mean_points"]))[::-1]
    bars = [mean - table["low_points"], table["high_points"] - mean]
    ax.errorbar(
        mean, places, xerr=bars, color=figures.COLOURS[0], marker="o", linestyle="", capsize=2
    )
    ax.axvline(0, color="black", linewidth=0.8, linestyle=":")
    ax.set_yticks(places, [str(name).replace(" of ", "\nof ") for name in table["difference"]])
    ax.set_ylim(-0.6, len(places) - 0.4)
    return ax


def _draw_ratio(table: Columns) -> Any:
    ax = figures.panel(x="Displacement βH", y="Ratio of gradient variances", yscale="linear")
    for (name, plain), marker in zip(PLAIN.items(), "os", strict=True):
        mean = table[f"{name}_mean"]
        ax.errorbar(
            table["beta_H"],
            mean,
            yerr=[mean - table[f"{name}_low"], table[f"{name}_high"] - mean],
            color=STYLES[NAMES.index(name)]["color"],
            marker=marker,
            markersize=4,
            capsize=2,
            label=f"{name} / {plain}",
        )
    ax.axhline(1, color="black", linewidth=0.8, linestyle=":")
    figures.few_ticks(ax, BETAS)
    return ax


EXPERIMENT = GradientAlignment()
