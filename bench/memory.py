"""Memory: how many times the bytes of its rows building a problem and running it take at most.

python bench/memory.py [--megabytes 200] [--kinds dense csr ones in_place]

The rows count, too, so that 1 would be nothing beside them. Rows come in client order; each figure
is the peak of a process of its own, above what it had before it made them. A run is one of the
primal engine; gram and hybrid keep Gram matrices, up to ``memory_limit``. In place means that this
limit is below what copies of the rows in the order of their products would take.
"""

from __future__ import annotations

import argparse
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
from scipy.sparse import csr_array

import localgd as lg

KINDS = {
    "dense": "dense",
    "csr": "CSR",
    "ones": "CSR, all values 1",
    "in_place": "CSR, in place",
}
DTYPES = ("float64", "float32")
CLIENTS = 20
DENSE_FEATURES, SPARSE_FEATURES = 500, 47_236
ENTRIES = 64  # of a sparse row
ROUNDS = 5


def peak_over_rows(kind: str, dtype: str, megabytes: float) -> float:
    """In a process of its own; of rows of so many megabytes."""
    command = [sys.executable, __file__, "--alone", kind, dtype, str(megabytes)]
    return float(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


def alone(kind: str, dtype: str, size: float) -> float:
    """Here: the peak of the process, above that of a small problem, over the bytes of the rows."""
    build_and_run(dense_rows(1e5, dtype), dtype)
    build_and_run(sparse_rows(1e5, dtype, ones=False), dtype)
    before = peak()
    rows = dense_rows(size, dtype) if kind == "dense" else sparse_rows(size, dtype, kind == "ones")
    bytes = rows.nbytes if kind == "dense" else bytes_of(rows)
    if kind == "in_place":
        build_and_run(rows, dtype, memory_limit=bytes)
    else:
        build_and_run(rows, dtype)
    return (peak() - before) / bytes


def build_and_run(X: Any, dtype: str, **options: Any) -> None:
    N = X.shape[0]
    clients = np.arange(N) * CLIENTS // N
    problem = lg.Problem.from_arrays(X, np.where(np.arange(N) % 3, 1.0, -1.0), clients)
    method = lg.LocalGD(local_steps=10, lr=0.01)
    options = {"loss": "logistic", "dtype": dtype, "engine": "primal", **options}
    lg.run(problem, method, rounds=ROUNDS, **options)


def dense_rows(size: float, dtype: str) -> np.ndarray:
    d = DENSE_FEATURES
    rows = np.empty((max(int(size / d / np.dtype(dtype).itemsize), CLIENTS), d), dtype)
    return np.random.default_rng(0).standard_normal(dtype=rows.dtype, out=rows)


def sparse_rows(size: float, dtype: str, ones: bool) -> csr_array:
    """One entry in each of as many ranges of columns; 32-bit indices."""
    d, each = SPARSE_FEATURES, np.dtype(dtype).itemsize + 4
    N = max(int(size / ENTRIES / each), CLIENTS)
    rng, width = np.random.default_rng(0), d // ENTRIES
    values, columns = np.ones(N * ENTRIES, dtype), np.empty((N, ENTRIES), np.int32)
    for row in columns:  # nothing as large as the rows beside them
        row[:] = rng.integers(width, size=ENTRIES) + width * np.arange(ENTRIES)
    if not ones:
        rng.random(dtype=values.dtype, out=values)
        values += 0.5  # none is 0, or a problem would keep copies without it
    ends = np.arange(0, N * ENTRIES + 1, ENTRIES, dtype=np.int32)
    return csr_array((values, columns.ravel(), ends), shape=(N, d))


def bytes_of(rows: csr_array) -> int:
    return int(rows.data.nbytes + rows.indices.nbytes + rows.indptr.nbytes)


def peak() -> int:
    """Bytes that the process has had in memory at most."""
    status = Path("/proc/self/status")
    if status.exists():  # Linux; getrusage() begins with what the parent had
        return 1024 * int(re.findall(r"VmHWM:\s*(\d+)", status.read_text())[0])
    import resource  # not on Windows

    unit = 1 if sys.platform == "darwin" else 1024
    return unit * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--megabytes", type=float, default=200.0, help="of the rows")
    parser.add_argument("--kinds", nargs="+", default=list(KINDS), choices=KINDS)
    parser.add_argument("--alone", nargs=3, metavar=("KIND", "DTYPE", "MEGABYTES"))
    options = parser.parse_args()
    if options.alone:
        kind, dtype, megabytes = options.alone
        print(alone(kind, dtype, 1e6 * float(megabytes)))
        return
    for kind in options.kinds:
        found = [peak_over_rows(kind, dtype, options.megabytes) for dtype in DTYPES]
        figures = ", ".join(f"{x:.2f} {dtype}" for x, dtype in zip(found, DTYPES, strict=True))
        print(f"{KINDS[kind]}: {figures} times the rows", flush=True)


if __name__ == "__main__":
    main()
