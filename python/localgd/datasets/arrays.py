"""Files of whole arrays: NPZ and svmlight."""

from __future__ import annotations

import io
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from .. import _validation as check
from .columns import RawRows, listed

__all__ = ["read_npz", "read_svmlight"]


def read_npz(path: Path, label: str | int | None, client: str | int | None) -> RawRows:
    """Arrays ``X`` (N, d), ``y`` (N,) and client ids (N,) of an NPZ file; pickles are refused."""
    label = "y" if label is None else label
    if not isinstance(label, str):
        raise TypeError(f"label: got {label!r} for {path.name}; want the name of an array")
    if not (client is None or isinstance(client, str)):
        raise TypeError(f"client: got {client!r} for {path.name}; want the name of an array")
    with path.open("rb") as file:  # NumPy leaves the file open where it fails
        X, labels, clients = _arrays(path, file, label, client)
    for name, array in ((label, labels), (client, clients)):
        if array is not None and array.shape != (len(X),):
            raise ValueError(
                f"{path.name}: {name} has shape {array.shape}; want ({len(X)},), as X has "
                f"{len(X)} rows"
            )
    if 0 in X.shape:
        raise ValueError(f"{path.name}: X has shape {X.shape}; want a row and a feature at least")

    def location(i: int, role: str) -> str:
        return f"{path.name}: {label if role == 'label' else client}[{i}]"

    return RawRows(X, labels, clients, location)


def read_svmlight(
    path: Path,
    label: str | int | None,
    client: str | int | None,
    *,
    n_features: int | None = None,
    zero_based: bool | None = None,
    max_bytes: float = 4e9,
) -> RawRows:
    """Dense rows of an svmlight file; indices start at 1 unless the file has an index 0."""
    if label is not None:
        raise ValueError(f"label: got {label!r} for {path.name}; want None: it starts each line")
    if client not in (None, "qid"):
        raise ValueError(f"client: got {client!r} for {path.name}; want 'qid' or None")
    if n_features is not None:
        n_features = check.integer("n_features", n_features, 1)
    if zero_based is not None:
        check.flag("zero_based", zero_based)
    max_bytes = check.number("max_bytes", max_bytes, above=0)
    lines = _svmlight_lines(path)
    sparse, labels, qid = _load_svmlight(path, lines)
    if not len(labels):
        raise ValueError(f"{path.name}: no rows; want at least one")
    if client is not None and len(qid) != len(labels):
        raise ValueError(f"{path.name}: qid on {len(qid)} of {len(labels)} rows; want one on each")
    sparse, guesses = _columns(path, sparse, n_features, zero_based)
    N, d = sparse.shape
    if 8 * N * d > max_bytes:
        raise ValueError(
            f"{path.name}: {N} rows of {d} features take {8e-9 * N * d:.3g} GB as a dense array; "
            f"want at most {1e-9 * max_bytes:.3g} GB: select features, or raise max_bytes"
        )
    X = sparse.toarray()
    filled = [number for number, line in enumerate(lines, 1) if line.strip()]
    bad = np.argwhere(~np.isfinite(X))
    if len(bad):
        i, j = bad[0]
        raise ValueError(
            f"{path.name} line {filled[i]}: {X[i, j]} as feature {j} (counted from 0); want finite "
            "numbers: drop or impute those rows first"
        )
    exact: Any = labels
    if not (np.abs(labels) < 2**53).all():  # scikit-learn has rounded large integers
        exact = [lines[number - 1].split(None, 1)[0] for number in filled]

    def location(i: int, role: str) -> str:
        return f"{path.name} line {filled[i]}"

    return RawRows(X, exact, None if client is None else qid, location, guesses)


def _svmlight_lines(path: Path) -> list[bytes]:
    """The lines without comments, and without what only LIBSVM's own reader takes."""
    data = path.read_bytes().removeprefix(b"\xef\xbb\xbf")
    lines = re.sub(rb"#[^\n]*", b"", data).split(b"\n")
    for number, line in enumerate(lines, 1):
        if b"_" in line:  # Python reads 1_000 as 1000
            raise ValueError(f"{path.name} line {number}: an underscore; want numbers")
        if b": " in line or b":\t" in line:
            lines[number - 1] = re.sub(rb":[ \t]+", b":", line)
    return lines


