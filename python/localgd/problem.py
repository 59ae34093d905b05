"""Rows held by clients."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from functools import cached_property
from typing import Any

import numpy as np

from . import _validation as check
from .identification import digest
from .ids import client_index
from .read_only import protect
from .row_weights import check_row_weights
from .rows import Rows, arrays_of, as_rows, is_sparse, joined, scaled_rows, with_ones

__all__ = ["Problem", "check_problem"]

TASKS = ("binary", "multiclass", "regression")
DERIVED = ("signed_rows", "row_weights", "relative_weights", "fingerprint")
MAX_CLASSES = 10_000  # a model holds as many columns; larger labels are ids, not classes


class Problem:
    """Rows held by M clients, and the weight of each client in the global objective.

    ``f(w) = Σ_i p_i f_i(w)``, ``f_i(w) = (1/V_i) Σ_j v_ij ℓ(z_ij·w)``, ``V_i = Σ_j v_ij``

    Rows are stored client by client; inside a client they keep the order in which they came. Their
    weights v are 1 unless given: V_i is n_i then.

    Parameters
    ----------
    clients : sequence of (X_i, y_i)
        One pair per client: rows ``(n_i, d)`` and labels ``(n_i,)``. Sizes may differ, no client
        may be empty. Labels are -1 and +1 (``task="binary"``), classes 0, 1, …, C - 1
        (``task="multiclass"``) or real numbers (``task="regression"``).
    weights : "samples", "equal" or array of shape (M,), default "samples"
        The p_i: V_i/ΣV (n_i/N), 1/M, or given numbers ≥ 0, divided by their sum. With "samples",
        as in FedAvg, every row counts the same: f is the mean loss of the pooled rows. With "equal"
        every client does, and a row of a small client counts more.
    task : "binary", "multiclass" or "regression", optional
        Inferred from the labels if not given: binary when each is -1 or +1, regression when some
        label is not an integer, multiclass when they are 0, 1, …, C - 1 with C ≥ 3 and every class
        occurs. Integer labels of any other kind are ambiguous and refused.

    sample_weight : sequence of M arrays of shape (n_i,), optional
        The v_ij ≥ 0, not all 0 on any client. With ``weights="samples"`` a row of weight 2 counts
        as the row twice.
    class_weight : "balanced" or mapping of labels to numbers ≥ 0, optional
        Multiplies the v of the rows of a class; "balanced": by N/(C N_c), with which each of the C
        classes counts the same.
    intercept : "column" or None, default None
        "column": a column of ones after the features, so that the last number of a model is its
        intercept, which is penalised, and counts in margins and norms, as any other.

    Attributes
    ----------
    X : ndarray or scipy.sparse.csr_array of shape (N, d), float64 or float32, read-only
        CSR if the rows came sparse: each entry once, in order of the columns, and no zeros.
    sparse : bool
        Whether ``X`` is in CSR.
    dtype : numpy.dtype
        That of ``X``.
    y : ndarray of shape (N,), float64, read-only
    offsets : ndarray of shape (M + 1,), int64
        Client i holds the rows ``offsets[i]:offsets[i + 1]``.
    weights : ndarray of shape (M,), float64
        The p_i; they sum to 1.
    sample_weight : ndarray of shape (N,), float64, read-only, or None
        v, those of classes included; None if all are 1.
    client_ids : tuple of length M
    row_order : ndarray of shape (N,), int64
        Index of each stored row in the arrays that the problem was made from.
    task : str
    n_classes : int
        C of a multiclass task, whose model is a matrix of shape (d, C); 1 for the other tasks.
    intercept : str or None
    kernel : bool
        Made by :meth:`from_gram`: ``X`` are coordinates in the span of the rows, not features.

    Raises
    ------
    ValueError
        For NaN or Inf entries, shapes that do not agree, empty clients, labels outside the task,
        or weights that are negative or sum to 0, be it those of the rows of one client.
    TypeError
        For entries that are not real numbers.

    References
    ----------
    McMahan et al., AISTATS 2017, arXiv:1602.05629.

    Examples
    --------
    >>> import localgd as lg
    >>> problem = lg.Problem([([[1.0, 0.0], [0.5, 1.0]], [1, 1]), ([[-1.0, 0.5]], [-1])])
    >>> problem.n_clients, problem.n_features, problem.sizes.tolist(), problem.task
    (2, 2, [2, 1], 'binary')
    """

    def __init__(
        self,
        clients: Sequence[tuple[Any, Any]],
        *,
        weights: Any = "samples",
        task: str | None = None,
        sample_weight: Any = None,
        class_weight: Any = None,
        intercept: str | None = None,
    ):
        try:
            clients = list(clients)
        except TypeError:
            raise TypeError(
                f"clients: got {type(clients).__name__}; want a sequence of pairs (X_i, y_i)"
            ) from None
        if not clients:
            raise ValueError("clients: got none; want at least one pair (X_i, y_i)")
        blocks = []
        for i, client in enumerate(clients):
            try:
                X_i, y_i = client
            except (TypeError, ValueError):
                raise TypeError(
                    f"clients[{i}]: got {type(client).__name__}; want a pair (X_i, y_i)"
                ) from None
            blocks.append(check_rows(f"clients[{i}]", X_i, y_i))
        widths = {X_i.shape[1] for X_i, _ in blocks}
        if len(widths) > 1:
            raise ValueError(
                f"clients: rows of {sorted(widths)} features; want the same number on every client"
            )
        sizes = [len(y_i) for _, y_i in blocks]
        if sample_weight is not None:
            sample_weight = _joined_weights(sample_weight, sizes)
        self._set(
            joined([X_i for X_i, _ in blocks]),
            np.concatenate([y_i for _, y_i in blocks]),
            sizes,
            weights,
            task,
            tuple(range(len(blocks))),
            np.arange(sum(sizes)),
            sample_weight,
            class_weight,
            intercept,
        )

    @classmethod
    def from_arrays(
        cls,
        X: Any,
        y: Any,
        clients: Any,
        *,
        weights: Any = "samples",
        task: str | None = None,
        sample_weight: Any = None,
        class_weight: Any = None,
        intercept: str | None = None,
    ) -> Problem:
        """Deal the rows of one array to the clients named by an id per row.

        ``f(w) = Σ_i p_i (1/V_i) Σ_{j: clients[j] = i} v_j ℓ(z_j·w)``

        Parameters
        ----------
        X : array of shape (N, d)
            Real numbers; stored as float64.
        y : array of shape (N,)
            Labels or targets, as for :class:`Problem`.
        clients : array of shape (N,)
            Integers or strings, of any library; the clients are ordered by sorted id.
        sample_weight : array of shape (N,), optional
            v_j, one for each row.
        weights, task, class_weight, intercept
            As for :class:`Problem`.

        Returns
        -------
        Problem

        Raises
        ------
        ValueError
            As for :class:`Problem`, and for rows without an id.
        TypeError
            As for :class:`Problem`, and for ids that are neither integers nor strings, or both.

        Examples
        --------
        >>> import localgd as lg
        >>> problem = lg.Problem.from_arrays(
        ...     [[1.0], [2.0], [-1.0]], [1, 1, -1], ["b", "a", "b"])
        >>> problem.client_ids, problem.row_order.tolist()
        (('a', 'b'), [1, 0, 2])
        """
        X, y = check_rows("X, y", X, y)
        ids, index = client_index(clients, len(y))
        order = np.argsort(index, kind="stable")
        problem = cls.__new__(cls)
        v = None if sample_weight is None else np.asarray(sample_weight)
        if v is not None and v.shape != y.shape:
            raise ValueError(
                f"sample_weight: got shape {v.shape}; want {y.shape}, one for each row"
            )
        problem._set(
            X[order],
            y[order],
            np.bincount(index),
            weights,
            task,
            ids,
            order,
            None if v is None else v[order],
            class_weight,
            intercept,
        )
        return problem

    @classmethod
    def from_gram(
        cls, K: Any, y: Any, clients: Any, *, weights: Any = "samples", task: str | None = None
    ) -> Problem:
        """A problem given by the inner products of its rows: any kernel, any number of features.

        ``K_jk = ⟨φ(x_j), φ(x_k)⟩``, ``K = X Xᵀ`` with X the pivoted Cholesky factor of K

        ``X`` are the coordinates of the rows φ(x_j) in an orthonormal basis of their span. So
        norms, angles and references are those of the kernel's feature space; there are as many
        coordinates as K has rank. A run has ``coefficients`` but no ``weights``: the model is
        ``Σ_j a_j y_j k(x_j, ·)`` for the binary losses, ``Σ_j a_j k(x_j, ·)`` for the others.

        Parameters
        ----------
        K : array of shape (N, N)
            Symmetric and positive semidefinite.
        y : array of shape (N,)
            Labels or targets, as for :class:`Problem`.
        clients : array of shape (N,)
            One id per row, as for :meth:`from_arrays`.
        weights, task
            As for :class:`Problem`.

        Returns
        -------
        Problem

        Raises
        ------
        ValueError
            If K is not square, symmetric and positive semidefinite to the rounding of its dtype,
            and as for :class:`Problem`.
        TypeError
            As for :class:`Problem`.

        References
        ----------
        Harbrecht, Peters, Schneider, Applied Numerical Mathematics 62 (2012),
        doi:10.1016/j.apnum.2011.10.001.

        Examples
        --------
        >>> import localgd as lg
        >>> problem = lg.Problem.from_gram([[2.0, 1.0], [1.0, 2.0]], [1, -1], [0, 1])
        >>> (problem.X @ problem.X.T).round(12).tolist(), problem.kernel
        ([[2.0, 1.0], [1.0, 2.0]], True)
        """
        from .kernels import kernel_coordinates

        dtype = np.asarray(K).dtype
        K = check.real_array("K", K, 2)
        if K.shape[0] != K.shape[1] or len(K) != np.size(y):
            raise ValueError(
                f"K, y: got shapes {K.shape} and {np.shape(y)}; want (N, N) and (N,), one label "
                "for each row"
            )
        problem = cls.from_arrays(
            kernel_coordinates(K, dtype), y, clients, weights=weights, task=task
        )
        problem.kernel = True
        return problem

    def _set(
        self,
        X: Rows,
        y: np.ndarray,
        sizes: Any,
        weights: Any,
        task: str | None,
        client_ids: tuple[Hashable, ...],
        row_order: np.ndarray,
        sample_weight: Any = None,
        class_weight: Any = None,
        intercept: str | None = None,
    ) -> None:
        if intercept is not None:
            check.one_of("intercept", intercept, ("column",))
            X = with_ones(X)
        self.X = X if is_sparse(X) else _aligned(X)
        self.intercept = intercept
        self.y = np.array(y, dtype=np.float64)
        self.sizes = np.asarray(sizes, dtype=np.int64)
        self.offsets = np.concatenate([[0], np.cumsum(self.sizes)]).astype(np.int64)
        self.client_ids = client_ids
        self.row_order = np.asarray(row_order, dtype=np.int64)
        self.task = check_task(self.y, task)
        self.n_classes = int(self.y.max()) + 1 if self.task == "multiclass" else 1
        self.kernel = False
        self.sample_weight = check_row_weights(sample_weight, class_weight, self.y, self.task)
        self.weights = _check_weights(weights, self._amounts())
        self._protect()

    def _amounts(self) -> np.ndarray:
        """V_i: n_i where rows have no weights."""
        if self.sample_weight is None:
            return self.sizes.astype(np.float64)
        amounts: np.ndarray = np.add.reduceat(self.sample_weight, self.offsets[:-1])
        if not (amounts > 0).all():
            client = self.client_ids[int(np.argmin(amounts > 0))]
            raise ValueError(
                f"sample_weight: all rows of client {client!r} weigh 0; want one above 0, or leave "
                "the client out"
            )
        return amounts

    def _protect(self) -> None:
        """What is derived from the arrays is kept, so that they must not change."""
        protect(*arrays_of(self.X), self.y, self.sizes, self.offsets, self.row_order, self.weights)
        if self.sample_weight is not None:
            protect(self.sample_weight)

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in self.__dict__.items() if name not in DERIVED}

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Of a copy or in another process, where arrays come unaligned and free to be written."""
        self.__dict__.update(state)
        self.X = self.X if self.sparse else _aligned(self.X)
        self._protect()

    @property
    def n_clients(self) -> int:
        """M."""
        return len(self.sizes)

    @property
    def n_samples(self) -> int:
        """N, the rows of all clients."""
        return len(self.y)

    @property
    def n_features(self) -> int:
        """The number of features d; for a kernel problem the rank of its Gram matrix."""
        return int(self.X.shape[1])

    @property
    def sparse(self) -> bool:
        """Whether ``X`` is in CSR."""
        return is_sparse(self.X)

    @property
    def dtype(self) -> np.dtype:
        """The type of the numbers of the rows, float64 or float32."""
        found: np.dtype = self.X.dtype
        return found

    @property
    def weights_shape(self) -> tuple[int, ...]:
        """Shape of a model: (d,), or (d, C) for a multiclass task."""
        d = self.n_features
        return (d, self.n_classes) if self.task == "multiclass" else (d,)

    @cached_property
    def signed_rows(self) -> Rows:
        """Z, shape (N, d): rows z_ij = y_ij x_ij (binary tasks only)."""
        if self.task != "binary":
            raise ValueError(f"signed rows: the task is {self.task}; want a binary task")
        if self.sparse:
            Z = scaled_rows(self.X, self.y)
            protect(*arrays_of(Z))
            return Z
        Z = np.multiply(self.X, self.y[:, None], out=_empty_rows(self.X.shape))
        Z.setflags(write=False)
        return Z

    @cached_property
    def row_weights(self) -> np.ndarray:
        """c_ij = p_i v_ij / V_i, shape (N,): the weight of each row in the global objective."""
        c = np.repeat(self.weights / self._amounts(), self.sizes)
        if self.sample_weight is not None:
            c *= self.sample_weight
        c.setflags(write=False)
        return c

    @cached_property
    def relative_weights(self) -> np.ndarray | None:
        """v_ij n_i / V_i, shape (N,): weights of mean 1 on each client; None if all are 1."""
        if self.sample_weight is None:
            return None
        omega = self.sample_weight * np.repeat(self.sizes / self._amounts(), self.sizes)
        omega.setflags(write=False)
        return omega

    @cached_property
    def fingerprint(self) -> str:
        """A hash of all that runs depend on: rows, labels, task, sizes and weights."""
        weights = () if self.sample_weight is None else (self.sample_weight,)
        numbers = digest(*arrays_of(self.X), self.y, self.offsets, self.weights, *weights)
        return f"{self.task}-{'kernel' if self.kernel else 'rows'}-{numbers}"

    def rows(self, client: int) -> slice:
        """The stored rows of a client, as a slice of ``X`` and ``y``.

        ``offsets[client]:offsets[client + 1]``

        Parameters
        ----------
        client : int from 0 to M - 1
            Its position among the clients, not its id.

        Returns
        -------
        slice
            Of the rows in ``X`` and ``y``.

        Raises
        ------
        IndexError
            If there is no such client.

        Examples
        --------
        >>> import localgd as lg
        >>> problem = lg.Problem([([[1.0], [2.0]], [1, 1]), ([[-1.0]], [-1])])
        >>> problem.X[problem.rows(1)].tolist()
        [[-1.0]]
        """
        return slice(int(self.offsets[client]), int(self.offsets[client + 1]))

    def with_weights(self, weights: Any) -> Problem:
        """The same rows on the same clients with other client weights p_i.

        ``f(w) = Σ_i p_i f_i(w)`` with other p_i; the rows are shared, not copied

        Parameters
        ----------
        weights : "samples", "equal" or array of shape (M,)
            As for :class:`Problem`.

        Returns
        -------
        Problem
            A new one; this one stays as it is.

        Raises
        ------
        ValueError, TypeError
            As for :class:`Problem`.

        Examples
        --------
        >>> import localgd as lg
        >>> problem = lg.Problem([([[1.0], [2.0], [3.0]], [1, 1, 1]), ([[-1.0]], [-1])])
        >>> problem.weights.tolist(), problem.with_weights("equal").weights.tolist()
        ([0.75, 0.25], [0.5, 0.5])
        """
        other = self.__class__.__new__(self.__class__)
        other.__dict__.update(self.__dict__)
        for name in ("row_weights", "fingerprint"):
            other.__dict__.pop(name, None)
        other.weights = _check_weights(weights, self._amounts())
        other.weights.setflags(write=False)
        return other

    def __repr__(self) -> str:
        low, high = int(self.sizes.min()), int(self.sizes.max())
        sizes = f"{low}" if low == high else f"{low} to {high}"
        task = f"{self.n_classes} classes" if self.task == "multiclass" else self.task
        width = (
            f"kernel of rank {self.n_features}" if self.kernel else f"{self.n_features} features"
        )
        return (
            f"Problem({task}: {self.n_clients} clients, {self.n_samples} rows "
            f"({sizes} per client), {width})"
        )


