"""Runs that go through every method, loss, engine and dtype, and every way a round is computed."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import cache
from typing import Any

import numpy as np
import registry

import localgd as lg

Arrays = dict[str, np.ndarray]

ENGINES, DTYPES = registry.ENGINES, registry.DTYPES
LOSSES = ("exponential", "logistic", "squared", "softmax")  # those that are frozen
THREADS = (1, 3)


@cache
def problem(loss: str, sizes: tuple[int, ...], d: int) -> lg.Problem:
    """Rows of three decimals, made without a product: the same on every machine."""
    rng = np.random.default_rng([sum(sizes), d])
    X = np.round(rng.standard_normal((sum(sizes), d)) / np.sqrt(d), 3)
    if loss == "softmax":
        y = np.arange(sum(sizes)) * 7 % registry.N_CLASSES
    elif loss in registry.REGRESSION:
        y = np.round(rng.standard_normal(sum(sizes)), 3)
    else:
        y = np.where(X[:, 0] < 0, -1.0, 1.0)
        X[:, 0] += 0.5 * y
    rows = list(
        zip(np.split(X, np.cumsum(sizes)[:-1]), np.split(y, np.cumsum(sizes)[:-1]), strict=True)
    )
    weights = np.arange(1.0, len(sizes) + 1) if len(sizes) < 10 else "samples"
    return lg.Problem(rows, weights=weights, task=registry.task(loss))


def recorded(run: lg.Run) -> Arrays:
    """The history without what follows from the rest: bits, 8 times the bytes, and passes."""
    made = ("bits", "passes")
    return {name: column for name, column in run.history.items() if not name.startswith(made)}


def arrays(run: lg.Run) -> Arrays:
    found = {f"history {name}": column for name, column in recorded(run).items()}
    found["weights"] = run.weights
    if run.coefficients is not None:
        found["coefficients"] = run.coefficients
    return found


def run(where: lg.Problem, method: Any, threads: int, **how: Any) -> Arrays:
    return arrays(lg.run(where, method, threads=threads, seed=registry.SEED, **how))


def of_the_registry() -> Iterator[tuple[str, Callable[[int], Arrays]]]:
    """Every method with every loss in every engine and dtype."""
    for case in registry.METHODS:
        for loss in (loss for loss in case.losses if loss in LOSSES):
            for engine in case.engines:
                for dtype in DTYPES:
                    yield (
                        f"{case.name} | {loss} {engine} {dtype}",
                        lambda t, case=case, loss=loss, engine=engine, dtype=dtype: run(
                            problem(loss, (12, 40, 25), 70),
                            case.make(0.2),
                            t,
                            rounds=8,
                            loss=loss,
                            engine=engine,
                            dtype=dtype,
                            record=(0, 3, 8),
                        ),
                    )


MANY, FEW = (5,) * 37, (3, 1, 4, 2) * 400
SHAPES: dict[str, tuple[tuple[int, ...], int, tuple[str, ...], lg.methods.Method, int]] = {
    # what is tried: sizes of the clients, features, engines, method, rounds
    "bundles": (MANY, 9, ("gram", "hybrid"), lg.LocalGD(6, 0.4), 30),
    "bundles, one group of many": ((5, 9, 3) * 700, 3, ("hybrid",), lg.LocalGD(2, 0.4), 3),
    "bundles, anchored": (MANY, 9, ("hybrid",), lg.LocalGD(6, 0.4, server=lg.Anchored()), 30),
    "bundles, sampled": (MANY, 9, ("gram", "hybrid"), lg.LocalGD(6, 0.4, participation=9), 30),
    "bundles, proximal": (MANY, 9, ("hybrid",), lg.FedProx(6, 0.4, mu=0.3), 30),
    "many clients": (FEW, 4, ENGINES, lg.LocalGD(3, 0.4), 3),
    "many clients, controls": (FEW, 4, ("hybrid", "primal"), lg.Scaffold(3, 0.4), 3),
    "extrapolated steps": ((30, 21), 50, ENGINES, lg.LocalGD(100, 0.2), 40),
    "extrapolated steps, proximal": ((30, 21), 50, ENGINES, lg.FedProx(60, 0.2, mu=0.1), 40),
    "extrapolated first steps": ((30, 21), 50, ENGINES, lg.LocalGD(12, 0.2), 60),
    "batches in turn": ((20,) * 12, 30, ENGINES, lg.LocalSGD(9, 0.1, batch_size=1), 10),
    "large clients": ((700, 90), 1000, ("primal",), lg.LocalGD(3, 0.5), 2),
    "large clients, extrapolated": ((700, 90), 1000, ("primal",), lg.LocalGD(40, 0.5), 3),
    "large clients, hybrid": ((700, 90), 90, ("hybrid",), lg.LocalGD(5, 0.5), 2),
    "smooth products": ((10,) * 6, 90, ("gram",), lg.LocalGD(20, 1.0), 1500),
}


def of_shapes() -> Iterator[tuple[str, Callable[[int], Arrays]]]:
    """What small problems do not reach: bundles, extrapolation, large clients, saved products."""
    for name, (sizes, d, engines, method, rounds) in SHAPES.items():
        softmax = () if "bundles" in name else ("softmax",)
        for loss in ("exponential", "logistic", "squared", *softmax):
            for engine in engines:
                for dtype in DTYPES:
                    yield (
                        f"{name} | {loss} {engine} {dtype}",
                        lambda t, s=sizes, d=d, m=method, k=rounds, loss=loss, e=engine, dt=dtype: (
                            run(problem(loss, s, d), m, t, rounds=k, loss=loss, engine=e, dtype=dt)
                        ),
                    )


def of_sweeps() -> Iterator[tuple[str, Callable[[int], Arrays]]]:
    """Runs side by side."""
    for loss in ("exponential", "logistic", "squared"):
        for dtype in DTYPES:
            for every_step in (False, True):
                yield (
                    f"sweep{', every step' if every_step else ''} | {loss} {dtype}",
                    lambda t, loss=loss, dtype=dtype, every=every_step: sweep(
                        t, loss, dtype, every
                    ),
                )


def sweep(threads: int, loss: str, dtype: str, every_step: bool) -> Arrays:
    table = lg.sweep(
        problem(loss, (30, 21, 44), 60),
        lg.LocalGD(local_steps=25, lr=0.1),
        grid={"lr": [0.01 * k for k in range(1, 22)]},
        rounds=30,
        loss=loss,
        dtype=dtype,
        threads=threads,
        every_step=every_step,
    )
    return {
        f"{n} {name}": column
        for n, entry in enumerate(table)
        for name, column in recorded(entry).items()
    }


def cases() -> dict[str, Callable[[int], Arrays]]:
    """By name: a function of the number of threads."""
    return dict([*of_the_registry(), *of_shapes(), *of_sweeps()])