def _load_svmlight(path: Path, lines: list[bytes]) -> tuple[Any, np.ndarray, np.ndarray]:
    """Rows by the indices in the file, labels and qids."""
    load = check.require("sklearn.datasets", "data", "reading svmlight").load_svmlight_file

    def parse(some: list[bytes]) -> Any:
        return load(io.BytesIO(b"\n".join(some)), zero_based=True, query_id=True)

    try:
        return parse(lines)  # type: ignore[no-any-return]
    except (ValueError, OverflowError) as error:
        raise ValueError(f"{path.name}{_bad_line(lines, parse)}: {error}") from None


def _columns(
    path: Path, sparse: Any, n_features: int | None, zero_based: bool | None
) -> tuple[Any, tuple[str, ...]]:
    """The columns that indices from 0 or from 1 mean, and what to say if that was guessed."""
    indices = sparse.indices
    if not len(indices) and n_features is None:
        raise ValueError(f"{path.name}: no row has a feature; want at least one, or n_features")
    has_zero = bool((indices == 0).any())
    if has_zero and zero_based is False:
        raise ValueError(f"{path.name}: an index 0 and zero_based=False; want indices from 1 on")
    start = 0 if has_zero or zero_based else 1
    largest = int(indices.max()) if len(indices) else 0
    d = n_features or largest + 1 - start
    if largest + 1 - start > d:
        raise ValueError(
            f"{path.name}: n_features: got {d}, but an index of {largest} (indices start at "
            f"{start}); want at least {largest + 1 - start}"
        )
    sparse.resize(len(sparse.indptr) - 1, d + start)
    guessed = zero_based is None and start == 1 and len(indices) and largest < d
    guesses = ("indices as starting at 1 (zero_based=True: at 0)",) if guessed else ()
    return sparse[:, start:], guesses


def _arrays(
    path: Path, file: BinaryIO, label: str, client: str | None
) -> tuple[np.ndarray, np.ndarray, np.ndarray | None]:
    """X, labels and client ids."""
    try:
        stored = np.load(file, allow_pickle=False)
    except Exception as error:  # whatever zipfile and NumPy make of broken bytes
        raise ValueError(f"{path.name}: not an NPZ file: {error}") from None
    if not isinstance(stored, np.lib.npyio.NpzFile):
        raise ValueError(f"{path.name}: one NPY array; want an NPZ file with arrays X and {label}")
    with stored:
        X = _real_rows(f"{path.name}: X", _array(path, stored, "X"))
        labels = _array(path, stored, label)
        return X, labels, None if client is None else _array(path, stored, client)


def _array(path: Path, stored: np.lib.npyio.NpzFile, name: str) -> np.ndarray:
    if name not in stored:
        raise ValueError(f"{path.name}: no array {name!r}; it holds {listed(sorted(stored))}")
    try:
        array = stored[name]
    except Exception as error:  # whatever zipfile and NumPy make of broken bytes
        raise ValueError(f"{path.name}: array {name!r} cannot be read: {error}") from None
    if not isinstance(array, np.ndarray):
        raise ValueError(f"{path.name}: {name!r} is no array; want an array of NumPy")
    return array


def _real_rows(name: str, value: np.ndarray) -> np.ndarray:
    try:
        return check.real_array(name, value, 2)
    except TypeError as error:  # in a file it is a value that is wrong
        raise ValueError(str(error)) from None


def _bad_line(lines: list[bytes], parse: Callable[[list[bytes]], Any]) -> str:
    """Which line the parser, which does not say, stumbled over: found by halving."""

    def fails(some: list[bytes]) -> bool:
        try:
            parse(some)
        except (ValueError, OverflowError):
            return True
        return False

    low, high = 0, len(lines)
    while high - low > 1:
        middle = (low + high) // 2
        if fails(lines[low:middle]):
            high = middle
        else:
            low = middle
    return f" line {low + 1}"
