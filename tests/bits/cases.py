"""Runs that go through every method, loss, engine and dtype, and every way a round is computed."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from functools import cache
from typing import Any

import numpy as np
import registry
from scipy import sparse

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
    """The history without what other columns say: bits sent, 8 times the bytes, passes, log f."""
    told = ("bits", "passes", "log_loss")
    return {name: column for name, column in run.history.items() if not name.startswith(told)}


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


STORAGES: dict[str, Callable[[np.ndarray], Any]] = {
    "sparse rows": sparse.csr_array,
    "sparse rows in float32": lambda X: sparse.csr_array(X.astype(np.float32)),
    "sparse rows of ones": lambda X: sparse.csr_array((X != 0).astype(np.float64)),
    "rows in float32": lambda X: X.astype(np.float32),
}
OBJECTIVES: dict[str, dict[str, Any]] = {
    "plain": {},
    "penalised": {"l2": 0.05},
    "free intercept": {"l2": 0.05, "intercept": "free"},
}
STEPS: dict[str, lg.methods.Method] = {
    "steps": lg.LocalGD(4, 0.3),
    "many steps": lg.LocalGD(60, 0.1),
    "controls": lg.Scaffold(4, 0.3, participation=2),
    "batches": lg.LocalSGD(5, 0.1, batch_size=3, server=lg.ServerSGD(0.8, momentum=0.5)),
}


def stored(
    loss: str, storage: str, intercept: str | None = None, shared: bool = False
) -> lg.Problem:
    """Clients of other sizes whose rows have gaps, with weights of the rows."""
    plain = problem(loss, (12, 40, 25), 70)
    X = np.where(np.abs(plain.X) < 0.08, 0.0, plain.X)
    v = 0.5 + np.arange(len(X)) % 4
    options: dict[str, Any] = {
        "task": plain.task,
        "intercept": intercept,
        "labels": plain.labels,
        "sample_weight": v,
    }
    y = plain.y if plain.labels is None else np.array(plain.labels)[_places(plain)]
    if shared:
        return lg.Problem.shared(STORAGES[storage](X), y, 40, **options)
    clients = np.repeat(np.arange(3), plain.sizes)
    return lg.Problem.from_arrays(STORAGES[storage](X), y, clients, weights="equal", **options)


def _places(of: lg.Problem) -> np.ndarray:
    places = of.y if of.task == "multiclass" else (of.y + 1) / 2
    return places.astype(np.int64)


def of_rows_and_objectives() -> Iterator[tuple[str, Callable[[int], Arrays]]]:
    """Rows in other storages, a penalty, both intercepts, weights of rows, losses that came later.

    Each storage and method with each loss, on one of the objectives after the other.
    """
    losses = ("logistic", "huber", "squared_hinge", "softmax")
    for n, (storage, steps, loss) in enumerate(itertools.product(STORAGES, STEPS, losses)):
        name = tuple(OBJECTIVES)[n % len(OBJECTIVES)]
        how: dict[str, Any] = {"loss": loss, "rounds": 12, **OBJECTIVES[name]}
        intercept = how.pop("intercept", None)
        for engine, dtype in itertools.product(ENGINES, DTYPES):
            yield (
                f"{storage}, {name}, {steps} | {loss} {engine} {dtype}",
                lambda t, s=storage, i=intercept, m=STEPS[steps], h=how, e=engine, dt=dtype: run(
                    stored(h["loss"], s, i), m, t, engine=e, dtype=dt, **h
                ),
            )


def of_shared_rows() -> Iterator[tuple[str, Callable[[int], Arrays]]]:
    """Clients that all draw from the same rows, dense and sparse."""
    for storage in ("rows in float32", "sparse rows"):
        for loss, dtype in itertools.product(("logistic", "softmax"), DTYPES):
            yield (
                f"shared {storage} | {loss} primal {dtype}",
                lambda t, s=storage, loss=loss, dt=dtype: run(
                    stored(loss, s, shared=True), STEPS["batches"], t, rounds=6, loss=loss, dtype=dt
                ),
            )


def of_rates() -> Iterator[tuple[str, Callable[[int], Arrays]]]:
    """Rates that see where the model is."""
    for rate in (lg.RiskAdapted(0.3), lg.RiskAdapted(0.3, own=True), lg.Polyak(0.3)):
        for engine in ("gram", "hybrid"):
            yield (
                f"{rate!r} | exponential {engine} float64",
                lambda t, r=rate, e=engine: run(
                    problem("exponential", (12, 40, 25), 70),
                    lg.LocalGD(5, r),
                    t,
                    rounds=900,  # f leaves the range of numbers
                    loss="exponential",
                    engine=e,
                ),
            )


NETWORK_STEPS: dict[str, lg.methods.Method] = {
    **STEPS,
    "proximal": lg.FedProx(4, 0.1, mu=0.3),
    "displaced": lg.FedGA(4, 0.1, beta=0.05),
    "aligned": lg.GradAlign(0.1, beta=0.05),
    "adaptive": lg.LocalGD(4, 0.1, server=lg.ServerAdam(0.05), participation=2),
}
NETWORKS: dict[str, tuple[lg.TwoLayer, dict[str, Any]]] = {
    "relu": (lg.TwoLayer(21), {"l2": 0.02}),
    "leaky relu": (lg.TwoLayer(70, "leaky_relu"), {}),
    "tanh": (lg.TwoLayer(5, "tanh", scale=1.5, centered=True), {"l2": 0.02}),
    "softplus": (lg.TwoLayer(21, "softplus", train="first"), {"l2": 0.02}),
    "quadratic": (lg.TwoLayer(3, "quadratic", train="second"), {}),
}


def trained(where: lg.Problem, steps: str, network: str, threads: int, **how: Any) -> Arrays:
    """From a start of few digits: no function of the system is in it."""
    model, further = NETWORKS[network]
    d, h, outputs = where.n_features, model.hidden, where.n_classes
    W = np.round(np.random.default_rng(d).standard_normal((d, h)) / 4, 2)
    V = np.round(np.random.default_rng(h).standard_normal((h, outputs)) / 8, 2)
    method = NETWORK_STEPS[steps]
    return run(where, method, threads, model=model, init=(W, V), **further, **how)


def of_networks() -> Iterator[tuple[str, Callable[[int], Arrays]]]:
    """Two-layer networks: each kind of steps with each network, in both forms; large clients."""
    losses, storages = ("logistic", "softmax", "squared"), tuple(STORAGES)
    for n, (steps, network) in enumerate(itertools.product(NETWORK_STEPS, NETWORKS)):
        loss, storage = losses[n % len(losses)], storages[n % len(storages)]
        for engine, dtype in itertools.product(("hybrid", "primal"), DTYPES):
            yield (
                f"network {network}, {steps}, {storage} | {loss} {engine} {dtype}",
                lambda t, n=network, s=steps, loss=loss, of=storage, e=engine, dt=dtype: trained(
                    stored(loss, of), s, n, t, loss=loss, engine=e, dtype=dt, rounds=8
                ),
            )
    for engine, dtype in itertools.product(("hybrid", "primal"), DTYPES):
        yield (
            f"network of a large client | logistic {engine} {dtype}",
            lambda t, e=engine, dt=dtype: trained(
                problem("logistic", (700, 90), 90),
                "steps",
                "leaky relu",
                t,
                loss="logistic",
                engine=e,
                dtype=dt,
                rounds=2,
            ),
        )


def cases() -> dict[str, Callable[[int], Arrays]]:
    """By name: a function of the number of threads."""
    return dict(
        [
            *of_the_registry(),
            *of_shapes(),
            *of_sweeps(),
            *of_rows_and_objectives(),
            *of_shared_rows(),
            *of_rates(),
            *of_networks(),
        ]
    )
