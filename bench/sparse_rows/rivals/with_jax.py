"""JAX on the CPU: whole runs compiled, all clients in one matrix, block after block."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jax.experimental import sparse
from scipy.sparse import csr_array
from throughput.rivals.form import Form

from ..job import SparseJob
from .with_scipy import Stack

jax.config.update("jax_enable_x64", True)
# Their own arrays in their own way; what they say of a slow path is what is measured here.
warnings.filterwarnings("ignore", category=sparse.CuSparseEfficiencyWarning)

Products = tuple[Callable[[Any, Any], Any], Callable[[Any, Any], Any], Any]


def rows_of(matrix: csr_array) -> np.ndarray:
    return np.repeat(np.arange(matrix.shape[0], dtype=np.int32), np.diff(matrix.indptr))


def segment_sums(stack: Stack) -> Products:
    """Entries in the order of rows for A v, of columns for Aᵀ e: sums of sorted segments."""

    def half(matrix: csr_array) -> Any:
        return matrix.data, matrix.indices, rows_of(matrix)

    def product(arrays: Any, x: jax.Array, length: int) -> jax.Array:
        values, places, segments = arrays
        return jax.ops.segment_sum(values * x[places], segments, length, indices_are_sorted=True)

    n, d = stack.rows.shape
    return (
        lambda arrays, v: product(arrays[0], v, n),
        lambda arrays, e: product(arrays[1], e, d),
        (half(stack.rows), half(stack.turned)),
    )


def matrices(stack: Stack, kind: Any) -> Products:
    """JAX's own sparse matrices, A and its transpose."""
    both = tuple(
        kind.from_scipy_sparse(m.tocoo() if kind is sparse.BCOO else m)
        for m in (stack.rows, stack.turned)
    )
    return (lambda arrays, v: arrays[0] @ v, lambda arrays, e: arrays[1] @ e, both)


def padded_rows(stack: Stack) -> Products:
    """Rows filled up to one length for A v, which are scattered for Aᵀ e."""
    lengths = np.diff(stack.rows.indptr)
    filled = np.arange(lengths.max()) < lengths[:, None]
    places, values = np.zeros(filled.shape, np.int32), np.zeros(filled.shape, stack.rows.dtype)
    places[filled], values[filled] = stack.rows.indices, stack.rows.data
    d = stack.rows.shape[1]

    def margins(arrays: Any, v: jax.Array) -> jax.Array:
        places, values = arrays
        return (values * v[places]).sum(axis=1)

    def gradient(arrays: Any, e: jax.Array) -> jax.Array:
        places, values = arrays
        return jnp.zeros(d, e.dtype).at[places].add(values * e[:, None])

    return margins, gradient, (places, values)


def rounds(job: SparseJob, products: Callable[[Stack], Products]) -> Callable[[int], np.ndarray]:
    stack = Stack(job, 0, job.case.n_clients)
    margins, gradient, arrays = products(stack)
    features, steps = job.case.n_features, job.case.local_steps
    arrays = jax.tree_util.tree_map(jnp.asarray, arrays)
    rest = jnp.asarray(stack.columns), jnp.asarray(stack.scale), jnp.asarray(stack.weights)
    keep, decay = stack.keep, stack.keep**steps

    @jax.jit
    def run(arrays: Any, rest: Any, count: Any) -> jax.Array:
        columns, scale, weights = rest

        def step(_: int, v: jax.Array) -> jax.Array:
            e = scale / (1 + jnp.exp(margins(arrays, v)))
            return keep * v + gradient(arrays, e)

        def one_round(_: Any, w: jax.Array) -> jax.Array:
            start = w[columns]
            change = weights * (lax.fori_loop(0, steps, step, start) - decay * start)
            return decay * w + jax.ops.segment_sum(change, columns, features)

        return lax.fori_loop(0, count, one_round, jnp.zeros(features, scale.dtype))

    return lambda count: np.asarray(run(arrays, rest, count))


FORMS = tuple(
    Form(name, "weights", partial(rounds, products=products))
    for name, products in (
        ("segment sums", segment_sums),
        ("BCOO", partial(matrices, kind=sparse.BCOO)),
        ("BCSR", partial(matrices, kind=sparse.BCSR)),
        ("padded, scattered", padded_rows),
    )
)
