"""E17: when does the averaged network follow its tangent kernel?"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

import localgd as lg

from .. import figures
from ..columns import Columns, columns, part, records
from ..context import Context
from ..experiment import Experiment
from ..intervals import Estimate, interval, least, median, worst
from ..measured import Measured
from ..reaching import rounds_to
from ..words import read

STEPS = (1, 10, 100)
LOCAL_STEPS = 500  # of every run
SCALES = (1, 10, 100, 1000)
UNITS = ("tanh", "relu")
NAMES = {"tanh": "tanh", "relu": "ReLU"}
HIDDEN = 64
PER_DIGIT = 40
ETA = 1.0
NEAR = 0.1  # of the outputs of the kernel
RICH = 1  # the α of the accuracies that are compared


@dataclass(frozen=True)
class LazyAndRich(Experiment):
    """Networks of several scales beside the machine of their tangent kernel.

    ``method`` makes the method of both from L and η; ``units`` are the activations that stand for
    smooth units and for such with a kink.
    """

    method: Callable[[int, float], Any] = lg.LocalGD
    units: tuple[str, str] = UNITS

    words = read(
        __file__,
        hidden=HIDDEN,
        per_digit=PER_DIGIT,
        rich=RICH,
        near=100 * NEAR,
        eta=ETA,
        steps=LOCAL_STEPS,
    )

    def parameters(self, context: Context) -> Mapping[str, Any]:
        """Rows, scales and draws."""
        return {
            "images": context.pick("scikit-learn's 8×8 digits", "MNIST"),
            "scales": ", ".join(f"{scale:,}" for scale in SCALES),
            "draws": f"{len(context.seeds())} draws of rows and starts, of seeds "
            f"{context.seeds()[0]} to {context.seeds()[-1]}",
        }

    def measure(self, context: Context) -> Measured:
        """Every L, scale and activation, on draws of digits."""
        found = [
            {"units": units, "draw": number, **one}
            for number, seed in enumerate(context.each("draw ", context.seeds()), 1)
            for units, activation in zip(UNITS, self.units, strict=True)
            for one in self._beside(context, activation, *digits(context, seed), seed)
        ]
        draws = columns(found)
        slopes = {
            (units, L): median(_by_draw(draws, units, L, _slope)) for units in UNITS for L in STEPS
        }
        needed = {
            (units, L): median(_by_draw(draws, units, L, _needed)) for units in UNITS for L in STEPS
        }
        rich = part(draws, units="relu", alpha=RICH)
        gains = {L: interval(part(rich, L=L)["gain_points"]) for L in STEPS}
        differences = {L: median(part(rich, L=L)["difference"]) for L in STEPS}
        times = median(
            _by_draw(draws, "relu", STEPS[-1], _needed) / _by_draw(draws, "relu", 1, _needed)
        )
        return Measured(
            numbers={
                **{f"{units}_slope_{L}": slope for (units, L), slope in slopes.items()},
                **{f"{units}_needed_{L}": alpha for (units, L), alpha in needed.items()},
                **{f"gain_points_{L}": gain for L, gain in gains.items()},
                **{f"difference_{L}": difference for L, difference in differences.items()},
                "tanh_steepest": least(slopes["tanh", L] for L in STEPS),
                "tanh_flattest": worst(slopes["tanh", L] for L in STEPS),
                "relu_steepest": least(slopes["relu", L] for L in STEPS),
                "needed_times": times,
                "least_difference": least(differences.values()),
                "least_gain_points": least(gains.values()),
                "near": 100 * NEAR,
                "rich": RICH,
            },
            series={"draws": draws, "medians": _medians(draws)},
            tables=[self.table("scales", _scales(_medians(draws), needed))],
        )

    def _beside(
        self,
        context: Context,
        activation: str,
        problem: lg.Problem,
        test: tuple[np.ndarray, np.ndarray],
        seed: int,
    ) -> list[dict[str, Any]]:
        """Outputs on the test rows beside those of the kernel's machine."""
        X, y = test
        options: dict[str, Any] = {"loss": "logistic", "seed": seed}
        network = lg.TwoLayer(HIDDEN, activation, centered=True)
        start = context.run(problem, lg.GD(1.0), rounds=0, model=network, **options).model
        K = lg.analysis.tangent_kernel(start, problem.X)
        across = lg.analysis.tangent_kernel(start, X, problem.X)
        clients = np.repeat(np.arange(problem.n_clients), problem.sizes)
        kernel = lg.Problem.from_gram(K, problem.y, clients)
        found = []
        for L in STEPS:
            rounds = LOCAL_STEPS // L
            last = [rounds]
            machine = context.run(
                kernel, self.method(L, ETA), rounds=rounds, loss="logistic", record=last
            )
            wanted = across @ (kernel.y * machine.coefficients)
            for scale in SCALES:
                scaled = lg.TwoLayer(HIDDEN, activation, scale=float(scale), centered=True)
                method = self.method(L, ETA / scale**2)
                run = context.run(
                    problem, method, rounds=rounds, model=scaled, record=last, **options
                )
                outputs = run.model.decision_function(X)
                found.append(
                    {
                        "L": L,
                        "alpha": scale,
                        "difference": _relative(outputs, wanted),
                        "moved": _relative(run.model.first, start.first),
                        "agreement": np.mean(np.sign(outputs) == np.sign(wanted)),
                        "accuracy": _percent(outputs, y),
                        "gain_points": _percent(outputs, y) - _percent(wanted, y),
                    }
                )
        return found

    def draw(self, measured: Measured) -> Mapping[str, Any]:
        """The difference from the kernel, and the accuracy beside it, against the scale."""
        table = measured.series["medians"]
        return {"difference": _draw_difference(table), "gain": _draw_gain(table)}


