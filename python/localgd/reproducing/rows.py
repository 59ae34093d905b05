"""Rows that experiments share: those of the user where they can be used, else others."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import localgd as lg

from .context import Context

__all__ = ["separable_rows"]


def separable_rows(
    context: Context, load: Callable[..., Any], name: str
) -> tuple[lg.Problem, str, list[str]]:
    """The user's rows if they are of two classes, separable and on several clients, else real ones.

    Parameters
    ----------
    context : Context
    load : function of ``lg.datasets``
        Called with ``classes=(0, 1)``; the rows go to 10 clients by Dirichlet(0.3).
    name : str
        What those rows are called.

    Returns
    -------
    problem : Problem
    name : str
    notes : list of str
        For :attr:`Measured.notes`.
    """
    notes = []
    own = context.own_problem("binary")
    if own is not None:
        if own.n_clients == 1:
            notes.append("Your own rows are not used: they are on one client.")
        elif lg.reference.separability(own).separable:
            return own, "your own", ["Your own rows are the real rows."]
        else:
            notes.append("Your own rows are not used: they are not separable.")
    X, y = load(classes=(0, 1))
    seed = 1 + context.seed
    return lg.partition(X, y, n_clients=10, scheme=lg.Dirichlet(0.3), seed=seed), name, notes
