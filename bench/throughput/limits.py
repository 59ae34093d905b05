"""What the machine can do at most: products per second and bytes read per second.

A local step of one client costs, per column (learning rate or class),

=========  =============  ==================================
form       flops          bytes, shared by the learning rates
=========  =============  ==================================
weights    4 n d + e n    n d
gram       2 n² + e n     n²
=========  =============  ==================================

numbers of the dtype (b rows in place of n where they are drawn in batches). The rows or the Gram
block of one client are read in each step: if they fit in the first-level cache only flops count,
else the rate of reading a working set of that size, measured here. e stands for the derivative of
the loss: an exponential in full takes 25 to 40 flops, the shortest polynomial that may stand for
one, where margins hardly move in a round, the few that are counted here.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
import timeit
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path

import numpy as np

from localgd._backend import core

from .alone import hardly_any_work, in_turn
from .cases import Case

__all__ = ["Limit", "Machine", "cache_bytes"]

FORMS = ("weights", "gram")
DERIVATIVE = {"float64": 10, "float32": 6}  # flops
DEFAULT_CACHES = {1: 32 * 2**10, 2: 512 * 2**10}


@cache
def cache_bytes(level: int) -> int:
    """Bytes of the data cache of one core."""
    for index in Path("/sys/devices/system/cpu/cpu0/cache").glob("index*"):
        if (index / "type").read_text().strip() == "Instruction":
            continue
        if int((index / "level").read_text()) == level:
            return int((index / "size").read_text().strip().rstrip("K")) * 2**10
    return DEFAULT_CACHES[level]


@dataclass(frozen=True)
class Limit:
    """Local steps per second at most, and why.

    Attributes
    ----------
    steps_per_second : float
        By the local steps alone.
    whole_round : float
        With the server's products (2 N² flops and N² / 2 reals, or 4 N d flops and N d reals, those
        twice if a client's rows outgrow the second-level cache) at the same limits; where Gram
        blocks (a half of them: they are symmetric) fit in a first-level cache, but all of them do
        not in the second-level ones, with one reading of all, and of the rows' coefficients, which
        are read and written in float64;
        with the random words of batches at the rate of NumPy's generator; and with the time in
        which threads hand a round to one another and back.
    binding : str
    """

    steps_per_second: float
    whole_round: float
    binding: str


class Machine:
    """Rates of all cores together; each is measured when first asked for."""

    def __init__(self, threads: int):
        self.threads = threads
        self._products: dict[str, float] = {}
        self._reading: dict[int, float] = {}

    def product_rate(self, dtype: str) -> float:
        """Flops per second of a large matrix product, best of several."""
        if dtype not in self._products:
            # A process of its own: BLAS reads its number of threads when it is loaded. OpenBLAS
            # takes 256-bit kernels on some processors that have AVX-512: the faster one counts.
            kernels: list[dict[str, str]] = [{}]
            if core.build_info()["instruction_set"] == "avx512":
                kernels.append({"OPENBLAS_CORETYPE": "SKYLAKEX"})
            self._products[dtype] = max(self._product_rate(dtype, of) for of in kernels)
        return self._products[dtype]

    def _product_rate(self, dtype: str, kernels: dict[str, str]) -> float:
        threads = str(self.threads)
        environment = {
            **os.environ,
            **kernels,
            "OPENBLAS_NUM_THREADS": threads,
            "MKL_NUM_THREADS": threads,
        }
        script = _PRODUCT.format(dtype=dtype)
        out = subprocess.run(
            [sys.executable, "-c", script], env=environment, check=True, capture_output=True
        )
        return float(out.stdout)

    def read_rate(self, size: int) -> float:
        """Bytes per second when a working set of so many bytes is read again and again.

        Up to the second-level cache every core reads a set of its own; a larger one they share.
        """
        if size not in self._reading:
            private = size <= cache_bytes(2)
            each = size if private else max(size // self.threads, 2**16)
            readers = 1 if private else self.threads
            rate = _read_rate(each, readers)
            self._reading[size] = rate * (self.threads if private else 1)
        return self._reading[size]

    @cached_property
    def word_rate(self) -> float:
        """Random half words per second, one for each row drawn: NumPy's Philox on all cores."""
        count, generator = 2**20, np.random.Philox(0)
        seconds = min(timeit.repeat(lambda: generator.random_raw(count), number=1, repeat=8))
        return self.threads * 2 * count / seconds

    @cached_property
    def handover(self) -> float:
        """Seconds that a round takes longer on all threads than on one, with hardly any work.

        It is localgd's: the quickest hand-over that can be measured here.
        """
        alone, together = map(min, in_turn(hardly_any_work(), [1, self.threads], 5))
        return max(together - alone, 0.0)

    def seconds(self, flops: float, bytes: float, size: float, dtype: str) -> tuple[float, str]:
        """The longer of computing and reading, and which it is."""
        computing = flops / self.product_rate(dtype)
        if size <= cache_bytes(1):
            return computing, "products"
        reading = bytes / self.read_rate(int(size))
        if computing >= reading:
            return computing, "products"
        return reading, f"reading {_bytes(size)}"

    def limit(self, case: Case, dtype: str, form: str) -> Limit:
        """The limit of one form; ``form`` is "weights" or "gram"."""
        itemsize = np.dtype(dtype).itemsize
        n, d = case.n_samples, case.n_features
        rows, width = case.batch_size or n, n if form == "gram" else d
        flops = rows * ((2 if form == "gram" else 4) * width + DERIVATIVE[dtype]) * case.n_classes
        bytes = rows * width * itemsize / case.learning_rates
        local, binding = self.seconds(flops, bytes, n * width * itemsize, dtype)
        rest = rows / self.word_rate if case.batch_size else 0.0
        rest += self.handover / case.steps_per_round
        if form == "gram":
            N, columns = case.n_rows, case.columns
            if case.whole_gram:  # K is symmetric, so that half of it is enough
                flops, reals, reads = 2 * N * N * columns, N * N / 2, 1
            else:  # both products of a client's rows in one go, if these stay in the cache
                reads = 1 if n * d * itemsize <= cache_bytes(2) else 2
                flops, reals = 4 * N * d * columns, N * d
            bytes, size = reads * reals * itemsize, reals * itemsize
            block = n * (n + 1) // 2 * itemsize  # symmetric too
            blocks = case.n_clients * block
            if block <= cache_bytes(1) and blocks > self.threads * cache_bytes(2):
                state = 2 * 8 * N * columns
                bytes, size = bytes + blocks + state, size + blocks + state
            per_round, _ = self.seconds(flops, bytes, size, dtype)
            rest += per_round / case.steps_per_round
        return Limit(1 / local, 1 / (local + rest), binding)

    def limits(self, case: Case, dtype: str) -> dict[str, Limit]:
        """Of each form that makes sense."""
        forms = FORMS if case.gram_pays else FORMS[:1]
        return {form: self.limit(case, dtype, form) for form in forms}

    def as_dict(self) -> dict[str, object]:
        return {
            "threads": self.threads,
            "flops_per_second": self._products,
            "bytes_per_second": {str(size): rate for size, rate in self._reading.items()},
            "random_half_words_per_second": self.word_rate,
            "seconds_of_a_handover": self.handover,
            "cache_bytes": {level: cache_bytes(level) for level in DEFAULT_CACHES},
        }


