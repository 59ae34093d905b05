"""Numba: clients shared out over threads, loops fused; rows of one client shared out if many."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numba
import numpy as np

from ..cases import Case
from ..job import Job
from . import numba_kernels as kernels
from .form import Form, Rounds, sampled

MOST_CHUNKS = 64  # partial sums of the server, and pieces of work for the threads


def real_of(job: Job) -> type:
    return np.float32 if job.dtype == "float32" else np.float64


def chunks_of(clients: int) -> tuple[int, int]:
    """Chunks and clients in each."""
    size = -(-clients // MOST_CHUNKS)
    return -(-clients // size), size


def draws_of(job: Job) -> np.ndarray:
    return np.zeros((1, 1, 1, 1), np.int32) if job.draws is None else job.draws


@numba.njit
def mean(parts: Any, count: int, w: Any) -> None:
    """w = Σ parts / count, in place."""
    w[:] = 0
    for part in parts:
        w += part
    w /= parts.dtype.type(count)


def weights_fused(job: Job) -> Callable[[int], np.ndarray]:
    """Weights kept, margin and gradient of four rows at a time in one pass over the rows."""
    rows, case, scale, draws = job.rows, job.case, job.scale[0], draws_of(job)
    M, n, d, L = case.n_clients, case.n_samples, case.n_features, case.local_steps
    chunks, size = chunks_of(M)
    sampled, real = job.draws is not None, real_of(job)
    step, batches = kernels.weight_step(d, real), kernels.sampled_weights_steps(d, real)

    @numba.njit
    def clients(chunk: int, rows: Any, draws: Any, w: Any, total: Any, scale: Any) -> None:
        total[:] = 0
        v, g = np.empty(d, rows.dtype), np.empty(d, rows.dtype)
        for i in range(chunk * size, min(M, (chunk + 1) * size)):
            v[:] = w
            if sampled:
                batches(rows[i], v, draws[i], scale)
            else:
                for _ in range(L):
                    g[:] = 0
                    step(rows[i], 0, n, v, g, scale)
                    v += g
            total += v

    @numba.njit(parallel=True)
    def run(rows: Any, draws: Any, rounds: int, scale: Any) -> Any:
        w = np.zeros(d, rows.dtype)
        parts = np.empty((chunks, d), rows.dtype)
        for k in range(rounds):
            for chunk in numba.prange(chunks):
                clients(chunk, rows, draws[k % len(draws)], w, parts[chunk], scale)
            mean(parts, M, w)
        return w

    return lambda rounds: run(rows, draws, rounds, scale)


def weights_split(job: Job) -> Callable[[int], np.ndarray]:
    """Client after client, the rows of each shared out over the threads."""
    rows, case, scale, threads = job.rows, job.case, job.scale[0], job.threads
    M, n, d, L = case.n_clients, case.n_samples, case.n_features, case.local_steps
    real = real_of(job)
    step = kernels.weight_step(d, real)
    cuts = np.linspace(0, n, threads + 1).astype(np.int64)

    @numba.njit
    def piece(A: Any, t: int, v: Any, g: Any, scale: Any) -> None:
        g[:] = 0
        step(A, cuts[t], cuts[t + 1], v, g, scale)

    @numba.njit
    def move(v: Any, parts: Any) -> None:
        for part in parts:
            v += part

    @numba.njit(parallel=True)
    def run(rows: Any, rounds: int, scale: Any) -> Any:
        w = np.zeros(d, rows.dtype)
        local, parts = np.empty((M, d), rows.dtype), np.empty((threads, d), rows.dtype)
        for _ in range(rounds):
            for i in range(M):
                v = local[i]
                v[:] = w
                for _ in range(L):
                    for t in numba.prange(threads):
                        piece(rows[i], t, v, parts[t], scale)
                    move(v, parts)
            mean(local, M, w)
        return w

    return lambda rounds: run(rows, rounds, scale)


def padded(job: Job) -> np.ndarray:
    """Rows of zeros up to whole vector registers, where they cost little: loops without rests."""
    lanes = 8 if job.dtype == "float32" else 4
    n = job.case.n_samples
    full = -(-n // lanes) * lanes
    if full > 1.25 * n:
        return job.rows
    return np.pad(job.rows, ((0, 0), (0, full - n), (0, 0)))


class Drawing(Rounds):
    """Rows drawn on the clock. They are its own, so the answer is checked with those of localgd."""

    def __init__(self, advance: Callable[[int, bool], np.ndarray]):
        super().__init__(lambda rounds: advance(rounds, False))
        self.draw = advance

    def seconds(self, rounds: int) -> float:
        start = self.clock()
        self.draw(rounds, True)
        return self.clock() - start


def gram_fused(job: Job) -> Callable[[int], np.ndarray]:
    """Margins kept, exponentials vectorised, four columns of the Gram block at a time."""
    return Drawing(gram_rounds(job)).advance


def gram_drawing(job: Job) -> Drawing:
    """The same; each client draws its batches when its round begins."""
    return Drawing(gram_rounds(job))


def gram_rounds(job: Job) -> Callable[[int, bool], np.ndarray]:
    """So many rounds, with batches as given or drawn."""
    rows, case, scale, draws = padded(job), job.case, job.scale[0], draws_of(job)
    M, n, d = rows.shape
    chunks, size = chunks_of(M)
    flat = rows.reshape(M * n, d)
    blocks = np.matmul(rows, rows.transpose(0, 2, 1))
    whole, takes_batches, real = case.whole_gram, job.draws is not None, real_of(job)
    steps = kernels.gram_steps(n, case.local_steps, real)
    batches = kernels.sampled_gram_steps(n, real)
    # What gives the margins: coefficients by rows of the Gram matrix, or weights by rows.
    server = (flat @ flat.T if whole else flat).reshape(M, n, -1)
    length = server.shape[2]

    @numba.njit(fastmath=True)
    def margins(server: Any, state: Any, m: Any) -> None:
        for j in range(n):
            margin = real(0)
            for k in range(length):
                margin += server[j, k] * state[k]
            m[j] = margin

    @numba.njit(fastmath=True)
    def clients(
        chunk: int,
        blocks: Any,
        server: Any,
        draws: Any,
        drawing: bool,
        orders: Any,
        words: Any,
        state: Any,
        change: Any,
        scale: Any,
    ) -> None:
        m, s = np.empty(n, state.dtype), np.empty(n, state.dtype)
        change[:] = 0
        for i in range(chunk * size, min(M, (chunk + 1) * size)):
            margins(server[i], state, m)
            if drawing:
                words[i] = kernels.deal(orders[i], words[i], draws[i])
            if takes_batches:
                batches(blocks[i], m, s, draws[i], scale)
            else:
                steps(blocks[i], m, s, scale)
            for j in range(n):
                if whole:
                    change[(i - chunk * size) * n + j] = s[j]
                else:
                    for k in range(d):
                        change[k] += s[j] * server[i, j, k]

    @numba.njit(fastmath=True)
    def average(state: Any, changes: Any) -> None:
        if whole:
            flat = changes.ravel()
            for k in range(length):
                state[k] += flat[k] / real(M)
        else:
            for change in changes:
                for k in range(length):
                    state[k] += change[k] / real(M)

    @numba.njit(parallel=True)
    def run(
        blocks: Any,
        server: Any,
        draws: Any,
        drawing: bool,
        orders: Any,
        words: Any,
        rounds: int,
        scale: Any,
    ) -> Any:
        state = np.zeros(length, blocks.dtype)
        changes = np.empty((chunks, size * n if whole else d), blocks.dtype)
        for r in range(rounds):
            for chunk in numba.prange(chunks):
                drawn = draws[0 if drawing else r % len(draws)]
                change = changes[chunk]
                clients(chunk, blocks, server, drawn, drawing, orders, words, state, change, scale)
            average(state, changes)
        return state

    given, own = draws, draws[:1].copy()
    orders = np.tile(np.arange(case.n_samples, dtype=np.int32), (M, 1))
    words = np.arange(1, M + 1, dtype=np.uint64)

    def advance(rounds: int, drawing: bool) -> np.ndarray:
        batches = own if drawing else given
        state = run(blocks, server, batches, drawing, orders, words, rounds, scale)
        return flat.T @ state if whole else state

    return advance


@numba.njit
def slopes(margins: Any, onehot: Any, scale: Any) -> None:
    """Minus the derivative of the loss, in place, of margins (n, columns); scaled."""
    n, columns = margins.shape
    if onehot.size == 0:
        for j in range(n):
            for c in range(columns):
                margins[j, c] = scale[c] * np.exp(-margins[j, c])
        return
    for j in range(n):
        top = margins[j].max()
        total = margins.dtype.type(0)
        for c in range(columns):
            margins[j, c] = np.exp(margins[j, c] - top)
            total += margins[j, c]
        for c in range(columns):
            margins[j, c] = scale[c] * (onehot[j, c] - margins[j, c] / total)


def labels_of(job: Job) -> np.ndarray:
    return job.zeros(job.case.n_clients, 0, 0) if job.onehot is None else job.onehot


def weights_blas(job: Job) -> Callable[[int], np.ndarray]:
    """Weights kept, BLAS for the products of one client, one thread each."""
    rows, case, labels, scale = job.rows, job.case, labels_of(job), job.scale
    M, n, d, L, B = *rows.shape, case.local_steps, case.columns

    @numba.njit
    def client(A: Any, onehot: Any, w: Any, v: Any, scale: Any) -> None:
        e, g = np.empty((n, B), A.dtype), np.empty((d, B), A.dtype)
        v[:] = w
        for _ in range(L):
            np.dot(A, v, e)
            slopes(e, onehot, scale)
            np.dot(A.T, e, g)
            v += g

    @numba.njit(parallel=True)
    def run(rows: Any, labels: Any, scale: Any, rounds: int) -> Any:
        w = np.zeros((d, B), rows.dtype)
        local = np.empty((M, d, B), rows.dtype)
        for _ in range(rounds):
            for i in numba.prange(M):
                client(rows[i], labels[i], w, local[i], scale)
            mean(local, M, w)
        return w

    return lambda rounds: run(rows, labels, scale, rounds)


def gram_blas(job: Job) -> Callable[[int], np.ndarray]:
    """Margins kept, BLAS for the products with one Gram block, one thread each."""
    rows, case, labels, scale = job.rows, job.case, labels_of(job), job.scale
    M, n, d, L, B = *rows.shape, case.local_steps, case.columns
    flat, blocks, whole = rows.reshape(M * n, d), job.blocks, case.whole_gram
    server = (job.gram if whole else flat).reshape(M, n, -1)
    length = server.shape[2]

    @numba.njit
    def client(K: Any, server: Any, onehot: Any, state: Any, s: Any, scale: Any) -> None:
        start, m = np.empty((n, B), K.dtype), np.empty((n, B), K.dtype)
        np.dot(server, state, start)
        s[:] = start
        slopes(s, onehot, scale)
        for _ in range(L - 1):
            np.dot(K, s, m)
            m += start
            slopes(m, onehot, scale)
            s += m

    @numba.njit
    def average(state: Any, sums: Any, flat: Any) -> None:
        sums /= sums.dtype.type(M)
        state += sums if whole else np.dot(flat.T, sums)

    @numba.njit(parallel=True)
    def run(blocks: Any, server: Any, flat: Any, labels: Any, scale: Any, rounds: int) -> Any:
        state = np.zeros((length, B), flat.dtype)
        sums = np.empty((M * n, B), flat.dtype)
        for _ in range(rounds):
            for i in numba.prange(M):
                s = sums[i * n : (i + 1) * n]
                client(blocks[i], server[i], labels[i], state, s, scale)
            average(state, sums, flat)
        return state

    def advance(rounds: int) -> np.ndarray:
        state = run(blocks, server, flat, labels, scale, rounds)
        return flat.T @ state if whole else state

    return advance


def one_column(case: Case) -> bool:
    return case.columns == 1


def many_rows(case: Case) -> bool:
    return one_column(case) and case.batch_size is None and case.n_samples >= 1000


def for_blas(case: Case) -> bool:
    return case.batch_size is None and case.n_clients <= 1000


FORMS = (
    Form("fused", "weights", weights_fused, one_column),
    Form("rows split", "weights", weights_split, many_rows),
    Form("BLAS", "weights", weights_blas, for_blas),
    Form("fused", "gram", gram_fused, one_column),
    Form("fused, draws", "gram", gram_drawing, sampled),
    Form("BLAS", "gram", gram_blas, for_blas),
)
