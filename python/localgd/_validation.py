"""Checks of arguments: every message names the argument, what came and what is wanted."""

from __future__ import annotations

import contextlib
import importlib
import math
import numbers
from collections.abc import Collection
from types import ModuleType
from typing import Any

import numpy as np

from .errors import MissingExtraError
from .ids import is_missing


def real_array(
    name: str, value: Any, ndim: int, *, advice: str = ": drop or impute those rows first"
) -> np.ndarray:
    """A finite float64 array of ``ndim`` dimensions; complex, text and ragged input is refused."""
    if hasattr(value, "toarray"):  # scipy.sparse
        value = value.toarray()
    if np.ma.is_masked(value):
        raise ValueError(f"{name}: got masked entries; want finite numbers{advice}")
    try:
        array = np.asarray(value)
    except ValueError as error:
        raise ValueError(f"{name}: rows of different lengths; want a rectangular array") from error
    if array.dtype == object and not any(isinstance(entry, (str, bytes)) for entry in array.flat):
        with contextlib.suppress(TypeError, ValueError):
            gaps = np.array([is_missing(entry) for entry in array.flat], dtype=bool)
            array = np.where(gaps.reshape(array.shape), math.nan, array).astype(np.float64)
    if array.dtype.kind not in "biuf":
        raise TypeError(f"{name}: got dtype {array.dtype}; want real numbers")
    if array.ndim != ndim:
        raise ValueError(
            f"{name}: got an array of shape {array.shape}; want {ndim} dimension{'s' * (ndim > 1)}"
        )
    array = array.astype(np.float64, copy=False)
    bad = ~np.isfinite(array)
    if bad.any():
        where = tuple(int(i) for i in np.argwhere(bad)[0])
        place = f"row {where[0]}" + (f", column {where[1]}" if ndim == 2 else "")
        raise ValueError(
            f"{name}: {array[where]} at {place} ({int(bad.sum())} such entries); "
            f"want finite numbers{advice}"
        )
    return array


def integer(name: str, value: Any, minimum: int) -> int:
    """An integer of at least ``minimum`` (a float with an integer value, such as 1e4, is taken)."""
    if isinstance(value, bool) or not isinstance(value, numbers.Real):
        raise TypeError(f"{name}: got {value!r}; want an integer of at least {minimum}")
    finite = isinstance(value, numbers.Integral) or math.isfinite(value)  # which overflows at 1e309
    whole = int(value) if finite else None  # type: ignore[call-overload]
    if whole is None or value != whole or whole < minimum:
        raise ValueError(f"{name}: got {value!r}; want an integer of at least {minimum}")
    return whole


def number(
    name: str,
    value: Any,
    *,
    above: float | None = None,
    minimum: float | None = None,
    below: float | None = None,
) -> float:
    """A finite real number, ``> above``, ``>= minimum`` and ``< below`` where given."""
    wanted = "a number" if below is not None else "a finite number"
    if above is not None:
        wanted += f" above {above:g}"
    if minimum is not None:
        wanted += f" of at least {minimum:g}"
    if below is not None:
        wanted += f" and below {below:g}"
    if isinstance(value, bool) or not isinstance(value, numbers.Real):
        raise TypeError(f"{name}: got {value!r}; want {wanted}")
    try:
        number = float(value)
    except OverflowError:  # an integer beyond 1e308
        number = math.inf
    if (
        not math.isfinite(number)
        or (above is not None and number <= above)
        or (minimum is not None and number < minimum)
        or (below is not None and number >= below)
    ):
        raise ValueError(f"{name}: got {value!r}; want {wanted}")
    return number


def flag(name: str, value: Any) -> bool:
    """True or False."""
    if not isinstance(value, bool):
        raise TypeError(f"{name}: got {value!r}; want True or False")
    return value


def one_of(name: str, value: Any, allowed: Collection[str]) -> str:
    """One of the given words."""
    if not isinstance(value, str):
        raise TypeError(f"{name}: got {value!r}; want one of {', '.join(map(repr, allowed))}")
    if value not in allowed:
        raise ValueError(f"{name}: got {value!r}; want one of {', '.join(map(repr, allowed))}")
    return value


def require(module: str, extra: str, purpose: str) -> ModuleType:
    """Import an optional dependency, or say which extra of localgd brings it."""
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise MissingExtraError(
            f"{purpose} needs {module.split('.')[0]}: pip install 'localgd[{extra}]'"
        ) from error
