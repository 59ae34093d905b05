"""JAX on the CPU, whole runs compiled: as people write it, and as an expert would.

People write the loss of a network and ask for its gradient; clients are mapped (``lax.map``) or
done at once (``vmap``). An expert knows that the first layer moves in the span of a client's rows,
keeps pre-activations and Gram blocks, and writes the gradient by hand.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from throughput.rivals.form import Form

from ..job import NetworkJob

jax.config.update("jax_enable_x64", True)

Layers = tuple[jax.Array, jax.Array]
Local = Callable[[Layers, Any], Layers]  # the change of a client's layers, by its arrays
Rounds = Callable[[int], np.ndarray]


def loss(layers: Layers, X: jax.Array, y: jax.Array) -> jax.Array:
    W, V = layers
    return jnp.mean(jnp.logaddexp(0.0, -y * (jax.nn.relu(X @ W) @ V)))


def people(job: NetworkJob) -> tuple[Local, Any]:
    lr, steps = job.case.lr, job.case.local_steps

    def local(layers: Layers, client: Any) -> Layers:
        def step(_: int, now: Layers) -> Layers:
            gradient = jax.grad(loss)(now, *client)
            return jax.tree_util.tree_map(lambda w, g: w - lr * g, now, gradient)

        moved = lax.fori_loop(0, steps, step, layers)
        return jax.tree_util.tree_map(jnp.subtract, moved, layers)

    return local, (job.rows, job.labels)


def expert(job: NetworkJob) -> tuple[Local, Any]:
    scale, steps = job.case.lr / job.case.n_samples, job.case.local_steps
    grams = job.rows @ job.rows.transpose(0, 2, 1)

    def local(layers: Layers, client: Any) -> Layers:
        X, y, K = client
        W, V = layers

        def gradient(P: jax.Array, V: jax.Array) -> Layers:
            H = jax.nn.relu(P)
            e = scale * y / (1 + jnp.exp(y * (H @ V)))
            return jnp.where(P > 0, e[:, None] * V, 0), e @ H

        def step(_: int, now: Any) -> Any:
            P, V, S = now
            G, change = gradient(P, V)
            return P + K @ G, V + change, S + G

        P, moved, S = lax.fori_loop(0, steps - 1, step, (X @ W, V, jnp.zeros_like(X @ W)))
        G, change = gradient(P, moved)  # nobody asks for what the last step makes of P
        return X.T @ (S + G), moved + change - V

    return local, (job.rows, job.labels, grams)


def rounds(job: NetworkJob, written: Callable[..., tuple[Local, Any]], at_once: bool) -> Rounds:
    local, arrays = written(job)
    arrays = jax.tree_util.tree_map(jnp.asarray, arrays)
    start = jnp.asarray(job.first), jnp.asarray(job.second)

    @jax.jit
    def run(layers: Layers, arrays: Any, count: Any) -> Layers:
        def one_round(_: Any, layers: Layers) -> Layers:
            changes = (
                jax.vmap(local, (None, 0))(layers, arrays)
                if at_once
                else lax.map(partial(local, layers), arrays)
            )
            return jax.tree_util.tree_map(lambda w, c: w + c.mean(axis=0), layers, changes)

        return lax.fori_loop(0, count, one_round, layers)

    def advance(count: int) -> np.ndarray:
        return np.concatenate([np.ravel(layer) for layer in run(start, arrays, count)])

    return advance


FORMS = tuple(
    Form(f"{who}, {how}", keeps, partial(rounds, written=written, at_once=how == "vmap"))
    for who, keeps, written in (("people", "weights", people), ("expert", "gram", expert))
    for how in ("vmap", "map")
)
