"""E16: GradAlign and FedGA on two-layer networks: gradient variance and test accuracy."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

import localgd as lg

from .. import figures, rows
from ..alignment import (
    CLIENTS,
    LOCAL_STEPS,
    NAMES,
    PLAIN,
    Grid,
    HeldOut,
    Key,
    Split,
    curves,
    ends,
    methods,
    split,
    variance_ratio,
)
from ..columns import Columns, columns, part
from ..context import Context
from ..experiment import Experiment
from ..intervals import Estimate, geometric, interval, least, worst
from ..measured import Measured
from ..reaching import at
from ..words import read

ROUNDS = 100
SHOWN = 40  # the first round of the curves
RECORDS = (0, 10, *range(20, 2 * ROUNDS + 1, 20))
WIDTHS = {"narrow": 32, "wide": 128}
GRID: Grid = {
    "GD": ((4, 8, 16), (0,)),
    "GradAlign": ((4, 8, 16), (0.5, 1, 2)),
    "FedAvg": ((2, 4, 6), (0,)),
    "SCAFFOLD": ((2, 4, 6), (0,)),
    "FedGA": ((2, 4, 6), (2, 4, 6)),
}
QUICK_GRID: Grid = {
    "GD": ((2, 4), (0,)),
    "GradAlign": ((4,), (0.5,)),
    "FedAvg": ((2,), (0,)),
    "SCAFFOLD": ((2,), (0,)),
    "FedGA": ((2,), (1, 2)),
}
ROWS = (1000, 1000, 5000)  # to train on, to choose η and β with, of all
QUICK_ROWS = (500, 300, 1797)
MORE = {plain: f"{plain} of {2 * ROUNDS} rounds" for plain in PLAIN.values()}
WITHOUT = {name: f"{name} without it" for name in PLAIN}  # the plain method at the same η
COMPARED = {
    "gradalign": ("GradAlign", "GD"),
    "fedga": ("FedGA", "FedAvg"),
    "fedga_scaffold": ("FedGA", "SCAFFOLD"),
    "gradalign_bytes": ("GradAlign", MORE["GD"]),
    "fedga_bytes": ("FedGA", MORE["FedAvg"]),
}


@dataclass(frozen=True)
class Chosen:
    """The best η and β of every method on a split, and the runs with them by their names."""

    keys: Mapping[str, Key]
    runs: Mapping[str, lg.Run]

    def accuracies(self) -> dict[str, float]:
        """Test accuracies in percent at the end."""
        return {
            name: 100 * at(self.runs[name], "test_accuracy", 2 * ROUNDS if more else ROUNDS)
            for names, more in ((NAMES, False), (MORE.values(), True))
            for name in names
        }


@dataclass(frozen=True)
class NetworkAlignment(Experiment):
    """Five methods on networks of two widths, each with its best η and β on every split.

    ``grad_align`` makes GradAlign of η and β, ``fed_ga`` FedGA of L, η and β.
    """

    grad_align: Callable[[float, float], Any] = lg.GradAlign
    fed_ga: Callable[[int, float, float], Any] = lg.FedGA

    words = read(
        __file__,
        clients=CLIENTS,
        steps=LOCAL_STEPS,
        rounds=ROUNDS,
        twice=2 * ROUNDS,
        shown=SHOWN,
        **WIDTHS,
    )

    def parameters(self, context: Context) -> Mapping[str, Any]:
        """Rows, and the grids of η and β."""
        train, check, every = context.pick(QUICK_ROWS, ROWS)
        grid = context.pick(QUICK_GRID, GRID)
        return {
            "images": context.pick("scikit-learn's 8×8 digits", "5,000 MNIST digits"),
            "train": train,
            "check": check,
            "test": every - train - check,
            **{f"rates_{name}": _listed(rates) for name, (rates, _) in grid.items()},
            **{f"betas_{name}": _listed(betas) for name, (_, betas) in grid.items()},
            "last_seed": context.seeds()[-1],
        }

    def measure(self, context: Context) -> Measured:
        """Every method with its best η and β, on every split and for both widths."""
        splits = self.splits(context)
        chosen: dict[str, list[Chosen]] = {width: [] for width in WIDTHS}
        for number in context.each("split ", range(len(splits.used))):
            for width, hidden in WIDTHS.items():
                seed = context.seeds()[number]
                chosen[width].append(self._chosen(context, *splits.used[number], hidden, seed))
        accuracies = {w: columns([one.accuracies() for one in of]) for w, of in chosen.items()}
        ratios = {width: columns([_ratios(one) for one in of]) for width, of in chosen.items()}
        gains = {
            (label, width): interval(found[name] - found[other])
            for label, (name, other) in COMPARED.items()
            for width, found in accuracies.items()
        }
        means = {
            (name, width): geometric(found[name])
            for name in PLAIN
            for width, found in ratios.items()
        }
        return Measured(
            numbers=_numbers(gains, means),
            series={
                "gain": _gain_columns(gains),
                "accuracy": _accuracy_curves(chosen["wide"]),
                **{f"{width}_accuracy_percent": found for width, found in accuracies.items()},
                **{f"{width}_variance_ratio": found for width, found in ratios.items()},
            },
            tables=[
                *(
                    self.table("methods", _methods(of, accuracies[width]), hidden=WIDTHS[width])
                    for width, of in chosen.items()
                ),
                self.table("gains", _side_by_side(gains)),
            ],
            **splits.told,
        )

    def splits(self, context: Context) -> rows.Rows[list[Split]]:
        """For each seed: a problem, rows to choose with, rows to test."""
        sizes = context.pick(QUICK_ROWS, ROWS)
        load = context.pick(lg.datasets.load_digits, lg.datasets.load_mnist)

        def drawn(X: np.ndarray, y: np.ndarray) -> list[Split]:
            return [split(X, y, seed, sizes) for seed in context.seeds()]

        return self.own_or(
            context, lambda own: drawn(own.X, own.y), lambda: drawn(*load(classes=None))
        )

    def _chosen(
        self,
        context: Context,
        problem: lg.Problem,
        check: HeldOut,
        test: HeldOut,
        hidden: int,
        seed: int,
    ) -> Chosen:
        network = lg.TwoLayer(hidden)
        every = methods(context.pick(QUICK_GRID, GRID), self.grad_align, self.fed_ga)
        train = partial(
            context.run, problem, loss="softmax", model=network, seed=seed, dtype="float32"
        )
        right = _validated(train, every, check)
        keys = {name: _best(right, name, ROUNDS) for name in NAMES}
        keys |= {more: _best(right, plain, 2 * ROUNDS) for plain, more in MORE.items()}
        keys |= {WITHOUT[name]: (plain, keys[name][1], 0) for name, plain in PLAIN.items()}
        runs = {
            key: train(every[key], rounds=_rounds(key), record=_records(key), test=test)
            for key in dict.fromkeys(keys.values())
        }
        return Chosen(keys, {name: runs[key] for name, key in keys.items()})

    def draw(self, measured: Measured) -> Mapping[str, Any]:
        """Differences in accuracy for both widths, and accuracy against rounds."""
        series = measured.series
        return {"gain": _draw_gain(series["gain"]), "accuracy": curves(series["accuracy"], SHOWN)}


def _listed(numbers: Sequence[float]) -> str:
    return ", ".join(f"{number:g}" for number in numbers)


def _rounds(key: Key) -> int:
    return 2 * ROUNDS if key[0] in MORE else ROUNDS


def _records(key: Key) -> list[int]:
    return [k for k in RECORDS if k <= _rounds(key)]


def _validated(
    train: Callable[..., lg.Run], every: Mapping[Key, Any], check: HeldOut
) -> dict[tuple[Key, int], float]:
    """Validation accuracies by method and round; 0 where a run did not get there."""
    X, y = check
    start = train(lg.GD(1.0), rounds=0).model

    def right(theta: np.ndarray) -> float:
        model = dataclasses.replace(start, parameters=theta)
        return float(np.mean(model.predict(X) == y))

    found: dict[tuple[Key, int], float] = {}
    for key, method in every.items():
        wanted = sorted({ROUNDS, _rounds(key)})
        run = train(method, rounds=wanted[-1], record=wanted, measures={"right": right})
        reached = dict(zip(run.history["round"].tolist(), run.history["right"], strict=True))
        found |= {(key, k): float(reached.get(k, 0.0)) for k in wanted}
    return found


def _best(right: Mapping[tuple[Key, int], float], name: str, round: int) -> Key:
    """η and β of the best validation accuracy after so many rounds; the smallest of equals."""
    tried = sorted(key for key, k in right if key[0] == name and k == round)
    return max(tried, key=lambda key: right[key, round])


def _ratios(chosen: Chosen) -> dict[str, float]:
    """Variance of gradients with the displacement over that without it, at the same η and loss."""
    runs = chosen.runs
    return {name: variance_ratio(runs[name], runs[WITHOUT[name]]) for name in PLAIN}


Pairs = Mapping[tuple[str, str], Estimate]  # of a comparison and a width


def _numbers(gains: Pairs, ratios: Pairs) -> dict[str, Estimate | int]:
    numbers: dict[str, Estimate | int] = {**WIDTHS}
    for (label, width), gain in gains.items():
        numbers[f"{width}_{label}_gain_points"] = gain
    for (name, width), ratio in ratios.items():
        numbers[f"{width}_{name.lower()}_variance_ratio"] = ratio
    for label in COMPARED:
        numbers[f"least_{label}_gain_points"] = least(gains[label, width] for width in WIDTHS)
    for name in PLAIN:
        worse = worst(ratios[name, width] for width in WIDTHS)
        numbers[f"worst_{name.lower()}_variance_ratio"] = worse
    return numbers


def _gain_columns(gains: Pairs) -> dict[str, np.ndarray]:
    names = [
        {"difference": " − ".join(COMPARED[label]), "hidden": WIDTHS[width]}
        for label, width in gains
    ]
    return {**columns(names), **ends("{}_points", gains.values())}


def _side_by_side(gains: Pairs) -> list[dict[str, Any]]:
    return [
        {"difference": " − ".join(names), **{width: gains[label, width] for width in WIDTHS}}
        for label, names in COMPARED.items()
    ]


def _accuracy_curves(chosen: Sequence[Chosen]) -> dict[str, np.ndarray]:
    table = {"round": np.array([k for k in RECORDS if 0 < k <= ROUNDS])}
    for name in NAMES:
        found = [
            [100 * at(one.runs[name], "test_accuracy", k) for one in chosen] for k in table["round"]
        ]
        table |= ends(f"{name}_{{}}_percent", map(interval, found))
    return table


def _methods(chosen: Sequence[Chosen], accuracies: Columns) -> list[dict[str, Any]]:
    """For a table: what was chosen, and what came out after as many rounds."""
    found = []
    for name in NAMES:
        picked = [
            ", ".join(f"{v:g}" for v in sorted({one.keys[name][place] for one in chosen}))
            for place in ((1, 2) if name in PLAIN else (1,))
        ]
        runs = [one.runs[name] for one in chosen]
        found.append(
            {
                "method": name,
                "chosen": " / ".join(picked),
                "accuracy": interval(accuracies[name]),
                "loss": np.mean([at(run, "loss", ROUNDS) for run in runs]),
                "variance": np.exp(
                    np.mean([np.log(at(run, "grad_variance", ROUNDS)) for run in runs])
                ),
                "megabytes": at(runs[0], "bytes", ROUNDS) / 1e6,
            }
        )
    return found


def _draw_gain(table: Columns) -> Any:
    ax = figures.panel(
        x="Difference in test accuracy (points)", y="", xscale="linear", yscale="linear"
    )
    for shift, (hidden, style) in zip(
        (0.12, -0.12), zip(WIDTHS.values(), figures.MARKED, strict=False), strict=True
    ):
        of = part(table, hidden=hidden)
        mean, places = of["mean_points"], np.arange(len(COMPARED))[::-1]
        bars = [mean - of["low_points"], of["high_points"] - mean]
        label = f"{hidden} hidden units"
        ax.errorbar(mean, places + shift, xerr=bars, linestyle="", capsize=2, label=label, **style)
    ax.axvline(0, color="black", linewidth=0.8, linestyle=":")
    ax.set_yticks(places, [str(name).replace(" of ", "\nof ") for name in of["difference"]])
    ax.set_ylim(-0.6, len(places) - 0.4)
    return ax


EXPERIMENT = NetworkAlignment()