def check_rows(name: str, X: Any, y: Any) -> tuple[Rows, np.ndarray]:
    """Rows as problems keep them and labels as float64, one finite label for each finite row."""
    X = as_rows(f"{name}: X", X)
    y = check.real_array(f"{name}: y", y, 1)
    if X.shape[0] != len(y):
        raise ValueError(f"{name}: {X.shape[0]} rows but {len(y)} labels; want one label per row")
    if len(y) == 0:
        raise ValueError(f"{name}: no rows; every client needs at least one: leave it out")
    if X.shape[1] == 0:
        raise ValueError(f"{name}: rows have no features; want at least one")
    return X, y


def check_task(y: np.ndarray, task: str | None) -> str:
    """The task asked for, if the labels fit it, or the one that the labels speak of."""
    if task is not None:
        check.one_of("task", task, TASKS)
    outside = np.flatnonzero(np.abs(y) != 1)
    if task == "binary" and len(outside):
        raise ValueError(
            f"y: label {y[outside[0]]:g} at row {outside[0]} of a binary task; want -1 and +1 "
            "(for labels 0 and 1 pass 2.0*y - 1)"
        )
    if task == "multiclass":
        _check_classes(y)
    if task is not None:
        return task
    if not len(outside):
        return "binary"
    if (y != np.rint(y)).any():
        return "regression"
    present = np.unique(y)
    if len(present) >= 3 and np.array_equal(present, np.arange(len(present))):
        return "multiclass"
    raise ValueError(
        f"y: integer label {y[outside[0]]:g} at row {outside[0]}; want -1 and +1 for a binary "
        "task (for labels 0 and 1 pass 2.0*y - 1), each of 0, 1, …, C-1 or task='multiclass' for "
        "classes, or task='regression' for numeric targets"
    )


