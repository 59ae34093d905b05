"""Rows that several experiments take, and what the report calls them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

import numpy as np

import localgd as lg

from .context import Context

__all__ = ["OWN", "Rows", "about", "digits", "digits_name", "on_clients", "separable"]
__all__ += ["synthetic", "tumours"]

T = TypeVar("T")
OWN = "your own"  # what the user's rows are called


@dataclass(frozen=True)
class Rows(Generic[T]):
    """What an experiment made of rows, what they are called, notes for the report."""

    used: T
    name: str
    notes: list[str] = field(default_factory=list)


def about(context: Context) -> dict[str, Any]:
    """What the words of every setting may name."""
    return {
        "synthetic": "lg.datasets.make_separable: Gaussian rows, labelled by a plane; M = 5 "
        "clients, n = 10 rows each, d = 100 features",
        "digits": context.pick(
            "scikit-learn's 8×8 digits, 0 against 1: 360 rows, d = 64",
            "MNIST, 0 against 1: 1,000 rows, d = 784",
        ),
        "some_digits": context.pick("scikit-learn's 8×8 digits", "MNIST"),
        "digits_d": context.pick(64, 784),
        "weights": context.shares,
        "seed": 1 + context.seed,
        "next_seed": 2 + context.seed,
    }


def synthetic(context: Context, *, seed: int | None = None) -> lg.Problem:
    """The separable rows of the specification, of seed 1 + context.seed unless it is given."""
    seed = 1 + context.seed if seed is None else seed
    return lg.datasets.make_separable(n_clients=5, n_samples=10, n_features=100, seed=seed)


def digits(
    context: Context,
    *,
    per_class: int | None = None,
    load: Callable[..., Any] | None = None,
    **deal: Any,
) -> lg.Problem:
    """0 against 1 of scikit-learn's digits (quick) or of MNIST (full).

    Parameters
    ----------
    context : Context
    per_class : int, optional
        As many of each, the first; all of them by default.
    load : function of ``lg.datasets``, optional
        Loads other digits.
    **deal
        Of :func:`localgd.partition`; by default 10 clients by Dirichlet(0.3).
    """
    load = load or context.pick(lg.datasets.load_digits, lg.datasets.load_mnist)
    X, y = load(classes=(0, 1))
    if per_class is not None:
        kept = np.concatenate([np.flatnonzero(y == label)[:per_class] for label in (-1, 1)])
        X, y = X[kept], y[kept]
    usual: dict[str, Any] = {"n_clients": 10, "scheme": lg.Dirichlet(0.3), "seed": 1 + context.seed}
    return lg.partition(X, y, **{**usual, **deal})


def digits_name(context: Context) -> str:
    """What :func:`digits` are called."""
    return context.pick("digits", "MNIST")


def tumours() -> tuple[np.ndarray, np.ndarray]:
    """Breast cancer by three measurements that hardly correlate: far from separable, |x| <= 1."""
    X, y = lg.datasets.load_breast_cancer(scale=None)
    X = X[:, [1, 4, 8]]  # texture, smoothness, symmetry
    X = (X - X.mean(axis=0)) / X.std(axis=0)
    return X / np.linalg.norm(X, axis=1).max(), y


def separable(problem: lg.Problem) -> lg.Problem:
    """The problem itself, for :meth:`Experiment.own_or`."""
    if not lg.reference.separability(problem).separable:
        raise ValueError("they are not separable")
    return problem


def on_clients(problem: lg.Problem) -> lg.Problem:
    """The same of separable rows on several clients."""
    if problem.n_clients == 1:
        raise ValueError("they are on one client")
    return separable(problem)
