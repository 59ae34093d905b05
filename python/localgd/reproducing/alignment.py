"""GradAlign, FedGA and what they are compared with, on splits of the same rows."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import numpy as np

import localgd as lg

from . import figures
from .columns import Columns
from .intervals import Estimate

__all__ = ["LOCAL_STEPS", "NAMES", "PLAIN", "Grid", "HeldOut", "Key", "Split", "curves", "ends"]
__all__ += ["log_variance", "methods", "split", "variance_ratio"]

LOCAL_STEPS = 10
CLIENTS = 10
PLAIN = {"GradAlign": "GD", "FedGA": "FedAvg"}  # what each is without the displacement
NAMES = ("GD", "GradAlign", "FedAvg", "SCAFFOLD", "FedGA")
STYLES = figures.styles(linestyle=("-", "--", "-", ":", "--"))
Key = tuple[str, float, float]  # method, η, β
Grid = Mapping[str, tuple[Sequence[float], Sequence[float]]]  # the η and β of each method
HeldOut = tuple[np.ndarray, np.ndarray]
Split = tuple[lg.Problem, HeldOut, HeldOut]  # to train on, to choose with, to test


def split(X: np.ndarray, y: np.ndarray, seed: int, sizes: tuple[int, int, int]) -> Split:
    """Rows drawn at random: clients of two classes each, and held-out ones.

    Parameters
    ----------
    X, y : arrays
    seed : int
    sizes : tuple of int
        Rows to train on, to choose with, and of all; shares of these, where there are fewer.
    """
    train, check, most = sizes
    rows = np.random.default_rng(seed).permutation(len(y))[:most]
    part = min(1.0, len(rows) / most)
    first, second, third = np.split(rows, [int(part * train), int(part * (train + check))])
    problem = lg.partition(
        X[first], y[first], n_clients=CLIENTS, scheme=lg.ByClass(2), seed=seed, task="multiclass"
    )
    if y.max() >= problem.n_classes:
        raise ValueError("a split leaves no row of some class to train on")
    return problem, (X[second], y[second]), (X[third], y[third])


def methods(
    grid: Grid,
    grad_align: Callable[[float, float], Any],
    fed_ga: Callable[[int, float, float], Any],
    H: float = 1.0,
) -> dict[Key, Any]:
    """Every method with every η and β of its grid, which are those over H."""
    made: dict[str, Callable[[float, float], Any]] = {
        "GD": lambda lr, _: lg.GD(lr),
        "GradAlign": grad_align,
        "FedAvg": lambda lr, _: lg.LocalGD(LOCAL_STEPS, lr),
        "SCAFFOLD": lambda lr, _: lg.Scaffold(LOCAL_STEPS, lr),
        "FedGA": lambda lr, beta: fed_ga(LOCAL_STEPS, lr, beta),
    }
    return {
        (name, rate, beta): made[name](rate / H, beta / H)
        for name, (rates, betas) in grid.items()
        for rate in rates
        for beta in betas
    }


def log_variance(run: lg.Run, losses: np.ndarray) -> np.ndarray:
    """log Σ p_i‖∇f_i - ∇f‖² where the training loss first reaches these values."""
    lowest = np.minimum.accumulate(run.history["loss"])
    new = np.concatenate([[True], np.diff(lowest) < 0])
    loss, variance = np.log(lowest[new][::-1]), np.log(run.history["grad_variance"][new][::-1])
    return np.interp(np.log(losses), loss, variance, left=np.nan, right=np.nan)


def variance_ratio(run: lg.Run, plain: lg.Run) -> float:
    """The variance of one run over that of another at the larger of their lowest losses."""
    level = np.array([max(one.history["loss"].min() for one in (run, plain))])
    return float(np.exp(log_variance(run, level) - log_variance(plain, level))[0])


def ends(pattern: str, estimates: Iterable[Estimate]) -> dict[str, np.ndarray]:
    """Columns of means and of both ends of intervals; {} in their name says which."""
    found = np.array(list(estimates)).T
    return {
        pattern.format(end): column
        for end, column in zip(("mean", "low", "high"), found, strict=True)
    }


def curves(table: Columns, first: int = 10) -> Any:
    """A panel of the mean test accuracy of every method against rounds, from one of them on."""
    ax = figures.panel(
        x="Communication rounds", y="Test accuracy (%)", xscale="linear", yscale="linear"
    )
    shown = table["round"] >= first
    found = {name: table[f"{name}_mean_percent"][shown] for name in NAMES}
    figures.lines(ax, table["round"][shown], found, STYLES)
    return ax
