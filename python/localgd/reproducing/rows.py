"""Rows that several experiments take, and what the report calls them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

import numpy as np

import localgd as lg

from .context import Context

__all__ = ["OWN", "Rows", "about", "digits", "digits_name", "draws", "mixture"]
__all__ += ["on_clients", "separable", "synthetic", "tumours"]

T = TypeVar("T")
PER_CLASS = 100  # of real rows
OWN = "your own rows"  # what the user's rows are called


@dataclass(frozen=True)
class Rows(Generic[T]):
    """What an experiment made of rows.

    Attributes
    ----------
    used : object
    name : str
        What the rows are called.
    own_rows : str
        As :attr:`Measured.own_rows`.
    """

    used: T
    name: str
    own_rows: str = ""

    @property
    def told(self) -> dict[str, str]:
        """What :class:`Measured` is told of them."""
        return {"real": self.name, "own_rows": self.own_rows}


def about(context: Context) -> dict[str, Any]:
    """What the words of every setting may name."""
    return {
        "synthetic": "lg.datasets.make_separable: Gaussian rows, labelled by a plane; M = 5 "
        "clients, n = 10 rows each, d = 100 features",
        "digits": context.pick("scikit-learn's 8×8 digits", "MNIST")
        + f", {PER_CLASS} each of 0 and 1 drawn at random, d = {context.pick(64, 784)}",
        "weights": context.shares,
        "seed": 1 + context.seed,
        "draws": draws(context.seeds()),
    }


def draws(seeds: range) -> str:
    """How many draws there are, for a setting."""
    if len(seeds) == 1:
        return f"one draw of all rows and dealings, of seed {seeds[0]}"
    return (
        f"{len(seeds)} draws of all rows and dealings, of seeds {seeds[0]} to {seeds[-1]}; your "
        "own rows as they are"
    )


def synthetic(seed: int) -> lg.Problem:
    """The separable rows of the specification."""
    return lg.datasets.make_separable(n_clients=5, n_samples=10, n_features=100, seed=seed)


def digits(
    context: Context,
    seed: int,
    *,
    per_class: int = PER_CLASS,
    load: Callable[..., Any] | None = None,
    **deal: Any,
) -> lg.Problem:
    """0 against 1 of scikit-learn's digits (quick) or of MNIST (full).

    Parameters
    ----------
    context : Context
    seed : int
        Draws the rows and deals them.
    per_class : int
        As many of each, drawn at random.
    load : function of ``lg.datasets``, optional
        Loads other digits.
    **deal
        Of :func:`localgd.partition`; by default 10 clients by Dirichlet(0.3).
    """
    load = load or context.pick(lg.datasets.load_digits, lg.datasets.load_mnist)
    X, y = load(classes=(0, 1))
    order = np.random.default_rng(seed).permutation(len(y))
    kept = np.concatenate([order[y[order] == label][:per_class] for label in (-1, 1)])
    usual: dict[str, Any] = {"n_clients": 10, "scheme": lg.Dirichlet(0.3), "seed": seed}
    return lg.partition(X[kept], y[kept], **{**usual, **deal})


def digits_name(context: Context) -> str:
    """What :func:`digits` are called."""
    return context.pick("digits", "MNIST")


def tumours() -> tuple[np.ndarray, np.ndarray]:
    """Breast cancer by three measurements that hardly correlate: far from separable, |x| <= 1."""
    X, y = lg.datasets.load_breast_cancer(scale=None)
    X = X[:, [1, 4, 8]]  # texture, smoothness, symmetry
    X = (X - X.mean(axis=0)) / X.std(axis=0)
    return X / np.linalg.norm(X, axis=1).max(), y


def mixture(share: float) -> lg.Problem:
    """Two clients that both have all rows; a share of each counts by the client's class alone.

    ``f_i = (1 - share) f + share f_class(i)``, weighted so that f is the pooled loss for any share.
    """
    X, y = tumours()
    labels = np.unique(y)
    counts = [np.mean(y == label) for label in labels]
    weights = [
        (1 - share) + share * (y == label) / count
        for label, count in zip(labels, counts, strict=True)
    ]
    return lg.Problem([(X, y)] * 2, weights=counts, sample_weight=weights)


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
