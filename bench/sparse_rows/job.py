"""One case in numbers: the problem that localgd is given, and the arrays of every rival."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from scipy.sparse import csr_array

import localgd as lg

from .cases import SparseCase
from .sets import drawn_set, read_set

__all__ = ["Client", "SparseJob", "make_job"]


@dataclass(frozen=True)
class Client:
    """Rows of a client in the columns that occur in them.

    Attributes
    ----------
    columns : ndarray of int32
        Which of the features they are.
    rows : csr_array
        Rows times their labels; indices are int32.
    labels : ndarray
    weight : float
        p_i
    scale : float
        η/n_i
    """

    columns: np.ndarray
    rows: csr_array
    labels: np.ndarray
    weight: float
    scale: float


@dataclass(frozen=True)
class SparseJob:
    """Rows and options of a case in one dtype."""

    case: SparseCase
    dtype: str
    threads: int
    problem: lg.Problem

    @property
    def method(self) -> lg.LocalGD:
        return lg.LocalGD(local_steps=self.case.local_steps, lr=self.case.lr)

    @property
    def objective(self) -> dict[str, Any]:
        return {"loss": "logistic", "l2": self.case.l2}

    @property
    def keep(self) -> float:
        """1 - ηλ: what a step leaves of the weights. All that it does in columns that are 0."""
        return 1 - self.case.lr * self.case.l2

    @cached_property
    def clients(self) -> list[Client]:
        return [self._client(i) for i in range(self.case.n_clients)]

    def _client(self, i: int) -> Client:
        problem, here = self.problem, self.problem.rows(i)
        labels = problem.y[here].astype(self.dtype)
        X = problem.X[here].astype(self.dtype)
        columns, local = np.unique(X.indices, return_inverse=True)
        values = X.data * np.repeat(labels, np.diff(X.indptr))
        rows = csr_array(
            (values, local.astype(np.int32), X.indptr.astype(np.int32)),
            shape=(X.shape[0], len(columns)),
        )
        return Client(
            columns=columns.astype(np.int32),
            rows=rows,
            labels=labels,
            weight=float(problem.weights[i]),
            scale=self.case.lr / X.shape[0],
        )


def make_job(case: SparseCase, dtype: str, threads: int) -> SparseJob:
    """Read or draw the rows of a case and deal them."""
    if case.file is None:
        X, y = drawn_set(case.n_rows, case.n_features, case.entries, case.ones)
    else:
        X, y = read_set(case.file, case.n_features)
    return SparseJob(case, dtype, threads, lg.partition(X, y, n_clients=case.n_clients, seed=0))
