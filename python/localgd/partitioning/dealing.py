"""``localgd.partition``: rows, a scheme and a seed make a problem."""

from __future__ import annotations

from typing import Any

import numpy as np

from .. import _validation as check
from ..labels import as_targets
from ..problem import Problem, check_rows
from ..randomness import random_generator
from ..rows import read_rows
from .even import Iid
from .scheme import Scheme

__all__ = ["partition"]


def partition(
    X: Any,
    y: Any,
    *,
    n_clients: int = 10,
    scheme: Scheme | None = None,
    seed: Any = 0,
    weights: Any = "samples",
    task: str | None = None,
    labels: Any = None,
    sample_weight: Any = None,
    class_weight: Any = None,
    intercept: str | None = None,
) -> Problem:
    """Deal the rows of one data set to clients: every row once, at least one row per client.

    ``{1, …, N} = disjoint union of the rows of clients 0, …, M-1,  n_i >= 1``

    Parameters
    ----------
    X : array of shape (N, d)
        Rows of any kind that :class:`localgd.Problem` takes.
    y : array of shape (N,)
        Labels or targets, as for :class:`localgd.Problem`.
    n_clients : int, default 10
        M, at most N.
    scheme : Scheme, default ``Iid()``
        :class:`Iid`, :class:`Dirichlet`, :class:`ByClass`, :class:`Quantity` or
        :class:`FeatureShift`.
    seed : int, SeedSequence, Generator or None, default 0
        An int gives the same bits every time (its stream is kept apart from that of
        ``default_rng(seed)``, with which rows are often made). None draws a fresh seed.
    sample_weight : array of shape (N,), optional
        v_j, one for each row.
    weights, task, labels, class_weight, intercept
        As for :class:`localgd.Problem`.

    Returns
    -------
    Problem
        Clients 0, …, M-1; ``row_order`` holds the index of each stored row in ``X``.

    Raises
    ------
    ValueError
        If there are more clients than rows, if a scheme that goes by label meets regression
        targets, if the scheme cannot give every client its rows (see there), and for what
        :class:`localgd.Problem` refuses.
    TypeError
        If ``scheme`` is not an instance of a scheme, or ``seed`` is of another kind.

    References
    ----------
    Each scheme names its own.

    Examples
    --------
    >>> import numpy as np, localgd as lg
    >>> X, y = np.eye(20), np.repeat([-1, 1], 10)
    >>> problem = lg.partition(X, y, n_clients=4, scheme=lg.Dirichlet(0.3), seed=0)
    >>> problem
    Problem(binary: 4 clients, 20 rows (1 to 12 per client), 20 features)
    >>> bool((problem.X == X[problem.row_order]).all())
    True
    """
    scheme = Iid() if scheme is None else scheme
    if not isinstance(scheme, Scheme):
        got = f"the class {scheme.__name__}" if isinstance(scheme, type) else repr(scheme)
        raise TypeError(
            f"scheme: got {got}; want an instance such as Iid(), Dirichlet(0.3), ByClass(1), "
            "Quantity(0.5) or FeatureShift(1.0)"
        )
    n_clients = check.integer("n_clients", n_clients, 1)
    rng = random_generator(seed, stream=1)
    rows, y = check_rows("X, y", X, y)
    targets = as_targets("y", y, task, labels)
    targets.warn()
    if n_clients > len(y):
        raise ValueError(
            f"n_clients: got {n_clients} for {len(y)} rows; want at most {len(y)}, "
            "since every client needs a row"
        )
    if scheme.needs_classes and targets.task == "regression":
        raise ValueError(
            f"scheme: {scheme} goes by class and the task is regression; want Iid(), Quantity() "
            "or FeatureShift(), or bin the targets and use Problem.from_arrays"
        )
    clients = scheme.assign(targets.y, n_clients, rng)
    if set(np.unique(clients).tolist()) != set(range(n_clients)):
        raise ValueError(
            f"scheme: {scheme} dealt rows to {len(np.unique(clients))} clients; want every client "
            f"from 0 to {n_clients - 1} to have one"
        )
    moved = scheme.transform(rows.X, clients, n_clients, rng)
    if moved is not rows.X:
        rows = rows._replace(X=read_rows("scheme", moved).X)
    return Problem._dealt(
        rows,
        targets,
        clients,
        weights=weights,
        sample_weight=sample_weight,
        class_weight=class_weight,
        intercept=intercept,
    )
