"""``localgd.partition``: rows, a scheme and a seed make a problem."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import numpy as np

from .. import _validation as check
from ..errors import UnsupportedError
from ..labels import Targets, as_targets
from ..problem import Problem, check_rows
from ..randomness import random_generator
from ..read_only import protect
from ..rows import Found, read_rows
from .even import Iid
from .scaling import rows_to_scale
from .scheme import LEFT_OUT, Function, Scheme

__all__ = ["partition"]

USUAL_CLIENTS = 10


def partition(
    X: Any,
    y: Any = None,
    *,
    n_clients: int | None = None,
    scheme: Scheme | Callable[[np.ndarray, int, np.random.Generator], Any] | None = None,
    seed: Any = 0,
    scale: str | None = None,
    weights: Any = "samples",
    task: str | None = None,
    labels: Any = None,
    sample_weight: Any = None,
    class_weight: Any = None,
    intercept: str | None = None,
) -> Problem:
    """Deal the rows of one data set to clients: every row once, at least one row per client.

    ``{1, …, N} = disjoint union of the rows of clients 0, …, M-1,  n_i >= 1``

    Schemes that leave rows out say so, and a warning says how many.

    Parameters
    ----------
    X : array of shape (N, d), or Problem
        Rows of any kind that :class:`localgd.Problem` takes; of a problem, whose rows are dealt
        anew, also the labels, the weights of rows and the intercept, unless others are given.
    y : array of shape (N,) or (N, C)
        Labels or targets, as for :class:`localgd.Problem`; not beside a problem.
    n_clients : int, optional
        M, at most N. Default: 10, or as many as a :class:`Natural` scheme names.
    scheme : Scheme or callable, default ``Iid()``
        :class:`Iid`, :class:`Dirichlet`, :class:`ByClass`, :class:`Shards`, :class:`ByTarget`,
        :class:`Quantity`, :class:`Contiguous`, :class:`FeatureShift` or :class:`Natural`; or a
        function ``(y, n_clients, rng) -> client of each row``, -1 for a row that nobody gets.
    seed : int, SeedSequence, Generator or None, default 0
        An int gives the same bits every time (its stream is kept apart from that of
        ``default_rng(seed)``, with which rows are often made). None draws a fresh seed.
    scale : "max_norm", "rows", "spectral", "standard" or None, default None
        What is done to the rows before they are dealt. Rows and columns that are 0 stay so.

        - ``"max_norm"`` divides all rows by one number, the largest row norm.
        - ``"rows"`` divides each row by its norm.
        - ``"spectral"`` divides all rows by ``‖X‖₂ / √N``: ``XᵀX / N`` then has the largest
          eigenvalue 1, and the pooled squared loss the smoothness constant 1 (logistic: 1/4).
        - ``"standard"`` brings every column to mean 0 and standard deviation 1, constant ones to 0.
          Sparse rows are not centred, which would fill them: only divided.
    sample_weight : array of shape (N,), optional
        v_j, one for each row.
    weights, task, labels, class_weight, intercept
        As for :class:`localgd.Problem`.

    Returns
    -------
    Problem
        Clients 0, …, M-1, or those of a :class:`Natural` scheme; ``row_order`` holds the index of
        each stored row in ``X``.

    Raises
    ------
    ValueError
        If there are more clients than rows, if a scheme that goes by label meets regression
        targets, if the scheme cannot give every client its rows (see there), for an unknown
        ``scale``, and for what :class:`localgd.Problem` refuses.
    TypeError
        If ``scheme`` is neither an instance of a scheme nor a function, or ``seed`` is of another
        kind.

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
    scheme = _checked_scheme(scheme)
    rng = random_generator(seed, stream=1)
    held = X if isinstance(X, Problem) else None
    if held is None:
        if y is None:
            raise TypeError("y: got None; want a label for each row")
        rows, y = check_rows("X, y", X, y)
        targets = as_targets("y", y, task, labels)
        targets.warn()
    else:
        _refuse_beside(held, y=y, task=task, labels=labels)
        rows, targets, weights_of_rows = _rows_of(held)
        y = targets.y
        intercept = held.intercept if intercept is None else intercept
        sample_weight = weights_of_rows if sample_weight is None else sample_weight
    n_clients = _checked_count(n_clients, scheme, len(y))
    if scheme.needs_classes and targets.task == "regression":
        raise ValueError(
            f"scheme: {scheme} goes by class and the task is regression; want ByTarget(), Iid(), "
            "Quantity(), Contiguous() or FeatureShift()"
        )
    if targets.y.ndim > 1 and scheme.needs_one_target:
        raise ValueError(
            f"scheme: {scheme} goes by the target and rows have {targets.y.shape[1]} of them; want "
            "Iid(), Quantity() or FeatureShift(), or client ids by Problem.from_arrays"
        )
    rows = rows._replace(X=rows_to_scale(rows.X, scale))
    clients = scheme.assign(targets.y, n_clients, rng)
    _check_dealt(scheme, clients, n_clients)
    kept = np.flatnonzero(clients != LEFT_OUT)
    if len(kept) < len(y):
        warnings.warn(
            f"partition: {scheme} leaves {len(y) - len(kept)} of {len(y)} rows out", stacklevel=2
        )
        sample_weight = _of_rows(kept, sample_weight, len(y))
        rows = rows._replace(X=rows.X[kept])
        targets, clients = targets._replace(y=targets.y[kept]), clients[kept]
    moved = scheme.transform(rows.X, clients, n_clients, rng)
    if moved is not rows.X:
        rows = rows._replace(X=read_rows("scheme", moved).X)
    problem = Problem._dealt(
        rows,
        targets,
        clients,
        weights=weights,
        sample_weight=sample_weight,
        class_weight=class_weight,
        intercept=intercept,
    )
    problem.row_order = kept[problem.row_order]
    problem.client_ids = scheme.client_ids or problem.client_ids
    problem.encoder = None if held is None else held.encoder
    protect(problem.row_order)
    return problem


