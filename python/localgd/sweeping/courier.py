"""How runs get to the workers of an executor: their problem once for each worker.

What is large in a run (its problem, and arrays of a megabyte) is taken out of its pickle and stands
there by a hash. A worker keeps what it has had lately. What it does not have it takes from a file
of the machine; where there is none, since it runs on another one, it says so and is sent it. Dask
has its own way: what is large is scattered to its workers.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import math
import os
import pickle
import tempfile
import threading
import time
import weakref
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from typing import Any

import numpy as np

from ..identification import digest
from ..problem import Problem
from .executors import Processes

__all__ = ["Absent", "Courier", "courier_to"]

LARGE = 2**20  # bytes of an array that does not travel with every run
AHEAD = 32  # workers of an executor that does not say how many it has
COUNT_EVERY = 5.0  # seconds: the workers of Dask
KEPT = 8  # large things that a worker keeps

_kept: OrderedDict[str, Any] = OrderedDict()  # of this worker, by hash
_keeping = threading.Lock()
_hashes: weakref.WeakKeyDictionary[Problem, str] = weakref.WeakKeyDictionary()


class Absent(list[str]):
    """The hashes of what a worker does not have, in place of its result."""


class Courier:
    """To workers that share the memory of this process."""

    def __init__(self, executor: Executor):
        self.executor = executor
        # By id, with what has it: large arrays, which nobody changes while a sweep lasts.
        self._hashes: OrderedDict[int, tuple[np.ndarray, str]] = OrderedDict()

    @property
    def outlives_workers(self) -> bool:
        """Whether the executor goes on when a worker dies."""
        return isinstance(self.executor, Processes)

    def ahead(self) -> int:
        """How many tasks the executor is to have at once, so that none of its workers waits."""
        given = getattr(self.executor, "ahead", None)
        workers = [getattr(self.executor, name, None) for name in ("_max_workers", "num_workers")]
        return given or 2 * next(filter(None, workers), AHEAD)

    def submit(self, function: Callable[[Any], Any], argument: Any, attempt: int) -> Future[Any]:
        """Have a function called on a worker; an error if the argument cannot get there."""
        return self.executor.submit(function, argument)

    def resubmit(
        self, function: Callable[[Any], Any], argument: Any, attempt: int, absent: Absent
    ) -> Future[Any]:
        """The same with what the worker has been without."""
        raise NotImplementedError

    def close(self) -> None:
        """Remove what is left for workers."""


class ByFile(Courier):
    """To other processes: files for those of this machine, bytes for the others."""

    def __init__(self, executor: Executor):
        super().__init__(executor)
        self._paths: OrderedDict[str, str] = OrderedDict()

    def submit(self, function: Callable[[Any], Any], argument: Any, attempt: int) -> Future[Any]:
        payload, large = packed(argument, self._hashes)
        paths = {name: self._path(name, value) for name, value in large.items()}
        return self.executor.submit(_call, function, payload, paths, {})

    def resubmit(
        self, function: Callable[[Any], Any], argument: Any, attempt: int, absent: Absent
    ) -> Future[Any]:
        payload, large = packed(argument, self._hashes)
        paths = {name: self._path(name, value) for name, value in large.items()}
        content = {name: pickle.dumps(large[name], pickle.HIGHEST_PROTOCOL) for name in absent}
        return self.executor.submit(_call, function, payload, paths, content)

    def close(self) -> None:
        self._remove_but(0)

    def _path(self, name: str, value: Any) -> str:
        if name not in self._paths:
            number, path = tempfile.mkstemp(".pickle", "localgd-")
            self._paths[name] = path
            try:
                with open(number, "wb") as file:
                    pickle.dump(value, file, pickle.HIGHEST_PROTOCOL)
            except OSError:  # no space: it is sent
                os.unlink(path)
        self._paths.move_to_end(name)
        self._remove_but(KEPT)
        return self._paths[name]

    def _remove_but(self, last: int) -> None:
        """Remove all files but the last ones; a worker that wants another is sent it."""
        while len(self._paths) > last:
            _, path = self._paths.popitem(last=False)
            with contextlib.suppress(OSError):
                os.unlink(path)


class ByDask(Courier):
    """To the workers of Dask, which keep what is scattered and give it to each other."""

    def __init__(self, executor: Any):
        super().__init__(executor)
        self._scattered: OrderedDict[str, Any] = OrderedDict()
        self._ahead, self._counted = 0, -math.inf

    def ahead(self) -> int:
        if time.monotonic() > self._counted + COUNT_EVERY:  # workers come and go
            threads = self.executor._client.nthreads().values()  # type: ignore[attr-defined]
            self._ahead, self._counted = 2 * max(1, sum(threads)), time.monotonic()
        return self._ahead

    def submit(self, function: Callable[[Any], Any], argument: Any, attempt: int) -> Future[Any]:
        payload, large = packed(argument, self._hashes, _cloudpickler())
        futures = [self._future(name, value, attempt) for name, value in large.items()]
        # The attempt makes another task of what has failed, which Dask would not run again.
        return self.executor.submit(_call_with, function, payload, attempt, list(large), *futures)

    def close(self) -> None:
        self._scattered.clear()

    def _future(self, name: str, value: Any, attempt: int) -> Any:
        known = self._scattered.get(name)
        if known is None or (attempt and known.status != "finished"):  # its workers have died
            client = self.executor._client  # type: ignore[attr-defined]
            self._scattered[name] = client.scatter(value, broadcast=True, hash=False)
        self._scattered.move_to_end(name)
        while len(self._scattered) > KEPT:
            self._scattered.popitem(last=False)
        return self._scattered[name]


def courier_to(executor: Executor) -> Courier:
    """The one that suits an executor."""
    if isinstance(executor, ThreadPoolExecutor):
        return Courier(executor)
    if type(executor).__module__.partition(".")[0] == "distributed":
        return ByDask(executor)
    return ByFile(executor)


def packed(
    value: Any,
    hashes: OrderedDict[int, tuple[np.ndarray, str]],
    pickler: Any = pickle.Pickler,
) -> tuple[bytes, dict[str, Any]]:
    """A value as bytes without what is large in it, and that by hash; ``hashes``: known ones."""
    large: dict[str, Any] = {}

    class Pickler(pickler):  # type: ignore[misc]
        def persistent_id(self, value: Any) -> str | None:
            if isinstance(value, Problem):
                name = _hash_of_problem(value)
            elif _is_large(value):
                if id(value) not in hashes:
                    hashes[id(value)] = value, _hash_of_array(value)
                name = hashes[id(value)][1]
            else:
                return None
            large[name] = value
            return name

    payload = _pickled(value, Pickler)
    while len(hashes) > KEPT:
        hashes.popitem(last=False)
    return payload, large


def unpacked(payload: bytes, large: Mapping[str, Any]) -> Any:
    """What was packed."""

    class Unpickler(pickle.Unpickler):
        def persistent_load(self, name: str) -> Any:
            return large[name]

    return Unpickler(io.BytesIO(payload)).load()


def _call(
    function: Callable[[Any], Any],
    payload: bytes,
    paths: Mapping[str, str],
    content: Mapping[str, bytes],
) -> Any:
    """On a worker: the result, or what it does not have."""
    found = {name: _found(name, path, content.get(name)) for name, path in paths.items()}
    absent = [name for name, value in found.items() if value is None]
    return Absent(absent) if absent else function(unpacked(payload, found))


def _call_with(
    function: Callable[[Any], Any], payload: bytes, attempt: int, names: Sequence[str], *values: Any
) -> Any:
    """On a worker of Dask."""
    return function(unpacked(payload, dict(zip(names, values, strict=True))))


def _found(name: str, path: str, content: bytes | None) -> Any:
    """What has a hash: kept, sent along, or in a file; None if it is nowhere."""
    with _keeping:
        if name not in _kept:
            if content is not None:
                _kept[name] = pickle.loads(content)
            else:
                try:
                    with open(path, "rb") as file:
                        _kept[name] = pickle.load(file)
                except OSError:
                    return None
        _kept.move_to_end(name)
        while len(_kept) > KEPT:
            _kept.popitem(last=False)
        return _kept[name]


def _hash_of_problem(problem: Problem) -> str:
    """The same for problems with the same contents, whatever is large in them hashed by itself."""
    if problem not in _hashes:

        class Pickler(pickle.Pickler):
            def persistent_id(self, value: Any) -> str | None:
                return _hash_of_array(value) if _is_large(value) else None

        state = _pickled(problem.__getstate__(), Pickler)
        _hashes[problem] = hashlib.sha256(state).hexdigest()
    return _hashes[problem]


def _hash_of_array(array: np.ndarray) -> str:
    layout = f"{array.dtype.str} {array.shape} {array.strides}"
    return digest(array) + hashlib.sha256(layout.encode()).hexdigest()[:8]


def _is_large(value: Any) -> bool:
    return type(value) is np.ndarray and not value.dtype.hasobject and value.nbytes >= LARGE


def _pickled(value: Any, pickler: Any) -> bytes:
    buffer = io.BytesIO()
    try:
        pickler(buffer, pickle.HIGHEST_PROTOCOL).dump(value)
    except (pickle.PicklingError, AttributeError, TypeError) as error:
        raise pickle.PicklingError(
            f"{error}; want functions that are made by def at the top of a module, which other "
            "processes can pickle"
        ) from None
    return buffer.getvalue()


def _cloudpickler() -> Any:
    """That of Dask, which takes functions of the main module and nameless ones, too."""
    from cloudpickle import Pickler

    return Pickler
