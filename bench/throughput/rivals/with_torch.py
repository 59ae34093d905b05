"""PyTorch, eager: batched products over the clients, and a loop over them.

Its number of threads is that of ``OMP_NUM_THREADS``.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch

from ..cases import Case
from ..job import Job
from .form import Form, full_batch, sampled

Tensor = torch.Tensor


def tensor(array: np.ndarray) -> Tensor:
    return torch.tensor(array)  # a copy: some arrays are read-only


def slope(job: Job, client: int | None = None) -> Callable[[Tensor], Tensor]:
    """Minus the derivative of the loss, in place, of margins (..., n, columns); scaled."""
    scale = tensor(job.scale)
    if job.onehot is None:
        return lambda margins: margins.neg_().exp_().mul_(scale)
    onehot = tensor(job.onehot if client is None else job.onehot[client])
    return lambda scores: torch.sub(onehot, torch.softmax(scores, dim=-1)).mul_(scale)


def answering(advance: Callable[[int], Tensor]) -> Callable[[int], np.ndarray]:
    """Without the records of autograd."""

    def rounds(count: int) -> np.ndarray:
        with torch.inference_mode():
            return advance(count).numpy()

    return rounds


def weights_batched(job: Job) -> Any:
    rows, of_loss, case = tensor(job.rows), slope(job), job.case
    turned = rows.transpose(1, 2)
    margins = rows.new_zeros(case.n_clients, case.n_samples, case.columns)

    def advance(rounds: int) -> Tensor:
        w = rows.new_zeros(case.n_features, case.columns)
        for _ in range(rounds):
            local = w.expand(case.n_clients, -1, -1).clone()
            for _ in range(case.local_steps):
                torch.bmm(rows, local, out=margins)
                local.baddbmm_(turned, of_loss(margins))
            w = local.mean(dim=0)
        return w

    return answering(advance)


def weights_loop(job: Job) -> Any:
    rows, case = tensor(job.rows), job.case
    slopes = [slope(job, client) for client in range(case.n_clients)]
    one = case.columns == 1

    def advance(rounds: int) -> Tensor:
        w = rows.new_zeros(case.n_features, case.columns)
        for _ in range(rounds):
            total = torch.zeros_like(w)
            for A, of_loss in zip(rows, slopes, strict=True):
                v = w.clone()
                for _ in range(case.local_steps):
                    if one:
                        v[:, 0].addmv_(A.T, of_loss(torch.mv(A, v[:, 0])))
                    else:
                        v.addmm_(A.T, of_loss(torch.mm(A, v)))
                total += v
            w = total / case.n_clients
        return w

    return answering(advance)


class Span:
    """The server in the span of the rows: weights or coefficients, and the margins they give."""

    def __init__(self, job: Job):
        self.case, self.whole = job.case, job.case.whole_gram
        self.rows = tensor(job.rows).reshape(self.case.n_rows, -1)
        self.gram = tensor(job.gram) if self.whole else self.rows

    def restart(self) -> None:
        size = self.case.n_rows if self.whole else self.case.n_features
        self.state = self.rows.new_zeros(size, self.case.columns)
        shape = (self.case.n_clients, self.case.n_samples, self.case.columns)
        self.margins = self.rows.new_zeros(shape)

    def average(self, sums: Tensor) -> None:
        flat = sums.reshape(self.case.n_rows, -1) / self.case.n_clients
        self.state += flat if self.whole else self.rows.T @ flat
        self.margins = (self.gram @ self.state).reshape(self.margins.shape)

    def weights(self) -> Tensor:
        return self.rows.T @ self.state if self.whole else self.state


def gram_batched(job: Job) -> Any:
    blocks, of_loss, case, span = tensor(job.blocks), slope(job), job.case, Span(job)

    def advance(rounds: int) -> Tensor:
        span.restart()
        product = torch.empty_like(span.margins)
        for _ in range(rounds):
            sums = of_loss(span.margins.clone())
            for _ in range(case.local_steps - 1):
                torch.baddbmm(span.margins, blocks, sums, out=product)
                sums += of_loss(product)
            span.average(sums)
        return span.weights()

    return answering(advance)


def sampled_weights(job: Job) -> Any:
    rows, case = tensor(job.rows), job.case
    assert job.draws is not None
    draws = tensor(job.draws.astype(np.int64))
    scale = tensor(job.scale)
    clients = torch.arange(case.n_clients)[:, None]

    def advance(rounds: int) -> Tensor:
        w = rows.new_zeros(case.n_features, 1)
        for k in range(rounds):
            local = w.expand(case.n_clients, -1, -1).clone()
            for batch in draws[k % len(draws)].unbind(1):
                B = rows[clients, batch]
                local.baddbmm_(B.transpose(1, 2), torch.bmm(B, local).neg_().exp_().mul_(scale))
            w = local.mean(dim=0)
        return w

    return answering(advance)


def sampled_gram(job: Job) -> Any:
    """The columns of the Gram blocks that belong to the batch move the margins."""
    blocks, case, span = tensor(job.blocks), job.case, Span(job)
    assert job.draws is not None
    draws = tensor(job.draws.astype(np.int64))
    scale = tensor(job.scale)
    clients = torch.arange(case.n_clients)[:, None]

    def advance(rounds: int) -> Tensor:
        span.restart()
        for k in range(rounds):
            slopes = []
            m = span.margins
            for batch in draws[k % len(draws)].unbind(1):
                e = m[:, :, 0].gather(1, batch).neg_().exp_().mul_(scale)
                m.baddbmm_(blocks[clients, batch].transpose(1, 2), e[:, :, None])
                slopes.append(e)
            sums = m.new_zeros(case.n_clients, case.n_samples)
            drawn = draws[k % len(draws)].reshape(case.n_clients, -1)
            sums.scatter_add_(1, drawn, torch.stack(slopes, 1).reshape(case.n_clients, -1))
            span.average(sums)
        return span.weights()

    return answering(advance)


def few_clients(case: Case) -> bool:
    return full_batch(case) and case.n_clients <= 10


FORMS = (
    Form("bmm", "weights", weights_batched, full_batch),
    Form("loop", "weights", weights_loop, few_clients),
    Form("bmm", "gram", gram_batched, full_batch),
    Form("bmm", "weights", sampled_weights, sampled),
    Form("bmm", "gram", sampled_gram, sampled),
)
