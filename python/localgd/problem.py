"""Rows held by clients."""

from __future__ import annotations

import weakref
from collections.abc import Hashable, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from . import _validation as check
from .alone import ALONE
from .errors import UnsupportedError
from .identification import digest
from .ids import client_index
from .labels import (
    Label,
    Targets,
    about_labels,
    as_targets,
    join_labels,
    places_of,
    read_label_array,
)
from .read_only import protect
from .row_weights import check_row_weights
from .rows import (
    Found,
    Rows,
    arrays_of,
    as_double,
    check_names,
    is_sparse,
    read_rows,
    scaled_rows,
    stored,
)

if TYPE_CHECKING:
    from .frames import Encoder

__all__ = ["Problem", "check_problem", "check_rows", "check_weights", "labels_at"]

DERIVED = ("_signed_rows", "row_weights", "relative_weights", "fingerprint")


class Problem:
    """Rows held by M clients, and the weight of each client in the global objective.

    ``f(w) = Σ_i p_i f_i(w)``, ``f_i(w) = (1/V_i) Σ_j v_ij ℓ(z_ij·w)``, ``V_i = Σ_j v_ij``

    Rows are stored client by client; inside a client they keep the order in which they came. Their
    weights v are 1 unless given: V_i is n_i then.

    Parameters
    ----------
    clients : sequence of (X_i, y_i)
        One pair per client: rows ``(n_i, d)`` and labels ``(n_i,)``, or ``(n_i, C)`` for C targets
        of regression. Sizes may differ, no client may be empty. Rows are an array of real numbers,
        a table of pandas, polars or Arrow, a tensor of PyTorch or JAX, or of scipy.sparse; float32
        stays float32, float16 becomes float32, other numbers float64. Rows that come as they are
        stored (one client after the other, in C order) are not copied, unless they are few: they
        must not be written to as long as the problem is used.
    weights : "samples", "equal" or array of shape (M,), default "samples"
        The p_i: V_i/ΣV (n_i/N), 1/M, or given numbers ≥ 0, divided by their sum. With "samples",
        as in FedAvg, every row counts the same: f is the mean loss of the pooled rows. With "equal"
        every client does, and a row of a small client counts more.
    task : "binary", "multiclass" or "regression", optional
        Inferred from the labels if not given: binary for booleans, two texts, two integers, or
        where each label is -1 or +1; multiclass for more texts, and for integers that are 0, 1, …,
        C - 1 with C ≥ 3, each of which occurs; regression if some label is not an integer. Other
        integers, and all in an array (N, C), are ambiguous and refused.
    labels : sequence, optional
        All labels in the order of -1 and +1, or of the classes 0, 1, …, C - 1. By default those
        that occur, sorted: of two the smaller is -1.
    sample_weight : sequence of M arrays of shape (n_i,), optional
        The v_ij ≥ 0, not all 0 on any client. With ``weights="samples"`` a row of weight 2 counts
        as the row twice.
    class_weight : "balanced" or mapping of labels to numbers ≥ 0, optional
        Multiplies the v of the rows of a class; "balanced": by N/(C N_c), with which each of the C
        classes that occur counts the same.
    intercept : "column", "free" or None, default None
        A column of ones after the features, so that the last number of a model is its intercept b,
        which counts in margins and norms as any other. With "column" λ penalises it, too; with
        "free" it does not, as in scikit-learn's linear models: f = Σ p_i f_i + (λ/2)‖u‖² of the
        other numbers u. Without λ both are the same.

    Attributes
    ----------
    X : ndarray or scipy.sparse.csr_array of shape (N, d), float64 or float32, read-only
        CSR if the rows came sparse: each entry once, in order of the columns, and no zeros. A view
        of what came, where nothing had to be changed.
    sparse : bool
        Whether ``X`` is in CSR.
    dtype : numpy.dtype
        That of ``X``.
    y : ndarray of shape (N,) or (N, C), float64, read-only
        -1 and +1, 0, 1, …, C - 1 or the targets.
    labels : tuple or None
        The labels that came, in the order of -1 and +1 or of 0, 1, …, C - 1; None for regression.
    feature_names : tuple of str or None
        The names of the columns of a table, without that of the intercept.
    offsets : ndarray of shape (M + 1,), int64
        Client i holds the rows ``offsets[i]:offsets[i + 1]``; 0 and N of :meth:`shared`.
    sizes : ndarray of shape (M,), int64
        The n_i.
    shares_rows : bool
        Made by :meth:`shared`: each client holds all N rows, of which there is one copy.
    weights : ndarray of shape (M,), float64
        The p_i; they sum to 1.
    sample_weight : ndarray of shape (N,), float64, read-only, or None
        v, those of classes included; None if all are 1.
    client_ids : tuple of length M
    row_order : ndarray of shape (N,), int64
        Index of each stored row in the arrays that the problem was made from.
    task : str
    n_classes : int
        C of a multiclass task; 1 for the other tasks.
    n_outputs : int
        Columns of a model: of several classes, and of several targets, it is a matrix of shape
        (d, C); else it is a vector, and this is 1.
    intercept : str or None
    encoder : object or None
        What makes rows of tables like the one that the problem was made from, with the fitted
        transformers of scikit-learn; of :meth:`from_frame` only.
    kernel : bool
        Made by :meth:`from_gram`: ``X`` are coordinates in the span of the rows, not features.

    Raises
    ------
    ValueError
        For NaN or Inf entries, shapes or column names that do not agree, empty clients, labels
        outside the task, or weights that are negative or sum to 0, be it those of the rows of one
        client.
    TypeError
        For entries that are not real numbers, and labels of several kinds.

    Warns
    -----
    UserWarning
        If two integers other than 0 and 1, 1 and 2 or -1 and +1 are taken for classes.

    References
    ----------
    McMahan et al., AISTATS 2017, arXiv:1602.05629.

    Examples
    --------
    >>> import localgd as lg
    >>> problem = lg.Problem([([[1.0, 0.0], [0.5, 1.0]], [1, 1]), ([[-1.0, 0.5]], [-1])])
    >>> problem.n_clients, problem.n_features, problem.sizes.tolist(), problem.task
    (2, 2, [2, 1], 'binary')
    >>> problem = lg.Problem([([[1.0], [3.0]], ["well", "ill"])])
    >>> problem.labels, problem.y.tolist()
    (('ill', 'well'), [1.0, -1.0])
    """

    _signed_rows: weakref.ref[Rows] | None = None
    encoder: Encoder | None = None
    ranks: Any = ALONE  # processes that hold the clients

    def __init__(
        self,
        clients: Sequence[tuple[Any, Any]],
        *,
        weights: Any = "samples",
        task: str | None = None,
        labels: Any = None,
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
        widths = {found.X.shape[1] for found, _ in blocks}
        if len(widths) > 1:
            raise ValueError(
                f"clients: rows of {sorted(widths)} features; want the same number on every client"
            )
        sizes = [len(y_i) for _, y_i in blocks]
        targets = as_targets("y", join_labels("y", [y_i for _, y_i in blocks]), task, labels)
        self._set(
            [found.X for found, _ in blocks],
            targets,
            sizes,
            weights=weights,
            names=_common_names([found.names for found, _ in blocks]),
            sample_weight=None if sample_weight is None else _joined_weights(sample_weight, sizes),
            class_weight=class_weight,
            intercept=intercept,
        )
        targets.warn()

    @classmethod
    def from_arrays(
        cls,
        X: Any,
        y: Any,
        clients: Any,
        *,
        weights: Any = "samples",
        task: str | None = None,
        labels: Any = None,
        sample_weight: Any = None,
        class_weight: Any = None,
        intercept: str | None = None,
    ) -> Problem:
        """Deal the rows of one array to the clients named by an id per row.

        ``f(w) = Σ_i p_i (1/V_i) Σ_{j: clients[j] = i} v_j ℓ(z_j·w)``

        Parameters
        ----------
        X : array of shape (N, d)
            As for :class:`Problem`; sorted by client unless they come in that order.
        y : array of shape (N,) or (N, C)
            Labels or targets, as for :class:`Problem`.
        clients : array of shape (N,)
            Integers or strings, of any library; the clients are ordered by sorted id.
        sample_weight : array of shape (N,), optional
            v_j, one for each row.
        weights, task, labels, class_weight, intercept
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
        found, y = check_rows("X, y", X, y)
        targets = as_targets("y", y, task, labels)
        targets.warn()
        return cls._dealt(
            found,
            targets,
            clients,
            weights=weights,
            sample_weight=sample_weight,
            class_weight=class_weight,
            intercept=intercept,
        )

    @classmethod
    def from_frame(
        cls,
        frame: Any,
        *,
        label: Any,
        client: Any = None,
        positive: Any = None,
        categorical: Any = "onehot",
        impute: str | None = "median",
        scale: str | None = "standard",
        weights: Any = "samples",
        task: str | None = None,
        labels: Any = None,
        sample_weight: Any = None,
        class_weight: Any = None,
        intercept: str | None = None,
    ) -> Problem:
        """The columns of a table as rows of numbers, its labels, and whose rows they are.

        ``x_j = [(fill(numbers_j) - mean)/std, one-hot(fill(texts_j))]``

        Numbers, texts, categories and booleans may have gaps. What is learned (medians, means,
        categories) is that of all rows, each counting the same, by scikit-learn's transformers in
        ``encoder``. A run keeps it, also in its file: :meth:`Run.predict`, ``test=`` of
        :func:`localgd.run` and :func:`localgd.evaluate` take tables with the same columns.

        Parameters
        ----------
        frame : table of pandas, polars, Arrow or another library
            All columns that have no other role are features.
        label : str, int or list of these
            The column of labels: texts, booleans, numbers or categories. A list: the columns of
            several targets of regression.
        client : str, int or array of shape (N,), optional
            The column of client ids, or the ids. Without, one client holds all rows, to be dealt by
            ``lg.partition(problem, …)``.
        positive : label, optional
            Which of two labels is +1; the larger if not given.
        categorical : "onehot", sequence of columns or None, default "onehot"
            Texts, categories and booleans get a 0/1 column for each category that occurs, of two
            for the second only; so do columns named here, even if they hold numbers. None: they are
            refused.
        impute : "median", "mean", "most_frequent" or None, default "median"
            What fills the gaps of numbers; those of texts get the most frequent text. None: gaps
            are refused.
        scale : "standard" or None, default "standard"
            Numbers are brought to mean 0 and standard deviation 1.
        sample_weight : str, int or array of shape (N,), optional
            The column of the weights of rows, or the weights.
        weights, task, labels, class_weight, intercept
            As for :class:`Problem`.

        Returns
        -------
        Problem
            With CSR rows where these take less than half. ``feature_names`` are those of the
            numbers, then ``column_category``.

        Raises
        ------
        ValueError
            For columns that are not there, without a value in any row, or that look like names or
            ids (more than 50 texts, and more than half as many as rows), for rows without label or
            client, and as for :class:`Problem`.
        TypeError
            For what is no table, columns of times, lists, or of texts and numbers, and as for
            :class:`Problem`.
        MissingExtraError
            Without scikit-learn (``pip install 'localgd[data]'``).

        Warns
        -----
        UserWarning
            Where other rows have categories that did not occur here: they count as none of them,
            or, of two, as the first.

        References
        ----------
        McMahan et al., AISTATS 2017, arXiv:1602.05629, for the objective; scikit-learn's
        ``SimpleImputer``, ``StandardScaler`` and ``OneHotEncoder`` for the rows.

        Examples
        --------
        >>> import localgd as lg, pandas as pd
        >>> frame = pd.DataFrame({
        ...     "age": [61, 70, None, 44], "smoker": ["no", "yes", "no", None],
        ...     "hospital": ["a", "a", "b", "b"], "ill": ["no", "yes", "yes", "no"]})
        >>> problem = lg.Problem.from_frame(frame, label="ill", client="hospital", positive="yes")
        >>> problem.feature_names, problem.labels, problem.X[:, 1].tolist()
        (('age', 'smoker_yes'), ('no', 'yes'), [0.0, 1.0, 0.0, 0.0])
        >>> run = lg.run(problem, lg.LocalGD(5, 0.5), rounds=20, loss="logistic", l2=0.01)
        >>> run.predict(pd.DataFrame({"smoker": ["yes"], "age": [80]})).tolist()
        ['yes']
        """
        from .frames import rows_of_frame

        found = rows_of_frame(
            frame,
            label=label,
            client=client,
            positive=positive,
            labels=labels,
            sample_weight=sample_weight,
            categorical=categorical,
            impute=impute,
            scale=scale,
        )
        targets = as_targets("label", found.y, task, found.labels)
        targets.warn()
        problem = cls._dealt(
            found.rows,
            targets,
            found.clients,
            weights=weights,
            sample_weight=found.sample_weight,
            class_weight=class_weight,
            intercept=intercept,
        )
        problem.encoder = found.encoder
        return problem

    @classmethod
    def from_gram(
        cls,
        K: Any,
        y: Any,
        clients: Any,
        *,
        weights: Any = "samples",
        task: str | None = None,
        labels: Any = None,
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
        y : array of shape (N,) or (N, C)
            Labels or targets, as for :class:`Problem`.
        clients : array of shape (N,)
            One id per row, as for :meth:`from_arrays`.
        weights, task, labels
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
        if K.shape[0] != K.shape[1] or len(K) != len(np.atleast_1d(y)):
            raise ValueError(
                f"K, y: got shapes {K.shape} and {np.shape(y)}; want (N, N) and (N,), one label "
                "for each row"
            )
        targets = as_targets("y", read_label_array("y", y), task, labels)
        targets.warn()
        rows = Found(kernel_coordinates(K, dtype), None)
        problem = cls._dealt(rows, targets, clients, weights=weights)
        problem.kernel = True
        return problem

    @classmethod
    def shared(
        cls,
        X: Any,
        y: Any,
        n_clients: int,
        *,
        task: str | None = None,
        labels: Any = None,
        sample_weight: Any = None,
        class_weight: Any = None,
        intercept: str | None = None,
    ) -> Problem:
        """Clients that all draw their batches from the same rows, of which there is one copy.

        ``f_i(w) = f(w) = (1/V) Σ_j v_j ℓ(z_j·w)`` for each of M clients

        The homogeneous setting of the convex theory of Local-SGD: clients differ in what they draw
        alone, which the seed, their number and the round decide, and any number of them costs no
        memory for rows. Memory is 512 models and what a batch takes, a round that of its draws.

        Runs want a method with batches, without control variates or displacements, and work in the
        weights (``engine="primal"``): ``coefficients`` is None. With full batches every client
        takes the same steps, so that one client that holds the rows is all there is to run.

        Parameters
        ----------
        X : array of shape (N, d)
            As for :class:`Problem`, dense or sparse.
        y : array of shape (N,)
            Labels or targets, as for :class:`Problem`.
        n_clients : int ≥ 1
            M.
        sample_weight : array of shape (N,), optional
            v_j, one for each row.
        task, labels, class_weight, intercept
            As for :class:`Problem`.

        Returns
        -------
        Problem
            ``X`` and ``y`` hold N rows, ``rows(i)`` is all of them, and every p_i is 1/M.

        Raises
        ------
        ValueError, TypeError
            As for :class:`Problem`, and for n_clients that is no integer from 1 on.

        References
        ----------
        Woodworth et al., ICML 2020, arXiv:2002.07839.

        Examples
        --------
        >>> import localgd as lg
        >>> rows = lg.datasets.make_separable(n_clients=1, n_samples=100, n_features=200)
        >>> problem = lg.Problem.shared(rows.X, rows.y, n_clients=8192)
        >>> problem.n_clients, problem.X.shape
        (8192, (100, 200))
        >>> run = lg.run(problem, lg.LocalSGD(local_steps=4, lr=0.1, batch_size=1), rounds=10)
        >>> run.engine, bool(run.history["drift"][-1] > 0)
        ('primal', True)
        """
        M = check.integer("n_clients", n_clients, 1)
        found, y = check_rows("X, y", X, y)
        targets = as_targets("y", y, task, labels)
        targets.warn()
        problem = cls.__new__(cls)
        problem._set(
            [found.X],
            targets,
            np.full(M, len(y)),
            names=found.names,
            sample_weight=_weights_of_rows(sample_weight, len(y)),
            class_weight=class_weight,
            intercept=intercept,
            shares_rows=True,
        )
        return problem

    @classmethod
    def _dealt(
        cls,
        rows: Found,
        targets: Targets,
        clients: Any,
        *,
        sample_weight: Any = None,
        **options: Any,
    ) -> Problem:
        """Of checked rows, sorted by client if they do not come so."""
        ids, index = client_index(clients, len(targets.y))
        order = None if (index[1:] >= index[:-1]).all() else np.argsort(index, kind="stable")
        v = _weights_of_rows(sample_weight, len(targets.y))
        problem = cls.__new__(cls)
        problem._set(
            [rows.X],
            targets,
            np.bincount(index),
            names=rows.names,
            client_ids=ids,
            order=order,
            sample_weight=v if v is None or order is None else v[order],
            **options,
        )
        return problem

    def _set(
        self,
        blocks: list[Rows],
        targets: Targets,
        sizes: Any,
        *,
        weights: Any = "samples",
        names: tuple[str, ...] | None = None,
        client_ids: tuple[Hashable, ...] | None = None,
        order: np.ndarray | None = None,
        sample_weight: Any = None,
        class_weight: Any = None,
        intercept: str | None = None,
        shares_rows: bool = False,
    ) -> None:
        """``order`` sorts rows and labels, unless they come by client; weights of rows are."""
        if intercept is not None:
            check.one_of("intercept", intercept, ("column", "free"))
        if order is not None:
            targets = targets._replace(y=targets.y[order])
        self.y, self.task, self.labels = targets.y, targets.task, targets.labels
        self.n_classes = len(self.labels or ()) if self.task == "multiclass" else 1
        self.sizes = np.asarray(sizes, dtype=np.int64)
        held = self.sizes[:1] if shares_rows else self.sizes
        self.offsets = np.concatenate([[0], np.cumsum(held)]).astype(np.int64)
        self.shares_rows = shares_rows
        self.client_ids = tuple(range(len(self.sizes))) if client_ids is None else client_ids
        self.row_order = np.arange(len(self.y)) if order is None else order
        self.intercept = intercept
        self.feature_names = names
        self.kernel = False
        self.sample_weight = check_row_weights(sample_weight, class_weight, targets)
        self.given_weights = weights if isinstance(weights, str) else np.array(weights)
        self.balanced = isinstance(class_weight, str)
        self.weights = check_weights(weights, self.amounts)
        self.X = stored(blocks, order, ones=intercept is not None)
        self._protect()

    @property
    def amounts(self) -> np.ndarray:
        """V_i, shape (M,): n_i where rows have no weights."""
        if self.sample_weight is None:
            return self.sizes.astype(np.float64)
        amounts: np.ndarray = np.add.reduceat(self.sample_weight, self.offsets[:-1])
        if self.shares_rows:
            amounts = np.full(self.n_clients, amounts[0])
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
        """Of a copy or in another process, where arrays come free to be written."""
        self.__dict__.update(state)
        self.X = stored([self.X])
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
        """Shape of a model: (d,), or (d, C) for several classes or several targets."""
        matrix = self.task == "multiclass" or self.y.ndim > 1
        return (self.n_features, self.n_outputs) if matrix else (self.n_features,)

    @property
    def n_outputs(self) -> int:
        """Columns of a model: C for several classes or several targets, else 1."""
        return int(self.y.shape[1]) if self.y.ndim > 1 else self.n_classes

    @property
    def held(self) -> Problem:
        """What this process has the rows of: all of it."""
        return self

    @property
    def own_clients(self) -> Any:
        """Which of the clients it has."""
        return slice(None)

    @property
    def entries_before(self) -> np.ndarray | None:
        """How many entries of sparse rows come before each client, (M + 1,); None if dense."""
        found: np.ndarray | None = self.X.indptr[self.offsets] if self.sparse else None
        return found

    @property
    def least_target(self) -> float:
        """The smallest y."""
        return float(self.y.min())

    @property
    def free_intercept(self) -> bool:
        """Whether the last number of a model is an intercept that λ leaves alone."""
        return self.intercept == "free"

    def penalized(self, w: np.ndarray) -> np.ndarray:
        """The part of a model that λ penalises: 0 in place of an intercept that it leaves alone.

        ``(u, 0)`` of ``w = (u, b)`` if the intercept is "free", w elsewhere

        Parameters
        ----------
        w : ndarray of shape (d,) or (d, C)
            A model.

        Returns
        -------
        ndarray of the same shape
            Whose squared norm times λ/2 is the penalty.

        Examples
        --------
        >>> import localgd as lg
        >>> import numpy as np
        >>> problem = lg.Problem([([[1.0], [3.0]], [-1, 1])], intercept="free")
        >>> problem.penalized(np.array([2.0, 5.0])).tolist()
        [2.0, 0.0]
        """
        if not self.free_intercept:
            return w
        return np.concatenate([w[:-1], np.zeros_like(w[-1:])])

    @property
    def signed_rows(self) -> Rows:
        """Z, shape (N, d), float64: rows z_ij = y_ij x_ij (binary tasks only).

        Made when asked for, and kept no longer than by whoever asks.
        """
        if self.task != "binary":
            raise ValueError(f"signed rows: the task is {self.task}; want a binary task")
        Z = None if self._signed_rows is None else self._signed_rows()
        if Z is None:
            Z = scaled_rows(as_double(self.X), self.y)
            protect(*arrays_of(Z))
            self._signed_rows = weakref.ref(Z)
        return Z

    @cached_property
    def row_weights(self) -> np.ndarray:
        """c_ij = p_i v_ij / V_i, shape (N,): the weight of each row in the global objective."""
        if self.shares_rows:
            c = np.full(self.n_samples, 1 / self.amounts[0])
        else:
            c = np.repeat(self.weights / self.amounts, self.sizes)
        if self.sample_weight is not None:
            c *= self.sample_weight
        c.setflags(write=False)
        return c

    @cached_property
    def relative_weights(self) -> np.ndarray | None:
        """v_ij n_i / V_i, shape (N,): weights of mean 1 on each client; None if all are 1."""
        if self.sample_weight is None:
            return None
        relative = self.sizes / self.amounts
        of_rows = relative[0] if self.shares_rows else np.repeat(relative, self.sizes)
        omega: np.ndarray = self.sample_weight * of_rows
        omega.setflags(write=False)
        return omega

    @cached_property
    def fingerprint(self) -> str:
        """A hash of all that runs depend on: rows, labels, task, sizes, weights, intercept."""
        weights = () if self.sample_weight is None else (self.sample_weight,)
        numbers = digest(*arrays_of(self.X), self.y, self.offsets, self.weights, *weights)
        kind = "kernel" if self.kernel else "shared" if self.shares_rows else "rows"
        return f"{self.task}-{kind}{'-free' if self.free_intercept else ''}-{numbers}"

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
        if not self.shares_rows:
            return slice(int(self.offsets[client]), int(self.offsets[client + 1]))
        return slice(0, int(self.sizes[client]))

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
        other.given_weights = weights if isinstance(weights, str) else np.array(weights)
        other.weights = check_weights(weights, self.amounts)
        other.weights.setflags(write=False)
        return other

    def __repr__(self) -> str:
        low, high = int(self.sizes.min()), int(self.sizes.max())
        sizes = f"{low} per client" if low == high else f"{low} to {high} per client"
        if self.shares_rows:
            sizes = "all of every client"
        task = f"{self.n_classes} classes" if self.task == "multiclass" else self.task
        task += f" of {self.n_outputs} targets" if self.y.ndim > 1 else ""
        task += f" {said}" if (said := about_labels(self.task, self.labels)) else ""
        width = (
            f"kernel of rank {self.n_features}" if self.kernel else f"{self.n_features} features"
        )
        return (
            f"Problem({task}: {self.n_clients} clients, {self.n_samples} rows ({sizes}), {width})"
        )


def check_rows(name: str, X: Any, y: Any) -> tuple[Found, np.ndarray]:
    """Finite rows, and a label for each, which may be numbers or texts."""
    found = read_rows(f"{name}: X", X)
    y = read_label_array(f"{name}: y", y)
    n, d = found.X.shape
    if n != len(y):
        raise ValueError(f"{name}: {n} rows but {len(y)} labels; want one label per row")
    if n == 0:
        raise ValueError(f"{name}: no rows; every client needs at least one: leave it out")
    if d == 0:
        raise ValueError(f"{name}: rows have no features; want at least one")
    return found, y


def labels_at(problem: Problem, y: np.ndarray) -> tuple[Label, ...]:
    """The labels that some of the numbers y of a problem stand for."""
    labels = problem.labels or ()
    return tuple(labels[k] for k in places_of(y, problem.task))


def check_problem(problem: object, own_rows: bool = False) -> Problem:
    """A problem, unchanged; of clients that have rows of their own where that is wanted."""
    if not isinstance(problem, Problem):
        raise TypeError(f"problem: got {type(problem).__name__}; want a localgd.Problem")
    if own_rows and problem.shares_rows:
        raise UnsupportedError(
            "problem: its clients share their rows, and do not differ; want clients with rows of "
            "their own, such as those of Problem.from_arrays"
        )
    return problem


def _common_names(names: Sequence[tuple[str, ...] | None]) -> tuple[str, ...] | None:
    """The names of the columns, which are the same on all clients that have some."""
    first = next((i for i, found in enumerate(names) if found is not None), 0)
    for i, found in enumerate(names):
        check_names(f"clients[{i}]: X", found, names[first], f"clients[{first}]")
    return names[first]


def _weights_of_rows(sample_weight: Any, rows: int) -> np.ndarray | None:
    """One for each row of one array, or None."""
    v = None if sample_weight is None else np.asarray(sample_weight)
    if v is not None and v.shape != (rows,):
        raise ValueError(f"sample_weight: got shape {v.shape}; want {(rows,)}, one for each row")
    return v


def _joined_weights(sample_weight: Any, sizes: list[int]) -> np.ndarray:
    """Those of all clients, from one array for each."""
    parts = [check.real_array(f"sample_weight[{i}]", v, 1) for i, v in enumerate(sample_weight)]
    if [len(v) for v in parts] != sizes:
        raise ValueError(
            f"sample_weight: got arrays of {[len(v) for v in parts]} numbers; want one array for "
            f"each client, with a number for each of its {sizes} rows"
        )
    return np.concatenate(parts)


def check_weights(weights: Any, amounts: np.ndarray) -> np.ndarray:
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