def digits(context: Context, seed: int) -> tuple[lg.Problem, tuple[np.ndarray, np.ndarray]]:
    """Is a digit odd? Ten clients of one digit each, and 1,000 other rows to test."""
    load = context.pick(lg.datasets.load_digits, lg.datasets.load_mnist)
    X, digit = load(classes=None)
    y = np.where(digit % 2, 1.0, -1.0)
    order = np.random.default_rng(seed).permutation(len(y))
    train = np.concatenate([order[digit[order] == one][:PER_DIGIT] for one in range(10)])
    test = order[~np.isin(order, train)][:1000]
    clients = digit[train].astype(int)
    return lg.Problem.from_arrays(X[train], y[train], clients), (X[test], y[test])


def _relative(found: np.ndarray, wanted: np.ndarray) -> float:
    return float(np.linalg.norm(found - wanted) / np.linalg.norm(wanted))


def _percent(outputs: np.ndarray, y: np.ndarray) -> float:
    return 100 * float(np.mean(np.sign(outputs) == y))


def _by_draw(
    draws: Columns, units: str, L: int, measure: Callable[[np.ndarray, np.ndarray], float]
) -> np.ndarray:
    """A number of the differences against the scale, for each draw."""
    of = part(draws, units=units, L=L)
    each = [part(of, draw=draw) for draw in np.unique(of["draw"])]
    return np.array([measure(one["alpha"], one["difference"]) for one in each])


def _slope(scales: np.ndarray, differences: np.ndarray) -> float:
    """That of their logarithms between the two largest scales."""
    return float(np.diff(np.log(differences[-2:]))[0] / np.diff(np.log(scales[-2:]))[0])


def _needed(scales: np.ndarray, differences: np.ndarray) -> float:
    """The scale from which on outputs are near those of the kernel's machine; NaN if none is."""
    return rounds_to(scales, differences, NEAR)


def _medians(draws: Columns) -> dict[str, np.ndarray]:
    """Over the draws."""
    return columns(
        [
            {"units": units, "L": L, "alpha": scale}
            | {
                name: median(part(draws, units=units, L=L, alpha=scale)[name]).value
                for name in ("difference", "moved", "agreement", "accuracy", "gain_points")
            }
            for units in UNITS
            for L in STEPS
            for scale in SCALES
        ]
    )


def _scales(medians: Columns, needed: Mapping[tuple[str, int], Estimate]) -> list[dict[str, Any]]:
    return [
        {"units": NAMES[units], "L": L, "needed": needed[units, L]}
        | {
            f"{name}_{one['alpha']}": one[name]
            for one in records(part(medians, units=units, L=L))
            for name in ("difference", "gain_points")
        }
        for units in UNITS
        for L in STEPS
    ]


def _draw_difference(table: Columns) -> Any:
    ax = figures.panel(x="Scale α", y="Difference from the kernel")
    for units, dashes in zip(UNITS, ("--", "-"), strict=True):
        for L, style in zip(STEPS, figures.MARKED, strict=False):
            of = part(table, units=units, L=L)
            label = f"{NAMES[units]}, L = {L}"
            ax.plot(of["alpha"], of["difference"], label=label, linestyle=dashes, **style)
    return ax


def _draw_gain(table: Columns) -> Any:
    ax = figures.panel(x="Scale α", y="Accuracy gained (points)", yscale="linear")
    for L, style in zip(STEPS, figures.MARKED, strict=False):
        of = part(table, units="relu", L=L)
        ax.plot(of["alpha"], of["gain_points"], label=f"ReLU, L = {L}", **style)
    ax.axhline(0, **figures.GUIDE)
    return ax


EXPERIMENT = LazyAndRich()
