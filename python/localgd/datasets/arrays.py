"""Files of whole arrays: NPZ and svmlight."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from .. import _validation as check
from .columns import RawRows, listed

__all__ = ["read_npz", "read_svmlight"]


def read_npz(path: Path, label: str | int | None, client: str | int | None) -> RawRows:
    """Arrays ``X`` (N, d), ``y`` (N,) and client ids (N,) of an NPZ file; pickles are refused."""
    label = "y" if label is None else label
    for role, name in (("label", label), ("client", client)):
        if name is not None and not isinstance(name, str):
            raise TypeError(f"{role}: got {name!r} for {path.name}; want the name of an array")
    try:
        stored = np.load(path, allow_pickle=False)
    except (ValueError, OSError, EOFError, zipfile.BadZipFile) as error:
        raise ValueError(f"{path.name}: not an NPZ file: {error}") from None
    if not isinstance(stored, np.lib.npyio.NpzFile):
        raise ValueError(f"{path.name}: one NPY array; want an NPZ file with arrays X and {label}")
    with stored:
        X = check.real_array(f"{path.name}: X", _array(path, stored, "X"), 2)
        labels = _array(path, stored, str(label))
        clients = None if client is None else _array(path, stored, str(client))
    for name, array in ((label, labels), (client, clients)):
        if array is not None and array.shape != (len(X),):
            raise ValueError(
                f"{path.name}: {name} has shape {array.shape}; want ({len(X)},), as X has "
                f"{len(X)} rows"
            )
    _some_rows(path, X)

    def place(i: int, role: str) -> str:
        return f"{path.name}: {label if role == 'label' else client}[{i}]"

    return RawRows(X, labels, clients, place)


def read_svmlight(
    path: Path,
    label: str | int | None,
    client: str | int | None,
    *,
    n_features: int | None = None,
    max_bytes: float = 4e9,
) -> RawRows:
    """Dense rows of an svmlight file; indices start at 1 unless the file has an index 0."""
    if label is not None:
        raise ValueError(f"label: got {label!r} for {path.name}; want None: it starts each line")
    if client not in (None, "qid"):
        raise ValueError(f"client: got {client!r} for {path.name}; want 'qid' or None")
    if n_features is not None:
        n_features = check.integer("n_features", n_features, 1)
    max_bytes = check.number("max_bytes", max_bytes, above=0)
    load = check.require("sklearn.datasets", "data", "reading svmlight").load_svmlight_file
    try:
        sparse, labels, qid = load(str(path), n_features=n_features, query_id=True)
    except (ValueError, OverflowError) as error:
        raise ValueError(f"{path.name}{_bad_line(path, load)}: {error}") from None
    N, d = sparse.shape
    if 8 * N * d > max_bytes:
        raise ValueError(
            f"{path.name}: {N} rows of {d} features take {8e-9 * N * d:.3g} GB as a dense array; "
            f"want at most {1e-9 * max_bytes:.3g} GB: select features, or raise max_bytes"
        )
    if client is not None and len(qid) != N:
        raise ValueError(f"{path.name}: qid on {len(qid)} of {N} rows; want one on each")
    X = check.real_array(f"{path.name}: X", sparse.toarray(), 2)
    _some_rows(path, X)

    def place(i: int, role: str) -> str:
        return f"{path.name} row {i}"

    return RawRows(X, labels, None if client is None else qid, place)


def _array(path: Path, stored: np.lib.npyio.NpzFile, name: str) -> np.ndarray:
    if name not in stored:
        raise ValueError(f"{path.name}: no array {name!r}; it holds {listed(sorted(stored))}")
    try:
        return stored[name]
    except (ValueError, OSError, EOFError, zipfile.BadZipFile) as error:
        raise ValueError(f"{path.name}: array {name!r} cannot be read: {error}") from None


def _some_rows(path: Path, X: np.ndarray) -> None:
    if len(X) == 0:
        raise ValueError(f"{path.name}: no rows; want at least one")


def _bad_line(path: Path, load: Callable[..., Any]) -> str:
    """Which line the parser, which does not say, stumbled over: found by halving."""

    def fails(lines: list[bytes]) -> bool:
        try:
            load(io.BytesIO(b"".join(lines)))
        except (ValueError, OverflowError):
            return True
        return False

    lines = path.read_bytes().splitlines(keepends=True)
    low, high = 0, len(lines)
    if not fails(lines):
        return ""
    while high - low > 1:
        middle = (low + high) // 2
        if fails(lines[low:middle]):
            high = middle
        else:
            low = middle
    return f" line {low + 1}"
