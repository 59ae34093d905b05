"""The compiled parts of the Numba rival: what one client does in one round.

Every kernel is compiled for its sizes: loops of known length are unrolled and vectorised best.
``scale`` is the learning rate over the number of rows.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import llvmlite.ir as ir
import numba
import numpy as np
from numba.core import types
from numba.extending import intrinsic

__all__ = [
    "deal",
    "exponential",
    "gram_steps",
    "sampled_gram_steps",
    "sampled_weights_steps",
    "weight_step",
]


@intrinsic
def scaled_by_power(context: Any, value: Any, shifted: Any) -> Any:
    """value · 2^k, where shifted = k + 1.5 · 2^(bits of the mantissa)."""
    single = value is types.float32
    width, mantissa, bias = (32, 23, 127) if single else (64, 52, 1023)

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        integer = ir.IntType(width)
        bits = builder.bitcast(arguments[1], integer)
        power = builder.shl(builder.add(bits, integer(bias)), integer(mantissa))
        return builder.fmul(arguments[0], builder.bitcast(power, arguments[0].type))

    return value(value, shifted), generate


def exponential(real: type) -> Callable[[Any], Any]:
    """exp(x) that the compiler can vectorise, as it cannot with a call of the C library.

    x = k log 2 + r and Taylor's series in r, for results that are normal numbers.
    """
    single = real is np.float32
    magic = real(1.5 * 2.0 ** (23 if single else 52))
    per_log2 = real(1 / math.log(2))
    high = real(0.693145751953125)  # few bits, so that k times it is exact
    low = real(math.log(2) - 0.693145751953125)
    terms = 7 if single else 12
    c = tuple(real(1 / math.factorial(i)) for i in range(terms + 1))

    # No reassociation here: it would cancel the magic number.
    @numba.njit(fastmath={"contract", "nnan", "ninf"})
    def exp(x: Any) -> Any:
        shifted = x * per_log2 + magic
        k = shifted - magic
        r = (x - k * high) - k * low
        p = c[terms]
        for i in range(terms):
            p = p * r + c[terms - 1 - i]
        return scaled_by_power(p, shifted)

    return exp  # type: ignore[no-any-return]


def gram_steps(n: int, steps: int, real: type) -> Any:
    """Margins m iterated on the Gram block K; s becomes the sum of the scaled slopes."""
    exp = exponential(real)
    fours = n - n % 4

    @numba.njit(fastmath=True)
    def run(K: Any, m: Any, s: Any, scale: Any) -> None:
        e = np.empty(n, K.dtype)
        for j in range(n):
            s[j] = real(0)
        for step in range(steps):
            for j in range(n):
                e[j] = scale * exp(-m[j])
                s[j] += e[j]
            if step == steps - 1:
                break  # nobody reads the margins after the last step
            for j in range(0, fours, 4):
                e0, e1, e2, e3 = e[j], e[j + 1], e[j + 2], e[j + 3]
                for k in range(n):
                    m[k] += (K[j, k] * e0 + K[j + 1, k] * e1) + (
                        K[j + 2, k] * e2 + K[j + 3, k] * e3
                    )
            for j in range(fours, n):
                for k in range(n):
                    m[k] += K[j, k] * e[j]

    return run


def weight_step(d: int, real: type) -> Any:
    """g += A[first:last]ᵀ exp(-A[first:last] v), the rows read once, four at a time."""
    exp = exponential(real)

    @numba.njit(fastmath=True)
    def run(A: Any, first: Any, last: Any, v: Any, g: Any, scale: Any) -> None:
        fours = first + (last - first) // 4 * 4
        for j in range(first, fours, 4):
            m0, m1, m2, m3 = real(0), real(0), real(0), real(0)
            for k in range(d):
                m0 += A[j, k] * v[k]
                m1 += A[j + 1, k] * v[k]
                m2 += A[j + 2, k] * v[k]
                m3 += A[j + 3, k] * v[k]
            e0, e1, e2, e3 = scale * exp(-m0), scale * exp(-m1), scale * exp(-m2), scale * exp(-m3)
            for k in range(d):
                g[k] += (A[j, k] * e0 + A[j + 1, k] * e1) + (A[j + 2, k] * e2 + A[j + 3, k] * e3)
        for j in range(fours, last):
            m = real(0)
            for k in range(d):
                m += A[j, k] * v[k]
            e = scale * exp(-m)
            for k in range(d):
                g[k] += A[j, k] * e

    return run


def sampled_weights_steps(d: int, real: type) -> Any:
    """Local steps on batches of rows: v moves."""
    exp = exponential(real)

    @numba.njit(fastmath=True)
    def run(A: Any, v: Any, batches: Any, scale: Any) -> None:
        steps, size = batches.shape
        e = np.empty(size, A.dtype)
        for step in range(steps):
            for b in range(size):
                row, m = batches[step, b], real(0)
                for k in range(d):
                    m += A[row, k] * v[k]
                e[b] = scale * exp(-m)
            for b in range(size):
                row = batches[step, b]
                for k in range(d):
                    v[k] += e[b] * A[row, k]

    return run


def sampled_gram_steps(n: int, real: type) -> Any:
    """Local steps on batches of rows: the margins m move; s is the sum of the scaled slopes."""
    exp = exponential(real)

    @numba.njit(fastmath=True)
    def run(K: Any, m: Any, s: Any, batches: Any, scale: Any) -> None:
        steps, size = batches.shape
        e = np.empty(size, K.dtype)
        for j in range(n):
            s[j] = real(0)
        for step in range(steps):
            for b in range(size):
                e[b] = scale * exp(-m[batches[step, b]])
                s[batches[step, b]] += e[b]
            for b in range(size):
                row = batches[step, b]
                for k in range(n):
                    m[k] += e[b] * K[row, k]

    return run


@numba.njit
def deal(order: Any, word: Any, batches: Any) -> Any:
    """Every row of an epoch once, in an order of its own (Fisher and Yates); the next word.

    Words by xorshift64* (Vigna, doi:10.1145/2845077), three shifts and a product: less work than
    generators that can start anywhere.
    """
    n, place = np.uint64(order.size), np.uint64(0)
    steps, size = batches.shape
    for step in range(steps):
        for b in range(size):
            word ^= word >> np.uint64(12)
            word ^= word << np.uint64(25)
            word ^= word >> np.uint64(27)
            half = (word * np.uint64(0x2545F4914F6CDD1D)) >> np.uint64(32)
            chosen = place + ((half * (n - place)) >> np.uint64(32))
            row = order[chosen]
            order[chosen] = order[place]
            order[place] = row
            batches[step, b] = row
            place += np.uint64(1)
            if place == n:
                place = np.uint64(0)
    return word