def check_problem(problem: object) -> Problem:
    """A problem, unchanged."""
    if not isinstance(problem, Problem):
        raise TypeError(f"problem: got {type(problem).__name__}; want a localgd.Problem")
    return problem


def _check_classes(y: np.ndarray) -> None:
    wrong = np.flatnonzero((y < 0) | (y != np.rint(y)) | (y >= MAX_CLASSES))
    if len(wrong):
        raise ValueError(
            f"y: label {y[wrong[0]]:g} at row {wrong[0]} of a multiclass task; want classes "
            f"numbered 0, 1, …, C-1 with C up to {MAX_CLASSES:,}"
        )
    if y.max() < 1:
        raise ValueError("y: every label of a multiclass task is 0; want at least two classes")


def _aligned(X: np.ndarray) -> np.ndarray:
    """A copy of the rows in memory of its own."""
    rows = _empty_rows(np.shape(X))
    rows[...] = X
    return rows


def _empty_rows(shape: tuple[int, ...]) -> np.ndarray:
    """float64 from the beginning of a cache line on: vector loads across two take twice as long."""
    line = 64 // np.dtype(np.float64).itemsize
    size = int(np.prod(shape))
    numbers = np.empty(size + line)
    first = -numbers.ctypes.data // numbers.itemsize % line
    return numbers[first : first + size].reshape(shape)


