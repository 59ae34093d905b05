"""Products of NumPy and SciPy by one thread.

Their bits then do not depend on the number of cores. And no thread waits for another: on a machine
with other work that took ten to a hundred times as long as the small matrices here themselves.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache, wraps
from typing import Any, ParamSpec, TypeVar

__all__ = ["one_blas_thread", "with_one_blas_thread"]

Arguments = ParamSpec("Arguments")
Result = TypeVar("Result")


@contextmanager
def one_blas_thread() -> Iterator[None]:
    """All products within it, if it is the main thread that asks.

    The setting is that of the process, and OpenBLAS does not take it back from another thread.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    with _libraries().limit(limits=1, user_api="blas"):
        yield


def with_one_blas_thread(function: Callable[Arguments, Result]) -> Callable[Arguments, Result]:
    """A function all of whose products are by one thread."""

    @wraps(function)
    def alone(*args: Arguments.args, **kwargs: Arguments.kwargs) -> Result:
        with one_blas_thread():
            return function(*args, **kwargs)

    return alone


@cache
def _libraries() -> Any:
    """Those of the process, which takes some milliseconds to find out."""
    import scipy.linalg  # noqa: F401  # with a library of its own, which is to be known
    from threadpoolctl import ThreadpoolController

    return ThreadpoolController()
