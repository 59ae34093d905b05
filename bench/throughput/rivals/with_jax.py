"""JAX on the CPU: whole runs compiled; clients mapped or batched, on one device or on several.

The number of host devices is read from ``XLA_FLAGS`` when JAX is loaded.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from ..cases import Case
from ..job import Job
from .form import Form, anything

jax.config.update("jax_enable_x64", True)

Local = Callable[..., jax.Array]


def one_by_one(local: Local) -> Local:
    """Clients one after the other: the block of each stays in the cache."""
    return lambda *arrays: lax.map(lambda of_client: local(*of_client), arrays)


CLIENTS = {"vmap": jax.vmap, "map": one_by_one}


def slope(job: Job) -> Callable[[jax.Array, Any], jax.Array]:
    """Minus the derivative of the loss at margins (n,) or (n, columns); scaled."""
    scale = job.scale[0] if job.case.columns == 1 else job.scale
    if job.onehot is None:
        return lambda margins, _: scale * jnp.exp(-margins)
    return lambda scores, onehot: scale * (onehot - jax.nn.softmax(scores, axis=-1))


def of_columns(job: Job, length: int) -> tuple[int, ...]:
    """Vectors where there is one column: their products are faster."""
    return (length,) if job.case.columns == 1 else (length, job.case.columns)


def weights_local(job: Job) -> Local:
    """w_{k,i} from the rows of a client and w_k."""
    of_loss = slope(job)

    def local(A: jax.Array, w: jax.Array, extra: Any) -> jax.Array:
        def step(_: int, v: jax.Array) -> jax.Array:
            return v + A.T @ of_loss(A @ v, extra)

        def sampled(v: jax.Array, batch: jax.Array) -> tuple[jax.Array, None]:
            B = A[batch]
            return v + B.T @ of_loss(B @ v, None), None

        if job.draws is not None:
            return lax.scan(sampled, w, extra)[0]
        return lax.fori_loop(0, job.case.local_steps, step, w)

    return local


def gram_local(job: Job) -> Local:
    """The sum of the scaled slopes of a client from its Gram block and margins."""
    of_loss, steps = slope(job), job.case.local_steps

    def local(K: jax.Array, m: jax.Array, extra: Any) -> jax.Array:
        def step(_: int, s: jax.Array) -> jax.Array:
            return s + of_loss(m + K @ s, extra)

        def sampled(m: jax.Array, batch: jax.Array) -> tuple[jax.Array, jax.Array]:
            e = of_loss(m[batch], None)
            return m + e @ K[batch], e

        if job.draws is not None:
            e = lax.scan(sampled, m, extra)[1]
            return jnp.zeros_like(m).at[extra.ravel()].add(e.ravel())
        return lax.fori_loop(0, steps - 1, step, of_loss(m, extra))

    return local


class Run:
    """A compiled run of one form.

    ``devices`` = 1: the clients in one program; more: shared out with ``pmap``.
    """

    def __init__(self, job: Job, keeps: str, clients: str, devices: int):
        self.job, self.case, self.devices = job, job.case, devices
        self.gram, self.whole = keeps == "gram", keeps == "gram" and job.case.whole_gram
        local = gram_local(job) if self.gram else weights_local(job)
        self.local = CLIENTS[clients](local)
        self.sum = partial(lax.psum, axis_name="devices") if devices > 1 else (lambda x: x)
        arrays = (job.blocks if self.gram else job.rows, self.server_rows(), self.extra())
        if devices > 1:
            run = jax.pmap(self.rounds, "devices", in_axes=(0, 0, 0, None, None))
            put = self.shared_out
        else:
            run, put = jax.jit(self.rounds, donate_argnums=4), jnp.asarray
        self.arrays = [put(array) for array in arrays]
        self.run = run

    def shared_out(self, array: np.ndarray) -> jax.Array:
        """Cut along the first axis (clients, or all rows), a piece on each device."""
        pieces = array.reshape(self.devices, array.shape[0] // self.devices, *array.shape[1:])
        return jax.pmap(lambda piece: piece)(pieces)

    def server_rows(self) -> np.ndarray:
        """What gives the margins: rows of the Gram matrix, or rows; (M, 0) where not needed."""
        if not self.gram:
            return np.zeros((self.case.n_clients, 0), self.job.dtype)
        return self.job.gram if self.whole else self.job.rows.reshape(self.case.n_rows, -1)

    def extra(self) -> np.ndarray:
        """Labels or batches, client first."""
        if self.job.draws is not None:
            return np.ascontiguousarray(self.job.draws.transpose(1, 0, 2, 3))
        if self.job.onehot is not None:
            return self.job.onehot
        return np.zeros((self.case.n_clients, 0), self.job.dtype)

    def rounds(self, blocks: Any, rows: Any, extra: Any, count: Any, state: Any) -> jax.Array:
        M = self.case.n_clients
        here = blocks.shape[0]

        def of_round(k: Any) -> jax.Array:
            return extra[:, k % extra.shape[1]] if self.job.draws is not None else extra

        def weights_round(k: Any, w: jax.Array) -> jax.Array:
            start = jnp.broadcast_to(w, (here, *w.shape))
            return self.sum(self.local(blocks, start, of_round(k)).sum(axis=0)) / M

        def gram_round(k: Any, state: jax.Array) -> jax.Array:
            m = (rows @ state).reshape(here, *of_columns(self.job, -1))
            s = self.local(blocks, m, of_round(k))
            s = s.reshape(-1, *s.shape[2:]) / M
            if not self.whole:
                return state + self.sum(rows.T @ s)
            if self.devices > 1:
                s = lax.all_gather(s, "devices", tiled=True)
            return state + s

        return lax.fori_loop(0, count, gram_round if self.gram else weights_round, state)

    def __call__(self, count: int) -> np.ndarray:
        length = self.case.n_rows if self.whole else self.case.n_features
        state = jnp.zeros(of_columns(self.job, length), self.job.dtype)
        found = np.asarray(self.run(*self.arrays, count, state))
        found = (found[0] if self.devices > 1 else found).reshape(length, -1)
        return self.job.rows.reshape(self.case.n_rows, -1).T @ found if self.whole else found


def divides(case: Case) -> bool:
    return 1 < jax.local_device_count() and case.n_clients % jax.local_device_count() == 0


def forms() -> list[Form]:
    found = []
    for keeps in ("weights", "gram"):
        for clients in CLIENTS:
            for devices in (1, jax.local_device_count()):
                name = f"pmap+{clients}" if devices > 1 else clients
                found.append(
                    Form(
                        name,
                        keeps,
                        partial(Run, keeps=keeps, clients=clients, devices=devices),
                        divides if devices > 1 else anything,
                    )
                )
    return found


FORMS = tuple(forms())
