"""Real rows of two classes that several experiments deal to clients."""

from __future__ import annotations

from typing import Any

import numpy as np

import localgd as lg

from .context import Context

__all__ = ["about", "own_if_separable", "own_or_digits", "zeros_and_ones"]


def about(context: Context, per_class: int) -> str:
    """What :func:`zeros_and_ones` gives, in words."""
    rows = context.pick("scikit-learn's 8×8 digits", "MNIST")
    d = context.pick(64, 784)
    return f"{rows}, the first {per_class} of each of 0 and 1, d = {d}"


def zeros_and_ones(
    context: Context, per_class: int, scheme: Any, *, seed: int, weights: str = "samples"
) -> lg.Problem:
    """The first 0s and 1s of the digits (quick) or of MNIST (full), dealt to 10 clients."""
    load = context.pick(lg.datasets.load_digits, lg.datasets.load_mnist)
    X, y = load(classes=(0, 1))
    kept = np.concatenate([np.flatnonzero(y == label)[:per_class] for label in (-1, 1)])
    return lg.partition(X[kept], y[kept], n_clients=10, scheme=scheme, seed=seed, weights=weights)


def own_if_separable(context: Context) -> tuple[lg.Problem | None, list[str]]:
    """The user's rows, None if there are none or they are not separable; a note of the latter."""
    own = context.own_problem("binary")
    if own is None or lg.reference.separability(own).separable:
        return own, []
    return None, ["Your own rows are not used: they are not separable."]


def own_or_digits(context: Context, per_class: int) -> tuple[lg.Problem, str, list[str]]:
    """The user's rows if they are separable, else :func:`zeros_and_ones` by Dirichlet(0.3).

    Also what they are called, and notes for :attr:`Measured.notes`.
    """
    own, notes = own_if_separable(context)
    if own is not None:
        return own, "your own", ["Your own rows are the real rows."]
    problem = zeros_and_ones(context, per_class, lg.Dirichlet(0.3), seed=1 + context.seed)
    return problem, context.pick("digits", "MNIST"), notes
