"""One case in numbers: the arrays that localgd and every rival are given."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

import localgd as lg
from localgd.randomness import BATCHES, RoundStream

from .cases import Case

__all__ = ["Job", "make_job"]

DRAWN_ROUNDS = 16  # batches of so many rounds are drawn before the timing; rivals repeat them
SEED = 0


@dataclass(frozen=True)
class Job:
    """Rows and options of a case in one dtype.

    Attributes
    ----------
    problem : lg.Problem
    rows : ndarray of shape (M, n, d)
        Signed rows y x for two classes, plain rows for several.
    onehot : ndarray of shape (M, n, C) or None
        Labels, for several classes.
    scale : ndarray of shape (columns,)
        The learning rate over the number of rows of a step, per column.
    draws : ndarray of int32, shape (DRAWN_ROUNDS, M, L, b), or None
        Rows of the batches: the ones that localgd draws from seed 0.
    """

    case: Case
    dtype: str
    threads: int
    problem: lg.Problem
    rows: np.ndarray
    onehot: np.ndarray | None
    scale: np.ndarray
    draws: np.ndarray | None

    @property
    def method(self) -> lg.LocalGD | lg.LocalSGD:
        case = self.case
        if case.batch_size is None:
            return lg.LocalGD(local_steps=case.local_steps, lr=case.lr)
        return lg.LocalSGD(local_steps=case.local_steps, lr=case.lr, batch_size=case.batch_size)

    @property
    def objective(self) -> dict[str, Any]:
        return {"loss": "exponential" if self.case.n_classes == 1 else "softmax"}

    @cached_property
    def blocks(self) -> np.ndarray:
        """Gram block of each client, shape (M, n, n)."""
        return np.matmul(self.rows, self.rows.transpose(0, 2, 1))

    @cached_property
    def gram(self) -> np.ndarray:
        """Gram matrix of all rows, shape (N, N)."""
        flat = self.rows.reshape(self.case.n_rows, -1)
        return flat @ flat.T

    def zeros(self, *shape: int) -> np.ndarray:
        return np.zeros(shape, self.dtype)


def make_job(case: Case, dtype: str, threads: int) -> Job:
    """Draw or load the rows of a case."""
    if case.n_classes == 1:
        problem = lg.datasets.make_separable(
            n_clients=case.n_clients,
            n_samples=case.n_samples,
            n_features=case.n_features,
            seed=SEED,
        )
        rows, onehot = problem.signed_rows, None
    else:
        problem, labels = _mnist(case)
        rows = problem.X
        onehot = (labels[:, None] == np.arange(case.n_classes)).astype(dtype)
        onehot = onehot.reshape(case.n_clients, case.n_samples, case.n_classes)
    per_step = case.batch_size or case.n_samples
    scale = np.repeat(case.rates() / per_step, case.n_classes)
    return Job(
        case=case,
        dtype=dtype,
        threads=threads,
        problem=problem,
        rows=np.array(rows.reshape(case.n_clients, case.n_samples, -1), dtype, order="C"),
        onehot=onehot,
        scale=scale.astype(dtype),
        draws=None if case.batch_size is None else _draws(case),
    )


def _mnist(case: Case) -> tuple[lg.Problem, np.ndarray]:
    """Rows dealt to the clients in turn, so that each holds all classes."""
    X, y = lg.datasets.load_mnist(classes=None)
    # The rows come sorted by class: evenly spaced ones hold as many of each.
    chosen = np.linspace(0, len(y) - 1, case.n_rows).astype(int)
    clients = [
        (X[chosen[i :: case.n_clients]], y[chosen[i :: case.n_clients]])
        for i in range(case.n_clients)
    ]
    problem = lg.Problem(clients, task="multiclass")
    return problem, np.concatenate([labels for _, labels in clients])


def _draws(case: Case) -> np.ndarray:
    """The rows that localgd draws without replacement: Fisher-Yates from its random words."""
    count = case.local_steps * (case.batch_size or 1)
    streams = [RoundStream(SEED, (BATCHES, i), (count + 1) // 2) for i in range(case.n_clients)]
    words = np.stack([stream.draw(0, DRAWN_ROUNDS) for stream in streams], axis=1)
    halves = np.stack([words & np.uint64(0xFFFFFFFF), words >> np.uint64(32)], axis=-1)
    halves = halves.reshape(DRAWN_ROUNDS, case.n_clients, -1)
    drawn = np.empty((DRAWN_ROUNDS, case.n_clients, count), np.int32)
    n = case.n_samples
    for place in np.ndindex(DRAWN_ROUNDS, case.n_clients):
        order = list(range(n))
        for slot, half in enumerate(halves[place][:count].tolist()):
            dealt = slot % n
            other = dealt + (half * (n - dealt) >> 32)
            order[dealt], order[other] = order[other], order[dealt]
            drawn[(*place, slot)] = order[dealt]
    return drawn.reshape(DRAWN_ROUNDS, case.n_clients, case.local_steps, -1)
