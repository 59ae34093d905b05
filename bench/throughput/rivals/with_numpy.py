"""NumPy: a loop over the clients, and batched matrix products over all of them."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from ..job import Job
from .form import Form, full_batch, sampled

Slope = Callable[[np.ndarray], np.ndarray]


def slope(job: Job) -> Slope:
    """Minus the derivative of the loss, in place, of margins (..., n, columns); scaled."""
    if job.onehot is None:

        def exponential(margins: np.ndarray) -> np.ndarray:
            np.negative(margins, out=margins)
            np.exp(margins, out=margins)
            margins *= job.scale
            return margins

        return exponential

    onehot = job.onehot

    def softmax(scores: np.ndarray) -> np.ndarray:
        scores -= scores.max(axis=-1, keepdims=True)
        np.exp(scores, out=scores)
        scores /= scores.sum(axis=-1, keepdims=True)
        np.subtract(onehot, scores, out=scores)
        scores *= job.scale
        return scores

    return softmax


def clients_of(job: Job) -> list[Slope]:
    """The slope of each client by itself."""
    if job.onehot is None:
        return [slope(job)] * job.case.n_clients
    onehot = job.onehot

    def of(client: int) -> Slope:
        def softmax(scores: np.ndarray) -> np.ndarray:
            chances = np.exp(scores - scores.max(axis=-1, keepdims=True))
            chances /= chances.sum(axis=-1, keepdims=True)
            e: np.ndarray = (onehot[client] - chances) * job.scale
            return e

        return softmax

    return [of(client) for client in range(job.case.n_clients)]


def weights_loop(job: Job) -> Callable[[int], np.ndarray]:
    """As people write it: for each round, client and step two matrix-vector products."""
    rows, slopes, case = job.rows, clients_of(job), job.case

    def advance(rounds: int) -> np.ndarray:
        w = job.zeros(case.n_features, case.columns)
        for _ in range(rounds):
            total = np.zeros_like(w)
            for A, of_loss in zip(rows, slopes, strict=True):
                v = w.copy()
                for _ in range(case.local_steps):
                    v += A.T @ of_loss(A @ v)
                total += v
            w = total / total.dtype.type(case.n_clients)
        return w

    return advance


def weights_batched(job: Job) -> Callable[[int], np.ndarray]:
    """All clients in each product: ``matmul`` of (M, n, d) and (M, d, columns)."""
    rows, of_loss, case = job.rows, slope(job), job.case
    turned = rows.transpose(0, 2, 1)
    margins = job.zeros(case.n_clients, case.n_samples, case.columns)
    change = job.zeros(case.n_clients, case.n_features, case.columns)

    def advance(rounds: int) -> np.ndarray:
        w = job.zeros(case.n_features, case.columns)
        local = np.empty_like(change)
        for _ in range(rounds):
            local[:] = w
            for _ in range(case.local_steps):
                np.matmul(rows, local, out=margins)
                np.matmul(turned, of_loss(margins), out=change)
                np.add(local, change, out=local)
            w = local.mean(axis=0)
        return w

    return advance


class Span:
    """The server in the span of the rows: weights or coefficients, and the margins they give."""

    def __init__(self, job: Job):
        self.case, self.whole = job.case, job.case.whole_gram
        self.rows = job.rows.reshape(self.case.n_rows, -1)
        self.gram = job.gram if self.whole else None
        size = self.case.n_rows if self.whole else self.case.n_features
        self.state = job.zeros(size, self.case.columns)
        self.margins = job.zeros(self.case.n_clients, self.case.n_samples, self.case.columns)

    def restart(self) -> None:
        self.state[:] = 0
        self.margins[:] = 0

    def average(self, sums: np.ndarray) -> None:
        """Take in the clients' sums of scaled slopes, shape (M, n, columns)."""
        flat = sums.reshape(self.case.n_rows, -1)
        flat /= flat.dtype.type(self.case.n_clients)
        self.state += flat if self.gram is not None else self.rows.T @ flat
        product = (self.rows if self.gram is None else self.gram) @ self.state
        self.margins[:] = product.reshape(self.margins.shape)

    def weights(self) -> np.ndarray:
        return self.rows.T @ self.state if self.whole else self.state


