"""SciPy, on one thread: A and its transpose both in CSR, since products by rows are its fastest."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from scipy.sparse import block_diag, csr_array
from throughput.rivals.form import Form

from ..job import SparseJob


def slopes(margins: np.ndarray, scale: np.ndarray | float) -> np.ndarray:
    """Minus the derivative of the loss, in place; scaled."""
    np.exp(margins, out=margins)
    margins += 1
    np.divide(scale, margins, out=margins)
    return margins


class Stack:
    """Some clients in one matrix, block after block: one product for all of them."""

    def __init__(self, job: SparseJob, first: int, last: int):
        clients = job.clients[first:last]
        sizes = [client.rows.shape[0] for client in clients]
        rows = csr_array(block_diag([client.rows for client in clients], format="csr"))
        self.rows, self.turned = rows, csr_array(rows.T.tocsr())
        self.columns = np.concatenate([client.columns for client in clients])
        self.scale = np.repeat([client.scale for client in clients], sizes).astype(job.dtype)
        widths = [len(client.columns) for client in clients]
        self.weights = np.repeat([client.weight for client in clients], widths).astype(job.dtype)
        self.keep, self.steps = np.dtype(job.dtype).type(job.keep), job.case.local_steps

    def add_change(self, w: np.ndarray, total: np.ndarray) -> None:
        """total += what the steps of the clients change beyond the decay, in the mean."""
        start = w[self.columns]
        v = start.copy()
        for _ in range(self.steps):
            e = slopes(self.rows @ v, self.scale)
            v *= self.keep
            v += self.turned @ e
        v -= self.keep**self.steps * start
        v *= self.weights
        total += np.bincount(self.columns, v, minlength=len(total)).astype(total.dtype)


def rounds(job: SparseJob, together: int) -> Callable[[int], np.ndarray]:
    """So many clients in each matrix."""
    M = job.case.n_clients
    stacks = [Stack(job, i, min(i + together, M)) for i in range(0, M, together)]
    decay = np.dtype(job.dtype).type(job.keep) ** job.case.local_steps

    def advance(count: int) -> np.ndarray:
        w = np.zeros(job.case.n_features, job.dtype)
        for _ in range(count):
            total = decay * w
            for stack in stacks:
                stack.add_change(w, total)
            w = total
        return w

    return advance


FORMS = (
    Form("client by client", "weights", lambda job: rounds(job, 1)),
    Form("one matrix", "weights", lambda job: rounds(job, job.case.n_clients)),
)
