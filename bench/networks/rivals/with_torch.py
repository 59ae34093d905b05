"""PyTorch, eager, as people write it: autograd, client after client, or all in batched products.

Its number of threads is that of ``OMP_NUM_THREADS``.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from throughput.rivals.form import Form

from ..job import NetworkJob

Tensor = torch.Tensor


def loss(W: Tensor, V: Tensor, X: Tensor, y: Tensor) -> Tensor:
    """The sum over the clients at hand of their mean losses."""
    scores = (torch.relu(X @ W) @ V[..., None])[..., 0]
    return torch.nn.functional.softplus(-y * scores).mean(dim=-1).sum()


def local_steps(
    job: NetworkJob, W: Tensor, V: Tensor, X: Tensor, y: Tensor
) -> tuple[Tensor, Tensor]:
    for _ in range(job.case.local_steps):
        W, V = W.requires_grad_(), V.requires_grad_()
        of_W, of_V = torch.autograd.grad(loss(W, V, X, y), (W, V))
        with torch.no_grad():
            W, V = W - job.case.lr * of_W, V - job.case.lr * of_V
    return W, V


def loop(job: NetworkJob) -> Callable[[int], np.ndarray]:
    clients = list(zip(torch.tensor(job.rows), torch.tensor(job.labels), strict=True))

    def one_round(W: Tensor, V: Tensor) -> tuple[Tensor, Tensor]:
        models = [local_steps(job, W, V, X, y) for X, y in clients]
        mean = (torch.stack(layers).mean(dim=0) for layers in zip(*models, strict=True))
        W, V = mean
        return W, V

    return run(job, one_round)


def batched(job: NetworkJob) -> Callable[[int], np.ndarray]:
    X, y, M = torch.tensor(job.rows), torch.tensor(job.labels), job.case.n_clients

    def one_round(W: Tensor, V: Tensor) -> tuple[Tensor, Tensor]:
        W, V = local_steps(job, W.repeat(M, 1, 1), V.repeat(M, 1), X, y)
        return W.mean(dim=0), V.mean(dim=0)

    return run(job, one_round)


def run(
    job: NetworkJob, one_round: Callable[[Tensor, Tensor], tuple[Tensor, Tensor]]
) -> Callable[[int], np.ndarray]:
    def advance(count: int) -> np.ndarray:
        W, V = torch.tensor(job.first), torch.tensor(job.second)
        for _ in range(count):
            W, V = one_round(W, V)
        return np.concatenate([W.numpy().ravel(), V.numpy().ravel()])

    return advance


FORMS = (Form("people, bmm", "weights", batched), Form("people, loop", "weights", loop))
