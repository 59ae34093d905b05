"""Checks of arguments: every message names the argument, what came and what is wanted."""

from __future__ import annotations

import contextlib
import importlib
import math
import numbers
from collections.abc import Collection, Sequence
from types import ModuleType
from typing import Any

import numpy as np

from .errors import MissingExtraError
from .ids import is_missing
from .pieces import pieces

MOST_NAMES = 20  # in a message
IMPUTE = ": drop or impute those rows first"


def real_array(name: str, value: Any, ndim: int, *, advice: str = IMPUTE) -> np.ndarray:
    """A finite float64 array of ``ndim`` dimensions; complex, text and ragged input is refused."""
    if hasattr(value, "toarray"):  # scipy.sparse
        value = value.toarray()
    array = numbers_of(name, value, ndim).astype(np.float64, copy=False)
    finite(name, array, advice=advice)
    return array


def numbers_of(name: str, value: Any, ndim: int) -> np.ndarray:
    """An array of ``ndim`` dimensions, of real numbers of any type, which may not be finite."""
    array = array_of(name, value)
    if array.dtype == object:
        array = numbers_in_objects(array)
    if array.dtype.kind not in "biuf":
        raise TypeError(f"{name}: got dtype {array.dtype}; want real numbers")
    dimensions(name, array, ndim)
    return array


def array_of(name: str, value: Any) -> np.ndarray:
    """What NumPy makes of a value: lists, and what other libraries have as arrays."""
    if np.ma.is_masked(value):
        raise ValueError(f"{name}: got masked entries; want finite numbers{IMPUTE}")
    exports = hasattr(value, "__dlpack__") and not hasattr(value, "__array__")
    try:
        return np.from_dlpack(value) if exports else np.asarray(value)
    except MemoryError:
        raise
    except Exception as error:  # whatever libraries raise for what NumPy has no type for
        if isinstance(value, list | tuple) and isinstance(error, ValueError):
            raise ValueError(
                f"{name}: rows of different lengths; want a rectangular array"
            ) from error
        raise TypeError(
            f"{name}: NumPy cannot read this {type(value).__name__}: {error}"
        ) from error


def numbers_in_objects(array: np.ndarray) -> np.ndarray:
    """Objects as float64 if they are numbers, NaN where there is none; else as they are."""
    if not any(isinstance(entry, (str, bytes)) for entry in array.flat):
        with contextlib.suppress(TypeError, ValueError):
            gaps = np.array([is_missing(entry) for entry in array.flat], dtype=bool)
            return np.where(gaps.reshape(array.shape), math.nan, array).astype(np.float64)
    return array


def dimensions(name: str, array: np.ndarray, ndim: int) -> None:
    """An error unless there are so many."""
    if array.ndim != ndim:
        raise ValueError(
            f"{name}: got an array of shape {array.shape}; want {ndim} dimension{'s' * (ndim > 1)}"
        )


def finite(
    name: str, array: np.ndarray, *, advice: str = IMPUTE, columns: Sequence[Any] | None = None
) -> None:
    """An error for NaN and inf, without an array as large; ``columns`` have names."""
    if array.dtype.kind != "f":
        return
    place, count = None, 0
    for some in pieces(len(array), math.prod(array.shape[1:])):
        bad = ~np.isfinite(array[some])
        if bad.any():
            if place is None:
                row, *rest = (int(i) for i in np.argwhere(bad)[0])
                place = (some.start + row, *rest)
            count += int(bad.sum())
    if place is not None:
        raise not_finite(name, array[place], place, count, advice=advice, columns=columns)


def not_finite(
    name: str,
    value: Any,
    place: tuple[int, ...],
    count: int,
    *,
    advice: str = IMPUTE,
    columns: Sequence[Any] | None = None,
) -> ValueError:
    """The error for ``count`` entries that are not finite, of which the first is at ``place``."""
    where = f"row {place[0]}"
    if len(place) == 2:
        where += f", column {place[1] if columns is None else repr(columns[place[1]])}"
    return ValueError(
        f"{name}: {value} at {where} ({count} such entries); want finite numbers{advice}"
    )


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
        wanted = f"{', '.join(map(repr, allowed))}{did_you_mean(value, allowed)}"
        raise ValueError(f"{name}: got {value!r}; want one of {wanted}")
    return value


def suggestion(value: Any, known: Collection[Any]) -> str:
    """What is wanted in place of an unknown name: that which looks like it, or all."""
    near = _nearest(value, known)
    if near is not None:
        return f"did you mean {near!r}?"
    shown = [repr(name) for name in list(known)[:MOST_NAMES]]
    return f"want one of {', '.join(shown)}{', …' * (len(known) > MOST_NAMES)}"


def did_you_mean(value: Any, known: Collection[Any]) -> str:
    """The end of a message that has listed all names: which of them looks like the one given."""
    near = _nearest(value, known)
    return "" if near is None else f": did you mean {near!r}?"


def _nearest(value: Any, known: Collection[Any]) -> Any:
    """The known name that looks most like a value, in small letters; None if none does."""
    names = {str(name).lower(): name for name in known}
    import difflib  # for errors alone

    near = difflib.get_close_matches(str(value).lower(), names, n=1)
    return names[near[0]] if near else None


def require(module: str, extra: str, purpose: str) -> ModuleType:
    """Import an optional dependency, or say which extra of localgd brings it."""
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise MissingExtraError(
            f"{purpose} needs {module.split('.')[0]}: pip install 'localgd[{extra}]'"
        ) from error