def _joined_weights(sample_weight: Any, sizes: list[int]) -> np.ndarray:
    """Those of all clients, from one array for each."""
    parts = [check.real_array(f"sample_weight[{i}]", v, 1) for i, v in enumerate(sample_weight)]
    if [len(v) for v in parts] != sizes:
        raise ValueError(
            f"sample_weight: got arrays of {[len(v) for v in parts]} numbers; want one array for "
            f"each client, with a number for each of its {sizes} rows"
        )
    return np.concatenate(parts)


def _check_weights(weights: Any, amounts: np.ndarray) -> np.ndarray:
    if isinstance(weights, str):
        check.one_of("weights", weights, ("samples", "equal"))
        p = amounts.copy() if weights == "samples" else np.ones(len(amounts))
    else:
        p = check.real_array("weights", weights, 1, advice="")
        if len(p) != len(amounts):
            raise ValueError(f"weights: got {len(p)}; want one for each of {len(amounts)} clients")
        if (p < 0).any():
            i = int(np.argmax(p < 0))
            raise ValueError(f"weights: {p[i]:g} for client {i}; want numbers of at least 0")
        if not p.any():
            raise ValueError("weights: all are 0; want at least one above 0")
        if p.max() > 1e300:
            p = p / p.max()  # their sum might overflow
    return p / p.sum()