def _refuse_beside(problem: Problem, **options: Any) -> None:
    """What a problem, in place of X and y, has itself; and a problem without features."""
    for name, value in options.items():
        if value is not None:
            raise ValueError(f"{name}: got it beside a problem, which has its own")
    if problem.kernel:
        raise UnsupportedError("X: got a kernel problem; want one of rows with features")


def _rows_of(problem: Problem) -> tuple[Found, Targets, np.ndarray | None]:
    """The rows of a problem in the order in which they came, their labels and weights."""
    order = np.argsort(problem.row_order)
    X = problem.X if problem.intercept is None else problem.X[:, :-1]
    v = problem.sample_weight
    targets = Targets(problem.y[order], problem.task, problem.labels)
    return Found(X[order], problem.feature_names), targets, None if v is None else v[order]


def _checked_scheme(scheme: Any) -> Scheme:
    if scheme is None:
        return Iid()
    if isinstance(scheme, Scheme):
        return scheme
    if callable(scheme) and not isinstance(scheme, type):
        return Function(scheme)
    got = f"the class {scheme.__name__}" if isinstance(scheme, type) else repr(scheme)
    raise TypeError(
        f"scheme: got {got}; want an instance such as Iid(), Dirichlet(0.3), ByClass(1), "
        "Quantity(0.5) or FeatureShift(1.0), or a function of y, n_clients and rng"
    )


def _checked_count(n_clients: Any, scheme: Scheme, n_rows: int) -> int:
    """M: what is asked for, what the scheme knows, or the usual number."""
    named = None if scheme.client_ids is None else len(scheme.client_ids)
    if n_clients is None:
        n_clients = named or USUAL_CLIENTS
    count = check.integer("n_clients", n_clients, 1)
    if named not in (None, count):
        raise ValueError(f"n_clients: got {count}; {scheme} has {named}: leave n_clients out")
    if count > n_rows:
        raise ValueError(
            f"n_clients: got {count} for {n_rows} rows; want at most {n_rows}, "
            "since every client needs a row"
        )
    return count


def _check_dealt(scheme: Scheme, clients: np.ndarray, n_clients: int) -> None:
    found = set(np.unique(clients).tolist()) - {LEFT_OUT}
    if found != set(range(n_clients)):
        raise ValueError(
            f"scheme: {scheme} dealt rows to {len(found)} clients; want every client "
            f"from 0 to {n_clients - 1} to have one"
        )


def _of_rows(kept: np.ndarray, sample_weight: Any, n_rows: int) -> Any:
    """The weights of the rows that are dealt; those of another shape as they are, to be refused."""
    fits = np.shape(sample_weight) == (n_rows,)
    return np.asarray(sample_weight)[kept] if fits else sample_weight