def gram_loop(job: Job) -> Callable[[int], np.ndarray]:
    """Client by client, one product with the Gram block per step."""
    blocks, slopes, case, span = job.blocks, clients_of(job), job.case, Span(job)
    sums = np.empty_like(span.margins)

    def advance(rounds: int) -> np.ndarray:
        span.restart()
        for _ in range(rounds):
            for i, (K, of_loss) in enumerate(zip(blocks, slopes, strict=True)):
                m = span.margins[i]
                s = of_loss(m.copy())
                for _ in range(case.local_steps - 1):
                    # The margins follow from the sum of the slopes so far.
                    s += of_loss(m + K @ s)
                sums[i] = s
            span.average(sums)
        return span.weights()

    return advance


def gram_batched(job: Job) -> Callable[[int], np.ndarray]:
    """All clients in one ``matmul`` of (M, n, n) and (M, n, columns) per step."""
    blocks, of_loss, case, span = job.blocks, slope(job), job.case, Span(job)
    sums, product = np.empty_like(span.margins), np.empty_like(span.margins)

    def advance(rounds: int) -> np.ndarray:
        span.restart()
        for _ in range(rounds):
            sums[:] = span.margins
            of_loss(sums)
            for _ in range(case.local_steps - 1):
                np.matmul(blocks, sums, out=product)
                np.add(product, span.margins, out=product)
                np.add(sums, of_loss(product), out=sums)
            span.average(sums)
        return span.weights()

    return advance


def sampled_weights_loop(job: Job) -> Callable[[int], np.ndarray]:
    rows, case, draws = job.rows, job.case, job.draws
    assert draws is not None
    scale = job.scale[0]

    def advance(rounds: int) -> np.ndarray:
        w = job.zeros(case.n_features)
        for k in range(rounds):
            total = np.zeros_like(w)
            for A, drawn in zip(rows, draws[k % len(draws)], strict=True):
                v = w.copy()
                for batch in drawn:
                    B = A[batch]
                    v += (scale * np.exp(-(B @ v))) @ B
                total += v
            w = total / total.dtype.type(case.n_clients)
        return w[:, None]

    return advance


def sampled_weights_batched(job: Job) -> Callable[[int], np.ndarray]:
    rows, case, draws = job.rows, job.case, job.draws
    assert draws is not None
    clients = np.arange(case.n_clients)[:, None]

    def advance(rounds: int) -> np.ndarray:
        w = job.zeros(case.n_features)
        local = job.zeros(case.n_clients, case.n_features)
        for k in range(rounds):
            local[:] = w
            for step in range(case.local_steps):
                B = rows[clients, draws[k % len(draws), :, step]]
                e = job.scale * np.exp(-(B @ local[:, :, None]))
                local += (B.transpose(0, 2, 1) @ e)[:, :, 0]
            w = local.mean(axis=0)
        return w[:, None]

    return advance


def sampled_gram_batched(job: Job) -> Callable[[int], np.ndarray]:
    """The columns of the Gram blocks that belong to the batch move the margins."""
    blocks, case, draws, span = job.blocks, job.case, job.draws, Span(job)
    assert draws is not None
    clients = np.arange(case.n_clients)[:, None]
    slopes = job.zeros(case.local_steps, case.n_clients, case.batch_size or 1)
    sums = np.empty_like(span.margins)

    def advance(rounds: int) -> np.ndarray:
        span.restart()
        for k in range(rounds):
            drawn = draws[k % len(draws)]
            m = span.margins[:, :, 0]
            for step in range(case.local_steps):
                batch = drawn[:, step]
                e = np.exp(-m[clients, batch], out=slopes[step])
                e *= job.scale
                m += (e[:, None, :] @ blocks[clients, batch])[:, 0]
            sums[:] = 0
            # A batch may hold a row twice.
            np.add.at(
                sums[:, :, 0],
                (clients, drawn.reshape(case.n_clients, -1)),
                slopes.transpose(1, 0, 2).reshape(case.n_clients, -1),
            )
            span.average(sums)
        return span.weights()

    return advance


FORMS = (
    Form("loop", "weights", weights_loop, full_batch),
    Form("matmul", "weights", weights_batched, full_batch),
    Form("loop", "gram", gram_loop, full_batch),
    Form("matmul", "gram", gram_batched, full_batch),
    Form("loop", "weights", sampled_weights_loop, sampled),
    Form("matmul", "weights", sampled_weights_batched, sampled),
    Form("matmul", "gram", sampled_gram_batched, sampled),
)