_PRODUCT = """
import time
import numpy as np
A = np.random.default_rng(0).standard_normal((1536, 1536)).astype({dtype!r})
best = 0.0
for _ in range(8):
    start = time.perf_counter()
    A @ A
    best = max(best, 2 * 1536**3 / (time.perf_counter() - start))
print(best)
"""


def _read_rate(size: int, readers: int) -> float:
    """Readers with an array of so many bytes each; the best of several passes of two ways to read.

    Matrix-vector products, and for large arrays also scalar products of the array with itself.
    """
    width = 512 if size >= 2**16 else 64
    matrices = [np.ones((max(4, size // (8 * width)), width)) for _ in range(readers)]
    calls = max(1, 2**26 // matrices[0].nbytes)
    vector = np.ones((width, 1))

    def multiply(matrix: np.ndarray) -> None:
        # The same matrix again and again, in one call of NumPy.
        np.matmul(np.broadcast_to(matrix, (calls, *matrix.shape)), vector)

    def square(matrix: np.ndarray) -> None:
        flat = matrix.ravel()
        for _ in range(calls):
            flat @ flat

    best = 0.0
    with ThreadPoolExecutor(readers) as pool:
        for read in (multiply, square) if size >= 2**20 else (multiply,):
            for _ in range(6):
                start = time.perf_counter()
                list(pool.map(read, matrices))
                seconds = time.perf_counter() - start
                best = max(best, calls * sum(matrix.nbytes for matrix in matrices) / seconds)
    return best


def _bytes(size: float) -> str:
    return f"{size / 2**20:.0f} MiB" if size >= 2**20 else f"{size / 2**10:.0f} KiB"
