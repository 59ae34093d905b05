"""Numba: clients shared out over threads, margins by CSR, gradients by CSC or from the same rows.

Where all values are ±1 a form does without them. Every kernel is compiled for its form.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numba
import numpy as np
from scipy.sparse import csr_array
from throughput.rivals.form import Form
from throughput.rivals.numba_kernels import exponential

from ..cases import SparseCase
from ..job import SparseJob


def laid_out(arrays: list[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """The arrays of all clients in one, and where each begins."""
    return np.concatenate(arrays), np.cumsum([0, *map(len, arrays)])


def compressed(matrices: list[csr_array], ones: bool) -> tuple[np.ndarray, ...]:
    """Ends of rows, columns and values of all clients, and where ends and entries begin."""
    ends, first_end = laid_out([matrix.indptr for matrix in matrices])
    places, first_entry = laid_out([matrix.indices for matrix in matrices])
    values, _ = laid_out([matrix.data for matrix in matrices])
    return ends, places, values[:0] if ones else values, first_end, first_entry


@numba.njit
def of_client(matrices: Any, i: int) -> Any:
    ends, places, values, first_end, first_entry = matrices
    own = slice(first_entry[i], first_entry[i + 1])
    return ends[first_end[i] : first_end[i + 1]], places[own], values[own]


def products(ones: bool, scattered: bool, real: type) -> tuple[Any, Any]:
    """e = the scaled slopes at A v, and v += Aᵀ e, of one client."""
    exp = exponential(real)

    @numba.njit(fastmath=True)
    def slopes(rows: Any, labels: Any, v: Any, scale: Any, e: Any) -> None:
        ends, places, values = rows
        for j in range(e.size):
            m = real(0)
            for t in range(ends[j], ends[j + 1]):
                m += v[places[t]] if ones else values[t] * v[places[t]]
            e[j] = labels[j] * m if ones else m
        for j in range(e.size):
            e[j] = scale / (real(1) + exp(e[j]))
            if ones:
                e[j] *= labels[j]

    @numba.njit(fastmath=True)
    def gather(turned: Any, e: Any, keep: Any, v: Any) -> None:
        ends, places, values = turned
        for k in range(v.size):
            g = real(0)
            for t in range(ends[k], ends[k + 1]):
                g += e[places[t]] if ones else values[t] * e[places[t]]
            v[k] = keep * v[k] + g

    @numba.njit(fastmath=True)
    def scatter(rows: Any, e: Any, keep: Any, v: Any) -> None:
        ends, places, values = rows
        v *= keep
        for j in range(e.size):
            for t in range(ends[j], ends[j + 1]):
                v[places[t]] += e[j] if ones else values[t] * e[j]

    return slopes, scatter if scattered else gather


def rounds(job: SparseJob, ones: bool, scattered: bool) -> Callable[[int], np.ndarray]:
    clients, case = job.clients, job.case
    M, d, L = case.n_clients, case.n_features, case.local_steps
    real = np.float32 if job.dtype == "float32" else np.float64
    keep = real(job.keep)
    decay = keep**L
    columns, first_column = laid_out([client.columns for client in clients])
    labels, first_row = laid_out([client.labels for client in clients])
    rows = compressed([client.rows for client in clients], ones)
    turned = rows if scattered else compressed([c.rows.T.tocsr() for c in clients], ones)
    weights = np.array([client.weight for client in clients], real)
    scales = np.array([client.scale for client in clients], real)
    slopes, add = products(ones, scattered, real)

    @numba.njit(fastmath=True)
    def steps(
        rows: Any, turned: Any, labels: Any, columns: Any, scale: Any, w: Any, v: Any
    ) -> None:
        e = np.empty(labels.size, real)
        for k in range(v.size):
            v[k] = w[columns[k]]
        for _ in range(L):
            slopes(rows, labels, v, scale, e)
            add(turned, e, keep, v)
        for k in range(v.size):
            v[k] -= decay * w[columns[k]]

    @numba.njit(parallel=True)
    def run(rows: Any, turned: Any, labels: Any, columns: Any, firsts: Any, count: int) -> Any:
        first_row, first_column = firsts
        w, changes = np.zeros(d, real), np.empty(columns.size, real)
        for _ in range(count):
            for i in numba.prange(M):
                own = slice(first_column[i], first_column[i + 1])
                signs = labels[first_row[i] : first_row[i + 1]]
                here, there = of_client(rows, i), of_client(turned, i)
                steps(here, there, signs, columns[own], scales[i], w, changes[own])
            w *= decay
            for i in range(M):
                for k in range(first_column[i], first_column[i + 1]):
                    w[columns[k]] += weights[i] * changes[k]
        return w

    firsts = (first_row, first_column)
    return lambda count: run(rows, turned, labels, columns, firsts, count)


def all_ones(case: SparseCase) -> bool:
    return case.ones


FORMS = (
    Form("CSR and CSC", "weights", lambda job: rounds(job, False, False)),
    Form("CSR, scattered", "weights", lambda job: rounds(job, False, True)),
    Form("CSR and CSC, no values", "weights", lambda job: rounds(job, True, False), all_ones),
    Form("CSR, scattered, no values", "weights", lambda job: rounds(job, True, True), all_ones),
)
