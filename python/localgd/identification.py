"""What makes two inputs the same: their values, where those can be compared.

A function cannot: its name says nothing of what it closes over, and its code may change between two
sessions. Nor can an object of a class of the caller's.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from .pieces import pieces

__all__ = ["PLAIN", "UnidentifiedError", "digest", "identify", "refuse"]

PLAIN = (type(None), bool, int, float, str)
OWN = __name__.partition(".")[0]  # the package whose classes are known


class UnidentifiedError(TypeError):
    """A value that cannot be distinguished from another one."""


def refuse(value: Any) -> Any:
    """An UnidentifiedError."""
    raise UnidentifiedError(f"{value!r} cannot be told from another {type(value).__name__}")


def digest(*arrays: np.ndarray) -> str:
    """A hash of the types, shapes and numbers of arrays, of which no copies are made.

    float32 counts as float64: the same numbers have the same hash.
    """
    import hashlib  # with OpenSSL, which takes its time to be loaded

    found = hashlib.sha256()
    for array in arrays:
        dtype = np.dtype(np.float64) if array.dtype == np.float32 else array.dtype
        found.update(f"{dtype.str}{array.shape}".encode())
        array = np.atleast_1d(array)
        for some in pieces(len(array), math.prod(array.shape[1:])):
            block = np.ascontiguousarray(array[some], dtype)
            found.update(block.reshape(-1).view(np.uint8).data)
    return found.hexdigest()


def identify(value: Any, unknown: Callable[[Any], Any] = refuse) -> Any:
    """A value as JSON can hold it, equal for equal values and different for others.

    Objects are identified by the fields that they are compared by if their class is one of
    localgd's own. For anything that
    cannot be identified ``unknown(value)`` stands, an UnidentifiedError if it is not given.
    """
    if isinstance(value, np.generic):
        value = value.item()
    if type(value) in PLAIN:
        return value
    if isinstance(value, np.ndarray) and not isinstance(value, np.ma.MaskedArray):
        return _array(np.asarray(value), unknown)
    if type(value) in (list, tuple, range):
        return [identify(entry, unknown) for entry in value]
    if isinstance(value, Mapping):
        pairs = [[str(name), identify(entry, unknown)] for name, entry in value.items()]
        return {"mapping": sorted(pairs, key=lambda pair: pair[0])}
    own = type(value).__module__.partition(".")[0] == OWN
    if own and dataclasses.is_dataclass(value) and not isinstance(value, type):
        names = [field.name for field in dataclasses.fields(value) if field.compare]
        fields = [[name, identify(getattr(value, name), unknown)] for name in names]
        return {"class": type(value).__qualname__, "fields": fields}
    return unknown(value)


def _array(array: np.ndarray, unknown: Callable[[Any], Any]) -> Any:
    if array.dtype.hasobject:  # whose bytes are addresses
        return identify(array.tolist(), unknown)
    return {"array": digest(array)}
